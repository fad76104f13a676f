"""Chunks of events, as the transport delivers them, and how a reader resolves aggregate rows."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from fastavro import parse_schema, schemaless_writer
from shown_rows import Row

from inferwatch_schemas import releases
from inferwatch_schemas.columnar.chunk import Assignment, Chunk
from inferwatch_schemas.columnar.reader import BadRecord, ChunkReader, Part
from inferwatch_schemas.errors import RegistryUnavailableError
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import Topic, topic_of
from inferwatch_schemas.wire import PREFIX
from inferwatch_streams.blocks.partition import PartitionBlocks
from inferwatch_streams.signals import SIGNALS

TOPIC_ID = "log_1"
PARTITION = 3
NEWER, OLDER = 101, 102
Event = Mapping[str, Any]
#: Rows by what tells them apart.
Table = dict[tuple[Any, ...], dict[str, Any]]


class Registry(PinnedRegistry):
    """The pinned ids, and a newer and an older writer of requests; may be away."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    def schema(self, schema_id: int) -> dict[str, Any]:
        """See ``Registry.schema``."""
        self.asked += 1
        if self.away:
            raise RegistryUnavailableError("The registry is away.")
        if schema_id in (NEWER, OLDER):
            return writer(schema_id)
        return super().schema(schema_id)


def writer(schema_id: int) -> dict[str, Any]:
    """A writer's schema of requests: with a new field in front, or without one of ours."""
    ours = releases.latest("request").schema
    if schema_id == NEWER:
        fields = [{"name": "region", "type": ["null", "string"], "default": None}, *ours["fields"]]
    else:
        fields = [field for field in ours["fields"] if field["name"] != "cost_usd_micros"]
    return {**ours, "fields": fields}


def encode(name: str, event: Event, schema_id: int | None = None) -> bytes:
    """One record's value; fields that are not given are null, zero, or empty."""
    schema = writer(schema_id) if schema_id else releases.latest(name).schema
    out = io.BytesIO(PREFIX.pack(0, schema_id or releases.latest(name).id))
    out.seek(0, io.SEEK_END)
    schemaless_writer(
        out,
        parse_schema(schema),
        {field["name"]: event.get(field["name"], _blank(field)) for field in schema["fields"]},
    )
    return out.getvalue()


def _blank(field: Mapping[str, Any]) -> Any:
    if "default" in field:
        return field["default"]
    return "" if field["type"] == "string" else 0


def chunk_of(topic: str, values: Sequence[tuple[int, bytes | None]], start: int, end: int) -> Chunk:
    """A chunk of records, each with its offset, that was read from start to end."""
    data = bytearray()
    columns: list[tuple[int, int, int, int, int]] = []
    for offset, value in values:
        record = len(data)
        # Attributes, two deltas and a null key; the value's length; later, no headers.
        data += b"\0\0\0\1" + _length(value)
        begin = len(data)
        data += value or b""
        stop = -1 if value is None else len(data)
        data += b"\0"
        columns.append((offset, 1_700_000_000_000 + offset, record, begin, stop))
    arrays = np.array(columns, np.int64).reshape(-1, 5).T.copy()
    return Chunk(
        topic, PARTITION, start, end, np.frombuffer(bytes(data), np.uint8),
        arrays[0], arrays[1], arrays[2], arrays[3], arrays[4],
    )  # fmt: skip


def _length(value: bytes | None) -> bytes:
    rest, out = 1 if value is None else 2 * len(value), bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def reader_of(topic: Topic, registry: Registry | None = None) -> ChunkReader:
    """Reads the columns that the signals of a topic count."""
    fields = {signal.schema: signal.fields for signal in SIGNALS if signal.topic == topic}
    return ChunkReader(topic, registry or Registry(), fields)


READERS = {
    name: reader_of(topic_of(name)) for name in ("request", "resource", "conversion", "evaluation")
}


def read(name: str, chunk: Chunk) -> tuple[list[Part], list[BadRecord]]:
    """Parts of a chunk of events of one schema."""
    return READERS[name].read(chunk)


def blocks_of(name: str, start: int, length: int) -> PartitionBlocks:
    """A partition begun at an offset, for the signals of a schema."""
    signals = tuple(signal for signal in SIGNALS if signal.schema == name)
    return PartitionBlocks(Assignment(TOPIC_ID, start, start), PARTITION, signals, length)


def identity(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells an aggregate row from others: all that is no measure, version or first offset."""
    names = (
        "signal", "service", "environment", "provider", "model", "endpoint", "host", "device",
        "experiment", "variant", "metric", "kind", "window_start", "topic_id", "partition", "block",
    )  # fmt: skip
    return tuple(fields.get(name) for name in names)


def merged(one: Table, other: Table) -> Table:
    """Of each row the latest copy, and of those the one that was read from the lowest offset."""
    result = dict(one)
    for key, fields in other.items():
        kept = result.get(key)
        if kept is None or _rank(fields) > _rank(kept):
            result[key] = fields
    return result


def _rank(fields: Mapping[str, Any]) -> tuple[int, int]:
    return fields["version"], -fields["first_offset"]


def resolved(rows: Iterable[Row]) -> Table:
    """What a reader of the aggregates keeps of rows, in any order."""
    table: Table = {}
    for row in rows:
        table = merged(table, {identity(row.fields): row.fields})
    return table


def chunks(
    name: str, values: Sequence[tuple[int, bytes | None]], cuts: Iterable[int], start: int, end: int
) -> Iterator[Chunk]:
    """The records cut before each of the offsets in cuts."""
    bounds = [start, *sorted({cut for cut in cuts if start < cut < end}), end]
    for begin, stop in pairwise(bounds):
        inside = [(offset, value) for offset, value in values if begin <= offset < stop]
        yield chunk_of(topic_of(name).name, inside, begin, stop)
