"""Flushes of the aggregation: whatever fails or hangs, floors pass nothing unsent."""

import asyncio

import pytest
from awaited import cancelled
from counting_worker import AT, Worker, requests, run, started

from inferwatch_schemas.columnar.chunk import Assignment
from inferwatch_schemas.errors import EncodeError, KafkaUnavailableError
from inferwatch_schemas.topics import REQUESTS
from inferwatch_streams.rows.row_format import Columns, Place, Records, RowFormat


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
