"""Child processes that are awaited, logged, stopped by pid, and never outlive their parent."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from inferwatch.embedded.errors import (
    EmbeddedError,
    MissingProgramError,
    PortInUseError,
    StartError,
)

LOOPBACK = "127.0.0.1"

_POLL_SECONDS = 0.05
_QUOTED_LINES = 5
_QUOTED_BYTES = 4096

# Standard input is a pipe whose other end only the parent holds, so its end means that the parent
# is gone. `read` is a builtin: the shell waits without a process of its own.
_REAPER = 'read -r _; kill -s KILL -- "-$1"'


def free_port() -> int:
    """Return a TCP port that nothing listens on at this moment, on loopback."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, *, name: str) -> None:
    """Check that `name` can listen on a loopback port.

    Raises:
        PortInUseError: something listens there, or the port may not be bound.
    """
    with socket.socket() as probe:
        # As servers do: a port whose old connections still wait out TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError) as error:
            raise PortInUseError(
                f"{name} cannot listen on {LOOPBACK}:{port} ({error}); "
                "stop what uses the port or choose another."
            ) from error


def accepts_connections(port: int) -> bool:
    """Say whether something accepts TCP connections on a loopback port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


class Child:
    """A server in a process of its own, which dies with its parent however the parent dies.

    The child leads a process group, so that Ctrl-C in a terminal reaches only the parent, which
    then stops its children in order. Beside it a shell waits on a pipe that the parent holds open;
    when the parent is gone, be it by kill -9, the shell kills the group. That works on every POSIX
    system and from any thread, where Linux' PR_SET_PDEATHSIG fires as soon as the starting
    *thread* ends. Its one limit: a fork of the parent without exec keeps the pipe, and so the
    child, alive.
    """

    def __init__(self, process: subprocess.Popen[bytes], *, name: str, log: Path) -> None:
        self._process = process
        self._name = name
        self._log = log
        self._log_start = 0
        self._reaper: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(
        cls,
        command: Sequence[str | Path],
        *,
        name: str,
        log: Path,
        env: Mapping[str, str] | None = None,
    ) -> Self:
        """Start a command with its output appended to a log file.

        Args:
            command: the program and its arguments; no shell is involved.
            name: what a user calls it, for messages.
            log: where standard output and standard error go; its folder is created.
            env: variables added to this process' own.

        Raises:
            MissingProgramError: the program does not exist or may not be executed.
            EmbeddedError: the log cannot be written.
        """
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            output = log.open("ab")
        except OSError as error:
            raise EmbeddedError(f"{name} cannot write its log {log}: {error.strerror}.") from error
        with output:
            log_start = output.tell()
            try:
                process = subprocess.Popen(  # noqa: S603 -- an argument list, no shell
                    [str(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(env or {})},
                    start_new_session=True,
                )
            except OSError as error:
                raise MissingProgramError(
                    f"{name} cannot be started: {command[0]}: {error.strerror}."
                ) from error
        child = cls(process, name=name, log=log)
        child._log_start = log_start
        child._reaper = subprocess.Popen(  # noqa: S603 -- a constant script and our child's pid
            ["/bin/sh", "-c", _REAPER, "sh", str(process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return child

    @property
    def pid(self) -> int:
        """The process id, also after the end."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while the process runs."""
        return self._process.poll()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        if self._process.poll() is None:
            return True
        self._dismiss_reaper()
        return False

    def wait_ready(self, ready: Callable[[], bool], timeout_seconds: float) -> None:
        """Ask `ready` again and again until it says yes; stop the child where it never does.

        Raises:
            StartError: the child ended, or the time ran out; quotes the end of the log.
        """
        deadline = time.monotonic() + timeout_seconds
        while self.alive:
            if ready():
                return
            if time.monotonic() >= deadline:
                self.stop()
                raise StartError(
                    f"{self._name} was not ready after {timeout_seconds:g} s; {self._quote()}"
                )
            time.sleep(_POLL_SECONDS)
        raise StartError(
            f"{self._name} ended with status {self._process.returncode} before it was ready; "
            f"{self._quote()}"
        )

    def stop(self, timeout_seconds: float = 10) -> None:
        """End the child: SIGTERM, then SIGKILL when the time is over. Does nothing twice."""
        if self.alive:
            self._process.terminate()
            try:
                self._process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._dismiss_reaper()

    def kill(self) -> None:
        """End the child with SIGKILL, as a crash would, and wait until it is gone."""
        if self.alive:
            self._process.kill()
            self._process.wait()
        self._dismiss_reaper()

    def __enter__(self) -> Self:
        """Return the child itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the child."""
        self.stop()

    def _dismiss_reaper(self) -> None:
        if self._reaper is None:
            return
        # Before the pipe closes: the pid may by then belong to somebody else.
        self._reaper.kill()
        self._reaper.wait()
        if self._reaper.stdin is not None:
            self._reaper.stdin.close()
        self._reaper = None

    def _quote(self) -> str:
        lines: list[str] = []
        with contextlib.suppress(OSError), self._log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - _QUOTED_BYTES))
            lines = log.read().decode(errors="replace").split("\n")
        # The frames of a stack trace would push out the line that says what happened.
        said = [line.strip() for line in lines if line.strip() and not line.startswith("\tat ")]
        quoted = " | ".join(said[-_QUOTED_LINES:])
        return f"the end of {self._log}: {quoted or '(empty)'}"
