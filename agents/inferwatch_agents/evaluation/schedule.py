"""Runs an evaluator every so many seconds from the start on: one run after the other, never two."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import threading
import time
from typing import TYPE_CHECKING, Final, Self

import structlog

from inferwatch_agents import process
from inferwatch_agents.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from inferwatch_agents.evaluation.evaluator import Evaluator
    from inferwatch_agents.evaluation.summary import Summary

STOP_SECONDS: Final = 5.0

log = structlog.get_logger()


def log_run(summary: Summary) -> None:
    """Log what a run came to."""
    total = summary.total
    log.info(
        "a model was evaluated",
        model=summary.model,
        test_set=summary.test_set,
        run_id=summary.run_id,
        questions=total.questions,
        accuracy=total.accuracy,
        error_rate=total.error_rate,
        errors={failure.error_type: failure.count for failure in total.failures},
    )


def log_failure(error: Exception) -> None:
    """Log that a run ended without a summary."""
    log.warning("an evaluation failed", error=type(error).__name__, reason=str(error))


def log_left_out(turns: int) -> None:
    """Log that so many turns came during a run."""
    log.warning("an evaluation took longer than its interval", turns_left_out=turns)


def next_turn(elapsed: float, seconds: float) -> int:
    """Number of the first turn that is still to come, of turns at 0, ``seconds``, twice that, ...

    Args:
        elapsed: Seconds since turn 0.
        seconds: From one turn to the next.
    """
    return math.floor(elapsed / seconds) + 1


class Schedule:
    """Turns of an evaluator at fixed times after the start; the first is at once.

    A turn that comes while a run is under way is left out and counted. A run that fails is
    reported, and the next turn comes as ever, also where reporting it fails. A forked child does
    not go on with it.

    Attributes:
        runs: Runs that ended with a summary.
        failed: Runs that did not.
        left_out: Turns that came during a run.
    """

    def __init__(  # noqa: PLR0913  # the last three are seams with defaults
        self,
        evaluator: Evaluator,
        seconds: float,
        *,
        jitter_seconds: float = 0.0,
        on_run: Callable[[Summary], None] = log_run,
        on_failure: Callable[[Exception], None] = log_failure,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepare; ``start`` or ``run`` starts.

        Args:
            evaluator: What is run.
            seconds: From one turn to the next.
            jitter_seconds: All turns come later by one random time of up to so much, so that many
                schedules do not ask one model at the same moment.
            on_run: Gets each summary, in the schedule's thread.
            on_failure: Gets what ended a run.
            monotonic: Clock in seconds.
            sleep: Waits, in seconds of that clock.
            chance: From 0 to 1, below 1.

        Raises:
            ConfigurationError: The times cannot be.
        """
        if not 0 < seconds < math.inf or not 0 <= jitter_seconds < math.inf:
            raise ConfigurationError(
                f"A schedule of every {seconds} seconds with {jitter_seconds} of jitter cannot be; "
                "the first must be above 0, the second 0 or more, and both finite."
            )
        self.runs = self.failed = self.left_out = 0
        self._evaluator = evaluator
        self._seconds = seconds
        self._jitter = jitter_seconds
        self._on_run = on_run
        self._on_failure = on_failure
        self._monotonic = monotonic
        self._sleep = sleep
        self._chance = chance
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None

    def start(self) -> Self:
        """Start it in a thread of its own, which ends with the process at the latest.

        Raises:
            ConfigurationError: It was started before.
        """
        if self._thread is not None:
            raise ConfigurationError("A schedule starts once; make another one.")
        self._thread = threading.Thread(target=self.run, name="inferwatch-evaluation", daemon=True)
        self._thread.start()
        self._started.wait()
        return self

    def run(self) -> None:
        """Run it in this thread, until ``stop`` is called from another."""
        # One loop for all runs: clients keep their connections in the loop that they were used in.
        try:
            with contextlib.suppress(asyncio.CancelledError), asyncio.Runner() as runner:
                runner.run(self._turns())
        finally:
            self._started.set()

    def stop(self, seconds: float = STOP_SECONDS) -> bool:
        """End it; a run in progress is cancelled.

        Args:
            seconds: How long to wait for that.

        Returns:
            Whether it has ended.
        """
        self._stopping = True
        if self._loop is not None and self._main is not None:
            # A loop that is closed has ended.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._main.cancel)
        if self._thread is None:
            return True
        self._thread.join(seconds)
        return not self._thread.is_alive()

    async def _turns(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        self._started.set()
        start, turn = self._monotonic() + self._jitter * self._chance(), 0
        while not self._stopping:
            due = start + turn * self._seconds
            await self._sleep(max(0.0, due - self._monotonic()))
            await self._run_once()
            following = max(turn + 1, next_turn(self._monotonic() - start, self._seconds))
            if left_out := following - turn - 1:
                self.left_out += left_out
                _tell(log_left_out, left_out)
            turn = following

    async def _run_once(self) -> None:
        try:
            self._on_run(await self._evaluator.run_async())
            self.runs += 1
        except Exception as error:  # noqa: BLE001  # one run's failure, whatever it is, is told and not the end of the schedule
            self.failed += 1
            _tell(self._on_failure, error)


def _tell(hook: Callable[..., None], *about: object) -> None:
    try:
        hook(*about)
    except Exception as error:  # noqa: BLE001  # of a function of the service, or of its logging; the next turn is to come
        if (sdk := process.active()) is not None:
            sdk.fault("telling of an evaluation", error)
