"""Chunks as Avro object containers, so that raw events land without being decoded in Python.

A container's body is Avro bodies joined end to end, which a chunk already holds. Each is followed
by three fields that say where the record stood; the container's schema is the writer's with those
fields appended (Avro specification 1.12, "Object Container Files").
"""

from __future__ import annotations

import io
import json
from hashlib import md5
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from fastavro import schemaless_writer

from inferwatch_schemas.columnar import framing
from inferwatch_schemas.wire import PREFIX

if TYPE_CHECKING:
    from inferwatch_schemas.columnar.chunk import Chunk
    from inferwatch_schemas.columnar.reader import Part
    from inferwatch_schemas.releases import Schema

MAGIC: Final = b"Obj\x01"
TOPIC_ID: Final = "kafka_topic_id"
PARTITION: Final = "kafka_partition"
OFFSET: Final = "kafka_offset"
#: The fields appended to every record; ClickHouse's columns have these names.
ORIGIN: Final = (TOPIC_ID, PARTITION, OFFSET)
# A symbol byte and two numbers of at most ten bytes each.
ORIGIN_BYTES: Final = 21
# Two numbers of at most ten bytes each.
COUNT_BYTES: Final = 20

_META: Final[Any] = {"type": "map", "values": "bytes"}


def header(writer: Schema, topic_id: str) -> tuple[bytes, bytes]:
    """Header of a container and its sync marker.

    The topic id is an enum of one symbol: the same for every record of a container, it takes one
    byte in each.
    """
    origin = [
        {
            "name": TOPIC_ID,
            "type": {"type": "enum", "name": "kafka_topic", "symbols": [topic_id]},
        },
        {"name": PARTITION, "type": "int"},
        {"name": OFFSET, "type": "long"},
    ]
    schema = json.dumps({**writer, "fields": [*writer["fields"], *origin]})
    # Any sixteen bytes will do; the same schema gets the same ones, which keeps tests exact.
    sync = md5(schema.encode(), usedforsecurity=False).digest()
    out = io.BytesIO()
    out.write(MAGIC)
    schemaless_writer(out, _META, {"avro.schema": schema.encode(), "avro.codec": b"null"})
    out.write(sync)
    return out.getvalue(), sync


def block(chunk: Chunk, part: Part, sync: bytes) -> memoryview:
    """One container block with the rows of a part, in one piece of memory."""
    begins = part.of(chunk.value_starts) + PREFIX.size
    ends = part.of(chunk.value_ends)
    room = int((ends - begins).sum()) + ORIGIN_BYTES * len(begins)
    out = np.empty(COUNT_BYTES + room + len(sync), np.uint8)
    size = framing.append_origin(
        chunk.data, begins, ends, part.of(chunk.offsets), chunk.partition, out[COUNT_BYTES:]
    )
    # The numbers of records and bytes stand before them, right up to the first record.
    counts = np.empty(COUNT_BYTES, np.uint8)
    used = framing.write_varint(counts, framing.write_varint(counts, 0, len(begins)), size)
    first, last = COUNT_BYTES - used, COUNT_BYTES + size
    out[first:COUNT_BYTES] = counts[:used]
    out[last : last + len(sync)] = np.frombuffer(sync, np.uint8)
    return out.data[first : last + len(sync)]
