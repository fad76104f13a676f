"""The landing: whatever ClickHouse does, floors pass nothing that it has not acknowledged."""

import asyncio
import io
import random
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, cast

import fastavro
import pytest
from block_builders import NEWER, OLDER, PARTITION, TOPIC_ID, Registry, chunk_of, encode
from fake_emitter import FakeEmitter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inferwatch_clickhouse.errors import ClickHouseRefusedError, ClickHouseUnavailableError
from inferwatch_clickhouse.sink import landing as module
from inferwatch_clickhouse.sink.landing import Landing
from inferwatch_clickhouse.sink.settings import SinkSettings
from inferwatch_schemas.columnar.chunk import Assignment, Chunk
from inferwatch_schemas.columnar.cursors import Cursors
from inferwatch_schemas.errors import KafkaUnavailableError
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES, EXPERIMENTS, LANDED, REQUESTS
from inferwatch_schemas.wire import decode

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
    """Run a case on a sink, within a limit; nothing hangs on after it."""

    async def limited() -> None:
        sink = Sink(flush_bytes)
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                await case(sink)
        finally:
            sink.clickhouse.open.set()

    asyncio.run(limited())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the case's limit is the deadline."""
    while not condition():  # noqa: ASYNC110  # any condition
        await asyncio.sleep(0.001)


async def started(work: Coroutine[Any, Any, Any], sink: Sink) -> "asyncio.Task[Any]":
    """Start a flush, and return when it waits for ClickHouse."""
    before = sink.clickhouse.calls
    task = asyncio.create_task(work)
    await until(lambda: sink.clickhouse.calls > before)
    return task


async def cancelled(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture(autouse=True)
def _short_waits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FIRST_BACKOFF_SECONDS", 0.001)
        patch.setattr(module, "MAX_BACKOFF_SECONDS", 0.002)
        patch.setattr(module, "DRAIN_SECONDS", 0.05)
        yield


def test_it_reads_every_topic_that_is_landed() -> None:
    """Source topics, aggregates and dead letters."""

    async def case(sink: Sink) -> None:
        assert set(sink.landing.topics) == {topic.name for topic in LANDED}

    run(case)


def test_records_of_a_topic_that_is_another_now_are_not_stored() -> None:
    """They may be of the new log; all is begun anew, and stored under its id."""

    async def case(sink: Sink) -> None:
        await sink.landing.process(requests(0, 9))
        sink.ids = IDS | {REQUESTS.name: "another"}
        await sink.landing.flush()
        await sink.landing.flush()
        assert (sink.offsets, sink.floor, sink.landing.read_again) == ([], 0, True)
        sink.landing.assign(
            {AT: Assignment("another", 0, 0), AGGREGATES_AT: Assignment("log_a", 0, 0)}
        )
        await sink.landing.process(requests(0, 3))
        await sink.landing.flush()
        stored = sink.clickhouse.stored["requests_stored"]
        assert sorted(stored) == [("another", PARTITION, at) for at in range(3)]

    run(case)


def test_records_wait_until_it_is_known_whose_they_are() -> None:
    """While Kafka does not say which topics these are, nothing is stored and nothing is lost."""

    async def case(sink: Sink) -> None:
        sink.ids = KafkaUnavailableError("away")
        await sink.landing.process(requests(0, 9))
        await sink.landing.flush()
        assert (sink.offsets, sink.floor, sink.landing.read_again) == ([], 0, False)
        # One that is gone has no other log that they could be of.
        sink.ids = {}
        await sink.landing.process(requests(9, 12))
        await sink.landing.flush()
        await sink.landing.flush()
        assert (sorted(sink.offsets), sink.floor) == (list(range(12)), 12)

    run(case)


def test_a_flush_stores_what_came_and_raises_the_floor() -> None:
    """Records of every writer are stored once; then the floor is the position."""

    async def case(sink: Sink) -> None:
        await sink.landing.process(requests(0, 10))
        assert (sink.floor, sink.offsets) == (0, [])
        await sink.landing.flush()
        assert (sink.floor, sorted(sink.offsets)) == (10, list(range(10)))
        await sink.landing.flush()
        assert sink.clickhouse.calls == 3

    run(case)


def test_an_empty_chunk_raises_the_floor() -> None:
    """Offsets that hold no events need not be read again."""

    async def case(sink: Sink) -> None:
        await sink.landing.process(chunk_of(REQUESTS.name, [], 0, 7))
        await sink.landing.process(chunk_of(REQUESTS.name, [], 7, 7))
        await sink.landing.flush()
        assert (sink.floor, sink.clickhouse.calls) == (7, 0)

    run(case)


def test_a_removal_from_a_compacted_topic_is_no_dead_letter() -> None:
    """A record without a value is passed over there; other bytes that are no event are buried."""

    async def case(sink: Sink) -> None:
        at = (EXPERIMENTS.name, PARTITION)
        sink.landing.assign({at: Assignment("log_e", 0, 0)})
        sink.now += 60
        await sink.landing.process(chunk_of(EXPERIMENTS.name, [(0, None), (1, BAD)], 0, 2))
        await sink.landing.flush()
        assert sink.landing.floors()[at] == 2
        assert len(sink.emitter.delivered) == 1

    run(case)


@pytest.mark.parametrize("stores", [False, True])
def test_an_insert_that_fails_is_tried_again(stores: bool) -> None:  # noqa: FBT001  # a parameter
    """Refused or unavailable, with its rows stored or not: it is sent until it is acknowledged."""

    async def case(sink: Sink) -> None:
        await sink.landing.process(requests(0, 10))
        sink.clickhouse.failures, sink.clickhouse.stores = 4, stores
        await sink.landing.flush()
        assert (sink.floor, set(sink.offsets)) == (10, set(range(10)))
        assert (len(sink.offsets) > 10) == stores

    run(case)


def test_floors_wait_for_the_acknowledgement() -> None:
    """While an insert is under way, or fails, the floor stays."""

    async def case(sink: Sink) -> None:
        await sink.landing.process(requests(0, 10))
        sink.clickhouse.open.clear()
        task = await started(sink.landing.flush(), sink)
        assert sink.floor == 0
        sink.clickhouse.failures = -1
        sink.clickhouse.open.set()
        await until(lambda: sink.clickhouse.calls > 5)
        assert (sink.floor, sink.offsets) == (0, [])
        sink.clickhouse.failures = 0
        await task
        assert sink.floor == 10

    run(case)


def test_what_comes_during_a_flush_is_left_to_the_next() -> None:
    """The floor is the position of when the flush began."""

    async def case(sink: Sink) -> None:
        await sink.landing.process(requests(0, 10))
        sink.clickhouse.open.clear()
        task = await started(sink.landing.flush(), sink)
        await sink.landing.process(requests(10, 25))
        sink.clickhouse.open.set()
        await task
        assert (sink.floor, sorted(sink.offsets)) == (10, list(range(10)))
        await sink.landing.flush()
        assert (sink.floor, sorted(sink.offsets)) == (25, list(range(25)))

    run(case)


def test_a_cancelled_flush_loses_nothing() -> None:
    """What it had taken is inserted by the next one, before anything later is committed."""

    async def case(sink: Sink) -> None:
        await sink.landing.process(requests(0, 10))
        sink.clickhouse.open.clear()
        await cancelled(await started(sink.landing.flush(), sink))
        sink.clickhouse.failures = 1
        sink.clickhouse.open.set()
        await sink.landing.process(requests(10, 20))
        await sink.landing.flush()
        await sink.landing.flush()
        assert (sink.floor, set(sink.offsets)) == (20, set(range(20)))

    run(case)


def test_a_drain_gives_up_in_time_and_loses_nothing() -> None:
    """With a ClickHouse that hangs it returns, and a later flush has it all."""

    async def case(sink: Sink) -> None:
        await sink.landing.process(requests(0, 10))
        sink.clickhouse.open.clear()
        await sink.landing.drain()
        assert sink.floor == 0
        await sink.landing.process(requests(10, 20))
        sink.clickhouse.open.set()
        await sink.landing.flush()
        assert set(range(sink.floor)) <= set(sink.offsets)
        await sink.landing.drain()
        assert (sink.floor, set(sink.offsets)) == (20, set(range(20)))

    run(case)


def test_memory_is_bounded_while_clickhouse_is_away() -> None:
    """No more is read than two batches hold, however long it takes; then it goes on."""

    async def case(sink: Sink) -> None:
        sink.clickhouse.failures = -1
        taken = 0

        async def read() -> None:
            nonlocal taken
            for start in range(0, 1000, 10):
                await sink.landing.process(requests(start, start + 10))
                taken = start + 10

        async def flush_now_and_then() -> None:
            while taken < 1000:
                await sink.landing.flush()
                await asyncio.sleep(0.001)

        reading, flushing = asyncio.create_task(read()), asyncio.create_task(flush_now_and_then())
        await until(lambda: sink.clickhouse.calls > 20)
        held = taken
        await until(lambda: sink.clickhouse.calls > 40)
        assert taken == held < 200
        assert sink.floor == 0
        sink.clickhouse.failures = 0
        await reading
        await flushing
        await sink.landing.flush()
        assert (sink.floor, sorted(sink.offsets)) == (1000, list(range(1000)))

    run(case, flush_bytes=5_000)


def test_what_is_full_is_inserted_at_once() -> None:
    """Enough bytes do not wait for the timer, even behind a batch that was left unfinished."""

    async def case(sink: Sink) -> None:
        await sink.landing.process(requests(0, 3))
        sink.clickhouse.open.clear()
        await cancelled(await started(sink.landing.flush(), sink))
        sink.clickhouse.open.set()
        await sink.landing.process(requests(3, 103))
        assert (sink.floor, set(sink.offsets)) == (103, set(range(103)))

    run(case, flush_bytes=1_000)


@pytest.mark.parametrize("start", [0, 5, 90])
def test_a_flush_across_a_rebalance_moves_no_floor(start: int) -> None:
    """What an older assignment inserts says nothing about where the new one stands."""

    async def case(sink: Sink) -> None:
        await sink.landing.process(requests(0, 10))
        sink.clickhouse.open.clear()
        task = await started(sink.landing.flush(), sink)
        sink.begin(start)
        await sink.landing.process(requests(start, start + 6))
        sink.clickhouse.open.set()
        await task
        assert sink.floor == start
        await sink.landing.flush()
        assert sink.floor == start + 6
        assert set(range(start, start + 6)) <= set(sink.offsets)

    run(case)


def test_a_rebalance_while_dead_letters_settle_moves_no_floor() -> None:
    """Neither does it drop what came in since, nor commit where an older assignment stood."""

    async def case(sink: Sink) -> None:
        await sink.landing.process(requests(0, 10))
        sink.emitter.hangs = True
        task = asyncio.create_task(sink.landing.flush())
        await until(lambda: sink.emitter.settlements > 0)
        sink.begin(4)
        await sink.landing.process(requests(4, 6))
        sink.emitter.hangs = False
        await task
        assert sink.floor == 4
        await sink.landing.flush()
        assert sink.floor == 6

    run(case)


def test_inserts_of_an_older_assignment_are_given_up() -> None:
    """A flush that fails for ever ends when its partitions are given away."""

    async def case(sink: Sink) -> None:
        sink.clickhouse.failures = -1
        await sink.landing.process(requests(0, 10))
        task = await started(sink.landing.flush(), sink)
        sink.landing.assign({})
        await task
        assert sink.landing.floors() == {}

    run(case)


def test_a_registry_that_is_away_is_waited_for() -> None:
    """The chunk is taken in when it is back, once; a chunk of an older assignment is dropped."""

    async def case(sink: Sink) -> None:
        sink.registry.away = True
        dropped = asyncio.create_task(sink.landing.process(requests(0, 10)))
        await until(lambda: sink.registry.asked > 2)
        sink.begin(0)
        await dropped
        waiting = asyncio.create_task(sink.landing.process(requests(0, 5)))
        asked = sink.registry.asked
        await until(lambda: sink.registry.asked > asked + 2)
        assert not waiting.done()
        sink.registry.away = False
        await waiting
        await sink.landing.flush()
        assert (sink.floor, sorted(sink.offsets)) == (5, list(range(5)))

    run(case)


def test_a_lost_chunk_is_read_again_and_nothing_is_committed_till_then() -> None:
    """A hole is not inserted over."""

    async def case(sink: Sink) -> None:
        await sink.landing.process(requests(0, 5))
        await sink.landing.process(requests(8, 20))
        assert sink.landing.cursors.read_again
        await sink.landing.flush()
        assert sink.floor == 0
        sink.begin(0)
        await sink.landing.process(requests(0, 20))
        await sink.landing.flush()
        assert (sink.floor, set(sink.offsets)) == (20, set(range(20)))

    run(case)


def test_bad_records_of_the_source_topics_are_left_to_the_aggregation() -> None:
    """They are passed over, and their neighbours stored."""

    async def case(sink: Sink) -> None:
        await sink.landing.process(requests(0, 10, bad=(0, 4)))
        await sink.landing.flush()
        assert (sink.floor, sorted(sink.offsets)) == (10, [1, 2, 3, 5, 6, 7, 8, 9])
        assert sink.emitter.delivered == []

    run(case)


def test_a_dead_letter_that_failed_is_found_again_by_reading() -> None:
    """Bad records that nobody else reads are buried, and no flush commits past a lost letter."""

    def letters(sink: Sink) -> list[tuple[str, int]]:
        registry = PinnedRegistry()
        found = [decode(sent.value, registry) for sent in sink.emitter.delivered]
        return [(letter["source_topic"], letter["offset"]) for letter in found]

    async def case(sink: Sink) -> None:
        bad = chunk_of(AGGREGATES.name, [(0, BAD)], 0, 1)
        await sink.landing.process(bad)
        sink.emitter.failures = 1
        await sink.landing.flush()
        assert sink.landing.cursors.read_again
        await sink.landing.process(requests(0, 10))
        await sink.landing.drain()
        assert (sink.floor, sink.landing.floors()[AGGREGATES_AT], letters(sink)) == (0, 0, [])
        sink.begin(0)
        await sink.landing.process(bad)
        await sink.landing.flush()
        assert sink.landing.floors()[AGGREGATES_AT] == 1
        assert letters(sink) == [(AGGREGATES.name, 0)]

    run(case)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_whatever_happens_what_is_committed_is_stored(seed: int) -> None:
    """Failures, cancelled flushes, rebalances and lost chunks, in any order: nothing is missing."""
    rng = random.Random(seed)  # noqa: S311  # no secret: test data

    async def case(sink: Sink) -> None:
        position = 0
        for _ in range(30):
            action = rng.choice(["chunk", "chunk", "flush", "fail", "cancel", "rebalance", "lose"])
            if action in ("chunk", "lose"):
                end = position + rng.choice([1, 4, 15])
                if action == "chunk":
                    await sink.landing.process(requests(position, end))
                position = end
            elif action == "rebalance" or sink.landing.cursors.read_again:
                position = sink.floor
                sink.begin(position)
            elif action == "cancel":
                sink.clickhouse.failures = -1
                before = sink.clickhouse.calls
                task = asyncio.create_task(sink.landing.flush())
                await until(lambda: task.done() or sink.clickhouse.calls > before)  # noqa: B023  # awaited here
                task.cancel()
                await asyncio.wait([task])
                sink.clickhouse.failures = 0
            else:
                sink.clickhouse.failures = 2 * (action == "fail")
                sink.clickhouse.stores = rng.random() < 0.5
                await sink.landing.flush()
            assert set(range(sink.floor)) <= set(sink.offsets)
        sink.begin(sink.floor)
        await sink.landing.process(requests(sink.floor, position + 1))
        await sink.landing.flush()
        assert sink.floor == position + 1
        assert set(range(sink.floor)) <= set(sink.offsets)

    run(case, flush_bytes=rng.choice([1, 2_000, 10**9]))
