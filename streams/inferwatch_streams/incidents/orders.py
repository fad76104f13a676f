"""What people want done with an incident, done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from inferwatch_streams.commands import command as commands
from inferwatch_streams.errors import CommandRefusedError
from inferwatch_streams.incidents import incident as states
from inferwatch_streams.incidents.bounds import NAME, fitted
from inferwatch_streams.incidents.changes import escalated, noted, resolved, transition
from inferwatch_streams.incidents.incident import Event
from inferwatch_streams.incidents.responding import approved, undo_wanted
from inferwatch_streams.incidents.timeline import refused, told

if TYPE_CHECKING:
    from inferwatch_streams.commands.command import Command
    from inferwatch_streams.incidents.incident import Incident
    from inferwatch_streams.incidents.policy import Policy

#: Name of the transition of each command, and what the timeline says of it.
_TOLD: Final = {
    commands.ACKNOWLEDGE: ("acknowledged", "Took it"),
    commands.ASSIGN: ("assigned", "Gave it to {assignee}"),
    commands.INVESTIGATE: ("status", "Looks into it"),
    commands.MITIGATE: ("status", "Does something about it"),
    commands.RESOLVE: ("resolved", "Says that it is over"),
    commands.COMMENT: ("commented", ""),
    commands.ESCALATE: ("escalated", "Sent it on"),
    commands.APPROVE: ("action", "Approved {response_action}"),
    commands.UNDO: ("action", "Wants {response_action} undone"),
}
ACTIONS: Final = frozenset(_TOLD)


def obeyed(policy: Policy, incident: Incident, command: Command) -> Incident:
    """The incident after a command; the same where it was done before.

    One that cannot be done leaves only a line that says why: heard again when it could be, it is
    not done either.
    """
    event = _event(command)
    if told(incident.timeline, event):
        return incident
    try:
        return _done(policy, incident, command, event)
    except CommandRefusedError as error:
        return noted(incident, refused(event, str(error)))


def _done(policy: Policy, incident: Incident, command: Command, event: Event) -> Incident:
    if command.action not in _TOLD:
        raise CommandRefusedError("it cannot be done with an incident.")
    if not incident.active and command.action not in (commands.COMMENT, commands.UNDO):
        raise CommandRefusedError("the incident is over.")
    if command.action == commands.RESOLVE:
        return resolved(policy, incident, event, command.actor, command.command_id)
    if command.action == commands.ESCALATE:
        return escalated(policy, incident, event, command.command_id)
    if command.action in (commands.APPROVE, commands.UNDO):
        change = approved if command.action == commands.APPROVE else undo_wanted
        changed = change(incident, command.response_action or "")
    else:
        changed = replace(incident, **_fields(incident, command))
    return transition(
        noted(changed, event), _TOLD[command.action][0], (command.command_id,),
        # Who was told that nobody has it hears that somebody has.
        policy.told(incident.escalation_level) if _takes(incident, command) else (),
    )  # fmt: skip


def _event(command: Command) -> Event:
    if command.action in _TOLD:
        kind, text = _TOLD[command.action]
        said = text.format(
            assignee=command.assignee or "nobody", response_action=command.response_action
        )
    else:
        kind, said = "commented", command.action
    return Event(
        command.event_time, kind, command.actor, ": ".join(filter(None, (said, command.text)))
    )


def _takes(incident: Incident, command: Command) -> bool:
    """Whether somebody has the incident by a command that nobody had before."""
    taking = (commands.ACKNOWLEDGE, commands.INVESTIGATE, commands.MITIGATE)
    return command.action in taking and incident.acknowledged_at is None


def _fields(incident: Incident, command: Command) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if _takes(incident, command):
        fields["acknowledged_at"] = command.event_time
        fields["acknowledged_by"] = fitted(command.actor, NAME)
    if command.action == commands.ASSIGN:
        if not command.assignee:
            raise CommandRefusedError("To whom it is assigned is not said.")
        fields["assignee"] = fitted(command.assignee, NAME)
    if command.action == commands.INVESTIGATE:
        fields["status"] = states.INVESTIGATING
    if command.action == commands.MITIGATE:
        fields["status"] = states.MITIGATING
    return fields
