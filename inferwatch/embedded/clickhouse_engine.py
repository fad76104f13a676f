"""chDB, the ClickHouse engine in this process: one connection a request, one a kept session."""

import importlib
import re
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from inferwatch.embedded.clickhouse_body import Body
from inferwatch.embedded.clickhouse_errors import (
    READONLY,
    SESSION_IS_LOCKED,
    SYNTAX_ERROR,
    ClickHouseError,
    from_engine,
)
from inferwatch.embedded.clickhouse_request import Request
from inferwatch.embedded.clickhouse_sql import Insert, Query, parse_statement

# Asynchronous inserts are the engine's default since 26: an answer must mean that the rows are
# stored. The mark cache's default of 5 GiB is a server's.
_OPTIONS = "async_insert=0&mark_cache_size=268435456"


class _Result(Protocol):
    """chDB's result: a buffer it owns and counters."""

    def get_memview(self) -> Any: ...
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...
    def rows_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...


class _Connection(Protocol):
    """chDB's own connection; the package's wrapper around it would import pyarrow."""

    def query(self, sql: bytes, format: str, *, params: Mapping[str, str]) -> _Result: ...  # noqa: A002 - chDB's name
    def send_insert(self, sql: bytes, format: str) -> Any: ...  # noqa: A002 - chDB's name
    def insert_append(self, insert: Any, data: bytes) -> None: ...
    def insert_cancel(self, insert: Any) -> None: ...
    def insert_done(self, insert: Any) -> _Result: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Answer:
    """What a statement returned.

    Attributes:
        result: the engine's buffer and counters; it lives as long as the answer is held.
        format: of the body, None for a statement that answers nothing.
    """

    result: _Result
    format: str | None

    @property
    def body(self) -> memoryview:
        """The answer in its format, valid as long as this object is."""
        return _view(self.result)

    @property
    def summary(self) -> dict[str, str]:
        """The counters of X-ClickHouse-Summary."""
        return {
            "read_rows": str(self.result.storage_rows_read()),
            "read_bytes": str(self.result.storage_bytes_read()),
            "written_rows": str(self.result.rows_written()),
            "written_bytes": str(self.result.bytes_written()),
            "result_rows": str(self.result.rows_read()),
        }


@dataclass
class _Session:
    """A connection, and what the last request's settings replaced in it.

    A client sends the same settings with every request, so they stay until a request comes with
    others: what they replaced is read and put back only then.
    """

    connection: _Connection
    lock: threading.Lock = field(default_factory=threading.Lock)
    expires: float = 0.0  # on the monotonic clock
    applied: Mapping[str, str] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)

    def prepare(self, request: Request, *, is_set: bool) -> None:
        """Make the request's database and settings the connection's own."""
        if request.database:
            name = request.database.replace("\\", "\\\\").replace("`", "\\`")
            self.connection.query(f"USE `{name}`".encode(), "Null", params={})
        # What SET changes are the session's settings, not those lent to one request.
        wanted = {} if is_set else request.settings
        if wanted == self.applied:
            return
        if self.replaced:
            _set(self.connection, self.replaced)
        self.applied = self.replaced = {}
        if not wanted:
            return
        replaced = {} if request.session_id is None else _current(self.connection, wanted)
        try:
            _set(self.connection, wanted)
        except RuntimeError:
            if replaced:
                _set(self.connection, replaced)
            raise
        self.applied, self.replaced = wanted, replaced


class Engine:
    """The engine over one directory; a process has one.

    Args:
        directory: where the data lies; its name must be free of `?`.
        spool: a folder for rows that the engine reads from a file.
        max_memory_bytes: of all queries and their answers together.

    Raises:
        ImportError: chdb is not installed.
        ClickHouseError: the engine cannot use the directory.
    """

    def __init__(self, directory: Path, spool: Path, max_memory_bytes: int) -> None:
        self._connect = importlib.import_module("chdb._chdb").connect
        self._url = f"{directory}?max_server_memory_usage={max_memory_bytes}&{_OPTIONS}"
        self._spool = spool
        self._sessions: dict[str, _Session] = {}
        self._sessions_lock = threading.Lock()
        # The engine stops with its last connection.
        self._anchor = self._open()
        formats = self._anchor.query(
            b"SELECT name, content_type FROM system.formats", "TSV", params={}
        )
        self.content_types = dict(line.split("\t") for line in _lines(formats))
        facts = self._anchor.query(b"SELECT version(), timezone(), hostName()", "TSV", params={})
        self.version, self.timezone, self.host = _lines(facts)[0].split("\t")

    def close(self) -> None:
        """Stop the engine; no request may be running."""
        for session in self._sessions.values():
            session.connection.close()
        self._anchor.close()

    def run(self, request: Request, body: Body) -> Answer:
        """Run the statement that the request's URL and body make up.

        Raises:
            ClickHouseError: whatever ClickHouse has against it.
        """
        url = request.query + b"\n" if request.query and body.size else request.query
        statement = parse_statement(url + body.head, self.content_types)
        if request.read_only and (isinstance(statement, Insert) or not statement.reads_only):
            raise ClickHouseError(
                READONLY, "Cannot execute query in readonly mode: GET only reads, use POST."
            )
        if not isinstance(statement, Insert) and body.size > len(body.head):
            raise ClickHouseError(SYNTAX_ERROR, "Max query size exceeded.")
        try:
            with self._connected(request) as session:
                connection = session.connection
                session.prepare(request, is_set=isinstance(statement, Query) and statement.is_set)
                if isinstance(statement, Insert):
                    result = self._insert(connection, request, statement, url, body)
                    return Answer(result, None)
                name = statement.format or request.default_format
                result = connection.query(statement.sql, name, params=request.parameters)
                return Answer(result, name if statement.answers or len(_view(result)) else None)
        except RuntimeError as error:
            raise from_engine(error) from error

    def _insert(
        self, connection: _Connection, request: Request, insert: Insert, url: bytes, body: Body
    ) -> _Result:
        first = url[insert.data_start :]
        rest = body.pieces(max(0, insert.data_start - len(url)))
        if insert.inputs:
            with tempfile.NamedTemporaryFile(dir=self._spool) as file:
                file.write(first)
                file.writelines(rest)
                file.flush()
                return connection.query(
                    insert.reading(file.name), "Null", params=request.parameters
                )
        if request.parameters:
            pairs = ((f"param_{name}", value) for name, value in request.parameters.items())
            _set(connection, dict(pairs))
        stream = connection.send_insert(insert.sql, insert.format)
        try:
            for piece in chain((first,), rest) if first else rest:
                connection.insert_append(stream, piece)
        except BaseException:
            connection.insert_cancel(stream)
            raise
        return connection.insert_done(stream)

    @contextmanager
    def _connected(self, request: Request) -> Iterator[_Session]:
        if request.session_id is None:
            session = _Session(self._open())
            try:
                yield session
            finally:
                session.connection.close()
            return
        session = self._session(request.session_id)
        try:
            yield session
        finally:
            session.expires = time.monotonic() + request.session_seconds
            session.lock.release()

    def _session(self, name: str) -> _Session:
        """The session of that name, locked; sessions whose time is over are dropped."""
        now = time.monotonic()
        with self._sessions_lock:
            for other, session in list(self._sessions.items()):
                if session.expires < now and session.lock.acquire(blocking=False):
                    del self._sessions[other]
                    session.connection.close()
            if name not in self._sessions:
                self._sessions[name] = _Session(self._open())
            session = self._sessions[name]
            if not session.lock.acquire(blocking=False):
                raise ClickHouseError(
                    SESSION_IS_LOCKED, f"Session {name} is locked by a concurrent client."
                )
            return session

    def _open(self) -> _Connection:
        try:
            connection: _Connection = self._connect(self._url)
        except RuntimeError as error:
            raise from_engine(error) from error
        return connection


def _current(connection: _Connection, names: Iterable[str]) -> dict[str, str]:
    listed = ", ".join(f"'{name}'" for name in names)
    sql = f"SELECT name, value FROM system.settings WHERE name IN ({listed})"  # noqa: S608 - identifiers
    pairs = (line.split("\t") for line in _lines(connection.query(sql.encode(), "TSV", params={})))
    return {name: _unescaped(value) for name, value in pairs}


def _set(connection: _Connection, values: Mapping[str, str]) -> None:
    pairs = ", ".join(f"{name} = {_quoted(value)}" for name, value in values.items())
    connection.query(f"SET {pairs}".encode(errors="surrogateescape"), "Null", params={})


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _unescaped(text: str) -> str:
    """A value as it stood before TSV escaped it."""
    plain = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}
    return re.sub(r"\\(.)", lambda found: plain.get(found[1], found[1]), text)


def _view(result: _Result) -> memoryview:
    view: memoryview = result.get_memview().view()
    return view


def _lines(result: _Result) -> list[str]:
    return bytes(_view(result)).decode().splitlines()
