"""Schema ids are looked up beside the event loop, and not again and again."""

import asyncio
import time

import chunks
import pytest

from inferwatch_schemas.columnar import patience
from inferwatch_schemas.columnar.reader import REFUSED_SECONDS, ChunkReader
from inferwatch_schemas.columnar.waits import Waits
from inferwatch_schemas.errors import RegistryUnavailableError, UnknownSchemaError
from inferwatch_schemas.releases import Schema
from inferwatch_schemas.topics import REQUESTS

SLOW_SECONDS = 0.3


class SlowRegistry:
    """Knows nothing, slowly; may be away at first."""

    def __init__(self, failures: int = 0) -> None:
        self.asked = 0
        self._failures = failures

    def id_of(self, name: str) -> int:
        """See ``Registry.id_of``."""
        raise UnknownSchemaError(name)

    def schema(self, schema_id: int) -> Schema:
        """See ``Registry.schema``."""
        self.asked += 1
        time.sleep(SLOW_SECONDS)
        if self._failures:
            self._failures -= 1
            raise RegistryUnavailableError("away")
        raise UnknownSchemaError(f"There is no schema {schema_id}.")


GARBAGE = chunks.chunk([b"\0\0\0\x03\xe7abc"] * 3)


def test_a_slow_registry_does_not_hold_the_event_loop() -> None:
    """Others run while an unknown id is looked up."""
    registry = SlowRegistry()
    reader = ChunkReader(REQUESTS, registry, {})

    async def case() -> int:
        turns = 0
        reading = asyncio.create_task(
            patience.read_patiently(reader, GARBAGE, lambda: True, Waits(time.monotonic))
        )
        while not reading.done():
            await asyncio.sleep(0.01)
            turns += 1
        read = await reading
        assert read is not None
        assert [bad.reason for bad in read[1]] == ["unknown_schema"] * 3
        return turns

    assert asyncio.run(case()) > 3
    assert registry.asked == 1


def test_an_unknown_id_is_asked_for_again_only_after_a_while() -> None:
    """Garbage does not become a request for each chunk; a schema may still be registered."""
    now = [0.0]
    registry = SlowRegistry()
    reader = ChunkReader(REQUESTS, registry, {}, lambda: now[0])
    for _ in range(3):
        reader.read(GARBAGE)
    assert registry.asked == 1
    assert reader.new_ids(GARBAGE) == []
    now[0] = REFUSED_SECONDS + 1
    assert reader.new_ids(GARBAGE) == [999]


def test_waiting_ends_when_the_chunk_is_no_longer_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the registry is away the chunk waits, and is dropped with its partition."""
    monkeypatch.setattr(patience, "FIRST_BACKOFF_SECONDS", 0.01)
    reader = ChunkReader(REQUESTS, SlowRegistry(failures=9), {})
    waits = Waits(time.monotonic)
    answers = iter([True, False])
    told: list[set[str]] = []

    def wanted() -> bool:
        told.append(set(waits.seconds()))
        return next(answers)

    async def case() -> None:
        assert await patience.read_patiently(reader, GARBAGE, wanted, waits) is None

    asyncio.run(case())
    assert told == [{patience.REGISTRY}] * 2
    assert waits.seconds() == {}
