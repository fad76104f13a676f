"""Runs response actions: in threads, each attempt with a time limit, and never on the event loop.

An attempt that does not answer in time is left alone: its thread cannot be ended, and what it does
is unknown. So it is tried again only where the action says that twice is as good as once.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from inferwatch_streams.daemon_thread import in_daemon_thread
from inferwatch_streams.errors import ActionFailedError
from inferwatch_streams.incidents import metrics
from inferwatch_streams.incidents.bounds import NAME, RESULT, fitted
from inferwatch_streams.incidents.response_action import Outcome, can_undo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from inferwatch_streams.incidents.policy import Action
    from inferwatch_streams.incidents.response_action import (
        Context,
        Meter,
        ResponseAction,
    )

log = structlog.get_logger(__name__)

T = TypeVar("T")

THREAD: Final = "inferwatch-response-action"
#: What the role's meter is called among actions.
METER: Final = "meter"

#: The metric before and after an action is taken over so many microseconds.
MEASURED_MICROS: Final = 120_000_000
MEASURE_SECONDS: Final = 20.0
FIRST_BACKOFF_SECONDS: Final = 1.0
MAX_BACKOFF_SECONDS: Final = 30.0
#: Attempts of one action that never answered, of which each keeps a thread; beyond, no more of it
#: is begun.
MAX_LEFT_ALONE: Final = 20


@dataclass(frozen=True, slots=True)
class Result:
    """What came of running an action.

    Attributes:
        outcome: What it returned; None where it failed.
        error: Why it failed.
        attempts: How often it was tried, attempts of workers that ended meanwhile included.
        before: The metric before it, where it was measured.
    """

    outcome: Outcome | None
    error: str
    attempts: int
    before: float | None = None


class Runner:
    """Runs the actions of a policy."""

    def __init__(
        self,
        actions: Mapping[str, ResponseAction],
        meter: Meter | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Take the actions.

        Args:
            actions: By their names in the policy.
            meter: Measures metrics; without, none is.
            sleep: Waits between attempts.
        """
        self._actions = actions
        self._meter = meter
        self._sleep = sleep
        self._left_alone: Counter[str] = Counter()

    def change(self, actions: Mapping[str, ResponseAction]) -> None:
        """Run others from now on; what runs goes on as it began."""
        self._actions = actions

    def action(self, name: str) -> ResponseAction | None:
        """An action by its name."""
        return self._actions.get(name)

    def dry_run(self, configured: Action) -> bool:
        """Whether it is only said what an action would do."""
        action = self._actions.get(configured.name)
        if configured.dry_run is not None:
            return configured.dry_run
        return action is not None and action.changes

    async def plan(self, configured: Action, context: Context) -> str:
        """What an action would do."""
        plan = getattr(self._actions.get(configured.name), "plan", None)
        if plan is None:
            return f"would run {configured.uses}"
        try:
            return str(await self._within(configured.name, MEASURE_SECONDS, plan, context))
        except ActionFailedError as error:
            return f"would run {configured.uses}, and fail: {error}"

    async def run(
        self,
        configured: Action,
        context: Context,
        wanted: Callable[[], bool] = lambda: True,
        attempt: int = 1,
    ) -> Result:
        """Run an action until it is done, or may not be tried again.

        Args:
            configured: It.
            context: What it acts on.
            wanted: Whether another attempt is wanted still.
            attempt: Which attempt this is; above 1 where workers ended during those before.
        """
        action = self._actions.get(configured.name)
        if action is None:
            return Result(None, "it is not configured any more.", 0)
        before = await self.measure(configured, context) if action.changes else None
        attempts, backoff, why = attempt - 1, FIRST_BACKOFF_SECONDS, ""
        while True:
            attempts += 1
            started = time.monotonic()
            try:
                outcome = await self._within(
                    configured.name, configured.timeout / 1e6, _done, action, context
                )
            except ActionFailedError as error:
                metrics.ATTEMPTS.labels(configured.name, "failed").inc()
                safe = error.again and (action.idempotent or not error.may_have_run)
                if not safe or attempts > configured.retries:
                    return Result(None, _unknown(error, safe=safe), attempts, before)
                why = str(error)
                log.warning(
                    "response action failed, will be tried again", action=configured.name,
                    incident=context.incident.incident_id, error=str(error),
                )  # fmt: skip
            else:
                metrics.ATTEMPTS.labels(configured.name, "succeeded").inc()
                return Result(outcome, "", attempts, before)
            finally:
                metrics.ACTION_SECONDS.labels(configured.name).observe(time.monotonic() - started)
            await self._sleep(backoff)
            backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)
            if not wanted():
                return Result(None, f"{why} It is not wanted any more.", attempts, before)

    async def undo(
        self, configured: Action, context: Context, token: str, attempt: int = 1
    ) -> Result:
        """Take back what an action did; it bears that twice, so it is tried as often.

        Args:
            configured: It.
            context: What it acted on.
            token: What it said that undoes it.
            attempt: As of ``run``.
        """
        action = self._actions.get(configured.name)
        if action is None or not can_undo(action):
            return Result(None, "it cannot be undone by itself.", 0)
        attempts, backoff = attempt - 1, FIRST_BACKOFF_SECONDS
        undo: Callable[[Context, str], Any] = action.undo  # type: ignore[attr-defined]  # optional
        while True:
            attempts += 1
            try:
                told = await self._within(
                    configured.name, configured.timeout / 1e6, undo, context, token
                )
            except ActionFailedError as error:
                if not error.again or attempts > configured.retries:
                    return Result(None, str(error), attempts)
            else:
                return Result(Outcome(str(told)), "", attempts)
            await self._sleep(backoff)
            backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)

    async def measure(self, configured: Action, context: Context) -> float | None:
        """The metric that an action is to bring down; None where it cannot be told."""
        own = getattr(self._actions.get(configured.name), "measure", None)
        try:
            if own is not None:
                value = await self._within(configured.name, MEASURE_SECONDS, own, context)
            elif self._meter is not None:
                value = await self._within(
                    METER, MEASURE_SECONDS, self._meter, configured.metric,
                    context.incident.services, context.at - MEASURED_MICROS, context.at,
                )  # fmt: skip
            else:
                return None
            number = None if value is None else float(value)
        except (ActionFailedError, TypeError, ValueError) as error:
            log.warning("not measured", action=configured.name, error=str(error))
            return None
        # What is no number compares with none.
        return number if number is not None and isfinite(number) else None

    async def _within(
        self, name: str, seconds: float, function: Callable[..., T], *arguments: Any
    ) -> T:
        """What a function returns that runs in a thread of its own.

        Raises:
            ActionFailedError: It failed, or did not answer in time.
        """
        if self._left_alone[name] >= MAX_LEFT_ALONE:
            raise ActionFailedError(
                f"{self._left_alone[name]} attempts have not ended yet.", again=False
            )
        answer = in_daemon_thread(THREAD, function, *arguments)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(answer)
        except TimeoutError as error:
            if answer.done():
                # The function's own: it had an answer, and that is it.
                raise ActionFailedError(f"{error!r}.", may_have_run=True) from error
            self._leave_alone(name, answer)
            raise ActionFailedError(
                f"no answer within {seconds:g} s.", may_have_run=True
            ) from error
        except asyncio.CancelledError:
            self._leave_alone(name, answer)
            raise
        except ActionFailedError:
            raise
        except Exception as error:  # whatever a team's own action raises
            raise ActionFailedError(f"{error!r}.", may_have_run=True) from error

    def _leave_alone(self, name: str, answer: asyncio.Future[Any]) -> None:
        self._left_alone[name] += 1
        metrics.LEFT_ALONE.set(self._left_alone.total())

        def ended(late: asyncio.Future[Any]) -> None:
            self._left_alone[name] -= 1
            metrics.LEFT_ALONE.set(self._left_alone.total())
            if not late.cancelled():
                late.exception()  # seen; what it was is of no use any more

        answer.add_done_callback(ended)


def _done(action: ResponseAction, context: Context) -> Outcome:
    """What an action returns, as far as it can be kept; a team's own may return anything.

    Raises:
        ActionFailedError: It is no outcome.
    """
    outcome: Any = action.run(context)
    sound = isinstance(outcome, Outcome) and isinstance(outcome.undo, str | None)
    sound = sound and isinstance(outcome.targets, tuple | list)
    if not sound or not all(isinstance(each, str) for each in outcome.targets):
        raise ActionFailedError(
            f"it returned {outcome!r:.200}, which is no Outcome.", may_have_run=True, again=False
        )
    undo, result = outcome.undo, str(outcome.result)
    if undo is not None and fitted(undo, RESULT) != undo:
        undo, result = None, f"{result} (It cannot be undone: its undo is too long to be kept.)"
    return Outcome(result, undo, tuple(fitted(each, NAME) for each in outcome.targets))


def _unknown(error: ActionFailedError, *, safe: bool) -> str:
    if error.may_have_run and not safe:
        return f"{error} It may have been done all the same, and is not tried again."
    return str(error)
