"""How urgent an incident is, from its alerts alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inferwatch_streams.alerts.matcher import all_match
from inferwatch_streams.incidents.incident import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inferwatch_streams.alerts.alert import Alert
    from inferwatch_streams.alerts.matcher import Matcher
    from inferwatch_streams.incidents.policy import Policy

#: Services in one incident from which on it is taken to be everybody's.
MANY_SERVICES: Final = 3
_LEVELS: Final = {"critical": 1, "high": 2}


def priority_of(policy: Policy, alerts: Sequence[Alert]) -> str:
    """P1 to P4, by the worst alert: critical P2, high P3.

    What users see, or many services, make it one more urgent; what is all of lesser environments is
    one less urgent, and nothing makes that more urgent.

    Args:
        policy: Says what users see, and what is less urgent.
        alerts: The serious alerts that the incident is made of.
    """
    judged = [(alert, _matches_one(alert, policy.less_urgent)) for alert in alerts]
    level = min((_LEVELS[alert.severity] + less for alert, less in judged), default=3)
    full = [alert for alert, less in judged if not less]
    services = {dict(alert.labels).get("service") for alert in full} - {None, ""}
    seen = any(_matches_one(alert, policy.user_facing) for alert in full)
    if seen or len(services) >= MANY_SERVICES:
        level -= 1
    return PRIORITIES[level]


def more_urgent(one: str, other: str) -> str:
    """The more urgent of two priorities: an incident's only rises."""
    return min(one, other)


def _matches_one(alert: Alert, ways: tuple[tuple[Matcher, ...], ...]) -> bool:
    return any(all_match(matchers, alert.matched) for matchers in ways)
