"""All incidents: which one an alert opens, joins or brings back, and what time does to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inferwatch_streams.alerts import alert as alerts
from inferwatch_streams.incidents import changes
from inferwatch_streams.incidents.changes import fires_since
from inferwatch_streams.incidents.correlation import Relation, environments_of, newest, relation
from inferwatch_streams.incidents.escalation import due
from inferwatch_streams.incidents.incident import SERIOUS
from inferwatch_streams.incidents.orders import obeyed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from inferwatch_streams.alerts.alert import Alert
    from inferwatch_streams.commands.command import Command
    from inferwatch_streams.incidents.incident import Incident
    from inferwatch_streams.incidents.policy import Policy

KEPT_MICROS: Final = 90 * 24 * 60 * 60 * 1_000_000
"""How long an incident that is over stays."""


class Incidents:
    """The incidents that are known, and the alerts that they are made of.

    What it is told twice changes nothing the second time: so after a restart both logs are read
    again from where they are known to be done, on top of the incidents as they were written.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._incidents: dict[str, Incident] = {}
        self._active: dict[str, Incident] = {}
        # Of an alert, the incident that it came to last.
        self._of: dict[str, str] = {}
        self._alerts: dict[str, Alert] = {}
        self._lesser: dict[str, Alert] = {}

    def __iter__(self) -> Iterator[Incident]:
        """All, in no order."""
        return iter(tuple(self._incidents.values()))

    def __len__(self) -> int:
        """How many there are."""
        return len(self._incidents)

    @property
    def active(self) -> tuple[Incident, ...]:
        """Those that go on."""
        return tuple(self._active.values())

    def get(self, incident_id: str) -> Incident | None:
        """The incident of an id."""
        return self._incidents.get(incident_id)

    def put(self, incident: Incident) -> None:
        """Take an incident as it is: as it was written, or as an action has left it."""
        self._incidents[incident.incident_id] = incident
        if incident.active:
            self._active[incident.incident_id] = incident
        else:
            self._active.pop(incident.incident_id, None)
        for member in incident.alerts:
            other = self._incidents.get(self._of.get(member.fingerprint, ""), incident)
            known = other.member(member.fingerprint) or member
            # Of one firing, it came last to the one that knows it as it was at its worst.
            if known.firing <= member.firing:
                self._of[member.fingerprint] = incident.incident_id

    def forget(self, incident_id: str) -> None:
        """An incident was removed from the topic."""
        gone = self._incidents.pop(incident_id, None)
        self._active.pop(incident_id, None)
        for member in () if gone is None else gone.alerts:
            if self._of.get(member.fingerprint) == incident_id:
                del self._of[member.fingerprint]

    def forget_alert(self, fingerprint: str, at: int) -> list[Incident]:
        """An alert was removed from its topic at a time; returns the incident to write, if any.

        One whose end was never heard of would keep its incident open for ever.
        """
        self._alerts.pop(fingerprint, None)
        self._lesser.pop(fingerprint, None)
        incident = self._incidents.get(self._of.get(fingerprint, ""))
        return (
            []
            if incident is None
            else self._changed(incident, changes.removed(incident, fingerprint, at))
        )

    def remember(self, alert: Alert) -> None:
        """Know an alert's state, without what follows from it: it was told before."""
        self._alerts[alert.fingerprint] = alert
        if _fires(alert) and alert.severity not in SERIOUS:
            self._lesser[alert.fingerprint] = alert
        else:
            self._lesser.pop(alert.fingerprint, None)

    def alert(self, alert: Alert) -> list[Incident]:
        """Take the next state of an alert; returns the incident to write, if any."""
        self.remember(alert)
        incident = self._incidents.get(self._of.get(alert.fingerprint, ""))
        member = None if incident is None else incident.member(alert.fingerprint)
        if incident is not None and member is not None and fires_since(alert) <= member.joined_at:
            if fires_since(alert) < member.joined_at:
                return []
            if not _fires(alert) or not changes.worse(alert, member):
                return self._changed(incident, changes.refreshed(incident, alert))
            # The same firing, but not what it was.
        if not _fires(alert):
            return []
        quietly = alert.severity not in SERIOUS
        if incident is not None and incident.active:
            # Whatever its severity: it was here before.
            return self._take(self._with(incident, alert, quietly=quietly))
        return self._quietly(alert) if quietly else self._take(self._home(incident, alert))

    def _home(self, former: Incident | None, alert: Alert) -> Incident:
        """The incident of a serious alert, with it; the one it was in last is over."""
        # It may have been silenced or lesser for long: for people it begins now.
        at = alert.event_time
        if former is not None and self._comes_back(former, at):
            return changes.reopened(self.policy, former, alert, self._known(former, alert), at)
        related = self._related(alert, at)
        if related is not None:
            return self._with(related, alert, quietly=False)
        return changes.opened(self.policy, alert, at)

    def command(self, command: Command) -> list[Incident]:
        """Do what somebody wants; returns the incident to write, if any.

        Where only its timeline changed, and not its transition, it could not be done.
        """
        incident = self._incidents.get(command.target)
        if incident is None:
            return []
        return self._changed(incident, obeyed(self.policy, incident, command))

    def tick(self, at: int) -> list[Incident]:
        """What time brings about until now; each thing at the time it was due."""
        written = []
        for incident in sorted(self.active, key=lambda each: each.incident_id):
            now = incident
            while (found := due(self.policy, now, at)) is not None:
                now = found
                self.put(now)
                written.append(now)
        return written

    def over_since(self, at: int) -> list[str]:
        """Ids of those that are over for so long that they are to be removed."""
        return [
            each.incident_id
            for each in self._incidents.values()
            if each.resolved_at is not None and not each.active
            if each.resolved_at + KEPT_MICROS <= at
        ]

    def _changed(self, before: Incident, now: Incident) -> list[Incident]:
        if now == before:
            return []
        self.put(now)
        return [now]

    def _take(self, incident: Incident) -> list[Incident]:
        """A new incident, or one with a new alert, and with it the lesser ones that belong to it.

        All in one record: a process that dies after it has written all or nothing.
        """
        self.put(incident)
        environments = environments_of(self.members(incident))
        free = [each for each in self._lesser.values() if self._free(each)]
        for lesser in sorted(free, key=lambda each: (each.started_at, each.fingerprint)):
            at = fires_since(lesser)
            if relation(self.policy, incident, environments, lesser, at) is not Relation.NONE:
                incident = self._with(incident, lesser, quietly=True)
                self.put(incident)
                environments |= environments_of([lesser])
        return [incident]

    def _with(self, incident: Incident, alert: Alert, *, quietly: bool) -> Incident:
        known = self._known(incident, alert)
        return changes.joined(self.policy, incident, alert, known, quietly=quietly)

    def _quietly(self, alert: Alert) -> list[Incident]:
        """A lesser alert opens nothing, but may show what led to an incident, or came of it."""
        incident = self._related(alert, fires_since(alert))
        # What came before the newest of the incident is looked at when that comes: heard again, it
        # must not join what it had not been there for.
        if incident is None or fires_since(alert) < newest(incident):
            return []
        return self._changed(incident, self._with(incident, alert, quietly=True))

    def _comes_back(self, incident: Incident, at: int) -> bool:
        """Whether one that is over comes back: not where its alerts are in another meanwhile."""
        over = incident.resolved_at
        return (
            over is not None
            and at - over <= self.policy.reopen
            and all(self._at_home(member.fingerprint, incident) for member in incident.alerts)
        )

    def _at_home(self, fingerprint: str, incident: Incident) -> bool:
        home = self._of.get(fingerprint)
        return home == incident.incident_id or home not in self._active

    def _free(self, alert: Alert) -> bool:
        incident = self._incidents.get(self._of.get(alert.fingerprint, ""))
        if incident is None:
            return True
        member = incident.member(alert.fingerprint)
        again = member is None or member.joined_at < fires_since(alert)
        return again and not incident.active

    def _related(self, alert: Alert, at: int) -> Incident | None:
        """The incident that an alert belongs to most; of equals the one that opened last."""
        found = [
            (kind, each.opened_at, each.incident_id)
            for each in self._active.values()
            if (kind := self._relation(each, alert, at)) is not Relation.NONE
        ]
        return self._incidents[max(found)[2]] if found else None

    def _relation(self, incident: Incident, alert: Alert, at: int) -> Relation:
        environments = environments_of(self.members(incident))
        return relation(self.policy, incident, environments, alert, at)

    def members(self, incident: Incident) -> Iterable[Alert]:
        """The alerts of an incident, as far as they are known."""
        return (
            self._alerts[each.fingerprint]
            for each in incident.alerts
            if each.fingerprint in self._alerts
        )

    def _known(self, incident: Incident, alert: Alert) -> list[Alert]:
        others = [each for each in self.members(incident) if each.fingerprint != alert.fingerprint]
        return [*others, alert]


def _fires(alert: Alert) -> bool:
    """Whether it fires and people are to know."""
    return alert.status in (alerts.FIRING, alerts.ACKNOWLEDGED) and alert.told
