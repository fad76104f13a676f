"""The aggregation: what is read is counted once, whatever is lost, bad or taken away."""

import asyncio
import random
from typing import Any

import pytest
from awaited import cancelled, until
from block_builders import chunk_of, encode
from block_events import BY_NAME
from block_oracle import expected
from counting_worker import LENGTH, Worker, requests, run, started
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inferwatch_schemas.columnar.chunk import Chunk
from inferwatch_schemas.topics import REQUESTS
from inferwatch_streams.aggregation import MAX_WAITING
from inferwatch_streams.blocks.partition import PartitionBlocks


def test_it_reads_what_it_counts() -> None:
    """The topics of the signals, sorted; logs, spans and device events are not among them."""

    async def case(worker: Worker) -> None:
        assert worker.aggregation.topics == (
            "inferwatch.conversions", "inferwatch.evaluations", "inferwatch.exposures",
            "inferwatch.requests", "inferwatch.resources",
        )  # fmt: skip

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
