"""Does what is to be done for incidents: one action at a time of each, many incidents at once.

An action is written as running, and the broker has that, before it runs. A worker that takes over
and finds one running that it does not run itself cannot know whether it was done: it is done again
only where it says that twice is as good as once, and not more often than it may be tried: it may be
what ended the workers.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_streams.errors import LeadingError
from inferwatch_streams.incidents import incident as states
from inferwatch_streams.incidents import metrics, responding
from inferwatch_streams.incidents.responding import Step
from inferwatch_streams.incidents.response_action import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from inferwatch_streams.incidents.incident import ActionState, Incident
    from inferwatch_streams.incidents.ledger import Ledger
    from inferwatch_streams.incidents.policy import Action, Policy
    from inferwatch_streams.incidents.reloading import Decided
    from inferwatch_streams.incidents.runner import Runner

log = structlog.get_logger(__name__)

MOST_AT_ONCE: Final = 16
#: After a measurement that failed, the next one of the incident waits so many microseconds.
MEASURE_AGAIN: Final = 30_000_000
INTERRUPTED: Final = (
    "the worker that ran it ended meanwhile: it may have been done, and is not done again."
)


def given_up(attempts: int) -> str:
    """Why one that was tried so often is not tried again."""
    return (
        f"begun {attempts} times by workers that ended, or led no more, before it was done. It may "
        "be what ends them, and it may have been done: it is given up."
    )


class Responder:
    """See the module; used from the event loop, under the role's lock but for its jobs."""

    def __init__(
        self,
        policy: Policy,
        ledger: Ledger,
        runner: Runner,
        lock: asyncio.Lock,
        now: Callable[[], int],
    ) -> None:
        self._policy = policy
        self._ledger = ledger
        self._runner = runner
        self._lock = lock
        self._now = now
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._measure_again: dict[str, int] = {}

    @property
    def busy(self) -> bool:
        """Whether anything is being done."""
        return bool(self._jobs)

    async def look(self) -> None:
        """Begin what is to be done.

        Raises:
            LeadingError: This worker leads no more.
        """
        for incident in self._ledger.incidents:
            if len(self._jobs) >= MOST_AT_ONCE:
                return
            if incident.incident_id in self._jobs:
                continue
            step = responding.next_step(self._policy, incident, self._now())
            if step is None or self._measured_in_vain(incident, step[0]):
                continue
            await self._begin(incident, *step)

    def _measured_in_vain(self, incident: Incident, step: Step) -> bool:
        again = self._measure_again.get(incident.incident_id, 0)
        return step is Step.CHECK and self._now() < again

    def change(self, decided: Decided) -> None:
        """Go on by another policy and with its actions; what runs goes on as it began."""
        self._policy = decided.policy
        self._runner.change(decided.actions)

    def stop(self) -> None:
        """Let everything go: what runs, runs on in its thread, and is found as running."""
        for task in self._jobs.values():
            task.cancel()

    async def _begin(self, incident: Incident, step: Step, action: ActionState) -> None:
        configured = self._policy.actions.get(action.name)
        if configured is None:
            await self._unconfigured(incident, step, action)
        elif step is Step.UNDO:
            await self._begin_undo(incident, configured, action)
        elif step is Step.CHECK:
            self._start(incident, self._check(incident, configured))
        elif step is Step.INTERRUPTED and not self._again(incident, configured):
            await self._write(self._ended(incident, action.name, states.FAILED, INTERRUPTED))
        elif step is Step.INTERRUPTED and action.attempts > configured.retries:
            why = given_up(action.attempts)
            await self._write(self._ended(incident, action.name, states.FAILED, why))
        elif self._runner.dry_run(configured):
            self._start(incident, self._plan(incident, configured))
        elif step is Step.RUN and self._limited():
            why = f"{self._policy.actions_per_hour} actions were begun within an hour."
            await self._write(self._ended(incident, action.name, states.SKIPPED, why))
        else:
            begun = responding.begun(incident, action.name, self._now())
            await self._said(begun)
            self._start(begun, self._run(begun, configured, action.attempts + 1))

    async def _begin_undo(
        self, incident: Incident, configured: Action, action: ActionState
    ) -> None:
        now = self._now()
        if action.attempts > configured.retries:
            why = given_up(action.attempts)
            await self._write(responding.not_undone(incident, action.name, now, why))
        else:
            begun = responding.undoing(incident, action.name, now)
            await self._said(begun)
            self._start(begun, self._undo(begun, configured, action))

    async def _said(self, incident: Incident) -> None:
        """Write what is about to be done: only what the broker has was said before."""
        await self._write(incident)
        await self._ledger.settle()

    def _again(self, incident: Incident, configured: Action) -> bool:
        """Whether what a former worker may have done is done again: not where it is not wanted."""
        action = self._runner.action(configured.name)
        wanted = incident.active and not self._runner.dry_run(configured)
        return wanted and action is not None and action.idempotent

    def _limited(self) -> bool:
        ran = responding.ran_within_hour(self._ledger.incidents, self._now())
        return ran >= self._policy.actions_per_hour

    async def _unconfigured(self, incident: Incident, step: Step, action: ActionState) -> None:
        why = "it is not configured any more."
        if step is Step.UNDO:
            await self._write(responding.not_undone(incident, action.name, self._now(), why))
        else:
            status = states.FAILED if step is Step.INTERRUPTED else states.SKIPPED
            await self._write(self._ended(incident, action.name, status, why))

    def _ended(self, incident: Incident, name: str, status: str, why: str) -> Incident:
        return responding.ended(incident, name, self._now(), status, why)

    async def _write(self, incident: Incident) -> None:
        await self._ledger.write([incident])

    def _start(self, incident: Incident, job: Coroutine[None, None, None]) -> None:
        incident_id = incident.incident_id
        task = asyncio.get_running_loop().create_task(job)
        self._jobs[incident_id] = task

        def over(done: asyncio.Task[None]) -> None:
            self._jobs.pop(incident_id, None)
            error = None if done.cancelled() else done.exception()
            if isinstance(error, LeadingError):
                log.warning("what came of an action is lost", incident=incident_id)
            elif error is not None:
                metrics.FAILURES.inc()
                log.error("a response failed", incident=incident_id, error=repr(error))

        task.add_done_callback(over)

    def _context(self, incident: Incident) -> Context:
        known = tuple(self._ledger.incidents.members(incident))
        return Context(incident, known, self._now())

    async def _run(self, begun: Incident, configured: Action, attempt: int) -> None:
        name = configured.name

        def wanted() -> bool:
            now = self._ledger.incidents.get(begun.incident_id)
            return now is not None and now.active

        result = await self._runner.run(configured, self._context(begun), wanted, attempt)

        def told(incident: Incident) -> Incident:
            outcome = result.outcome
            return responding.ended(
                incident, name, self._now(),
                states.FAILED if outcome is None else states.SUCCEEDED,
                result.error if outcome is None else outcome.result,
                attempts=result.attempts,
                undo=None if outcome is None else outcome.undo,
                before=result.before,
                targets=() if outcome is None else outcome.targets,
            )  # fmt: skip

        await self._record(begun, name, told)

    async def _plan(self, incident: Incident, configured: Action) -> None:
        plan = await self._runner.plan(configured, self._context(incident))
        await self._record(
            incident,
            configured.name,
            lambda now: self._ended(now, configured.name, states.DRY_RUN, plan),
        )

    async def _undo(self, incident: Incident, configured: Action, action: ActionState) -> None:
        result = await self._runner.undo(
            configured, self._context(incident), action.undo or "", action.attempts + 1
        )
        name = configured.name
        await self._record(
            incident,
            name,
            lambda now: (
                responding.not_undone(now, name, self._now(), result.error, result.attempts)
                if result.outcome is None
                else responding.undone(
                    now, name, self._now(), result.outcome.result, result.attempts
                )
            ),
        )

    async def _check(self, incident: Incident, configured: Action) -> None:
        self._measure_again.pop(incident.incident_id, None)
        value = await self._runner.measure(configured, self._context(incident))
        if value is None:
            self._measure_again[incident.incident_id] = self._now() + MEASURE_AGAIN
            return
        await self._record(
            incident,
            configured.name,
            lambda now: responding.checked(configured, now, self._now(), value),
        )

    async def _record(
        self, before: Incident, name: str, change: Callable[[Incident], Incident]
    ) -> None:
        """Write what came of an action, unless it is not the same any more."""
        async with self._lock:
            now = self._ledger.incidents.get(before.incident_id)
            expected = before.action(name)
            known = None if now is None else now.action(name)
            if now is None or known is None or expected is None:
                return
            if (known.status, known.started_at) != (expected.status, expected.started_at):
                log.warning("an action is not as it was when it began", action=name)
                return
            await self._write(change(now))
            await self._ledger.settle()
