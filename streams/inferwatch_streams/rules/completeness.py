"""Completeness: events that producers made and that never came."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from inferwatch_streams.alerts.matcher import all_match
from inferwatch_streams.errors import RuleFailedError
from inferwatch_streams.rules.finding import Finding
from inferwatch_streams.rules.tick import labels_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inferwatch_streams.rules.definition import Completeness
    from inferwatch_streams.rules.tick import Tick

DIMENSIONS: Final = ("topic", "source", "producer_id")
"""What a gap can be told apart by."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of one producer in a part of the span that was asked for.

    Attributes:
        topic: Where they were to go.
        source: Service or host that made them.
        producer_id: The process that did.
        made: How many it made.
        missing: How many of these are nowhere.
    """

    topic: str
    source: str
    producer_id: str
    made: int
    missing: int


class Gaps(Protocol):
    """Knows what is missing: the view ``producer_gaps_between`` of ClickHouse, for one."""

    def gaps(self, start: int, end: int) -> Iterable[Gap]:
        """What was made in [start, end), in microseconds since 1970; does not wait.

        A minute's events count once each; one producer may come several times.
        """
        ...


def evaluate(rule: Completeness, tick: Tick) -> list[Finding]:
    """Groups of which more than a share is missing.

    Raises:
        RuleFailedError: Nobody knows of gaps here.
    """
    if tick.gaps is None:
        raise RuleFailedError(
            f"The rule {rule.name} needs ClickHouse, which counts what producers made."
        )
    made, missing = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    for gap in tick.gaps.gaps(tick.at - rule.window, tick.at):
        named = {name: getattr(gap, name) for name in DIMENSIONS}
        if all_match(rule.where, named):
            group = tuple(named[name] for name in rule.by)
            made[group] += gap.made
            missing[group] += gap.missing
    return [
        Finding(
            labels=labels_of(rule, rule.by, group),
            value=missing[group] / count,
            threshold=rule.above,
            samples=count,
            details={"missing": missing[group], "made": count},
        )
        for group, count in made.items()
        if count and count >= rule.min_samples and missing[group] > rule.above * count
    ]
