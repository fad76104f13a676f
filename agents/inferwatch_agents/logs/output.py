"""Writes lines to a stream, from any thread, signal handler or forked process.

A stream with a file descriptor is written to past its buffers: a line leaves by one system call
where the system takes it whole, so nothing is left in a buffer that a fork would double, and no
lock of a buffer can be held when one forks.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.logs.faults import fault

if TYPE_CHECKING:
    from typing import TextIO

# One for all streams: two may be the same file. Its holder may take it again, as in a signal
# handler; a forked process gets a new one.
_locks: Final = [threading.RLock()]


class Output:
    """Where lines go."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Take a stream.

        Args:
            stream: Where to; the standard output when None.
        """
        self._stream: Any = sys.stdout if stream is None else stream
        self._torn = False
        try:
            # What was written to its buffers before comes first.
            self._stream.flush()
            self._descriptor: int | None = self._stream.fileno()
        except (AttributeError, OSError, ValueError):
            self._descriptor = None

    def write(self, line: str) -> None:
        """Write a line; what cannot be written is a fault, and never raises."""
        try:
            with _locks[0]:
                self._write(line)
        except Exception as error:  # noqa: BLE001  # a full disk or a closed pipe must not end the service
            fault("writing a log line", error)

    def _write(self, line: str) -> None:
        if self._descriptor is None:
            self._stream.write(line + "\n")
            self._stream.flush()
            return
        if getattr(self._stream, "closed", False):
            # Its descriptor may be another file's by now.
            raise ValueError("The stream is closed.")
        text = line.encode("utf-8", "backslashreplace") + b"\n"
        # What is left of a line that could not be written whole does not spoil the next.
        rest = memoryview(b"\n" + text if self._torn else text)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
            self._torn = bool(rest)


class LineLogger:
    """What structlog gives rendered records to.

    Attributes:
        name: The logger's name, if it was given one.
    """

    def __init__(self, output: Output, name: str | None) -> None:
        self.name = name
        self.msg = output.write
        self.debug = self.info = self.warning = self.error = self.critical = self.msg
        self.log = self.warn = self.failure = self.exception = self.fatal = self.msg


def _after_fork_in_child() -> None:
    _locks[0] = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
