"""The embedded ClickHouse seen from its parent: a child that speaks ClickHouse over HTTP."""

import http.client
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from inferwatch.embedded.errors import EmbeddedError
from inferwatch.embedded.processes import LOOPBACK, Child, free_port, require_free

_NAME = "the embedded ClickHouse"
_ANSWER_SECONDS = 2.0


class EmbeddedClickHouse:
    """ClickHouse's engine (chDB) behind ClickHouse's HTTP interface, in a child process.

    Use it as a context manager: on entry it is started and awaited, on exit stopped. What it
    stored stays in the data folder.

    Args:
        data_dir: folder of the tables; one process at a time may have it open.
        log_dir: folder of its log, `clickhouse.log`.
        port: loopback port to listen on; a free one by default, kept over restarts.
        start_seconds: how long it may take to be ready.
    """

    def __init__(
        self,
        data_dir: Path,
        log_dir: Path,
        port: int | None = None,
        *,
        start_seconds: float = 60,
    ) -> None:
        self._data_dir = data_dir
        self._log = log_dir / "clickhouse.log"
        self._port = port
        self._start_seconds = start_seconds
        self._child: Child | None = None

    @property
    def host(self) -> str:
        """The loopback address it listens on."""
        return LOOPBACK

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        if self._port is None:
            raise EmbeddedError(f"{_NAME} was not started yet.")
        return self._port

    @property
    def url(self) -> str:
        """Its HTTP interface, without a trailing slash."""
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the server last started."""
        if self._child is None:
            raise EmbeddedError(f"{_NAME} was not started yet.")
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the server was started and still runs."""
        return self._child is not None and self._child.alive

    def start(self) -> None:
        """Start the server and wait until it answers `/ping`.

        Raises:
            EmbeddedError: port in use, or it did not start (data folder open elsewhere, ...).
        """
        if self._port is None:
            self._port = free_port()
        require_free(self._port, name=_NAME)
        self._child = Child.start(
            [
                *(sys.executable, "-m", "inferwatch.embedded.clickhouse_server"),
                *("--host", self.host),
                *("--port", str(self.port)),
                *("--data", self._data_dir),
            ],
            name=_NAME,
            log=self._log,
        )
        self._child.wait_ready(self._answers, self._start_seconds)

    def stop(self) -> None:
        """Stop the server; the data stays."""
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would."""
        if self._child is not None:
            self._child.kill()

    def restart(self) -> None:
        """Start again on the same port and data after `kill` or `stop`."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().read().strip() == b"Ok."
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
