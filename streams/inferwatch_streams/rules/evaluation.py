"""Rules evaluated: one alone, or all of them tick by tick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from inferwatch_streams.configuration.durations import MINUTE
from inferwatch_streams.errors import RuleFailedError
from inferwatch_streams.rules import (
    absence,
    anomaly,
    burn_rate,
    change,
    completeness,
    forecast,
    function,
    threshold,
)
from inferwatch_streams.rules.selections import Selections
from inferwatch_streams.rules.tick import Tick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from inferwatch_streams.rules.completeness import Gaps
    from inferwatch_streams.rules.definition import Rule
    from inferwatch_streams.rules.finding import Finding
    from inferwatch_streams.windows.reading import Windows

log = structlog.get_logger(__name__)

_EVALUATE: Final[Mapping[str, Callable[[Any, Tick], list[Finding]]]] = {
    "threshold": threshold.evaluate,
    "burn_rate": burn_rate.evaluate,
    "change": change.evaluate,
    "absence": absence.evaluate,
    "forecast": forecast.evaluate,
    "anomaly": anomaly.evaluate,
    "completeness": completeness.evaluate,
    "function": function.evaluate,
}
SLOW: Final = ("change", "forecast", "anomaly", "completeness")
"""Kinds that look far back: evaluated at whole minutes; what they found holds until the next."""


def evaluate(rule: Rule, windows: Windows, at: int, gaps: Gaps | None = None) -> Sequence[Finding]:
    """What a rule finds at a time: the groups whose condition holds.

    Args:
        rule: What to look for.
        windows: Where totals come from.
        at: Event time, in microseconds since 1970.
        gaps: Where missing events are known from, for the kind completeness.

    Raises:
        RuleFailedError: It cannot be evaluated.
    """
    moment = at // MINUTE * MINUTE if rule.kind in SLOW else at
    return _EVALUATE[rule.kind](rule, Tick(windows, moment, gaps))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What all rules found at a time.

    Attributes:
        at: Event time, in microseconds since 1970.
        findings: By name of the rule; a rule that failed is not among them.
        failures: Why a rule failed, by its name: nothing is known of its condition.
    """

    at: int
    findings: Mapping[str, Sequence[Finding]]
    failures: Mapping[str, str]


class Evaluator:
    """Evaluates all rules, tick by tick, as ``evaluate`` does each.

    It keeps what groups have in common from tick to tick, and what slow rules found in this minute.
    """

    def __init__(self, gaps: Gaps | None = None) -> None:
        self._gaps = gaps
        self._selections = Selections()
        self._slow: dict[str, tuple[Rule, int, Sequence[Finding] | Exception]] = {}
        self._told: set[str] = set()

    def tick(self, rules: Iterable[Rule], windows: Windows, at: int) -> Evaluation:
        """What the rules find at a time. One that fails is told once, until it works again."""
        self._selections.turn()
        minute = at // MINUTE * MINUTE
        now = Tick(windows, at, self._gaps, self._selections)
        slow = Tick(windows, minute, self._gaps, self._selections)
        before, self._slow = self._slow, {}
        findings: dict[str, Sequence[Finding]] = {}
        failures: dict[str, Exception] = {}
        for rule in rules:
            if rule.kind in SLOW:
                known = before.get(rule.name)
                if known is None or known[1] != minute or known[0] != rule:
                    known = rule, minute, _found(rule, slow)
                self._slow[rule.name] = known
                found = known[2]
            else:
                found = _found(rule, now)
            if isinstance(found, Exception):
                failures[rule.name] = found
            else:
                findings[rule.name] = found
        self._tell(failures)
        return Evaluation(at, findings, {name: str(why) for name, why in failures.items()})

    def _tell(self, failures: Mapping[str, Exception]) -> None:
        for name in failures.keys() - self._told:
            why = failures[name]
            # What is no RuleFailedError is a defect, of which the traceback says where.
            trace = None if isinstance(why, RuleFailedError) else why
            log.error("rule failed", rule=name, reason=str(why), exc_info=trace)
        self._told = set(failures)


def _found(rule: Rule, tick: Tick) -> Sequence[Finding] | Exception:
    try:
        return _EVALUATE[rule.kind](rule, tick)
    except Exception as error:  # noqa: BLE001  # one rule's defect must not silence all others
        return error
