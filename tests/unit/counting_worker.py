"""A worker that counts: its aggregation, with a broker, registry and clock that do as told."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, cast

import pytest
from awaited import until
from block_builders import PARTITION, TOPIC_ID, Registry, Table, chunk_of, encode, identity, merged
from fake_emitter import FakeEmitter
from shown_rows import fields_of

from inferwatch_schemas.columnar.chunk import Assignment, Chunk
from inferwatch_schemas.columnar.cursors import Cursors
from inferwatch_schemas.errors import KafkaUnavailableError
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES, DEAD_LETTERS, REQUESTS
from inferwatch_schemas.wire import decode
from inferwatch_streams import aggregation as module
from inferwatch_streams.aggregation import Aggregation
from inferwatch_streams.settings import AggregationSettings

AT = (REQUESTS.name, PARTITION)
LENGTH = 10
LIMIT_SECONDS = 20
Case = Callable[["Worker"], Awaitable[None]]


class Worker:
    """An aggregation with an emitter, a registry and a clock that do as they are told."""

    def __init__(self) -> None:
        self.emitter = FakeEmitter()
        self.registry = Registry()
        self.now = 0.0
        self.aggregation = Aggregation(
            AggregationSettings(block_length=LENGTH),
            self.registry,
            cast("Any", self.emitter),
            cast("Any", self.emitter.rows),
            lambda: 1_700_000_000.0,
        )
        self.aggregation.cursors = Cursors(lambda: self.now)
        self.ids: dict[str, str] | KafkaUnavailableError = {REQUESTS.name: TOPIC_ID}
        self.aggregation.topic_ids = self.look_up  # type: ignore[method-assign]  # no Kafka here
        self.begin(0)

    def look_up(self, names: frozenset[str]) -> dict[str, str]:
        """What Kafka says of topics."""
        assert names == {REQUESTS.name}
        if isinstance(self.ids, KafkaUnavailableError):
            raise self.ids
        return self.ids

    def begin(self, start: int, lost_from: int | None = None) -> None:
        """Assign the partition from an offset on."""
        lost = start if lost_from is None else lost_from
        self.aggregation.assign({AT: Assignment(TOPIC_ID, start, lost)})
        self.now += 60

    @property
    def floor(self) -> int:
        """What may be committed."""
        return self.aggregation.floors()[AT]

    @property
    def durable(self) -> int:
        """Up to where the broker has everything."""
        return self.aggregation.durable()[AT]

    @property
    def rows(self) -> Table:
        """What a reader of the aggregates makes of what the broker has."""
        table: Table = {}
        for value in self.emitter.values(AGGREGATES.name):
            fields = fields_of(value)
            table = merged(table, {identity(fields): fields})
        return table

    @property
    def counts(self) -> dict[int, int]:
        """Requests of each block that the broker has."""
        return {row["block"]: row["requests"] for row in self.rows.values()}

    @property
    def letters(self) -> list[int]:
        """Offsets of the dead letters that the broker has."""
        registry = PinnedRegistry()
        return [
            decode(value, registry)["offset"] for value in self.emitter.values(DEAD_LETTERS.name)
        ]


def requests(start: int, end: int, bad: Sequence[int] = ()) -> Chunk:
    """A chunk of requests of one service, one an offset; the bad ones are no events."""
    value = encode("request", {"service_name": "chat", "duration_seconds": 1.0})
    values = [(at, b"\7" if at in bad else value) for at in range(start, end)]
    return chunk_of(REQUESTS.name, values, start, end)


def run(case: Case) -> None:
    """Run a case on a worker that waits shortly, within a limit."""

    async def limited() -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            await case(Worker())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FIRST_BACKOFF_SECONDS", 0.001)
        patch.setattr(module, "DRAIN_SECONDS", 0.05)
        asyncio.run(limited())


async def started(work: Coroutine[Any, Any, Any], emitter: FakeEmitter) -> "asyncio.Task[Any]":
    """Start a flush, and return when it waits for the broker."""
    before = emitter.settlements
    task = asyncio.create_task(work)
    await until(lambda: emitter.settlements > before)
    return task
