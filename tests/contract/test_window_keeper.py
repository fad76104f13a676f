"""The windows of the rules on a real broker: what one worker wrote down, the next one knows."""

import asyncio
import gc
import uuid
import weakref
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs
from structlog.typing import EventDict

from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.columnar.chunk import Assignment, TopicPartition
from inferwatch_schemas.columnar.examples import example_values
from inferwatch_schemas.emitter import Emitter
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES, TOTALS
from inferwatch_streams.errors import SupersededError
from inferwatch_streams.leading.partition_log import end_of
from inferwatch_streams.rules_worker import keeping, loading_ahead, totals_reading
from inferwatch_streams.rules_worker.keeping import WindowKeeper
from inferwatch_streams.rules_worker.loading_ahead import LoadingAhead
from inferwatch_streams.rules_worker.totals_reading import LoadedWindows, load_windows
from inferwatch_streams.transport.rehearsal import chunk_of
from inferwatch_streams.windows.rows import aggregate_reader
from tests.contract.pipeline import wait_until

SECONDS = 20.0
ROWS = (AGGREGATES.name, 0)
ASSIGNED = {ROWS: Assignment("id", 0, 0), ("other", 0): Assignment("x", 5, 5)}


@pytest.fixture
def keeper(bootstrap_servers: str, monkeypatch: pytest.MonkeyPatch) -> WindowKeeper:
    """A keeper with a topic of its own."""
    topic = replace(TOTALS, name=f"contract.{uuid.uuid4().hex}")
    for module in (keeping, totals_reading, loading_ahead):
        monkeypatch.setattr(module, "TOTALS", topic)
    # Any topic that is there.
    aggregates = replace(TOTALS, name=f"contract.{uuid.uuid4().hex}")
    monkeypatch.setattr(loading_ahead, "AGGREGATES", aggregates)
    kafka = KafkaSettings(bootstrap_servers)
    TopicAdmin(kafka).create([topic, aggregates])
    return WindowKeeper(kafka, PinnedRegistry(), Emitter(kafka, "test"), SECONDS)


def assigned(kafka: KafkaSettings) -> dict[TopicPartition, Assignment]:
    """All that there is of the aggregates, by the id that is looked up ahead."""
    name = loading_ahead.AGGREGATES.name
    return {ROWS: Assignment(TopicAdmin(kafka).ids([name])[name], 0, 0)}


async def told(said: list[EventDict], event: str) -> None:
    """Wait until something was logged."""
    await asyncio.to_thread(
        wait_until, lambda: any(each["event"] == event for each in said), bool, seconds=SECONDS
    )


async def write(keeper: WindowKeeper, at: dict[TopicPartition, Assignment], epoch: int) -> None:
    """Have a leader take rows, and write what it knows."""
    await keeper.load(at, epoch)
    chunk = chunk_of(AGGREGATES.name, example_values(AGGREGATES, 3))
    parts, bad = aggregate_reader(PinnedRegistry()).read(chunk)
    keeper.take(chunk, parts, list(bad))
    assert await keeper.checkpoint(1000 * epoch)


def test_the_next_one_goes_on_where_the_last_one_was(keeper: WindowKeeper) -> None:
    """Up to where rules had looked, and from which offset rows are to be read again."""

    async def case() -> None:
        assert await keeper.load(ASSIGNED, 1) is None
        chunk = chunk_of(AGGREGATES.name, example_values(AGGREGATES, 3))
        parts, bad = aggregate_reader(PinnedRegistry()).read(chunk)
        keeper.take(chunk, parts, list(bad))
        floors = await keeper.checkpoint(123_000_000)
        assert set(floors) == {ROWS}
        assert 0 <= floors[ROWS] <= chunk.end
        first = keeper.windows
        assert await keeper.load(ASSIGNED, 2) == 123_000_000
        assert keeper.windows is not first

    asyncio.run(case())


def test_windows_are_let_go_of_before_others_are_loaded(
    keeper: WindowKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that begins anew does not hold them twice."""
    old = weakref.ref(keeper.windows)

    def load(*asked: Any) -> LoadedWindows:
        gc.collect()
        assert old() is None
        return load_windows(*asked)

    monkeypatch.setattr(keeping, "load_windows", load)
    assert asyncio.run(keeper.load(ASSIGNED, 1)) is None


def test_what_was_not_written_makes_it_begin_anew(
    keeper: WindowKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows that may differ from what the topic says are not gone on with."""

    async def case() -> None:
        assert await keeper.load(ASSIGNED, 1) is None
        keeper.windows.positions[0] = 7
        with monkeypatch.context() as refusing:
            refusing.setattr(keeping, "TOTALS", replace(keeping.TOTALS, name="no such topic\n"))
            with pytest.raises(SupersededError, match="has to be read again"):
                await keeper.checkpoint(1)
        assert await keeper.load(ASSIGNED, 2) is None

    asyncio.run(case())


@pytest.mark.parametrize("more", [False, True])
def test_what_was_loaded_ahead_holds_if_nothing_came_after(
    keeper: WindowKeeper, bootstrap_servers: str, *, more: bool
) -> None:
    """Another worker may lead, and write, until this one has made its claim."""
    kafka = KafkaSettings(bootstrap_servers)
    at = assigned(kafka)
    starting = WindowKeeper(kafka, PinnedRegistry(), Emitter(kafka, "starting"), SECONDS)

    async def case() -> None:
        await write(keeper, at, 1)
        with capture_logs() as said:
            starting.load_ahead()
            await told(said, "totals loaded ahead")
            if more:
                await keeper.checkpoint(2000)
            assert await starting.load(at, 3) == (2000 if more else 1000)
        assert said[-1]["event"] == "windows loaded"
        assert said[-1]["ahead"] is not more
        # It writes as who claimed, and so does the one after it.
        assert await starting.checkpoint(4000)
        assert await keeper.load(at, 5) == 4000

    asyncio.run(case())


def test_what_was_loaded_ahead_is_taken_once(keeper: WindowKeeper, bootstrap_servers: str) -> None:
    """Whoever begins anew reads anew: its own records came after."""
    at = assigned(KafkaSettings(bootstrap_servers))

    async def case() -> None:
        keeper.load_ahead()
        with capture_logs() as said:
            await write(keeper, at, 1)
            assert await keeper.load(at, 2) == 1000
        told_ahead = [each["ahead"] for each in said if each["event"] == "windows loaded"]
        assert told_ahead == [True, False]

    asyncio.run(case())


def test_of_another_topic_nothing_is_taken(keeper: WindowKeeper) -> None:
    """The aggregates were created again between the two looks."""
    keeper.load_ahead()

    async def case() -> None:
        with capture_logs() as said:
            await keeper.load({ROWS: Assignment("another", 0, 0)}, 1)
        assert said[-1]["ahead"] is False
        assert keeper.windows.topic_id == "another"

    asyncio.run(case())


def test_of_totals_that_were_created_again_nothing_is_taken(
    keeper: WindowKeeper, bootstrap_servers: str
) -> None:
    """Also where as many were written as there had been."""
    kafka, totals = KafkaSettings(bootstrap_servers), keeping.TOTALS
    at, admin = assigned(kafka), TopicAdmin(kafka)
    starting = WindowKeeper(kafka, PinnedRegistry(), Emitter(kafka, "starting"), SECONDS)

    async def case() -> None:
        await write(keeper, at, 1)
        with capture_logs() as said:
            starting.load_ahead()
            await told(said, "totals loaded ahead")
        end = end_of(kafka, totals.name, SECONDS)
        deleting = AdminClient(kafka.confluent())
        deleting.delete_topics([totals.name])[totals.name].result(SECONDS)
        wait_until(lambda: admin.ids([totals.name]), lambda ids: not ids, seconds=SECONDS)
        admin.create([totals])
        wait_until(lambda: admin.ids([totals.name]), bool, seconds=SECONDS)
        again = WindowKeeper(kafka, PinnedRegistry(), Emitter(kafka, "again"), SECONDS)
        await write(again, at, 2)
        assert end_of(kafka, totals.name, SECONDS) == end
        assert await starting.load(at, 3) == 2000

    asyncio.run(case())


@pytest.mark.usefixtures("keeper")
def test_who_stands_by_holds_nothing(bootstrap_servers: str) -> None:
    """What was loaded ahead is let go of after a while."""
    kafka = KafkaSettings(bootstrap_servers)
    ahead = LoadingAhead(kafka, PinnedRegistry(), SECONDS, kept_seconds=0.0)
    ahead.start()
    ahead.join(SECONDS)
    topic_id = assigned(kafka)[ROWS].topic_id
    assert ahead.take(topic_id) is None


def test_a_broker_that_is_away_is_told() -> None:
    """Loading ahead is of no consequence where it fails."""
    with capture_logs() as said:
        ahead = LoadingAhead(KafkaSettings("127.0.0.1:1"), PinnedRegistry(), 0.5)
        ahead.start()
        assert ahead.take("id") is None
    assert said[-1]["event"].startswith("totals not loaded ahead")


def test_whatever_goes_wrong_ahead_stands_in_the_log(
    keeper: WindowKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not in a traceback of a thread, on standard error; the totals are loaded later."""

    def fail(*_: Any) -> LoadedWindows:
        raise EOFError

    monkeypatch.setattr(loading_ahead, "load_windows", fail)

    async def case() -> None:
        with capture_logs() as said:
            keeper.load_ahead()
            assert await keeper.load(ASSIGNED, 1) is None
        assert [each["log_level"] for each in said] == ["error", "info"]
        assert said[0]["event"] == loading_ahead.NOT_LOADED

    asyncio.run(case())
