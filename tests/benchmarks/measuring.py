"""Watching the process of a contender: its CPU time, its memory, and how long it took."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks.processors import on_what_is_free

# Less than this part of a CPU for so long is a process that waits.
QUIET_SECONDS = 1.5
QUIET_LOAD = 0.1
WARM_UP_SECONDS = 120.0
POLL_SECONDS = 0.02
# A stopped process sends no heartbeats; the load is published well within this.
SESSION_SECONDS = "300"
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Cost:
    """What one run of a contender took."""

    events: int
    cpu_seconds: float
    seconds: float
    peak_rss_bytes: int

    @property
    def cpu_seconds_per_million(self) -> float:
        """CPU seconds, user and system, for a million events."""
        return self.cpu_seconds / self.events * 1e6


class Measured:
    """A contender's processes under observation: the one that was started, and its children."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._observed = psutil.Process(process.pid)
        self._peak = 0

    def pause(self) -> None:
        """Stop it once it has nothing to do."""
        deadline = time.monotonic() + WARM_UP_SECONDS
        before = self._cpu()
        while True:
            time.sleep(QUIET_SECONDS)
            now = self._cpu()
            if now - before < QUIET_LOAD * QUIET_SECONDS or time.monotonic() > deadline:
                break
            before = now
        self._send(signal.SIGSTOP)

    def cost_until(self, done: Callable[[], bool], events: int, limit_seconds: float) -> Cost:
        """Continue it, and measure until it is done."""
        cpu, began = self._cpu(), time.monotonic()
        self._send(signal.SIGCONT)
        self.wait(done, limit_seconds)
        return Cost(events, self._cpu() - cpu, time.monotonic() - began, self._peak)

    def cost_until_complete(
        self,
        arrive: Callable[[], int],
        complete: Callable[[], bool],
        events: int,
        limit_seconds: float,
    ) -> Cost:
        """Continue it, and measure until the last of its results.

        Where reading the results costs as much as making them, they are only collected while it
        runs, so that they do not take the processors from it, and looked at when none come.

        Args:
            arrive: Collects results that have come, and says how many.
            complete: Whether those are all.
            events: That it counts.
            limit_seconds: After which it has failed.
        """
        cpu, began = self._cpu(), time.monotonic()
        spent, took = 0.0, 0.0
        self._send(signal.SIGCONT)

        def done() -> bool:
            nonlocal spent, took
            if arrive():
                spent, took = self._cpu() - cpu, time.monotonic() - began
                return False
            return time.monotonic() - began - took > QUIET_SECONDS and complete()

        self.wait(done, limit_seconds)
        return Cost(events, spent, took, self._peak)

    def wait(self, done: Callable[[], bool], limit_seconds: float) -> None:
        """Wait for a condition, while watching its memory.

        Raises:
            SystemExit: The process ended, or the condition did not come in time.
        """
        deadline = time.monotonic() + limit_seconds
        while not done():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("A contender ended or took too long; its log is above.")
            self._peak = max(self._peak, sum(p.memory_info().rss for p in self._alive()))

    def _alive(self) -> list[psutil.Process]:
        return [self._observed, *self._observed.children(recursive=True)]

    def _send(self, signal_number: int) -> None:
        for process in self._alive():
            process.send_signal(signal_number)

    def _cpu(self) -> float:
        # A process that ended lives on in the times of the parent that waited for it.
        times = [process.cpu_times() for process in self._alive()]
        return float(sum(t.user + t.system + t.children_user + t.children_system for t in times))


@contextmanager
def started(command: list[str], folder: Path, **variables: str) -> Iterator[Measured]:
    """Run a contender, which is killed however this ends; its log is printed where it failed.

    It has the CPUs for itself that this process was kept off.
    """
    log = folder / "contender.log"
    own = {name: value for name, value in os.environ.items() if not name.startswith("INFERWATCH_")}
    with log.open("wb") as output, on_what_is_free():
        process = subprocess.Popen(  # noqa: S603 -- our own programs, no shell
            command, stdout=output, stderr=subprocess.STDOUT, env=own | variables, cwd=REPOSITORY
        )
    try:
        yield Measured(process)
    except SystemExit:
        sys.stderr.write(log.read_text(errors="replace"))
        raise
    finally:
        process.kill()
        process.wait()
