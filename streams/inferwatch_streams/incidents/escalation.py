"""What time does to one incident: it goes on to the next who may answer, and ends when quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferwatch_schemas.instants import moment_text
from inferwatch_streams.incidents.changes import escalated, noted, resolved, transition
from inferwatch_streams.incidents.incident import Event
from inferwatch_streams.incidents.timeline import SELF, quiet_since, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inferwatch_streams.incidents.incident import Incident
    from inferwatch_streams.incidents.policy import Policy

    Due = tuple[int, Callable[[], Incident]]


def due(policy: Policy, incident: Incident, at: int) -> Incident | None:
    """The first of what is due at a time, as of when it was due; None where nothing is."""
    if not incident.active:
        return None
    found = [each for each in _plans(policy, incident) if each[0] <= at]
    return min(found, key=lambda each: each[0])[1]() if found else None


def _plans(policy: Policy, incident: Incident) -> Iterator[Due]:
    # In the order of what holds where two are due at a time: an end needs no answer any more.
    ends = _ends_at(policy, incident)
    if ends is not None:
        text = f"All alerts have been over for {policy.quiet // 1_000_000} s."
        end = Event(ends, "resolved", SELF, text)
        yield ends, lambda: resolved(policy, incident, end, None, ends)
    if incident.acknowledged_at is None:
        next_at = policy.escalates_at(incident.acknowledge_by, incident.escalation_level)
        if next_at is not None:
            yield next_at, lambda: _unanswered(policy, incident, next_at)
    late = Event(
        incident.resolve_by, "escalated", SELF,
        f"It was to be over by {moment_text(incident.resolve_by)}.",
    )  # fmt: skip
    if not told(incident.timeline, late):
        yield late.at, lambda: _overdue(policy, incident, late)


def _ends_at(policy: Policy, incident: Incident) -> int | None:
    if any(member.active and member.serious for member in incident.alerts):
        return None
    since = quiet_since(incident.timeline)
    return None if since is None else since + policy.quiet


def _unanswered(policy: Policy, incident: Incident, at: int) -> Incident:
    level = incident.escalation_level + 1
    names = ", ".join(policy.targets(level))
    event = Event(at, "escalated", SELF, f"Nobody took it; told {names}.")
    return escalated(policy, incident, event, level, at)


def _overdue(policy: Policy, incident: Incident, event: Event) -> Incident:
    return transition(
        noted(incident, event), "escalated", ("late", event.at),
        policy.told(incident.escalation_level),
    )  # fmt: skip
