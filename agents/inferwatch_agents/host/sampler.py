"""Does something at an interval, in a thread, whatever becomes of it each time."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from inferwatch_agents.errors import AgentsError
from inferwatch_schemas.errors import SchemasError

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()


class Sampler:
    """One thing that is sampled."""

    def __init__(
        self,
        name: str,
        sample: Callable[[float], None],
        interval_seconds: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; ``start`` starts the thread.

        Args:
            name: Of the thread, and in the log.
            sample: Takes and gives away a sample; called with the time of ``monotonic``.
            interval_seconds: Time between the beginnings of samples.
            monotonic: Clock in seconds.
        """
        self._name = name
        self._sample = sample
        self._interval = interval_seconds
        self._monotonic = monotonic
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{name}-sampler", daemon=True)

    def start(self) -> None:
        """Sample in a thread of its own, the first time at once."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> bool:
        """End after the sample in progress; False where that takes more than so many seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        due = self._monotonic()
        while not self._stop.is_set():
            try:
                self._sample(self._monotonic())
            except (AgentsError, SchemasError) as error:
                # A sampler outlives its broker's troubles; the gap is visible in the data.
                log.warning("sample lost", sampler=self._name, reason=str(error))
            except Exception:
                # And any defect: the next sample may be sound.
                log.exception("sample lost by a defect of the agent", sampler=self._name)
            # From the last due time, so that the interval does not drift, and never in a rush.
            due = max(due + self._interval, self._monotonic())
            self._stop.wait(due - self._monotonic())
