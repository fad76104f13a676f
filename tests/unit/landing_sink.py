"""A sink that lands: with a ClickHouse, broker, registry and clock that do as told."""

import asyncio
import io
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, cast

import fastavro
import pytest
from awaited import until
from block_builders import NEWER, OLDER, PARTITION, TOPIC_ID, Registry, chunk_of, encode
from fake_emitter import FakeEmitter

from inferwatch_clickhouse.errors import ClickHouseRefusedError, ClickHouseUnavailableError
from inferwatch_clickhouse.sink import landing as module
from inferwatch_clickhouse.sink.landing import Landing
from inferwatch_clickhouse.sink.settings import SinkSettings
from inferwatch_schemas.columnar.chunk import Assignment, Chunk
from inferwatch_schemas.columnar.cursors import Cursors
from inferwatch_schemas.errors import KafkaUnavailableError
from inferwatch_schemas.topics import AGGREGATES, REQUESTS

AT = (REQUESTS.name, PARTITION)
AGGREGATES_AT = (AGGREGATES.name, PARTITION)
IDS = {REQUESTS.name: TOPIC_ID, AGGREGATES.name: "log_a"}
LIMIT_SECONDS = 20
Case = Callable[["Sink"], Awaitable[None]]
BAD = b"\7"


class FakeClickHouse:
    """In place of ``ClickHouse``: refuses, hangs, or fails after storing.

    Attributes:
        stored: Places of the records in each table, as often as they were stored.
        failures: How many of the next inserts fail; all of them, where negative.
        stores: Whether a failing insert stores its rows all the same.
        calls: Inserts begun.
    """

    def __init__(self) -> None:
        self.stored: dict[str, list[tuple[str, int, int]]] = {}
        self.failures = 0
        self.stores = False
        self.calls = 0
        self.open = threading.Event()
        self.open.set()

    def insert_avro(self, table: str, columns: Sequence[str], body: Sequence[bytes]) -> None:
        """See ``ClickHouse.insert_avro``."""
        self.calls += 1
        records = [
            cast("dict[str, Any]", record) for record in fastavro.reader(io.BytesIO(b"".join(body)))
        ]
        assert set(columns) <= set(records[0])
        if not self.open.wait(LIMIT_SECONDS):
            raise ClickHouseUnavailableError("it hung")
        failing, self.failures = self.failures != 0, self.failures - (self.failures > 0)
        if not failing or self.stores:
            self.stored.setdefault(table, []).extend(
                (record["kafka_topic_id"], record["kafka_partition"], record["kafka_offset"])
                for record in records
            )
        if failing:
            kind = ClickHouseUnavailableError if self.calls % 2 else ClickHouseRefusedError
            raise kind("not now")


class Sink:
    """A landing with a ClickHouse, an emitter, a registry and a clock that do as they are told."""

    def __init__(self, flush_bytes: int = 10**9) -> None:
        self.clickhouse = FakeClickHouse()
        self.emitter = FakeEmitter()
        self.registry = Registry()
        self.now = 0.0
        self.landing = Landing(
            SinkSettings(flush_bytes=flush_bytes),
            self.registry,
            cast("Any", self.clickhouse),
            cast("Any", self.emitter),
            lambda: 1_700_000_000.0,
        )
        self.landing.cursors = Cursors(lambda: self.now)
        self.ids: dict[str, str] | KafkaUnavailableError = dict(IDS)
        self.landing.topic_ids = self.look_up  # type: ignore[method-assign]  # no Kafka here
        self.begin(0)

    def look_up(self, names: frozenset[str]) -> dict[str, str]:
        """What Kafka says of topics."""
        assert names == IDS.keys()
        if isinstance(self.ids, KafkaUnavailableError):
            raise self.ids
        return self.ids

    def begin(self, start: int) -> None:
        """Assign a partition of requests from an offset on, and one of aggregates from 0."""
        self.landing.assign(
            {
                AT: Assignment(TOPIC_ID, start, start),
                AGGREGATES_AT: Assignment("log_a", 0, 0),
            }
        )
        self.now += 60

    @property
    def floor(self) -> int:
        """What may be committed of the requests."""
        return self.landing.floors()[AT]

    @property
    def offsets(self) -> list[int]:
        """Offsets of the requests that ClickHouse has, as often as it has them."""
        stored = self.clickhouse.stored.get("requests_stored", [])
        assert {place[:2] for place in stored} <= {(TOPIC_ID, PARTITION)}
        return [offset for _, _, offset in stored]


def requests(start: int, end: int, bad: Sequence[int] = ()) -> Chunk:
    """A chunk of requests of three writers' schemas, one an offset; the bad ones are no events."""
    values = [encode("request", {"service_name": "chat"}, kind) for kind in (None, NEWER, OLDER)]
    records = [(at, BAD if at in bad else values[at % 3]) for at in range(start, end)]
    return chunk_of(REQUESTS.name, records, start, end)


def run(case: Case, flush_bytes: int = 10**9) -> None:
    """Run a case on a sink that waits shortly, within a limit; nothing hangs on after it."""

    async def limited() -> None:
        sink = Sink(flush_bytes)
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                await case(sink)
        finally:
            sink.clickhouse.open.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FIRST_BACKOFF_SECONDS", 0.001)
        patch.setattr(module, "MAX_BACKOFF_SECONDS", 0.002)
        patch.setattr(module, "DRAIN_SECONDS", 0.05)
        asyncio.run(limited())


async def started(work: Coroutine[Any, Any, Any], sink: Sink) -> "asyncio.Task[Any]":
    """Start a flush, and return when it waits for ClickHouse."""
    before = sink.clickhouse.calls
    task = asyncio.create_task(work)
    await until(lambda: sink.clickhouse.calls > before)
    return task
