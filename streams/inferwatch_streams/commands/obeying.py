"""What commands of people and tools do to alerts and silences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from inferwatch_streams.alerts.alert import ACKNOWLEDGED, FIRING
from inferwatch_streams.alerts.episode import resolved
from inferwatch_streams.alerts.memory import MOST_COMMANDS, MOST_COMMENTS, Comment
from inferwatch_streams.alerts.silence import Silence
from inferwatch_streams.alerts.telling import told
from inferwatch_streams.commands.command import (
    ACKNOWLEDGE,
    ACTIONS,
    COMMENT,
    RESOLVE,
    SILENCE,
    UNACKNOWLEDGE,
    UNSILENCE,
)

if TYPE_CHECKING:
    from inferwatch_streams.alerts.state import Change, State
    from inferwatch_streams.alerts.tracked import Tracked
    from inferwatch_streams.commands.command import Command

MOST_TEXT: Final = 2000


@dataclass(frozen=True, slots=True)
class Obeyed:
    """What came of a command.

    Attributes:
        state: After it.
        changed: Records to be written, without an epoch; none where it was carried out before.
        rejected: Why it does nothing, in a sentence; None where it did what it says.
        elsewhere: Whether it may be meant for another role: for an incident.
    """

    state: State
    changed: tuple[Change, ...] = ()
    rejected: str | None = None
    elsewhere: bool = False


class _Rejected(Exception):  # noqa: N818  # it is an answer, no error
    pass


def obeyed(state: State, command: Command, at: int) -> Obeyed:
    """The state after a command; one that was carried out before does nothing.

    What it does to what people are told of other alerts, as a silence does, shows at the next tick.

    Args:
        state: Before it.
        command: What is wanted.
        at: Event time of the newest tick, in microseconds since 1970 (UTC).
    """
    if command.action not in ACTIONS:
        return Obeyed(state, (), f"The action {command.action!r} is not known to this version.")
    try:
        if command.action == SILENCE:
            return _silenced(state, command, at)
        if command.action == UNSILENCE:
            return _unsilenced(state, command, at)
        return _on_alert(state, command, at)
    except _Rejected as why:
        return Obeyed(state, (), str(why))


def _on_alert(state: State, command: Command, at: int) -> Obeyed:
    before = state.get(command.target)
    if command.action not in _ACTIONS:
        why = f"{command.action} is for incidents."
        return Obeyed(state, (), why, elsewhere=before is None)
    if before is None:
        return Obeyed(state, (), f"There is no alert {command.target!r}.", elsewhere=True)
    if command.command_id in before.memory.commands:
        return Obeyed(state)
    done = _ACTIONS[command.action](before, command)
    now = told(before, done, command.event_time)
    now = now.remembering(
        commands=(*now.memory.commands, command.command_id)[-MOST_COMMANDS:],
        # Ticks that were before it know nothing of it.
        evaluated_at=max(now.memory.evaluated_at, at),
    ).written(command.event_time)
    return Obeyed(state.having([now]), (now.alert,))


def _acknowledged(before: Tracked, command: Command) -> Tracked:
    if before.alert.status == ACKNOWLEDGED:
        return before
    if before.alert.status != FIRING:
        raise _Rejected(f"{before.alert.fingerprint} is {before.alert.status}, not firing.")
    at = command.event_time
    return before.turned(ACKNOWLEDGED, at, acknowledged_at=at, acknowledged_by=command.actor)


def _unacknowledged(before: Tracked, command: Command) -> Tracked:
    if before.alert.status != ACKNOWLEDGED:
        raise _Rejected(f"{before.alert.fingerprint} is {before.alert.status}, not acknowledged.")
    at = command.event_time
    return before.turned(FIRING, at, acknowledged_at=None, acknowledged_by=None)


def _resolved(before: Tracked, command: Command) -> Tracked:
    if before.over:
        raise _Rejected(f"{before.alert.fingerprint} is {before.alert.status} already.")
    reason = f"Resolved by {command.actor}{f': {_text(command)}' if command.text else '.'}"
    # It stays so until the condition, where it still holds, has gone once.
    held = before.memory.absent_since is None
    now = resolved(before, command.event_time, counts=True, reason=reason)
    return now.remembering(held=held)


def _commented(before: Tracked, command: Command) -> Tracked:
    if not command.text:
        raise _Rejected("The comment has no text.")
    comment = Comment(command.event_time, command.actor, _text(command))
    return before.remembering(comments=(*before.memory.comments, comment)[-MOST_COMMENTS:])


_ACTIONS: Final = {
    ACKNOWLEDGE: _acknowledged,
    UNACKNOWLEDGE: _unacknowledged,
    RESOLVE: _resolved,
    COMMENT: _commented,
}


def _silenced(state: State, command: Command, at: int) -> Obeyed:
    before = state.silences.get(command.target)
    if before is not None:
        return _prolonged(state, before, command, at)
    if all(matcher.matches({}) for matcher in command.matchers):
        raise _Rejected("The silence would match every alert; name a label and its value.")
    # A tick that was looked at stays as it was: what begins at once begins after the newest.
    starts_at = max(command.starts_at or 0, at + 1)
    if command.ends_at is None or command.ends_at <= starts_at:
        raise _Rejected("The silence would be over before it begins.")
    silence = Silence(
        silence_id=command.target,
        event_time=command.event_time,
        matchers=command.matchers,
        starts_at=starts_at,
        ends_at=command.ends_at,
        actor=command.actor,
        reason=_text(command),
    )
    return _with(state, silence)


def _prolonged(state: State, before: Silence, command: Command, at: int) -> Obeyed:
    if command.event_time <= before.event_time:
        # This very command, or one that changed or ended what it made.
        return Obeyed(state)
    if command.matchers != before.matchers or command.starts_at is not None:
        raise _Rejected(f"The silence {before.silence_id} is for something else; take another id.")
    if before.ends_at <= at + 1 or command.ends_at is None or command.ends_at <= at + 1:
        raise _Rejected(f"The silence {before.silence_id} is over; take another id.")
    return _with(
        state,
        replace(
            before,
            event_time=command.event_time,
            ends_at=command.ends_at,
            actor=command.actor,
            reason=_text(command),
            epoch=0,
        ),
    )


def _unsilenced(state: State, command: Command, at: int) -> Obeyed:
    before = state.silences.get(command.target)
    if before is None:
        raise _Rejected(f"There is no silence {command.target!r}.")
    ends_at = max(before.starts_at, min(before.ends_at, at + 1))
    if ends_at == before.ends_at:
        return Obeyed(state)
    event_time = max(before.event_time, command.event_time)
    return _with(state, replace(before, event_time=event_time, ends_at=ends_at, epoch=0))


def _with(state: State, silence: Silence) -> Obeyed:
    return Obeyed(state.silenced(silence), (silence,))


def _text(command: Command) -> str:
    return (command.text or "")[:MOST_TEXT]
