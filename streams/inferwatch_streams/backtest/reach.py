"""How far back a rule looks: what has to be read before the first tick."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferwatch_streams.configuration.durations import HOUR
from inferwatch_streams.rules.definition import (
    Absence,
    Anomaly,
    BurnRate,
    Change,
    Completeness,
    Forecast,
    Threshold,
)
from inferwatch_streams.rules.spans import PAST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inferwatch_streams.rules.definition import Rule


def reach(rules: Iterable[Rule]) -> int:
    """The longest time that any of the rules looks back, with the slot in which it begins."""
    return min(PAST, max((_reach(rule) for rule in rules), default=0) + HOUR)


def _reach(rule: Rule) -> int:
    match rule:
        case Threshold() | Completeness() | Forecast():
            return rule.window
        case BurnRate():
            return max([rule.period, *(pair.long for pair in rule.pairs)])
        case Change():
            return rule.against.past + 2 * rule.window
        case Absence():
            return max(rule.silent_for, rule.past)
        case Anomaly():
            return rule.window + rule.history
        case _:
            # What a function of somebody's asks for is not known.
            return PAST
