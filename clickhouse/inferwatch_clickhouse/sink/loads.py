"""What waits to be inserted: containers that fill up, one a table and writer's schema. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inferwatch_clickhouse.tables import TABLES, Table
from inferwatch_schemas.columnar import container

if TYPE_CHECKING:
    from inferwatch_schemas.columnar.chunk import Chunk, TopicPartition
    from inferwatch_schemas.columnar.reader import Part


@dataclass(slots=True)
class Load:
    """One insert to be: a container, and what it holds.

    Attributes:
        table: Where it goes.
        columns: Columns that its fields fill.
        header: Header of the container.
        sync: Its sync marker.
        blocks: Its blocks.
        rows: Records in them.
        offsets: First and last offset of each partition in it, for messages.
    """

    table: Table
    columns: tuple[str, ...]
    header: bytes
    sync: bytes
    blocks: list[memoryview] = field(default_factory=list)
    rows: int = 0
    offsets: dict[TopicPartition, tuple[int, int]] = field(default_factory=dict)

    def body(self) -> list[bytes | memoryview]:
        """The whole container, in pieces."""
        return [self.header, *self.blocks]

    def where(self) -> str:
        """Which records these are, in words."""
        return ", ".join(
            f"{topic}/{partition} offsets {first} to {last}"
            for (topic, partition), (first, last) in sorted(self.offsets.items())
        )


class Loads:
    """Containers under way.

    Attributes:
        size: Bytes in them.
    """

    def __init__(self) -> None:
        self.size = 0
        self._loads: dict[tuple[int, str], Load] = {}

    def add(self, chunk: Chunk, part: Part, topic_id: str) -> None:
        """Put a part of a chunk where it belongs."""
        at = (part.schema_id, topic_id)
        load = self._loads.get(at)
        if load is None:
            table = TABLES[part.name]
            names = [field["name"] for field in part.writer["fields"]]
            header, sync = container.header(part.writer, topic_id)
            load = self._loads[at] = Load(
                table, table.columns_from([*names, *container.ORIGIN]), header, sync
            )
        block = container.block(chunk, part, load.sync)
        load.blocks.append(block)
        load.rows += len(part.rows)
        self.size += len(block)
        tp = (chunk.topic, chunk.partition)
        offsets = part.of(chunk.offsets)
        first, _ = load.offsets.get(tp, (int(offsets[0]), 0))
        load.offsets[tp] = (first, int(offsets[-1]))

    def take(self) -> list[Load]:
        """All containers; new ones begin."""
        loads, self._loads, self.size = list(self._loads.values()), {}, 0
        return loads
