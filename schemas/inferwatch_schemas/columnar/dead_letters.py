"""From a record that is no event to its dead letter."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from inferwatch_schemas.topics import DEAD_LETTERS

if TYPE_CHECKING:
    from inferwatch_schemas.columnar.chunk import Chunk
    from inferwatch_schemas.columnar.reader import BadRecord

SCHEMA: Final = "dead_letter"
# Most bytes kept of a value, of a key and of all headers: together with its other fields a letter
# stays below what its own topic takes. A few kilobytes may inflate to more, and a letter that no
# broker takes would stop its partition for ever.
KEPT_OF_VALUE: Final = DEAD_LETTERS.max_value_bytes // 2
KEPT_OF_KEY: Final = DEAD_LETTERS.max_value_bytes // 8
KEPT_OF_HEADERS: Final = DEAD_LETTERS.max_value_bytes // 8
# 2299-12-31, the last day of ClickHouse's DateTime64: a producer may set any time.
LAST_TIME_MS: Final = 10_413_791_999_999
#: How the detail of a letter ends that does not hold the whole record.
CUT: Final = " are kept."
Header = tuple[str, bytes | None]


def event_id(topic_id: str, partition: int, offset: int) -> str:
    """Identity of a dead letter: where the record stood. Found twice, it is the same letter."""
    return f"{topic_id}/{partition}/{offset}"


def dead_letter(
    chunk: Chunk, bad: BadRecord, *, topic_id: str, reader: str, found_at_micros: int
) -> dict[str, Any]:
    """The record of schema ``dead_letter`` for one bad record of a chunk.

    Value, key and headers are kept byte for byte, up to megabytes; what is cut off is said in the
    detail.

    Args:
        chunk: Where it was found.
        bad: Which record, and why.
        topic_id: Kafka's id of the chunk's topic.
        reader: Consumer group that could not read it.
        found_at_micros: Now, in microseconds since 1970.
    """
    key, headers = (None, []) if bad.index in chunk.corrupt else key_and_headers(chunk, bad.index)
    value = chunk.value(bad.index)
    kept = _kept_headers(headers)
    cut = [
        f" Of the {what} {limit} bytes{CUT}"
        for what, found, limit in (("value", value, KEPT_OF_VALUE), ("key", key, KEPT_OF_KEY))
        if found is not None and len(found) > limit
    ]
    if len(kept) < len(headers):
        cut.append(f" Of the headers {len(kept)}{CUT}")
    return {
        "source_topic": chunk.topic,
        "topic_id": topic_id,
        "partition": chunk.partition,
        "offset": int(chunk.offsets[bad.index]),
        "record_time": min(max(0, int(chunk.timestamps[bad.index])), LAST_TIME_MS),
        "reason": bad.reason,
        "detail": bad.detail + "".join(cut),
        "schema_id": None if bad.schema_id is None else _as_int32(bad.schema_id),
        "key": None if key is None else key[:KEPT_OF_KEY],
        "value": None if value is None else value[:KEPT_OF_VALUE],
        "headers": [{"key": name, "value": content} for name, content in kept],
        "reader": reader,
        "found_at": found_at_micros,
    }


def _kept_headers(headers: list[Header]) -> list[Header]:
    """The headers that fit, from the first on."""
    sizes = accumulate(len(name.encode()) + len(value or b"") + 8 for name, value in headers)
    return [header for header, size in zip(headers, sizes, strict=True) if size <= KEPT_OF_HEADERS]


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
