"""Makes chunks, and chunk readers over schemas of a test's own."""

from __future__ import annotations

import ctypes
import json
import mmap
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from inferwatch_schemas import releases
from inferwatch_schemas.columnar.chunk import Chunk
from inferwatch_schemas.columnar.reader import ChunkReader, Numbers, Part, Text
from inferwatch_schemas.errors import UnknownSchemaError
from inferwatch_schemas.releases import Release, Schema
from inferwatch_schemas.topics import Topic
from inferwatch_schemas.wire import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

SCHEMA_ID = 7


class Schemas:
    """A registry of the schemas it is given."""

    def __init__(self, schemas: Mapping[int, Any]) -> None:
        self._schemas = schemas

    def id_of(self, name: str) -> int:
        """Return nothing: these tests write their own prefixes."""
        raise NotImplementedError(name)

    def schema(self, schema_id: int) -> Schema:
        """Return the schema of an id."""
        if schema_id not in self._schemas:
            raise UnknownSchemaError(f"schema id {schema_id} is not in this test")
        schema: Schema = self._schemas[schema_id]
        return schema


def topic(*schemas: str, max_value_bytes: int = 1024) -> Topic:
    """Return a topic that carries these schemas."""
    return Topic(
        "test.topic", "key", schemas, 1, 1, "delete", max_value_bytes,
        published=True, aggregated=True, about="A test.",
    )  # fmt: skip


def reader(
    as_read: Schema, written: Mapping[int, Any], fields: Sequence[str], **options: Any
) -> ChunkReader:
    """Return a reader of records as the one schema, written as the others."""
    name = as_read["name"]
    release = Release(1, name, 1, json.dumps(as_read))
    with patch.object(releases, "latest", return_value=release):
        return ChunkReader(topic(name, **options), Schemas(written), {name: fields})


def framed(body: bytes, schema_id: int = SCHEMA_ID) -> bytes:
    """Return an Avro body as Confluent's wire format has it."""
    return PREFIX.pack(0, schema_id) + body


def guarded(content: bytes) -> NDArray[np.uint8]:
    """Return bytes that end where the machine allows no reading: reading on ends the process."""
    page = mmap.PAGESIZE
    room = (len(content) + page - 1) // page * page
    memory = mmap.mmap(-1, room + page)
    at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(at + room), page, 0):
        raise OSError(ctypes.get_errno(), "mprotect")
    whole = np.frombuffer(memory, np.uint8)
    begin = room - len(content)
    whole[begin:room] = np.frombuffer(content, np.uint8)
    found = whole[begin:room]
    # As the bytes of a response are: compiled code has a variant for each.
    found.flags.writeable = False
    return found


def chunk(values: Sequence[bytes | None], *, partition: int = 0, first_offset: int = 0) -> Chunk:
    """Return a chunk of values, one after the other, without keys."""
    sizes = [len(value or b"") for value in values]
    ends = np.array(list(accumulate(sizes)), np.int64)
    starts = ends - np.array(sizes, np.int64)
    present = np.array([value is not None for value in values], np.bool_)
    count = len(values)
    return Chunk(
        "test.topic", partition, first_offset, first_offset + count,
        guarded(b"".join(value or b"" for value in values)),
        np.arange(first_offset, first_offset + count), np.zeros(count, np.int64),
        starts, starts, np.where(present, ends, -1),
    )  # fmt: skip


def column(part: Part, name: str, data: NDArray[np.uint8]) -> list[Any]:
    """Return a column as Python values: bytes for text, None for null."""
    found = part.columns[name]
    if isinstance(found, Text):
        return [
            None if length < 0 else data[start : start + length].tobytes()
            for start, length in zip(found.starts.tolist(), found.lengths.tolist(), strict=True)
        ]
    assert isinstance(found, Numbers)
    return [
        value if valid else None
        for value, valid in zip(found.values.tolist(), found.valid.tolist(), strict=True)
    ]
