"""The windows of the rules on a real broker: what one worker wrote down, the next one knows."""

import asyncio
import uuid
from dataclasses import replace

import pytest

from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.columnar.chunk import Assignment
from inferwatch_schemas.columnar.examples import example_values
from inferwatch_schemas.emitter import Emitter
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES, TOTALS
from inferwatch_streams.errors import SupersededError
from inferwatch_streams.rules_worker import keeping
from inferwatch_streams.rules_worker.keeping import WindowKeeper
from inferwatch_streams.transport.rehearsal import chunk_of
from inferwatch_streams.windows.rows import aggregate_reader

SECONDS = 20.0
ROWS = (AGGREGATES.name, 0)
ASSIGNED = {ROWS: Assignment("id", 0, 0), ("other", 0): Assignment("x", 5, 5)}


@pytest.fixture
def keeper(bootstrap_servers: str, monkeypatch: pytest.MonkeyPatch) -> WindowKeeper:
    """A keeper with a topic of its own."""
    topic = replace(TOTALS, name=f"contract.{uuid.uuid4().hex}")
    monkeypatch.setattr(keeping, "TOTALS", topic)
    kafka = KafkaSettings(bootstrap_servers)
    TopicAdmin(kafka).create([topic])
    return WindowKeeper(kafka, PinnedRegistry(), Emitter(kafka, "test"), SECONDS)


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
