"""The aggregation: whatever fails, hangs or is taken away, floors pass nothing unsent."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, cast

import pytest
from block_builders import PARTITION, TOPIC_ID, Registry, Table, chunk_of, encode, identity, merged
from block_events import BY_NAME
from block_oracle import expected
from fake_emitter import FakeEmitter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shown_rows import fields_of

from inferwatch_schemas.columnar.chunk import Assignment, Chunk
from inferwatch_schemas.columnar.cursors import Cursors
from inferwatch_schemas.errors import EncodeError, KafkaUnavailableError
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES, DEAD_LETTERS, REQUESTS
from inferwatch_schemas.wire import decode
from inferwatch_streams import aggregation as module
from inferwatch_streams.aggregation import MAX_WAITING, Aggregation
from inferwatch_streams.blocks.partition import PartitionBlocks
from inferwatch_streams.rows.row_format import Columns, Place, Records, RowFormat
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
    """Run a case on a worker, within a limit."""

    async def limited() -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            await case(Worker())

    asyncio.run(limited())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the case's limit is the deadline."""
    while not condition():  # noqa: ASYNC110  # any condition
        await asyncio.sleep(0.001)


async def started(work: Coroutine[Any, Any, Any], emitter: FakeEmitter) -> "asyncio.Task[Any]":
    """Start a flush, and return when it waits for the broker."""
    before = emitter.settlements
    task = asyncio.create_task(work)
    await until(lambda: emitter.settlements > before)
    return task


async def cancelled(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.05)


def test_it_reads_what_it_counts() -> None:
    """The topics of the signals, sorted; logs, spans and device events are not among them."""

    async def case(worker: Worker) -> None:
        assert worker.aggregation.topics == (
            "inferwatch.conversions", "inferwatch.evaluations", "inferwatch.exposures",
            "inferwatch.requests", "inferwatch.resources",
        )  # fmt: skip

    run(case)


def test_a_flush_sends_what_changed_and_raises_the_floor_to_the_open_block() -> None:
    """Rows go out when flushed, and once; the floor is the start of the open block."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 25))
        assert (worker.floor, worker.durable, worker.counts) == (0, 0, {})
        assert await worker.aggregation.flush()
        assert (worker.floor, worker.counts) == (20, {0: 10, 1: 10, 2: 5})
        assert worker.durable == 25
        assert await worker.aggregation.flush()
        assert len(worker.emitter.delivered) == 3

    run(case)


def test_rows_of_a_topic_that_is_another_now_are_not_sent() -> None:
    """What was counted may be of the new log; all is begun anew, and counted under its id."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 25))
        worker.ids = {REQUESTS.name: "another"}
        assert not await worker.aggregation.flush()
        assert (worker.floor, worker.counts, worker.aggregation.read_again) == (0, {}, True)
        worker.aggregation.assign({AT: Assignment("another", 0, 0)})
        await worker.aggregation.process(requests(0, 12))
        assert await worker.aggregation.flush()
        assert {row["topic_id"] for row in worker.rows.values()} == {"another"}
        assert worker.counts == {0: 10, 1: 2}

    run(case)


def test_rows_of_a_topic_that_is_gone_are_sent() -> None:
    """There is no other log that they could be of."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 25))
        worker.ids = {}
        assert await worker.aggregation.flush()
        assert worker.counts == {0: 10, 1: 10, 2: 5}

    run(case)


def test_rows_wait_until_it_is_known_whose_they_are() -> None:
    """While Kafka does not say which topics these are, nothing is sent and nothing is lost."""

    async def case(worker: Worker) -> None:
        known, worker.ids = worker.ids, KafkaUnavailableError("away")
        await worker.aggregation.process(requests(0, 25))
        assert not await worker.aggregation.flush()
        assert (worker.floor, worker.counts, worker.aggregation.read_again) == (0, {}, False)
        worker.ids = known
        await worker.aggregation.process(requests(25, 30))
        assert await worker.aggregation.flush()
        assert worker.counts == {0: 10, 1: 10, 2: 10}

    run(case)


def test_floors_wait_for_the_acknowledgement() -> None:
    """While the broker is silent the floor stays."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 25))
        worker.emitter.hangs = True
        task = await started(worker.aggregation.flush(), worker.emitter)
        assert (worker.floor, worker.durable) == (0, 0)
        worker.emitter.hangs = False
        assert await task
        assert (worker.floor, worker.durable) == (20, 25)

    run(case)


def test_what_is_processed_during_a_flush_is_not_acknowledged_by_it() -> None:
    """Blocks that close while a flush waits have rows that it did not send."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 15))
        worker.emitter.hangs = True
        task = await started(worker.aggregation.flush(), worker.emitter)
        await worker.aggregation.process(requests(15, 38))
        worker.emitter.hangs = False
        assert await task
        assert (worker.floor, worker.durable, worker.counts) == (10, 15, {0: 10, 1: 5})
        assert await worker.aggregation.flush()
        assert (worker.floor, worker.counts) == (30, {0: 10, 1: 10, 2: 10, 3: 8})

    run(case)


def test_rows_that_failed_are_sent_again() -> None:
    """A failed flush says so, keeps the floor, and the next one sends its rows whole."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 25))
        worker.emitter.failures = 2
        assert not await worker.aggregation.flush()
        assert not await worker.aggregation.flush()
        assert (worker.floor, worker.counts) == (0, {})
        assert await worker.aggregation.flush()
        assert (worker.floor, worker.counts) == (20, {0: 10, 1: 10, 2: 5})
        assert not worker.aggregation.cursors.read_again

    run(case)


def test_rows_of_a_cancelled_flush_are_sent_again() -> None:
    """What a cancelled flush had sent may be lost without a word: the next one sends it again."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 25))
        worker.emitter.hangs = True
        await cancelled(await started(worker.aggregation.flush(), worker.emitter))
        worker.emitter.lose()
        worker.emitter.hangs = False
        assert worker.floor == 0
        assert await worker.aggregation.flush()
        assert (worker.floor, worker.counts) == (20, {0: 10, 1: 10, 2: 5})

    run(case)


def test_a_drain_gives_up_in_time_and_loses_nothing() -> None:
    """With a silent broker it returns, the floor stays, and rows are sent again."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 25))
        worker.emitter.hangs = True
        await worker.aggregation.drain()
        assert worker.floor == 0
        worker.emitter.lose()
        worker.emitter.hangs = False
        await worker.aggregation.drain()
        assert (worker.floor, worker.counts) == (20, {0: 10, 1: 10, 2: 5})

    run(case)


def test_a_drain_gives_up_behind_a_flush_that_hangs() -> None:
    """It does not wait longer because another flush is under way, and leaves that one alone."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 25))
        worker.emitter.hangs = True
        task = await started(worker.aggregation.flush(), worker.emitter)
        await worker.aggregation.drain()
        assert worker.floor == 0
        worker.emitter.hangs = False
        assert await task
        assert worker.floor == 20

    run(case)


@pytest.mark.parametrize("refused", [1, 2, 3])
def test_a_flush_that_breaks_half_way_sends_all_its_rows_later(
    refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that cannot be encoded break the flush; the others are not taken for sent."""
    encode_rows, calls = RowFormat.encode, 0

    def encode_some(rows: RowFormat, place: Place, columns: Columns) -> Records:
        nonlocal calls
        calls += 1
        if calls == refused:
            raise EncodeError("no")
        return encode_rows(rows, place, columns)

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 25))
        monkeypatch.setattr(RowFormat, "encode", encode_some)
        with pytest.raises(EncodeError):
            await worker.aggregation.flush()
        worker.emitter.lose()
        assert worker.floor == 0
        await worker.aggregation.drain()
        assert (worker.floor, worker.counts) == (20, {0: 10, 1: 10, 2: 5})

    run(case)


def test_a_chunk_counted_by_half_is_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """When counting breaks, neither rows nor the floor show any of it, until it is read again."""
    add = PartitionBlocks.add

    def add_and_break(blocks: PartitionBlocks, chunk: Chunk, parts: Any) -> None:
        add(blocks, chunk, parts)
        raise MemoryError

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 5))
        monkeypatch.setattr(PartitionBlocks, "add", add_and_break)
        with pytest.raises(MemoryError):
            await worker.aggregation.process(requests(5, 25))
        monkeypatch.undo()
        await worker.aggregation.drain()
        assert (worker.floor, worker.counts) == (0, {})
        await worker.aggregation.process(requests(25, 30))
        assert worker.aggregation.cursors.read_again
        worker.begin(0)
        await worker.aggregation.process(requests(0, 30))
        assert await worker.aggregation.flush()
        assert worker.counts == {0: 10, 1: 10, 2: 10}

    run(case)


def test_a_registry_that_is_away_is_waited_for() -> None:
    """The chunk is counted when it is back, and once."""

    async def case(worker: Worker) -> None:
        worker.registry.away = True
        task = asyncio.create_task(worker.aggregation.process(requests(0, 5)))
        asked = worker.registry.asked
        await until(lambda: worker.registry.asked >= asked + 3)
        assert not task.done()
        worker.registry.away = False
        await task
        assert await worker.aggregation.flush()
        assert worker.counts == {0: 5}

    run(case)


def test_a_chunk_that_waits_for_the_registry_is_dropped_with_its_assignment() -> None:
    """When the partition is begun anew, the waiting chunk is not counted into the new one."""

    async def case(worker: Worker) -> None:
        worker.registry.away = True
        task = asyncio.create_task(worker.aggregation.process(requests(0, 5)))
        await until(lambda: worker.registry.asked > 0)
        worker.begin(0)
        await task
        worker.registry.away = False
        await worker.aggregation.process(requests(0, 5))
        assert await worker.aggregation.flush()
        assert worker.counts == {0: 5}

    run(case)


def test_a_lost_chunk_is_read_again_and_nothing_is_committed_till_then() -> None:
    """A hole is not counted over; reading again from the floor comes to the whole."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 5))
        await worker.aggregation.process(requests(8, 25))
        assert worker.aggregation.cursors.read_again
        assert await worker.aggregation.flush()
        assert (worker.floor, worker.counts) == (0, {0: 5})
        worker.begin(0)
        assert not worker.aggregation.cursors.read_again
        await worker.aggregation.process(requests(0, 25))
        assert await worker.aggregation.flush()
        assert (worker.floor, worker.counts) == (20, {0: 10, 1: 10, 2: 5})

    run(case)


def test_a_chunk_that_was_counted_is_not_counted_again() -> None:
    """Nor is one of a partition that is not held."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 5))
        await worker.aggregation.process(requests(0, 5))
        await worker.aggregation.process(chunk_of("inferwatch.resources", [], 0, 5))
        assert await worker.aggregation.flush()
        assert worker.counts == {0: 5}

    run(case)


def test_reading_stops_while_too_many_blocks_wait() -> None:
    """A broker that acknowledges nothing bounds what a worker holds; then it goes on."""

    async def case(worker: Worker) -> None:
        worker.emitter.failures = 3
        blocks = MAX_WAITING + 1
        await worker.aggregation.process(requests(0, blocks * LENGTH - 1))
        assert worker.emitter.settlements == 0
        await worker.aggregation.process(requests(blocks * LENGTH - 1, blocks * LENGTH))
        assert worker.emitter.settlements == 4
        assert (worker.floor, worker.counts) == (blocks * LENGTH, dict.fromkeys(range(blocks), 10))

    run(case)


def test_waiting_for_the_broker_ends_with_the_assignment() -> None:
    """A partition that was given away is not waited for."""

    async def case(worker: Worker) -> None:
        worker.emitter.failures = 10**9
        task = asyncio.create_task(
            worker.aggregation.process(requests(0, (MAX_WAITING + 2) * LENGTH))
        )
        await until(lambda: worker.emitter.settlements > 3)
        assert not task.done()
        worker.begin(0)
        await task
        assert worker.floor == 0

    run(case)


@pytest.mark.parametrize("start", [0, 10, 70])
def test_a_flush_across_a_rebalance_moves_no_floor(start: int) -> None:
    """What an older assignment had sent says nothing about where the new one stands."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 25))
        worker.emitter.hangs = True
        task = await started(worker.aggregation.flush(), worker.emitter)
        worker.begin(start)
        await worker.aggregation.process(requests(start, start + 35))
        worker.emitter.hangs = False
        await task
        assert (worker.floor, worker.durable) == (start, start)
        assert await worker.aggregation.flush()
        assert worker.floor == (start + 35) // LENGTH * LENGTH

    run(case)


def test_a_partition_given_away_has_no_floor() -> None:
    """What is not held cannot be committed, whatever was under way."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 25))
        worker.emitter.hangs = True
        task = await started(worker.aggregation.flush(), worker.emitter)
        worker.aggregation.assign({})
        worker.emitter.hangs = False
        assert await task
        assert worker.aggregation.floors() == {}

    run(case)


def test_bad_records_go_to_the_dead_letters_and_their_neighbours_count() -> None:
    """One letter for each, found by its offset."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 12, bad=(3, 11)))
        assert await worker.aggregation.flush()
        assert worker.letters == [3, 11]
        assert (worker.floor, worker.counts) == (10, {0: 9, 1: 1})

    run(case)


def test_a_dead_letter_that_failed_is_found_again_by_reading() -> None:
    """Letters are not kept, so until they are read again no flush commits past them."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 12, bad=(3,)))
        worker.emitter.failures = 1
        assert not await worker.aggregation.flush()
        assert worker.aggregation.cursors.read_again
        await worker.aggregation.process(requests(12, 25))
        await worker.aggregation.drain()
        assert (worker.floor, worker.letters) == (0, [])
        worker.begin(worker.floor)
        await worker.aggregation.process(requests(0, 25, bad=(3,)))
        assert await worker.aggregation.flush()
        assert (worker.floor, worker.letters) == (20, [3])
        worker.emitter.failures = 1
        assert not await worker.aggregation.flush()
        assert not worker.aggregation.cursors.read_again

    run(case)


def test_a_dead_letter_of_a_cancelled_flush_is_not_forgotten() -> None:
    """Its failure comes to light in the next flush, which has the partition read again."""

    async def case(worker: Worker) -> None:
        await worker.aggregation.process(requests(0, 12, bad=(3,)))
        worker.emitter.hangs = True
        await worker.aggregation.drain()
        worker.emitter.hangs, worker.emitter.failures = False, 1
        assert not await worker.aggregation.flush()
        assert worker.aggregation.cursors.read_again
        assert await worker.aggregation.flush()
        assert worker.floor == 0

    run(case)


def test_a_start_in_the_middle_of_a_block_is_the_floor() -> None:
    """What retention removed cannot be read: the floor begins where the log does."""

    async def case(worker: Worker) -> None:
        worker.begin(23, lost_from=20)
        assert worker.floor == 23
        await worker.aggregation.process(requests(23, 29))
        assert await worker.aggregation.flush()
        assert worker.floor == 23
        (row,) = worker.rows.values()
        assert (row["block"], row["first_offset"], row["requests"]) == (2, 23, 6)

    run(case)


def test_what_was_durable_stays_so_over_a_rebalance() -> None:
    """A floor lies before what is durable; only what is lost beyond that is told as lost."""

    async def case(worker: Worker) -> None:
        worker.begin(20, lost_from=25)
        assert (worker.floor, worker.durable) == (20, 25)
        await worker.aggregation.process(requests(20, 22))
        assert await worker.aggregation.flush()
        assert (worker.floor, worker.durable) == (20, 25)
        await worker.aggregation.process(requests(22, 28))
        worker.aggregation.cursors.read_again = True
        assert await worker.aggregation.flush()
        assert worker.durable == 25

    run(case)


def test_chunks_are_counted_while_a_large_flush_is_under_way() -> None:
    """Rows go out in portions: what is added between two of them is in the next flush at latest."""

    async def case(worker: Worker) -> None:
        worker.begin(0)
        await worker.aggregation.process(requests(0, 35))
        flushing = asyncio.create_task(worker.aggregation.flush())
        await asyncio.sleep(0)
        await worker.aggregation.process(requests(35, 58))
        assert await flushing
        assert await worker.aggregation.flush()
        assert sum(worker.counts.values()) == 58
        assert worker.floor == 50

    run(case)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(BY_NAME["request"], min_size=1, max_size=60), st.integers(0, 2**32))
def test_whatever_happens_the_broker_has_the_oracles_rows(
    events: list[tuple[dict[str, Any], int | None]], seed: int
) -> None:
    """Failures, cancelled flushes, rebalances and lost chunks, in any order: rows are exact."""
    rng = random.Random(seed)  # noqa: S311  # no secret: test data
    values = [(at, encode("request", *event)) for at, event in enumerate(events)]
    table = expected("request", [(at, event) for at, (event, _) in enumerate(events)], LENGTH)

    async def case(worker: Worker) -> None:
        position = 0
        for _ in range(40):
            action = rng.choice(["chunk", "chunk", "flush", "fail", "cancel", "rebalance", "lose"])
            if action in ("chunk", "lose"):
                end = min(len(values), position + rng.choice([1, 4, 15]))
                if action == "chunk" and end > position:
                    chunk = chunk_of(REQUESTS.name, values[position:end], position, end)
                    await worker.aggregation.process(chunk)
                position = end
            elif action == "rebalance" or worker.aggregation.cursors.read_again:
                position = worker.floor
                worker.begin(position, worker.durable)
            elif action == "cancel":
                worker.emitter.hangs = True
                task = await started(worker.aggregation.flush(), worker.emitter)
                await cancelled(task)
                worker.emitter.hangs = False
                if rng.random() < 0.5:
                    worker.emitter.lose()
            else:
                worker.emitter.failures = int(action == "fail")
                await worker.aggregation.flush()
            below = {key: row for key, row in table.items() if row["block"] * LENGTH < worker.floor}
            rows = worker.rows
            assert {key: rows.get(key) for key in below} == below
            known = [(at, event) for at, (event, _) in enumerate(events) if at < worker.durable]
            for key, row in expected("request", known, LENGTH).items():
                assert rows[key]["version"] >= row["version"]
        worker.emitter.failures = 0
        worker.begin(worker.floor)
        rest = values[worker.floor :]
        await worker.aggregation.process(chunk_of(REQUESTS.name, rest, worker.floor, len(values)))
        assert await worker.aggregation.flush()
        assert worker.rows == table
        contents: dict[bytes, bytes] = {}
        for sent in worker.emitter.delivered:
            assert contents.setdefault(sent.identity, sent.value) == sent.value

    run(case)
