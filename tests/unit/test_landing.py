"""The landing: what is read is stored, whatever is lost, bad or taken away."""

import asyncio
import random

import pytest
from awaited import until
from block_builders import PARTITION, chunk_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from landing_sink import AGGREGATES_AT, AT, BAD, IDS, Sink, requests, run, started

from inferwatch_schemas.columnar.chunk import Assignment
from inferwatch_schemas.errors import KafkaUnavailableError
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES, EXPERIMENTS, LANDED, REQUESTS
from inferwatch_schemas.wire import decode


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
