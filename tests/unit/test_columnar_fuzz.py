"""Whatever the bytes are, the reader's verdict is the oracle's, and good neighbours are read.

Every chunk here ends where the machine allows no reading (chunks.guarded), and the whole file runs
once more with bounds checked in the compiled code itself.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import avro_strategies as avro
import chunks
import pytest
import strict_avro
from hypothesis import given, settings
from hypothesis import strategies as st

EVENT: dict[str, Any] = {
    "type": "record",
    "name": "event",
    "fields": [
        {"name": "yes", "type": "boolean"},
        {"name": "small", "type": "int", "minimum": -5, "maximum": 70000},
        {"name": "maybe", "type": ["null", "long"], "minimum": 0, "maximum": 2**62},
        {"name": "ratio", "type": ["double", "null"], "minimum": 0, "maximum": 1},
        {"name": "narrow", "type": "float"},
        {"name": "text", "type": "string"},
        {"name": "raw", "type": "bytes"},
        {"name": "colour", "type": {"type": "enum", "name": "colour", "symbols": ["red", "blue"]}},
        {"name": "key", "type": {"type": "fixed", "name": "key", "size": 3}},
        {"name": "counts", "type": {"type": "array", "items": "int"}},
        {
            "name": "parts",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "part",
                    "fields": [
                        {"name": "name", "type": ["null", "string"]},
                        {"name": "ratio", "type": "float"},
                        {"name": "kind", "type": {"type": "enum", "name": "k", "symbols": ["a"]}},
                    ],
                },
            },
        },
        {"name": "last", "type": "long"},
    ],
}
WANTED = avro.scalars(EVENT)
# Written out where fastavro would not write it so: arrays in several blocks, with and without
# sizes, and text of one to four bytes a character.
GOOD = b"".join(
    [
        b"\1", avro.varint(300), b"\2" + avro.varint(2**40), b"\0" + struct.pack("<d", 0.25),
        struct.pack("<f", -1.5), avro.varint(17) + "aé\u20ac\U0001f600 abcdef".encode(),
        avro.varint(2) + b"\xff\0", b"\2", b"xyz",
        avro.varint(-2) + avro.varint(4) + avro.varint(70) + avro.varint(-70)
        + avro.varint(1) + avro.varint(5) + b"\0",
        avro.varint(1) + b"\2" + avro.varint(1) + b"n" + struct.pack("<f", 2) + b"\0"
        + avro.varint(-1) + avro.varint(6) + b"\0" + struct.pack("<f", 3) + b"\0" + b"\0",
        avro.varint(-(2**63)),
    ]
)  # fmt: skip
NEIGHBOUR = chunks.framed(GOOD)
LONG_MAX, LONG_MIN = 2**63 - 1, -(2**63)
HUGE = [avro.varint(n) for n in (LONG_MAX, LONG_MIN, LONG_MIN + 1, 2**62, 2**40, 2**31, -(2**31))]
HUGE += [
    b"\xff" * 9 + b"\1",
    b"\xff" * 10 + b"\1",
    b"\x80" * 9 + b"\2",
    b"\x80" * 20,
    b"\x80" * 9 + b"\0",
]


def judge(bodies: list[bytes]) -> None:
    """Hold the reader against the oracle, each body between good neighbours in one chunk."""
    values: list[bytes | None] = [NEIGHBOUR]
    for body in bodies:
        values += [chunks.framed(body), NEIGHBOUR]
    chunk = chunks.chunk(values)
    reader = chunks.reader(EVENT, {chunks.SCHEMA_ID: EVENT}, WANTED, max_value_bytes=1 << 20)
    parts, bad = reader.read(chunk)
    (part,) = parts
    verdicts = {record.index: record.reason for record in bad}
    found = {name: chunks.column(part, name, chunk.data) for name in part.columns}
    rows = {row: place for place, row in enumerate(part.rows.tolist())}
    assert set(rows) | set(verdicts) == set(range(len(values)))
    assert all(row in rows for row in range(0, len(values), 2)), "a good neighbour was not read"
    for place, body in enumerate(bodies):
        row = 2 * place + 1
        record, reason = expected(body)
        assert verdicts.get(row) == reason, body
        for name in WANTED if record else ():
            assert found[name][rows[row]] == _plain(record[name]), (name, body)


def expected(body: bytes) -> tuple[dict[str, Any], str | None]:
    """Return the oracle's verdict: a record, or none and the reason."""
    try:
        return strict_avro.read(EVENT, body), None
    except strict_avro.Unreadable as why:
        return {}, str(why)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return ["red", "blue"].index(value) if value in ("red", "blue") else value.encode()
    return value


def test_every_mutation_of_a_byte() -> None:
    """Every value of every byte of a good record."""
    judge(
        [
            GOOD[:at] + bytes([byte]) + GOOD[at + 1 :]
            for at in range(len(GOOD))
            for byte in range(256)
        ]
    )


def test_every_truncation_and_extension() -> None:
    """A record cut off at every byte, missing every byte, and with bytes after it."""
    judge(
        [GOOD[:at] for at in range(len(GOOD))]
        + [GOOD[:at] + GOOD[at + 1 :] for at in range(len(GOOD))]
        + [GOOD + tail for tail in (b"\0", b"\x80", b"\xff" * 30, GOOD)]
    )


def test_huge_numbers_at_every_place() -> None:
    """Lengths, counts and branches near the ends of 64 bits, in place of or before a byte."""
    judge(
        [
            GOOD[:at] + number + GOOD[at + skipped :]
            for at in range(len(GOOD))
            for number in HUGE
            for skipped in (0, 1)
        ]
    )


@pytest.mark.parametrize(
    "body", [GOOD[:at] for at in range(len(GOOD))] + [GOOD[:-10] + number for number in HUGE]
)
def test_every_end_of_a_chunk(body: bytes) -> None:
    """A record that ends a chunk, with nothing behind it to stumble over."""
    reader = chunks.reader(EVENT, {chunks.SCHEMA_ID: EVENT}, WANTED)
    (part,), bad = reader.read(chunks.chunk([NEIGHBOUR, chunks.framed(body)]))
    record, reason = expected(body)
    assert [found.reason for found in bad] == ([reason] if reason else [])
    assert part.rows.tolist() == ([0, 1] if record else [0])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=80), min_size=1, max_size=8))
def test_random_bytes(bodies: list[bytes]) -> None:
    """Anything at all."""
    judge(bodies)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_spliced_records(data: st.DataObject) -> None:
    """Pieces of good records, put together anew."""
    cuts = st.tuples(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)))
    pieces = [
        b"".join(GOOD[min(cut) : max(cut)] for cut in data.draw(st.lists(cuts, max_size=4)))
        for _ in range(4)
    ]
    judge(pieces)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=24) | st.text(max_size=12).map(str.encode), max_size=20))
def test_text_is_utf8(texts: list[bytes]) -> None:
    """Text is taken exactly where Python takes it, at every distance from the chunk's end."""
    schema = {"type": "record", "name": "event", "fields": [{"name": "t", "type": "string"}]}
    chunk = chunks.chunk([chunks.framed(avro.varint(len(text)) + text) for text in texts])
    parts, _ = chunks.reader(schema, {chunks.SCHEMA_ID: schema}, ["t"]).read(chunk)
    good = [text for text in texts if text == text.decode(errors="replace").encode()]
    assert [row for part in parts for row in chunks.column(part, "t", chunk.data)] == good


def test_utf8_of_every_kind() -> None:
    """Every pair of bytes, and every border of RFC 3629, alone and within ASCII."""
    pairs = [bytes([a, b]) for a in range(0x70, 256) for b in range(0x70, 256, 5)]
    borders = [
        bytes([lead, second, third, *fourth])
        for lead in (0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5)
        for second in (0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0)
        for third in (0x7F, 0x80, 0xBF, 0xC0)
        for fourth in ([], [0x80], [0xC0])
    ]
    test_text_is_utf8.hypothesis.inner_test(  # type: ignore[attr-defined]  # of hypothesis' wrapper
        [*pairs, *borders, *(b"abcdefg" + text + b"hijklmn" for text in borders)]
    )


@pytest.mark.skipif("NUMBA_BOUNDSCHECK" in os.environ, reason="this is that run")
def test_with_checked_bounds(tmp_path: Path) -> None:
    """The same once more, in a process whose compiled code checks every index."""
    run = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-m", "pytest", "-q", "-k", "every or huge", __file__],
        env={**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
