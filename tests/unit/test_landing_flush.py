"""Flushes of the landing: floors pass nothing that ClickHouse has not acknowledged."""

import asyncio

import pytest
from awaited import cancelled, until
from block_builders import chunk_of
from landing_sink import Sink, requests, run, started

from inferwatch_schemas.topics import REQUESTS


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
