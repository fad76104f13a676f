"""Changes of one incident: each a function from its state to the next, of nothing but its input.

Every change leaves a line in the timeline, and all but refreshments have an id that is made of what
caused them: worked out again, by whomever, they are the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from inferwatch_streams.alerts import alert as alert_states
from inferwatch_streams.incidents import incident as states
from inferwatch_streams.incidents.bounds import (
    ADDRESS,
    NAME,
    RESULT,
    SUMMARY,
    fitted,
    fitted_or_none,
)
from inferwatch_streams.incidents.causes import probable_cause
from inferwatch_streams.incidents.correlation import about_host
from inferwatch_streams.incidents.incident import (
    SERIOUS,
    ActionState,
    Event,
    Incident,
    Member,
    incident_id_of,
    transition_of,
)
from inferwatch_streams.incidents.priorities import more_urgent, priority_of
from inferwatch_streams.incidents.timeline import SELF, extended

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from inferwatch_streams.alerts.alert import Alert
    from inferwatch_streams.incidents.policy import Policy

_ORDER: Final = {alert_states.FIRING: 1, alert_states.ACKNOWLEDGED: 2, alert_states.RESOLVED: 3}


def fires_since(alert: Alert) -> int:
    """Since when an alert fires; since when its condition holds where it never did."""
    return alert.started_at if alert.fired_at is None else alert.fired_at


def worse(alert: Alert, member: Member) -> bool:
    """Whether an alert is more severe than it was."""
    severities = alert_states.SEVERITIES
    return severities.index(alert.severity) > severities.index(member.severity)


def opened(policy: Policy, alert: Alert, at: int) -> Incident:
    """The incident that an alert opens at a time."""
    incident_id = incident_id_of(alert.fingerprint, at)
    bare = Incident(
        incident_id=incident_id,
        event_time=alert.event_time,
        title="",
        priority=states.PRIORITIES[-1],
        status=states.OPEN,
        transition="opened",
        transition_id=transition_of(incident_id, "opened", at),
        services=(),
        models=(),
        hosts=(),
        alerts=(_member(alert),),
        opened_at=at,
        acknowledge_by=at,
        resolve_by=at,
    )
    found = _assessed(policy, bare, [alert])
    deadlines = policy.deadlines[found.priority]
    text = f"Opened as {found.priority} by {alert.rule}: {alert.summary}"
    return _planned(
        policy,
        replace(
            found,
            acknowledge_by=at + deadlines.acknowledge,
            resolve_by=at + deadlines.resolve,
            targets=policy.targets(0),
            timeline=extended((), Event(at, "opened", SELF, text), *_cause_told(bare, found, at)),
        ),
    )


def joined(
    policy: Policy, incident: Incident, alert: Alert, alerts: Sequence[Alert], *, quietly: bool
) -> Incident:
    """An incident with an alert that fires, again or for the first time.

    Args:
        policy: What is decided in advance.
        incident: The incident.
        alert: The alert.
        alerts: All alerts of the incident that are known, this one among them.
        quietly: It comes as a possible cause only, and nobody is told.
    """
    since, member = fires_since(alert), incident.member(alert.fingerprint)
    others = tuple(each for each in incident.alerts if each.fingerprint != alert.fingerprint)
    found = _assessed(policy, replace(incident, alerts=(*others, _member(alert))), alerts)
    if member is None:
        how = "joined"
    else:
        how = "fires again" if member.joined_at < since else f"is {alert.severity} now"
    # It may have fired long before, and comes only now.
    at = max(alert.event_time, *(each.joined_at for each in incident.alerts))
    line = Event(at, "joined", SELF, f"{alert.rule} {how}: {alert.summary}")
    changed = replace(
        found,
        event_time=max(incident.event_time, alert.event_time),
        timeline=extended(incident.timeline, line, *_cause_told(incident, found, at)),
    )
    cause = (alert.fingerprint, since, alert.severity)
    if found.priority != incident.priority:
        raised = _planned(policy, _raised(policy, incident, changed, at))
        return transition(raised, "priority", cause, policy.targets(raised.escalation_level))
    return changed if quietly else transition(changed, "joined", cause, ())


def reopened(
    policy: Policy, incident: Incident, alert: Alert, alerts: Sequence[Alert], at: int
) -> Incident:
    """An incident that was over and comes back at a time with an alert of it."""
    # What became of the others since it was over was not kept up.
    now = {each.fingerprint: each for each in alerts}
    members = tuple(
        each if _goes_on(each, now.get(each.fingerprint)) else replace(each, status=states.RESOLVED)
        for each in incident.alerts
    )
    deadlines = policy.deadlines[incident.priority]
    fresh = replace(
        incident,
        alerts=members,
        status=states.OPEN,
        acknowledged_at=None,
        acknowledged_by=None,
        resolved_at=None,
        resolved_by=None,
        escalation_level=0,
        acknowledge_by=at + deadlines.acknowledge,
        resolve_by=at + deadlines.resolve,
        timeline=extended(incident.timeline, Event(at, "opened", SELF, "It comes back.")),
    )
    back = joined(policy, fresh, alert, alerts, quietly=True)
    cause = (alert.fingerprint, at, alert.severity)
    return transition(back, "opened", cause, policy.targets(0))


def refreshed(incident: Incident, alert: Alert) -> Incident:
    """An incident with the present state of one of its alerts, in the firing that it knows."""
    member = incident.member(alert.fingerprint)
    # Only forward: read again, an older state must not come back.
    if member is None or _ORDER.get(alert.status, 0) <= _ORDER.get(member.status, 0):
        return incident
    members = tuple(
        replace(each, status=alert.status) if each is member else each for each in incident.alerts
    )
    event_time = max(incident.event_time, alert.event_time)
    changed = replace(incident, alerts=members, event_time=event_time)
    if alert.status != states.RESOLVED:
        return changed
    at = alert.event_time if alert.resolved_at is None else alert.resolved_at
    # From the end of the last that the incident is made of, its quiet time counts.
    kind = states.RESOLVED if member.serious else "joined"
    line = Event(at, kind, SELF, f"{alert.rule} is over: {alert.summary}")
    return replace(changed, timeline=extended(incident.timeline, line))


def removed(incident: Incident, fingerprint: str, at: int) -> Incident:
    """An incident one of whose alerts was removed from its topic at a time: it is over."""
    member = incident.member(fingerprint)
    # Heard again, it must not end a later firing.
    if member is None or not member.active or at <= member.joined_at:
        return incident
    members = tuple(
        replace(each, status=states.RESOLVED) if each is member else each
        for each in incident.alerts
    )
    kind = states.RESOLVED if member.serious else "joined"
    line = Event(at, kind, SELF, f"{member.rule} is over: its alert was removed.")
    return noted(replace(incident, alerts=members), line)


def resolved(
    policy: Policy, incident: Incident, event: Event, by: str | None, cause: str | int
) -> Incident:
    """An incident that is over; what had not been done for it is not done any more."""
    actions = tuple(
        replace(each, status=states.SKIPPED, result="The incident was over before.")
        if each.status == states.WAITING
        else each
        for each in incident.actions
    )
    changed = noted(
        incident, event, status=states.RESOLVED, resolved_at=event.at,
        resolved_by=fitted_or_none(by, NAME), actions=actions,
    )  # fmt: skip
    return transition(changed, "resolved", (cause,), policy.told(incident.escalation_level))


def escalated(policy: Policy, incident: Incident, event: Event, *cause: str | int) -> Incident:
    """An incident that goes on to the next level; the last is told again."""
    level = incident.escalation_level + 1
    changed = noted(replace(incident, escalation_level=level), event)
    return transition(changed, "escalated", cause, policy.targets(level))


def noted(incident: Incident, event: Event, **fields: Any) -> Incident:
    """An incident with one more line of its timeline, and other fields as given."""
    return replace(
        incident,
        event_time=max(incident.event_time, event.at),
        timeline=extended(incident.timeline, event),
        **fields,
    )


def transition(
    incident: Incident, name: str, cause: Sequence[str | int], targets: Iterable[str]
) -> Incident:
    """An incident whose last change has a name, a cause, and targets that are told of it."""
    return replace(
        incident,
        transition=name,
        transition_id=transition_of(incident.incident_id, name, *cause),
        targets=tuple(targets),
    )


def _member(alert: Alert) -> Member:
    return Member(
        fingerprint=alert.fingerprint,
        rule=fitted(alert.rule, NAME),
        severity=alert.severity,
        status=alert.status,
        summary=fitted(alert.summary, SUMMARY),
        joined_at=fires_since(alert),
    )


def _goes_on(member: Member, alert: Alert | None) -> bool:
    if alert is None or not member.active:
        return False
    return alert.status != states.RESOLVED and fires_since(alert) == member.joined_at


def _assessed(policy: Policy, incident: Incident, alerts: Sequence[Alert]) -> Incident:
    labels = [dict(alert.labels) for alert in alerts]

    def named(name: str, known: tuple[str, ...]) -> tuple[str, ...]:
        found = (fitted(value, NAME) for each in labels if (value := each.get(name)))
        return tuple(sorted({*known, *found}))

    services = named("service", incident.services)
    serious = [alert for alert in alerts if alert.severity in SERIOUS]
    cause = probable_cause(policy, alerts)
    face = _face(serious)
    return replace(
        incident,
        title=incident.title if face is None else fitted(face.summary or face.rule, SUMMARY),
        runbook_url=(None if face is None else _runbook(face)) or incident.runbook_url,
        services=services,
        models=named("model", incident.models),
        hosts=named("host", incident.hosts),
        priority=more_urgent(incident.priority, priority_of(policy, serious)),
        probable_cause=(
            incident.probable_cause if cause is None else fitted(cause.sentence, RESULT)
        ),
        cause_fingerprint=incident.cause_fingerprint if cause is None else cause.fingerprint,
    )


def _runbook(alert: Alert) -> str | None:
    url = alert.runbook_url
    return url if url is not None and len(url) <= ADDRESS else None


def _face(serious: Sequence[Alert]) -> Alert | None:
    """What an incident is called by: the worst of its alerts, those of services first."""
    return min(
        serious,
        key=lambda alert: (
            -SERIOUS.index(alert.severity), about_host(alert), alert.started_at, alert.fingerprint,
        ),
        default=None,
    )  # fmt: skip


def _cause_told(before: Incident, now: Incident, at: int) -> tuple[Event, ...]:
    if now.cause_fingerprint == before.cause_fingerprint or now.probable_cause is None:
        return ()
    return (Event(at, "joined", SELF, f"Probable cause: {now.probable_cause}"),)


def _raised(policy: Policy, before: Incident, now: Incident, at: int) -> Incident:
    deadlines = policy.deadlines[now.priority]
    text = f"Raised from {before.priority} to {now.priority}."
    return noted(
        now,
        Event(at, "priority", SELF, text),
        # More urgent never means later.
        acknowledge_by=min(before.acknowledge_by, at + deadlines.acknowledge),
        resolve_by=min(before.resolve_by, at + deadlines.resolve),
    )


def _planned(policy: Policy, incident: Incident) -> Incident:
    """An incident with the actions that its priority asks for; each once."""
    known = {each.name for each in incident.actions}
    more = tuple(
        ActionState(name=name)
        if not policy.actions[name].approval
        else ActionState(
            name=name,
            status=states.SKIPPED,
            result="It needs somebody's approval: "
            f"inferwatch incidents approve {incident.incident_id} {name}",
        )
        for name in policy.sets.get(incident.priority, ())
        if name not in known
    )
    return replace(incident, actions=(*incident.actions, *more))
