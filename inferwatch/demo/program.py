"""A program of the user's own in place of the generated load: a monitored service, for one."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from inferwatch.embedded.errors import EndedError
from inferwatch.embedded.processes import Child

# A service waits for its clients and then for Kafka.
STOP_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.1


class Program:
    """Runs a command with the demo's addresses in its environment; use it as a context manager.

    It is told to end with SIGTERM, and killed where it does not.
    """

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], log: Path) -> None:
        """Start nothing yet.

        Args:
            command: The program and its arguments.
            variables: Added to its environment.
            log: Where its output goes.
        """
        self._command = command
        self._variables = variables
        self._log = log
        self._child: Child | None = None
        self._kill_at: float | None = None

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        if self._child is not None:
            self._child.stop(STOP_SECONDS)

    def start(self) -> None:
        """Start it.

        Raises:
            EmbeddedError: There is no such program, or its log cannot be written.
        """
        self._child = Child.start(
            self._command, name=self._command[0], log=self._log, env=self._variables
        )

    def stop(self) -> None:
        """Tell it to end."""
        if self._child is not None and self._child.alive and self._kill_at is None:
            self._kill_at = time.monotonic() + STOP_SECONDS
            os.kill(self._child.pid, signal.SIGTERM)

    def wait(self, seconds: float) -> None:
        """Wait for its end, at most so long, and kill it where it had time enough."""
        deadline = time.monotonic() + seconds
        while not self.ended and time.monotonic() < deadline:
            if self._child is not None and time.monotonic() > (self._kill_at or deadline):
                self._child.kill()
            time.sleep(POLL_SECONDS)

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._child is not None and not self._child.alive

    @property
    def error(self) -> EndedError | None:
        """What to say of a program that ended before it was told to and not well."""
        status = None if self._child is None else self._child.status
        if self._kill_at is not None or not status:
            return None
        return EndedError(f"{self._command[0]} ended with status {status}; its log is {self._log}.")
