"""Which alerts belong together: by what their labels name, where services run, and when."""

from __future__ import annotations

from enum import IntEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from inferwatch_streams.incidents.incident import SERIOUS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from inferwatch_streams.alerts.alert import Alert
    from inferwatch_streams.incidents.incident import Incident
    from inferwatch_streams.incidents.policy import Policy

#: Alerts of one incident; the next that belongs to it opens another.
MAX_ALERTS: Final = 300
#: Lesser ones leave room for those that an incident is made of.
MAX_WITH_LESSER: Final = 100


class Relation(IntEnum):
    """How an alert belongs to an incident, from the weakest."""

    NONE = 0
    TIME = 1
    """At the same time, on a host of which nobody said what runs there."""
    MODEL = 2
    HOST = 3
    PLACED = 4
    """A service of one runs on a host of the other."""
    SERVICE = 5


def about_host(alert: Alert) -> bool:
    """Whether an alert is about a host, a device or the engine on it: what may be a cause."""
    labels = dict(alert.labels)
    return bool(labels.get("host")) and not labels.get("service")


def placed(policy: Policy, host: str, service: str) -> bool:
    """Whether a service is said to run on a host."""
    return any(
        _any(host, placement.hosts) and _any(service, placement.services)
        for placement in policy.placements
    )


def relation(
    policy: Policy, incident: Incident, environments: AbstractSet[str], alert: Alert, at: int
) -> Relation:
    """How an alert that fires since a time belongs to an incident, by all that it names.

    Args:
        policy: Says what runs where, and how near in time alerts must be.
        incident: The incident.
        environments: Those that its alerts name.
        alert: The alert.
        at: Since when it fires.
    """
    most = MAX_ALERTS if alert.severity in SERIOUS else MAX_WITH_LESSER
    if len(incident.alerts) >= most or not _near(policy, incident, at):
        return Relation.NONE
    labels = dict(alert.labels)
    found = _shared(policy, incident, labels)
    if found is Relation.NONE and policy.unplaced and _unplaced(policy, incident, alert):
        found = Relation.TIME
    # Two environments have nothing to do with each other, whatever else they have in common.
    apart = environments and labels.get("environment") and labels["environment"] not in environments
    return Relation.NONE if apart else found


def environments_of(alerts: Iterable[Alert]) -> AbstractSet[str]:
    """The environments that alerts name."""
    return {
        value for alert in alerts for name, value in alert.labels if name == "environment" and value
    }


def _near(policy: Policy, incident: Incident, at: int) -> bool:
    # Lesser ones that come and go do not make it last.
    serious = [member.joined_at for member in incident.alerts if member.serious]
    last = max(incident.opened_at, *serious)
    return abs(at - last) <= policy.window or incident.opened_at <= at <= last


def newest(incident: Incident) -> int:
    """When the newest of its alerts fired."""
    return max(member.joined_at for member in incident.alerts)


def _shared(policy: Policy, incident: Incident, labels: dict[str, str]) -> Relation:
    service, host = labels.get("service", ""), labels.get("host", "")
    if service in incident.services:
        return Relation.SERVICE
    if (host and any(placed(policy, host, each) for each in incident.services)) or (
        service and any(placed(policy, each, service) for each in incident.hosts)
    ):
        return Relation.PLACED
    if host in incident.hosts:
        return Relation.HOST
    if labels.get("model", "") in incident.models:
        return Relation.MODEL
    return Relation.NONE


def _unplaced(policy: Policy, incident: Incident, alert: Alert) -> bool:
    if about_host(alert):
        return bool(incident.services) and _nowhere(policy, dict(alert.labels)["host"])
    serves = bool(dict(alert.labels).get("service"))
    return serves and not incident.services and any(_nowhere(policy, at) for at in incident.hosts)


def _nowhere(policy: Policy, host: str) -> bool:
    return not any(_any(host, placement.hosts) for placement in policy.placements)


def _any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
