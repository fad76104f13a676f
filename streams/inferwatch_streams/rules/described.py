"""Rules described in a line, for tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from inferwatch_streams.configuration.durations import DAY, duration_text
from inferwatch_streams.rules.definition import (
    Absence,
    Anomaly,
    BurnRate,
    Change,
    Completeness,
    Forecast,
    Function,
    Rule,
    Threshold,
)
from inferwatch_streams.rules.measures import MEASURES
from inferwatch_streams.rules.texts import UNITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inferwatch_streams.rules.definition import Against


def row_of(rule: Rule) -> tuple[str, str, str, str, str, str]:
    """Name, kind, severity, condition, ``for`` and dimensions of a rule."""
    where = "".join(f", {matcher}" for matcher in rule.where)
    return (
        rule.name,
        rule.kind,
        rule.severity,
        condition(rule) + where,
        duration_text(rule.pending) if rule.pending else "-",
        ", ".join(rule.by) or "-",
    )


def needs_of(rule: Rule) -> Iterator[str]:
    """What a rule needs that is not everywhere."""
    if isinstance(rule, Completeness):
        yield "the kind completeness needs ClickHouse, which counts what producers made"


def condition(rule: Rule) -> str:  # noqa: PLR0911  # a kind, a sentence
    """When a rule's condition holds."""
    match rule:
        case Threshold():
            sign = ">" if rule.above else "<"
            return f"{_over(rule)} {sign} {_shown(rule.measure, rule.limit)}"
        case BurnRate():
            pairs = " or ".join(
                f"{pair.factor:g}x over {duration_text(pair.long)} and {duration_text(pair.short)}"
                for pair in rule.pairs
            )
            return f"{_promise(rule)} burns at {pairs}"
        case Change():
            factors = [f">= {rule.increase:g}x"] if rule.increase < math.inf else []
            factors += [f"<= {rule.decrease:g}x"] if rule.decrease else []
            return f"{_over(rule)} {' or '.join(factors)} {_against(rule.against, rule.window)}"
        case Absence():
            return f"no {rule.signal} for {duration_text(rule.silent_for)}"
        case Forecast():
            limit = _shown(rule.measure, rule.limit)
            return f"{_over(rule)} reaches {limit} within {duration_text(rule.within)}"
        case Anomaly():
            what = "unlike" if rule.direction == "both" else f"{rule.direction} what is usual in"
            return f"{_over(rule)} {what} {duration_text(rule.history)}, score {rule.score:g}"
        case Completeness():
            return f"over {duration_text(rule.window)} more than {rule.above:.3g} missing"
        case Function():
            return f"{rule.function}(...)"


def _over(rule: Threshold | Change | Forecast | Anomaly) -> str:
    return f"{rule.measure} over {duration_text(rule.window)}"


def _shown(measure: str, value: float) -> str:
    return UNITS[MEASURES[measure].unit](value)


def _promise(rule: BurnRate) -> str:
    if rule.budget_usd:
        return f"{rule.budget_usd:g} USD in {duration_text(rule.period)}"
    bound = f" within {duration_text(rule.bound)}" if rule.bound else ""
    return f"{rule.sli} {rule.objective * 100:g} %{bound}"


def _against(against: Against, window: int) -> str:
    if against.dimension is not None:
        other = against.value or f"that was there {duration_text(against.past)} ago"
        return f"that of the {against.dimension} {other}"
    known = {window: "that before", DAY: "yesterday's", 7 * DAY: "last week's"}
    return known.get(against.past, f"that {duration_text(against.past)} ago")
