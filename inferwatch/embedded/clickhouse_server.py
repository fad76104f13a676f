"""The embedded ClickHouse: `python -m inferwatch.embedded.clickhouse_server --port N --data DIR`.

chDB behind ClickHouse's HTTP interface, in a process of its own, so that clickhouse-connect, curl
and every other ClickHouse client use it unchanged. It says one line on stdout when it is ready,
ends with 0 on SIGTERM and SIGINT and when its parent dies, and with 2 and one sentence on stderr
when it cannot start.
"""

import argparse
import fcntl
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inferwatch.embedded.clickhouse_engine import Engine
from inferwatch.embedded.clickhouse_errors import ClickHouseError
from inferwatch.embedded.clickhouse_http import ClickHouseServer, HttpSettings

_GIB = 1 << 30
_STOP_SECONDS = 10.0
_STOP_POLL_SECONDS = 0.05
_PARENT_SECONDS = 0.5


class _CannotStartError(Exception):
    """Why the server cannot start, in a sentence for the one who started it."""


@dataclass(frozen=True)
class _Options:
    """The command line."""

    host: str
    port: int
    data: Path
    parent_pid: int | None
    max_memory_bytes: int
    max_body_bytes: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is told to stop; the exit code."""
    options = _options(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        with (
            _data_directory(options.data) as (engine_folder, spool),
            _server(options, spool) as server,
        ):
            server.engine = _engine(engine_folder, spool, options.max_memory_bytes)
            _activate(server, options)
            threading.Thread(
                target=server.serve_forever, args=(_STOP_POLL_SECONDS,), daemon=True
            ).start()
            address = f"{options.host}:{server.server_address[1]}"
            sys.stdout.write(f"ClickHouse {server.engine.version} (chDB) listens on {address}.\n")
            sys.stdout.flush()
            _wait(stop, options.parent_pid)
            if server.stop(_STOP_SECONDS):
                server.engine.close()
    except _CannotStartError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    # Threads of clients that stay connected, or of a query that does not end, must not hold it.
    os._exit(0)


def _options(arguments: Sequence[str] | None) -> _Options:
    parser = argparse.ArgumentParser(
        prog="python -m inferwatch.embedded.clickhouse_server",
        description="ClickHouse's HTTP interface over chDB, for one machine.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8123, help="0 picks a free one (%(default)s)")
    parser.add_argument("--data", type=Path, required=True, help="directory the data is kept in")
    parser.add_argument("--parent-pid", type=int, help="stop when this parent process has ended")
    parser.add_argument(
        "--max-memory-bytes",
        type=int,
        default=_default_memory_bytes(),
        help="of all queries and answers together (the less of 4 GiB and half the machine's)",
    )
    parser.add_argument(
        "--max-body-bytes", type=int, default=_GIB, help="of one request (%(default)s)"
    )
    return _Options(**vars(parser.parse_args(arguments)))


def _default_memory_bytes() -> int:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(4 * _GIB, machine // 2)


@contextmanager
def _data_directory(data: Path) -> Iterator[tuple[Path, Path]]:
    """Claim the directory for this process; its folders for the engine and for the spool."""
    data = data.absolute()
    if "?" in str(data):
        raise _CannotStartError(f"{data} cannot be used: choose a directory without ? in its name.")
    spool = data / "spool"
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "clickhouse.lock").open("w")
    except OSError as error:
        raise _CannotStartError(
            f"{data} cannot be written ({error.strerror}): choose another --data directory."
        ) from error
    with lock:
        try:
            # Held by the kernel for the life of the process, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _CannotStartError(
                f"{data} is in use by another embedded ClickHouse: stop it, or choose another "
                "--data directory."
            ) from error
        shutil.rmtree(spool, ignore_errors=True)
        spool.mkdir()
        yield data / "engine", spool


@contextmanager
def _server(options: _Options, spool: Path) -> Iterator[ClickHouseServer]:
    settings = HttpSettings(spool, max_body_bytes=options.max_body_bytes)
    try:
        server = ClickHouseServer(options.host, options.port, settings)
    except (OSError, OverflowError) as error:
        raise _cannot_listen(options, error) from error
    with server:
        yield server


def _activate(server: ClickHouseServer, options: _Options) -> None:
    try:
        server.server_activate()
    except OSError as error:
        raise _cannot_listen(options, error) from error


def _cannot_listen(options: _Options, error: Exception) -> _CannotStartError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return _CannotStartError(
        f"Cannot listen on {options.host}:{options.port} ({reason}): choose another --port or "
        "--host."
    )


def _engine(folder: Path, spool: Path, max_memory_bytes: int) -> Engine:
    try:
        return Engine(folder, spool, max_memory_bytes)
    except ImportError as error:
        raise _CannotStartError(
            f"chDB is not there ({error}): pip install 'inferwatch[embedded]'."
        ) from error
    except ClickHouseError as error:
        raise _CannotStartError(f"ClickHouse cannot open {folder}: {error.message}") from error


def _wait(stop: threading.Event, parent: int | None) -> None:
    """Wait for a signal or, where one was named, for the end of the parent.

    An orphan gets another parent at once, whatever its parent died of; a pipe would stay open in
    every other child that inherited it.
    """
    while not stop.wait(None if parent is None else _PARENT_SECONDS):
        if os.getppid() != parent:
            return


if __name__ == "__main__":
    sys.exit(main())
