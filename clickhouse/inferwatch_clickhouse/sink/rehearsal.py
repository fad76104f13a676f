"""The sink's way of a chunk, gone once in memory: so that all of it is compiled."""

from __future__ import annotations

from typing import Any, Final

from faust.transport import drivers

from inferwatch_clickhouse.sink.loads import Loads
from inferwatch_schemas.columnar.examples import example_values
from inferwatch_schemas.columnar.reader import ChunkReader
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import LANDED

EVENTS: Final = 2


def rehearse() -> None:
    """Take made-up records of each topic from a response to a container."""
    # Found by its scheme, as the app finds it.
    transport: Any = drivers.by_url("chunks://")
    registry, loads = PinnedRegistry(), Loads()
    for topic in LANDED:
        chunk = transport.chunk_of(topic.name, example_values(topic, EVENTS))
        parts, _ = ChunkReader(topic, registry, {}).read(chunk)
        for part in parts:
            loads.add(chunk, part, "")
