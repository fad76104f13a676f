"""The one way to ClickHouse: clickhouse-connect over HTTP.

A ``ClickHouse`` connects at its first use and may be shared by threads. It retries nothing beyond
a connection that the server had closed while idle: whoever loads data knows best how long to wait.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import urlsplit

import clickhouse_connect

from inferwatch_clickhouse.driver_errors import translated
from inferwatch_clickhouse.errors import ClickHouseRefusedError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from inferwatch_clickhouse.settings import ClickHouseSettings

# The answer is sent when it is complete: an error cannot hide behind a status of 200.
_WHOLE_ANSWER: Final = {"wait_end_of_query": 1}

# One body becomes one block, so one part a month of event time. Avro carries times as integers,
# so no setting for the parsing of dates has a say.
_INSERT: Final = {
    "max_insert_block_size": 1 << 24,
    "min_insert_block_size_rows": 1 << 24,
    "min_insert_block_size_bytes": 1 << 30,
    # FINAL removes what an insert holds twice; sorting it out at once, too, costs as much again.
    "optimize_on_insert": 0,
    # A producer whose clock jumps about must not make a body that can never be stored.
    "max_partitions_per_insert_block": 0,
    # A newer writer may know fields that the table lacks, an older one lacks fields of the table.
    "input_format_avro_allow_missing_fields": 1,
    "input_format_null_as_default": 1,
    "async_insert": 0,
    **_WHOLE_ANSWER,
}

_LOW_CARDINALITY = re.compile(r"LowCardinality\((Nullable\(String\)|String)\)")
_CHUNK_BYTES = 1 << 16

# The driver logs every failure with its traceback, and raises it as well.
logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)


class _Stream(Protocol):
    def read(self, size: int) -> bytes: ...

    def close(self) -> None: ...


class ClickHouse:
    """A connection to ClickHouse, made at its first use.

    Args:
        settings: Where and as whom.
        use_database: Whether statements run in the settings' database; without, it need not exist.
    """

    def __init__(self, settings: ClickHouseSettings, *, use_database: bool = True) -> None:
        self.settings = settings
        self._database = settings.database if use_database else "default"
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._structures: dict[tuple[str, tuple[str, ...]], str] = {}

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a query.

        Args:
            sql: May hold ``{name:Type}`` for each parameter.
            parameters: Values, sent apart from the SQL.

        Raises:
            ClickHouseUnavailableError: No answer, or not now.
            ClickHouseRefusedError: ClickHouse refuses the query.
        """
        with translated(self.settings):
            rows = self._connected().query(sql, parameters=dict(parameters or {})).result_rows
            return [tuple(row) for row in rows]

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns nothing.

        Args:
            sql: As in ``query``.
            parameters: As in ``query``.

        Raises:
            ClickHouseUnavailableError: No answer, or not now.
            ClickHouseRefusedError: ClickHouse refuses the statement.
        """
        with translated(self.settings):
            self._connected().command(sql, parameters=dict(parameters or {}))

    def stream(self, sql: str, format_name: str) -> Iterator[bytes]:
        """The answer to a statement, piece by piece.

        Args:
            sql: One statement; a FORMAT of its own comes before ``format_name``.
            format_name: One of ClickHouse's formats.

        Raises:
            ClickHouseUnavailableError: No answer, or not now.
            ClickHouseRefusedError: ClickHouse refuses the query.
        """
        with translated(self.settings):
            answer = cast(
                "_Stream",
                self._connected().raw_stream(
                    sql,
                    settings=_WHOLE_ANSWER,
                    # The default format: a FORMAT clause would break statements that have none.
                    transport_settings={"X-ClickHouse-Format": format_name},
                ),
            )
            try:
                while piece := answer.read(_CHUNK_BYTES):
                    yield piece
            finally:
                answer.close()

    def insert_avro(
        self, table: str, columns: Sequence[str], body: Iterable[bytes | memoryview]
    ) -> None:
        """Store an Avro object container, whose fields are named as the table's columns.

        Sent again after an error, the same records still count once: that is the tables' doing.

        Args:
            table: Name of the table; see ``tables.Table.storage``.
            columns: Columns to fill from the body's fields of the same names; see
                ``tables.Table.columns_from``. Other fields are skipped, and a column without a
                field takes its default.
            body: The container in pieces: header and blocks.

        Raises:
            ClickHouseUnavailableError: Not stored, or not known to be: send it again.
            ClickHouseRefusedError: ClickHouse cannot take this body.
        """
        names = ", ".join(columns)
        structure = self._structure(table, columns)
        # ClickHouse reads Avro into LowCardinality one value at a time. Read as plain strings and
        # converted by the column, an insert costs half as much.
        sql = (
            f"INSERT INTO {table} ({names}) "  # noqa: S608  # names of our own tables
            f"SELECT {names} FROM input({structure}) FORMAT Avro"
        )
        with translated(self.settings):
            # Given as data of a command, the driver would decode the body and look for SQL in it,
            # which takes longer than all else that is done with the records. Without a table it
            # sends the statement as it is.
            # What comes in pieces, no one joins. Of unknown length, each would be copied twice to
            # be framed. What is sent again, as after a redirect, has to be whole again: the server
            # would wait for the length that it was told.
            pieces = (sql.encode() + b"\n", *body)
            length = sum(memoryview(piece).nbytes for piece in pieces)
            self._connected().raw_insert(
                "",
                # The driver asks for less than it says: for bytes, as often as it sends them.
                insert_block=cast("Generator[bytes, None, None]", pieces),
                settings=_INSERT,
                transport_settings={"Content-Length": str(length)},
            )

    def _structure(self, table: str, columns: Sequence[str]) -> str:
        """Names and types of columns, as ``input()`` takes them, without LowCardinality."""
        key = (table, tuple(columns))
        if key not in self._structures:
            types: dict[str, str] = dict(
                self.query(
                    "SELECT name, type FROM system.columns "
                    "WHERE database = currentDatabase() AND table = {table:String}",
                    {"table": table},
                )
            )
            unknown = [column for column in columns if column not in types]
            if unknown:
                raise ClickHouseRefusedError(
                    f"Table {table} of database {self._database} lacks {', '.join(unknown)}; "
                    "run: inferwatch migrate"
                )
            plain = {name: _LOW_CARDINALITY.sub(r"\1", types[name]) for name in columns}
            structure = ", ".join(f"{name} {kind}" for name, kind in plain.items())
            self._structures[key] = "'" + structure.replace("'", "\\'") + "'"
        return self._structures[key]

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> Client:
        with self._lock:
            if self._client is None:
                parts = urlsplit(self.settings.url)
                self._client = clickhouse_connect.get_client(
                    interface=parts.scheme,
                    host=parts.hostname,
                    port=parts.port or (443 if parts.scheme == "https" else 80),
                    proxy_path=parts.path,
                    username=self.settings.user,
                    password=self.settings.password,
                    database=self._database,
                    connect_timeout=max(1, round(self.settings.connect_seconds)),
                    send_receive_timeout=max(1, round(self.settings.answer_seconds)),
                    query_retries=0,
                    # A session would allow one query at a time.
                    autogenerate_session_id=False,
                    dedicated_pool=True,
                    tz_mode="aware",
                )
            return self._client
