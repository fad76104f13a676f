"""How urgent an incident is, from its alerts alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inferwatch_streams.alerts.matcher import all_match
from inferwatch_streams.incidents.incident import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inferwatch_streams.alerts.alert import Alert
    from inferwatch_streams.alerts.matcher import Matcher

#: Services in one incident from which on it is taken to be everybody's.
MANY_SERVICES: Final = 3
_LEVELS: Final = {"critical": 1, "high": 2}


def priority_of(alerts: Sequence[Alert], user_facing: tuple[tuple[Matcher, ...], ...]) -> str:
    """P1 to P4, by the worst alert: critical P2, high P3, lesser P4.

    What users see, or many services, make it one more urgent.

    Args:
        alerts: What the incident is made of.
        user_facing: An alert that fulfils all matchers of one of these is about what users see.
    """
    level = min((_LEVELS.get(alert.severity, 3) for alert in alerts), default=3)
    services = {dict(alert.labels).get("service") for alert in alerts} - {None, ""}
    seen = any(all_match(matchers, alert.matched) for alert in alerts for matchers in user_facing)
    if seen or len(services) >= MANY_SERVICES:
        level -= 1
    return PRIORITIES[max(level, 0)]


def more_urgent(one: str, other: str) -> str:
    """The more urgent of two priorities: an incident's only rises."""
    return min(one, other)
