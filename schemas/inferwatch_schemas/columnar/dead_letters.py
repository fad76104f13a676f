"""From a record that is no event to its dead letter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from inferwatch_schemas.columnar.chunk import Chunk
    from inferwatch_schemas.columnar.reader import BadRecord

SCHEMA: Final = "dead_letter"
Header = tuple[str, bytes | None]


def event_id(topic_id: str, partition: int, offset: int) -> str:
    """Identity of a dead letter: where the record stood. Found twice, it is the same letter."""
    return f"{topic_id}/{partition}/{offset}"


def dead_letter(
    chunk: Chunk, bad: BadRecord, *, topic_id: str, reader: str, found_at_micros: int
) -> dict[str, Any]:
    """The record of schema ``dead_letter`` for one bad record of a chunk.

    Args:
        chunk: Where it was found.
        bad: Which record, and why.
        topic_id: Kafka's id of the chunk's topic.
        reader: Consumer group that could not read it.
        found_at_micros: Now, in microseconds since 1970.
    """
    key, headers = (None, []) if bad.index in chunk.corrupt else key_and_headers(chunk, bad.index)
    return {
        "source_topic": chunk.topic,
        "topic_id": topic_id,
        "partition": chunk.partition,
        "offset": int(chunk.offsets[bad.index]),
        "record_time": max(0, int(chunk.timestamps[bad.index])),
        "reason": bad.reason,
        "detail": bad.detail,
        "schema_id": None if bad.schema_id is None else _as_int32(bad.schema_id),
        "key": key,
        "value": chunk.value(bad.index),
        "headers": [{"key": name, "value": value} for name, value in headers],
        "reader": reader,
        "found_at": found_at_micros,
    }


def key_and_headers(chunk: Chunk, index: int) -> tuple[bytes | None, list[Header]]:
    """Key and headers of one record, which reading columns steps over.

    From the first header on that does not fit the record's bytes, they are left out: nobody else
    checks them, and the value, which is what matters here, has been found without them.
    """
    start = int(chunk.record_starts[index])
    # A record's length was not kept. At most it reaches to where the next one's bytes begin.
    stop = int(chunk.record_starts[index + 1]) if index + 1 < len(chunk) else len(chunk.data)
    data = chunk.data[start:stop].tobytes()
    _, at = _varint(data, 1)
    _, at = _varint(data, at)
    key, _ = _bytes(data, at)
    at = int(chunk.value_ends[index])
    if at < 0:
        at = int(chunk.value_starts[index])
    at -= start
    headers: list[Header] = []
    try:
        count, at = _varint(data, at)
        for _ in range(count):
            name, at = _bytes(data, at)
            value, at = _bytes(data, at)
            headers.append(((name or b"").decode(errors="replace"), value))
    except IndexError:
        pass  # as said above: they end the list
    return key, headers


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  # the high bit says that another byte follows
            return (result >> 1) ^ -(result & 1), at
        shift += 7


def _bytes(data: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(data, at)
    if length < 0:
        return None, at
    if length > len(data) - at:
        raise IndexError
    return data[at : at + length], at + length


def _as_int32(schema_id: int) -> int:
    """The prefix holds 32 bits without sign, the field 32 with."""
    return schema_id - 2**32 if schema_id >= 2**31 else schema_id
