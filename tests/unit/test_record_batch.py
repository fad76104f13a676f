"""Chunks hold the records that aiokafka reads, and a batch that lies stands alone in them."""

from __future__ import annotations

import contextlib
import struct
import sys
from typing import Any

import avro_strategies as avro
import batches
import chunks
import cramjam
import pytest
import zstandard
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from batches import GZIP, LZ4, NONE, SNAPPY, ZSTD, Record, batch, fetched, message_set, rows, sealed
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_streams.errors import MissingCodecError
from inferwatch_streams.transport import assemble, inflate
from inferwatch_streams.transport.assemble import make_chunk
from inferwatch_streams.transport.fetch import STOCK
from inferwatch_streams.transport.record_batch import Section, split_batches

CODECS = pytest.mark.parametrize("codec", [NONE, GZIP, SNAPPY, LZ4, ZSTD])
RECORDS = [
    Record(0, b"one", b"k", 1000, [("a", b"b"), ("\u00e9", None), ("", b"")]),
    Record(1, None, None, 2000),
    Record(4, b"", b"", 500),
    Record(5, b"x" * 5000, None, -1),
]


def by_aiokafka(
    response: bytes,
    fetch_offset: int = 0,
    *,
    aborted: Any = (),
    isolation_level: int = 1,
) -> tuple[list[tuple[Any, ...]], int]:
    """Return the records that aiokafka's own classes give, and where it would read on."""
    read = STOCK(
        batches.TP, MemoryRecords(response), list(aborted), fetch_offset, None, None, True,
        isolation_level,
    )  # fmt: skip
    found = [
        (
            record.offset, -1 if record.timestamp is None else record.timestamp, record.key,
            record.value, list(record.headers),
        )
        for record in read
    ]  # fmt: skip
    return found, read.next_fetch_offset


def by_chunks(response: bytes, fetch_offset: int = 0, **options: Any) -> tuple[list[Any], int]:
    """Return the records of all chunks, after checking that these follow on without a hole.

    What a chunk leaves is fetched again, as aiokafka would do.
    """
    found: list[Any] = []
    position = fetch_offset
    while True:
        read = fetched(response, position, **options)
        chunk = next(read, None)
        if chunk is None:
            assert read.next_fetch_offset == position
            return found, position
        assert (chunk.topic, chunk.partition, chunk.start) == ("test.topic", 3, position)
        assert chunk.end > chunk.start
        assert next(read, None) is None
        assert chunk.end == read.next_fetch_offset
        offsets = chunk.offsets.tolist()
        assert offsets == sorted(set(offsets))
        assert not offsets or (chunk.start <= offsets[0] and offsets[-1] < chunk.end)
        position = chunk.end
        found += rows(chunk)


@CODECS
def test_every_codec(codec: int) -> None:
    """Keys, headers, nulls, empty values, gaps and times come out of every compression."""
    response = batch(RECORDS, base_offset=7, codec=codec)
    assert by_chunks(response) == by_aiokafka(response)
    assert len(by_chunks(response)[0]) == len(RECORDS)


def recompressed(codec: int, compress: Any) -> bytes:
    """Return a batch whose records were compressed otherwise than aiokafka does."""
    plain = batch(RECORDS)
    return sealed(plain, records=bytes(compress(plain[batches.HEADER.size :])), attributes=codec)


@pytest.mark.parametrize(
    ("codec", "compress"),
    [
        (ZSTD, zstandard.ZstdCompressor(write_content_size=True).compress),
        (ZSTD, zstandard.ZstdCompressor(write_content_size=False).compress),
        (ZSTD, zstandard.ZstdCompressor(level=19, write_checksum=True).compress),
        (SNAPPY, cramjam.snappy.compress_raw),
        (LZ4, cramjam.lz4.compress),
        (GZIP, lambda data: bytes(cramjam.gzip.compress(data[:50]))
            + bytes(cramjam.gzip.compress(data[50:])) + b"\0\0"),
    ],
)  # fmt: skip
def test_other_writers_of_a_codec(codec: int, compress: Any) -> None:
    """Frames with and without their size, raw snappy, gzip of several members are read."""
    assert by_chunks(recompressed(codec, compress)) == by_aiokafka(batch(RECORDS))


def test_what_compresses_well() -> None:
    """A batch that inflates to more than the usual ratio is read all the same."""
    zeros = [Record(0, b"\0" * 3_000_000)]
    for codec in (GZIP, SNAPPY, LZ4, ZSTD):
        ((_, _, _, value, _),), _ = by_chunks(batch(zeros, codec=codec))
        assert value == zeros[0].value
    plain = batch(zeros)
    unsized = zstandard.ZstdCompressor(write_content_size=False)
    response = sealed(
        plain, records=unsized.compress(plain[batches.HEADER.size :]), attributes=ZSTD
    )
    assert len(response) < 3000
    assert by_chunks(response) == by_aiokafka(plain)


HEADERS = st.lists(st.tuples(st.text(max_size=4), st.none() | st.binary(max_size=4)), max_size=3)
SENT = st.lists(
    st.tuples(
        st.integers(1, 3), st.none() | st.binary(max_size=200), st.none() | st.binary(max_size=9),
        st.integers(-1, 2**44), HEADERS,
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@st.composite
def responses(draw: st.DrawFn) -> tuple[bytes, int]:
    """Draw several batches, and an offset from which to read them."""
    first = position = draw(st.integers(0, 20) | st.integers(2**31, 2**40))
    found, fetch_offset = b"", first
    for sent in draw(st.lists(SENT, min_size=1, max_size=4)):
        position += draw(st.integers(0, 2))
        deltas = [sum(step for step, *_ in sent[:index]) for index in range(len(sent))]
        records = [
            Record(delta, value, key, timestamp, headers)
            for delta, (_, value, key, timestamp, headers) in zip(deltas, sent, strict=True)
        ]
        codec = draw(st.sampled_from([NONE, GZIP, SNAPPY, LZ4, ZSTD]))
        changes = {"last_offset_delta": deltas[-1] + draw(st.integers(0, 2))}
        if draw(st.booleans()):
            changes |= {"attributes": codec | batches.APPEND_TIME, "max_timestamp": 12345}
        made = batch(records, base_offset=position, codec=codec, **changes)
        position += changes["last_offset_delta"] + 1
        if not found:
            # A broker answers with the batch that holds the offset, or with the next one.
            fetch_offset = draw(st.integers(max(0, first - 2), position - 1))
        found += made
    return found, fetch_offset


@settings(max_examples=100, deadline=None)
@given(responses())
def test_any_response(drawn: tuple[bytes, int]) -> None:
    """Any batches from any offset on are what aiokafka's own classes read."""
    response, fetch_offset = drawn
    assert by_chunks(response, fetch_offset) == by_aiokafka(response, fetch_offset)


@pytest.mark.parametrize(("magic", "codec"), [(0, NONE), (0, GZIP), (0, SNAPPY), (1, NONE),
                                              (1, GZIP), (1, SNAPPY), (1, LZ4)])  # fmt: skip
def test_formats_of_old(magic: int, codec: int) -> None:
    """Message sets of magic 0 and 1 are read, alone and beside record batches."""
    values = [b"a", b"", b"x" * 300]
    old = message_set(values, magic=magic, codec=codec, base_offset=5)
    before, after = batch(RECORDS[:1], base_offset=3), batch(RECORDS, base_offset=9)
    assert by_chunks(old) == by_aiokafka(old)
    assert [row[3] for row in by_chunks(old)[0]] == values
    assert by_chunks(old, 6) == by_aiokafka(old, 6)
    # Beside each other one by one: aiokafka 0.14 reads all of a response by its first one's magic.
    expected = [row for part in (before, old, after) for row in by_aiokafka(part)[0]]
    assert by_chunks(before + old + after)[0] == expected


GOOD = batch([Record(0, b"before")], base_offset=10)
VICTIM = batch([Record(0, b"first"), Record(1, b"second")], base_offset=11)
AFTER = batch([Record(0, b"after")], base_offset=13)
BODY = VICTIM[batches.HEADER.size :]
LIES = {
    "count too large": sealed(VICTIM, count=3),
    "count huge": sealed(VICTIM, count=2**31 - 1),
    "count too small": sealed(VICTIM, count=1),
    "count none": sealed(VICTIM, count=0),
    "count negative": sealed(VICTIM, count=-1),
    "a record too long": sealed(VICTIM, records=bytes([BODY[0] + 2]) + BODY[1:]),
    "a record too short": sealed(VICTIM, records=bytes([BODY[0] - 2]) + BODY[1:]),
    "a record of no length": sealed(VICTIM, records=b"\0" + BODY[1:]),
    "a value too long": sealed(VICTIM, records=BODY.replace(b"\x0afirst", b"\x7efirst")),
    "a value of 2**62 bytes": sealed(
        VICTIM, records=BODY.replace(b"\x0afirst", b"\xfe\xff\xff\xff\xff\xff")
    ),
    "bytes after the last": sealed(VICTIM, records=BODY + b"\0"),
    "garbage": sealed(VICTIM, records=bytes(range(len(BODY)))),
    "nothing": sealed(VICTIM, records=b""),
    "another codec": sealed(VICTIM, attributes=ZSTD),
    "a codec that is none": sealed(VICTIM, attributes=7),
    "garbage for gzip": sealed(VICTIM, records=b"\x1f\x8b" + BODY, attributes=GZIP),
    "garbage for snappy": sealed(VICTIM, records=inflate.SNAPPY_STREAM + BODY, attributes=SNAPPY),
    "half a zstd frame": sealed(
        VICTIM, records=zstandard.ZstdCompressor().compress(BODY)[:-3], attributes=ZSTD
    ),
    "offsets beyond its own": sealed(VICTIM, last_offset_delta=0),
    "offsets that fall": sealed(batch([Record(1, b"a"), Record(0, b"b")]), base_offset=11,
                                last_offset_delta=1),
    "an offset twice": sealed(batch([Record(0, b"a"), Record(0, b"b")]), base_offset=11),
    "offsets before its own": sealed(batch([Record(-1, b"a")]), base_offset=11,
                                     last_offset_delta=1),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_batch_that_lies(lie: str) -> None:
    """It becomes one record with the whole batch; the batches beside it are read."""
    liar = LIES[lie]
    made = list(fetched(GOOD + liar + AFTER, 10))
    found = [row for chunk in made for row in rows(chunk)]
    assert [(row[0], row[3]) for row in found] == [(10, b"before"), (11, liar), (13, b"after")]
    assert [chunk.corrupt for chunk in made] == [(1,)]


def test_a_batch_that_lies_read_from_its_middle() -> None:
    """Its record stands where reading began, not before."""
    (chunk,) = fetched(LIES["garbage"] + AFTER, 12)
    assert chunk.offsets.tolist() == [12, 13]
    assert (chunk.start, chunk.end, chunk.corrupt) == (12, 14, (0,))


def test_offsets_before_the_batch() -> None:
    """A record below its batch is a lie also where nothing precedes the batch."""
    liar = LIES["offsets before its own"]
    (chunk,) = fetched(liar, 5)
    assert (chunk.offsets.tolist(), chunk.corrupt) == ([11], (0,))


NUMBERS = [avro.varint(n) for n in (2**63 - 1, -(2**63), 2**62, 2**31, -(2**31), 1000, 40, -1)]
NUMBERS += [b"\x80" * 12, b"\xff" * 9 + b"\1", b"\x80", b""]


def test_no_reading_beyond_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the records are, the walk stays within them: what follows would end the process."""
    sent = [Record(0, b"a" * 20, b"k", 5, [("h", b"1")]), Record(1, None, b"", 6), Record(2, b"")]
    (opened,) = split_batches(batch(sent))
    records = bytes(opened.raw[batches.HEADER.size :])
    monkeypatch.setattr(assemble, "_joined", lambda parts: chunks.guarded(*parts))
    changed = [records[:at] for at in range(len(records))]
    for at in range(len(records)):
        changed += [records[:at] + bytes([byte]) + records[at + 1 :] for byte in range(0, 256, 3)]
        changed += [records[:at] + number + records[at + 1 :] for number in NUMBERS]
        changed += [records[:at] + number for number in NUMBERS]
    taken = 0
    for body in changed:
        made = make_chunk("test.topic", 0, 0, 3, [Section(opened, memoryview(body), 0)])
        assert made.corrupt in {(), (0,)}
        assert all(made.value_ends <= len(made.data))
        taken += not made.corrupt
    assert 0 < taken < len(changed)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_batches(data: st.DataObject) -> None:
    """Any change within a batch, checksum made honest, leaves the neighbours as they were."""
    codec = data.draw(st.sampled_from([NONE, NONE, GZIP, SNAPPY, LZ4, ZSTD]))
    sent = [Record(0, b"a", b"k", 5, [("h", b"1")]), Record(1, None)]
    victim = bytearray(batch(sent, base_offset=11, codec=codec))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(batches.HEADER.size, len(victim) - 1))
        victim[at] = data.draw(st.integers(0, 255))
    changed = sealed(bytes(victim))
    found, position = by_chunks(GOOD + changed + AFTER, 10)
    assert position == 14
    assert (found[0][0], found[0][3]) == (10, b"before")
    assert (found[-1][0], found[-1][3]) == (13, b"after")
    between = found[1:-1]
    if between and between[0][3] == changed:
        assert [row[0] for row in between] == [11]
    elif codec == NONE and all(byte < 0x80 for byte in victim[batches.HEADER.size :]):
        # aiokafka reads a record's attributes as a varint, so bytes below 128 are read alike. It
        # may refuse a record for its headers, which are not looked at here.
        with contextlib.suppress(CorruptRecordException):
            expected, _ = by_aiokafka(changed)
            assert [row[:1] + row[3:4] for row in between] == [r[:1] + r[3:4] for r in expected]


@pytest.mark.parametrize(
    ("codec", "compress"),
    [
        (GZIP, cramjam.gzip.compress),
        (SNAPPY, cramjam.snappy.compress_raw),
        (LZ4, cramjam.lz4.compress),
        (ZSTD, zstandard.ZstdCompressor().compress),
        (ZSTD, zstandard.ZstdCompressor(write_content_size=False).compress),
    ],
)
def test_bombs(codec: int, compress: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What inflates beyond the bound is a batch that lies; what just does not is read."""
    most = 1 << 20
    monkeypatch.setattr(inflate, "MAX_INFLATED_BYTES", most)
    around = len(batch([Record(0, b"\0" * (most - 99))])) - batches.HEADER.size - most + 99
    for size, corrupt in ((most, ()), (most + 1, (1,)), (3 * most, (1,))):
        value = b"\0" * (size - around)
        plain = batch([Record(0, value)], base_offset=11, last_offset_delta=1)
        body = bytes(compress(plain[batches.HEADER.size :]))
        response = GOOD + sealed(plain, records=body, attributes=codec) + AFTER
        (chunk,) = fetched(response, 10)
        assert chunk.corrupt == corrupt
        assert len(chunk.data) < most + 100
        assert [row[0] for row in by_chunks(response, 10)[0]] == [10, 11, 13]


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4])
def test_bombs_of_old(codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrappers of magic 1 are bounded too, though aiokafka unpacks them."""
    monkeypatch.setattr(inflate, "MAX_INFLATED_BYTES", 1 << 20)
    bomb = message_set([b"\0" * (1 << 20)], magic=1, codec=codec, base_offset=11)
    (chunk,) = fetched(GOOD + bomb + AFTER, 10)
    assert chunk.corrupt == (1,)
    assert len(chunk.data) < 1 << 20
    assert [row[0] for row in by_chunks(GOOD + bomb + AFTER, 10)[0]] == [10, 11, 13]


def test_snappy_blocks_that_do_not_move_on() -> None:
    """A block of negative size does not send the reader backwards for ever."""
    body = inflate.SNAPPY_STREAM + b"\0" * 8 + struct.pack(">i", -4)
    (chunk,) = fetched(sealed(VICTIM, records=body, attributes=SNAPPY), 11)
    assert chunk.corrupt == (0,)


@pytest.mark.parametrize(("library", "codec"), [("cramjam", "snappy"), ("zstandard", "zstd")])
def test_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, library: str, codec: str
) -> None:
    """A worker that could not read a codec says which, and what to install."""
    inflate.check_codecs()
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(inflate.codec, "cramjam", sys.modules["cramjam"])
    with pytest.raises(MissingCodecError, match=f"{codec} .* pip install {library}$"):
        inflate.check_codecs()
