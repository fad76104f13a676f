"""Response actions as an incident knows them: what is to be done next, and what came of it.

The intent is written before the deed: an action is running in the record before it runs, so that a
worker that was killed in between is known to have perhaps done it. Where an undo is under way, the
action is running and has finished already.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from inferwatch_streams.errors import CommandRefusedError
from inferwatch_streams.incidents import incident as states
from inferwatch_streams.incidents.bounds import RESULT, fitted
from inferwatch_streams.incidents.changes import noted, transition
from inferwatch_streams.incidents.incident import ActionState, Event, Incident
from inferwatch_streams.incidents.timeline import SELF

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inferwatch_streams.incidents.policy import Action, Policy

HOUR_MICROS: Final = 60 * 60 * 1_000_000


class Step(Enum):
    """What is to be done with an action."""

    RUN = "run it"
    UNDO = "undo it, or go on with that"
    CHECK = "measure whether it helped"
    INTERRUPTED = "find out what to do with one that a former worker may have run"


def next_step(policy: Policy, incident: Incident, at: int) -> tuple[Step, ActionState] | None:
    """What is to be done next for an incident, one thing at a time; None where nothing is.

    Only to be asked while nothing is being done for it by this worker.
    """
    for action in incident.actions:
        if action.status == states.RUNNING:
            return (Step.INTERRUPTED if action.finished_at is None else Step.UNDO), action
    for action in incident.actions:
        if action.status == states.WAITING and incident.active:
            return Step.RUN, action
    for action in incident.actions:
        if _to_check(policy, action, at):
            return Step.CHECK, action
    return None


def _to_check(policy: Policy, action: ActionState, at: int) -> bool:
    configured = policy.actions.get(action.name)
    if configured is None or action.finished_at is None or action.status != states.SUCCEEDED:
        return False
    # A measurement that fails is tried again, for as long again; then it is left.
    first = action.finished_at + configured.check_after
    return (
        action.value_before is not None
        and action.value_after is None
        and first <= at < first + configured.check_after
    )


def ran_within_hour(incidents: Iterable[Incident], at: int) -> int:
    """How many actions of all incidents began within an hour, those of dry runs left out."""
    return sum(
        action.started_at is not None
        and action.started_at > at - HOUR_MICROS
        and action.status not in (states.DRY_RUN, states.SKIPPED)
        for incident in incidents
        for action in incident.actions
    )


def begun(incident: Incident, name: str, at: int) -> Incident:
    """It is about to run."""
    return _told(
        incident, name, at, f"{name} begins.", status=states.RUNNING, started_at=at,
        finished_at=None, result=None, attempts=_attempts(incident, name) + 1,
    )  # fmt: skip


def undoing(incident: Incident, name: str, at: int) -> Incident:
    """It is about to be undone."""
    attempts = _attempts(incident, name) + 1
    return _told(incident, name, at, f"{name} is being undone.", attempts=attempts)


def ended(  # noqa: PLR0913  # a result has so many parts
    incident: Incident, name: str, at: int, status: str, result: str, *,
    attempts: int | None = None, undo: str | None = None, before: float | None = None,
    targets: tuple[str, ...] = (),
) -> Incident:  # fmt: skip
    """It is done, or it failed, was skipped, or only said what it would do."""
    return _told(
        incident, name, at, f"{name} {status.replace('_', ' ')}: {result}", targets,
        status=status, finished_at=at, result=fitted(result, RESULT), undo=undo,
        value_before=before,
        attempts=_attempts(incident, name) if attempts is None else attempts,
    )  # fmt: skip


def checked(configured: Action, incident: Incident, at: int, after: float) -> Incident:
    """It was measured whether it helped; where it did not and can be undone, that begins."""
    name = configured.name
    action = incident.action(name)
    before = None if action is None else action.value_before
    if action is None or before is None:
        return incident
    # What ended needed nothing undone.
    helped = after <= configured.helped * before or not incident.active
    undoes = not helped and action.undo is not None
    text = (
        f"{name} {'helped' if helped else 'did not help'}: {configured.metric} was {before:.4g}, "
        f"is {after:.4g}{'; it is undone' if undoes else ''}."
    )
    undo: dict[str, Any] = {"status": states.RUNNING, "attempts": 0} if undoes else {}
    return _told(incident, name, at, text, value_after=after, **undo)


def undone(incident: Incident, name: str, at: int, result: str, attempts: int) -> Incident:
    """It was undone."""
    return _told(
        incident, name, at, f"{name} undone: {result}", status=states.UNDONE,
        result=fitted(result, RESULT), undo=None, attempts=attempts,
    )  # fmt: skip


def not_undone(
    incident: Incident, name: str, at: int, why: str, attempts: int | None = None
) -> Incident:
    """It could not be undone; somebody may want it again."""
    text = f"{name} could not be undone: {why}"
    return _told(
        incident, name, at, text, status=states.FAILED, result=fitted(text, RESULT),
        attempts=_attempts(incident, name) if attempts is None else attempts,
    )  # fmt: skip


def approved(incident: Incident, name: str) -> Incident:
    """Somebody wants one run that was skipped, or failed.

    Raises:
        CommandRefusedError: There is none such.
    """
    action = incident.action(name)
    if action is None or action.status not in (states.SKIPPED, states.FAILED) or action.undo:
        raise CommandRefusedError(f"there is no action {name!r} that was skipped or failed.")
    return _with(incident, replace(action, status=states.WAITING, result=None, attempts=0))


def undo_wanted(incident: Incident, name: str) -> Incident:
    """Somebody wants one undone.

    Raises:
        CommandRefusedError: There is none such.
    """
    action = incident.action(name)
    done = (states.SUCCEEDED, states.FAILED)
    if action is None or action.undo is None or action.status not in done:
        raise CommandRefusedError(f"there is no action {name!r} that was done and can be undone.")
    return _with(incident, replace(action, status=states.RUNNING, attempts=0))


def _told(
    incident: Incident, name: str, at: int, text: str, targets: tuple[str, ...] = (), **fields: Any
) -> Incident:
    action = incident.action(name)
    if action is None:
        return incident
    now = replace(action, **fields)
    changed = noted(_with(incident, now), Event(at, "action", SELF, text))
    return transition(changed, "action", (name, now.status, at), targets)


def _attempts(incident: Incident, name: str) -> int:
    action = incident.action(name)
    return 0 if action is None else action.attempts


def _with(incident: Incident, action: ActionState) -> Incident:
    return replace(
        incident,
        actions=tuple(action if each.name == action.name else each for each in incident.actions),
    )
