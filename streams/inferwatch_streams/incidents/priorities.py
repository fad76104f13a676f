"""How urgent an incident is, from its alerts alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inferwatch_streams.alerts.matcher import all_match
from inferwatch_streams.incidents.incident import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inferwatch_streams.alerts.alert import Alert
    from inferwatch_streams.alerts.matcher import Matcher

#: Services in one incident from which on it is taken to be everybody's.
MANY_SERVICES: Final = 3


def priority_of(
    alerts: Iterable[Alert], services: int, user_facing: tuple[tuple[Matcher, ...], ...]
) -> str:
    """P1 to P4: critical begins at P2, high at P3, lesser at P4; what users see, or many services,
    make it one more urgent.

    Args:
        alerts: The incident's alerts.
        services: How many services they name.
        user_facing: An alert that fulfils all matchers of one of these is about what users see.
    """  # noqa: D205  # the rule reads in one sentence
    level, seen = 3, False
    for alert in alerts:
        level = min(level, {"critical": 1, "high": 2}.get(alert.severity, 3))
        seen = seen or any(all_match(matchers, alert.matched) for matchers in user_facing)
    if seen or services >= MANY_SERVICES:
        level -= 1
    return PRIORITIES[max(level, 0)]


def more_urgent(one: str, other: str) -> str:
    """The more urgent of two priorities: an incident's only rises."""
    return min(one, other)
