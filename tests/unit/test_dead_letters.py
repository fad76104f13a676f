"""Every reason there is, and the record it stands beside, byte for byte."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import Any

import batches
import chunks
import numpy as np
import pytest
from batches import Record, batch, fetched
from fastavro import parse_schema, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_schemas import releases
from inferwatch_schemas.columnar import dead_letters
from inferwatch_schemas.columnar.burial import Burial
from inferwatch_schemas.columnar.reader import BadRecord
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import DEAD_LETTERS
from inferwatch_schemas.wire import decode

EVENT: dict[str, Any] = {
    "type": "record",
    "name": "event",
    "fields": [
        {"name": "yes", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "maybe", "type": ["null", "long"]},
        {"name": "ratio", "type": "double", "minimum": 0, "maximum": 1},
        {"name": "text", "type": "string"},
        {"name": "colour", "type": {"type": "enum", "name": "colour", "symbols": ["red"]}},
        {"name": "counts", "type": {"type": "array", "items": "int"}},
    ],
}
OTHER = {"type": "record", "name": "other", "fields": []}


def body(**parts: bytes) -> bytes:
    """Return a good record with some fields replaced by these bytes."""
    good = {
        "yes": b"\1", "small": b"\2", "maybe": b"\0", "ratio": struct.pack("<d", 0.5),
        "text": b"\2x", "colour": b"\0", "counts": b"\0",
    }  # fmt: skip
    return b"".join({**good, **parts}.values())


def ratio(number: float) -> bytes:
    """Return a good record with this ratio."""
    return body(ratio=struct.pack("<d", number))


LONG = b"\xff" * 10
CASES: list[tuple[bytes | None, str, str]] = [
    (None, "tombstone", "The record has no value."),
    (b"", "empty", "The value is empty."),
    (b"\0\0\0\0", "truncated", "The value ends within the five bytes of Confluent's prefix."),
    (b"{", "wrong_magic",
     "The first byte is not 0: the value is not in Confluent's wire format."),
    (b"{}garbage", "wrong_magic",
     "The first byte is not 0: the value is not in Confluent's wire format."),
    (b"\0" * 65, "oversized", "The value has 65 bytes; test.topic takes 64."),
    (chunks.framed(body(), 99), "unknown_schema", "schema id 99 is not in this test"),
    (chunks.framed(body(), 2**32 - 1), "unknown_schema",
     "Schema id 4294967295 has more than 31 bits."),
    (chunks.framed(b"", 8), "wrong_schema", "Schema id 8 is 'other'; test.topic carries event."),
    (chunks.framed(b""), "truncated", "event.yes: the value ends within it."),
    (chunks.framed(body()[:-1]), "truncated", "event.counts: the value ends within it."),
    (chunks.framed(body(text=b"\x7ex")), "truncated", "event.text: the value ends within it."),
    (chunks.framed(body() + b"\0"), "trailing_bytes", "Bytes follow the last field."),
    (chunks.framed(body(small=LONG)), "malformed", "event.small: a number of more than 64 bits."),
    (chunks.framed(body(maybe=b"\4")), "malformed",
     "event.maybe: a branch that its union does not have."),
    (chunks.framed(body(maybe=b"\1")), "malformed",
     "event.maybe: a branch that its union does not have."),
    (chunks.framed(body(text=b"\1")), "malformed", "event.text: a negative length."),
    (chunks.framed(body(text=b"\2\xff")), "malformed", "event.text: text that is not UTF-8."),
    (chunks.framed(body(colour=b"\2")), "malformed",
     "event.colour: a symbol that its enum does not have."),
    (chunks.framed(body(yes=b"\2")), "malformed", "event.yes: a boolean other than 0 and 1."),
    (chunks.framed(body(small=b"\x80\x80\x80\x80\x10")), "malformed",
     "event.small: an int of more than 32 bits."),
    (chunks.framed(body(counts=b"\1\4\2\0")), "malformed",
     "event.counts: an array block of another size than it says."),
    (chunks.framed(ratio(float("nan"))), "out_of_range",
     "event.ratio is outside the limits of its schema."),
]  # fmt: skip


@pytest.mark.parametrize(("value", "reason", "detail"), CASES)
def test_every_reason(value: bytes | None, reason: str, detail: str) -> None:
    """Each has its word and its sentence; the schema id is named where there is one."""
    reader = chunks.reader(EVENT, {chunks.SCHEMA_ID: EVENT, 8: OTHER}, [], max_value_bytes=64)
    good = chunks.framed(body())
    (part,), (bad,) = reader.read(chunks.chunk([good, value, good]))
    assert part.rows.tolist() == [0, 2]
    assert (bad.index, bad.reason, bad.detail) == (1, reason, detail)
    framed = reason in {"unknown_schema", "wrong_schema", "trailing_bytes", "out_of_range"}
    framed |= reason == "malformed" or detail.startswith("event.")
    assert bad.schema_id == (struct.unpack_from(">I", value or b"", 1)[0] if framed else None)


def test_the_words_of_the_schema() -> None:
    """The words that the schema promises are those that occur."""
    (field,) = (f for f in releases.latest("dead_letter").schema["fields"] if f["name"] == "reason")
    promised = set(field["doc"].rstrip(".").replace(" or ", ", ").split(", "))
    assert promised == {reason for _, reason, _ in CASES} | {"corrupt_batch"}


@pytest.mark.parametrize(
    ("number", "good"),
    [(0.0, True), (-0.0, True), (1.0, True), (5e-324, True), (-5e-324, False),
     (1.0000000000000002, False), (float("inf"), False), (float("-inf"), False),
     (float("nan"), False)],
)  # fmt: skip
def test_limits_of_a_double(number: float, good: bool) -> None:  # noqa: FBT001  # pytest's
    """Both limits belong to what is allowed; NaN and the infinities never do."""
    reader = chunks.reader(EVENT, {chunks.SCHEMA_ID: EVENT}, ["ratio"])
    parts, bad = reader.read(chunks.chunk([chunks.framed(ratio(number))]))
    assert [record.reason for record in bad] == ([] if good else ["out_of_range"])
    assert bool(parts) is good


@pytest.mark.parametrize(
    ("limits", "number", "good"),
    [
        ({"minimum": 0}, -1, False),
        ({"minimum": 0}, 0, True),
        ({"maximum": 2**53}, 2**53, True),
        ({"maximum": 2**53}, 2**53 + 1, False),
        ({"minimum": -(2**62) - 1}, -(2**62) - 1, True),
        ({"minimum": -(2**62) - 1}, -(2**62) - 2, False),
        ({"minimum": 0.5, "maximum": 2.5}, 0, False),
        ({"minimum": 0.5, "maximum": 2.5}, 1, True),
        ({"minimum": 0.5, "maximum": 2.5}, 2, True),
        ({"minimum": 0.5, "maximum": 2.5}, 3, False),
        ({"minimum": -1e300, "maximum": 1e300}, 2**63 - 1, True),
        ({"minimum": -1e300, "maximum": 1e300}, -(2**63), True),
        ({}, -(2**63), True),
    ],
)
def test_limits_of_a_long(limits: dict[str, float], number: int, good: bool) -> None:  # noqa: FBT001  # pytest's
    """Limits of whole numbers are exact, also where a double is not."""
    schema = {
        "type": "record",
        "name": "event",
        "fields": [{"name": "n", "type": "long", **limits}],
    }
    out = io.BytesIO()
    schemaless_writer(out, parse_schema(schema), {"n": number})
    reader = chunks.reader(schema, {chunks.SCHEMA_ID: schema}, ["n"])
    parts, bad = reader.read(chunks.chunk([chunks.framed(out.getvalue())]))
    assert [record.reason for record in bad] == ([] if good else ["out_of_range"])
    assert bool(parts) is good


def test_limits_are_the_readers() -> None:
    """An old event counts by the newest schema's limits, not by those it was written under."""
    field = {"name": "n", "type": "long"}
    strict: dict[str, Any] = {
        "type": "record",
        "name": "event",
        "fields": [{**field, "minimum": 0}],
    }
    loose: dict[str, Any] = {"type": "record", "name": "event", "fields": [field]}
    negative = chunks.chunk([chunks.framed(b"\1")])
    assert chunks.reader(loose, {chunks.SCHEMA_ID: strict}, ["n"]).read(negative)[1] == []
    assert len(chunks.reader(strict, {chunks.SCHEMA_ID: loose}, ["n"]).read(negative)[1]) == 1


def letter(chunk: Any, index: int, reason: str = "malformed") -> dict[str, Any]:
    """Return the dead letter of a record."""
    return dead_letters.dead_letter(
        chunk, BadRecord(index, reason, "Why.", 2**32 - 1), topic_id="id", reader="group",
        found_at_micros=5,
    )  # fmt: skip


HEADERS = st.lists(st.tuples(st.text(max_size=4), st.none() | st.binary(max_size=6)), max_size=3)
SENT = st.lists(
    st.tuples(st.none() | st.binary(max_size=9), st.none() | st.binary(max_size=200), HEADERS),
    min_size=1, max_size=5,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(SENT, st.sampled_from([batches.NONE, batches.ZSTD]), st.booleans())
def test_what_is_kept(
    sent: list[tuple[Any, Any, Any]],
    codec: int,
    beside_a_liar: bool,  # noqa: FBT001  # hypothesis'
) -> None:
    """Key, value and headers are those that were sent, whichever way they were read."""
    records = [Record(i, value, key, 9, headers) for i, (key, value, headers) in enumerate(sent)]
    response = batch(records, base_offset=70, codec=codec)
    if beside_a_liar:
        response += batches.sealed(batch(records, base_offset=70 + len(sent)), count=0)
    (chunk,) = fetched(response, 70)
    for index, (key, value, headers) in enumerate(sent):
        found = letter(chunk, index)
        assert (found["key"], found["value"]) == (key, value)
        assert [(h["key"], h["value"]) for h in found["headers"]] == headers
        assert (found["offset"], found["record_time"], found["partition"]) == (70 + index, 9, 3)


def test_a_corrupt_batch() -> None:
    """The value is the whole batch, at the batch's first offset, without key and headers."""
    liar = batches.sealed(batch([Record(0, b"a", b"k")], base_offset=7), count=2)
    (chunk,) = fetched(batch([Record(0)], base_offset=6) + liar, 6)
    reader = chunks.reader(EVENT, {}, [])
    _, bad = reader.read(chunk)
    assert bad[1] == BadRecord(
        1, "corrupt_batch",
        "A record batch does not hold what its header says; the value is the whole batch.",
    )  # fmt: skip
    found = letter(chunk, 1, "corrupt_batch")
    assert (found["offset"], found["value"], found["key"], found["headers"]) == (7, liar, None, [])


@pytest.mark.parametrize(
    "tail",
    [b"", b"\x80", b"\x03", b"\xff" * 12, b"\x04\x02a", b"\x02\x02a\x7e", b"\x02\x7ea\x00",
     b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x04\x02h\x02v\x7e"],
)  # fmt: skip
def test_headers_that_do_not_fit(tail: bytes) -> None:
    """Where the headers are not what they say, those before are kept and nothing fails."""
    value = b"\x00\x00\x00\x02k\x02v" + tail
    data = np.frombuffer(value, np.uint8)
    base = chunks.chunk([b"v"])
    chunk = replace(
        base, data=data, record_starts=np.zeros(1, np.int64), value_starts=np.array([6]),
        value_ends=np.array([7]),
    )  # fmt: skip
    found = letter(chunk, 0)
    assert (found["key"], found["value"]) == (b"k", b"v")
    kept = [(h["key"], h["value"]) for h in found["headers"]]
    assert kept == ([("h", b"v")] if tail == b"\x04\x02h\x02v\x7e" else [])


def test_what_no_broker_would_take() -> None:
    """A record that inflates to more than a dead letter may be is cut, and the detail says so."""
    size = DEAD_LETTERS.max_value_bytes
    records = [
        Record(0, b"\0" * 3 * size, b"k" * size, 1, [("a", b"1"), ("b", b"2" * size), ("c", None)])
    ]
    (chunk,) = fetched(batch(records, codec=batches.ZSTD))
    found = letter(chunk, 0, "oversized")
    assert found["detail"] == (
        "Why. Of the value 2097152 bytes are kept. Of the key 524288 bytes are kept. "
        "Of the headers 1 are kept."
    )
    assert found["headers"] == [{"key": "a", "value": b"1"}]
    sent: list[bytes] = []
    burial = Burial(Recorder(sent), PinnedRegistry(), "group", lambda: 1.5)  # type: ignore[arg-type]  # all that it calls
    burial.bury(chunk, BadRecord(0, "oversized", "Why."), "id")
    assert len(sent[0]) < size


class Recorder:
    """In place of the emitter."""

    def __init__(self, sent: list[Any]) -> None:
        self._sent = sent

    def send(self, *record: Any) -> None:
        """Keep what would be sent: the value, and in front of it the rest."""
        self._sent += [record[2], record]


def test_burial() -> None:
    """A dead letter goes to its topic, under its source topic, identified by its place."""
    sent: list[Any] = []
    burial = Burial(Recorder(sent), PinnedRegistry(), "group", lambda: 1.5)  # type: ignore[arg-type]  # all that it calls
    (chunk,) = fetched(batch([Record(0), Record(1, b"x")], base_offset=100), 100)
    burial.bury(chunk, BadRecord(1, "wrong_magic", "Why."), "topic-id")
    value, (topic, key, _, headers) = sent
    assert (topic, key) == ("inferwatch.dead_letters", b"test.topic")
    assert dict(headers)["ce_id"] == b"topic-id/3/101"
    record = decode(value, PinnedRegistry())
    assert record["reason"] == "wrong_magic"
    assert record["value"] == b"x"
    assert record["found_at"].timestamp() == 1.5
    assert (record["source_topic"], record["topic_id"], record["partition"], record["offset"],
            record["reader"]) == ("test.topic", "topic-id", 3, 101, "group")  # fmt: skip
