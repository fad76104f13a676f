"""What usual batches are taken by makes of them what the way of objects does, and nothing else."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import batches
import chunks
import numpy as np
import pytest
import zstandard
from aiokafka.errors import CorruptRecordException
from aiokafka.record.util import calc_crc32c
from batches import GZIP, LZ4, NONE, SNAPPY, ZSTD, Record, batch, fetched, message_set, rows, sealed
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_streams.transport import fetch, sweep, zstd
from inferwatch_streams.transport.inflate import Scratch
from inferwatch_streams.transport.usual import take_usual
from inferwatch_streams.transport.walk import BATCH_WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_streams.transport.usual import Taken

FULL = 1 << 20
SCRATCH = Scratch(FULL)
SENT = [Record(0, b"one" * 9, b"k", 5, [("h", b"1")]), Record(1, None), Record(3, b"", None, -1)]
PLAIN = batch(SENT)
BODY = PLAIN[batches.HEADER.size :]


def frame(body: bytes, *, size: bool = True, **options: Any) -> bytes:
    """Return a zstd frame."""
    parameters = zstandard.ZstdCompressionParameters(write_content_size=size, **options)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(body)


def streamed(body: bytes, **options: Any) -> bytes:
    """Return a zstd frame as producers write it: its window is not of its contents' size."""
    parameters = zstandard.ZstdCompressionParameters(write_content_size=False, **options)
    writer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return writer.compress(body) + writer.flush()


def stored(body: bytes, window_log: int, block: int) -> bytes:
    """Return a zstd frame of stored blocks (RFC 8878, 3.1.1.2), larger than its window or not."""
    parts = [body[at : at + block] for at in range(0, len(body), block)]
    heads = [len(part) << 3 | (at == len(parts) - 1) for at, part in enumerate(parts)]
    blocks = [struct.pack("<I", head)[:3] + part for head, part in zip(heads, parts, strict=True)]
    return struct.pack("<IBB", 0xFD2FB528, 0, (window_log - 10) << 3) + b"".join(blocks)


SKIPPABLE = struct.pack("<II", 0x184D2A50, 3) + b"abc"
FRAMES = {
    "sized": frame(BODY),
    "unsized": frame(BODY, size=False),
    "streamed": streamed(BODY),
    "with a checksum": streamed(BODY, write_checksum=True),
    "with a wrong checksum": streamed(BODY, write_checksum=True)[:-1] + b"\0",
    "the largest window": streamed(BODY, window_log=27),
    "a window too large": streamed(BODY, window_log=28, enable_ldm=False),
    "two frames": streamed(BODY[:20]) + streamed(BODY[20:]),
    "a frame and an empty one": streamed(BODY) + streamed(b""),
    "a frame and garbage": streamed(BODY) + b"garbage",
    "a skippable one first": SKIPPABLE + streamed(BODY),
    "a skippable one last": streamed(BODY) + SKIPPABLE,
    "cut off": streamed(BODY)[:-1],
    "cut off within the header": streamed(BODY)[:5],
    "nothing": b"",
    "an empty frame": streamed(b""),
    "another's magic": b"\x27" + streamed(BODY)[1:],
}


def outcome(response: bytes, start: int = 0) -> tuple[Any, ...]:
    """Return all that shows of a response."""
    read = fetched(response, start)
    try:
        found = [
            (rows(chunk), chunk.corrupt, chunk.start, chunk.end, chunk.data.flags.writeable)
            for chunk in read
        ]
    except CorruptRecordException as error:
        return (str(error), read.next_fetch_offset)
    return (found, read.next_fetch_offset)


def by_objects(response: bytes, start: int = 0) -> tuple[Any, ...]:
    """Return what shows of it the slow way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch, "take_usual", lambda *_: None)
        return outcome(response, start)


def take(response: bytes, start: int = 0, scratch: Scratch = SCRATCH) -> Taken | None:
    """Take a response that is usual."""
    return take_usual(response, start, scratch, FULL)


@pytest.mark.parametrize("codec", [NONE, GZIP, SNAPPY, LZ4, ZSTD])
def test_batches_of_every_codec_are_usual(codec: int) -> None:
    """Whatever producers compress with, it does not take the slow way."""
    response = b"".join(batch(SENT, base_offset=at, codec=codec) for at in (7, 11, 15))
    taken = take(response, 12)
    assert taken is not None
    assert (len(taken.batches), taken.end) == (2, 19)
    assert taken.data.tobytes() == BODY * 2


def test_zstd_is_called_from_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library that is installed is found, and its frames do not go through Python."""

    def called(*_: Any) -> None:
        raise AssertionError("inflated in Python")

    monkeypatch.setattr(Scratch, "inflate", called)
    for name in ("sized", "unsized", "streamed", "with a checksum", "the largest window"):
        assert take(sealed(PLAIN, records=FRAMES[name], attributes=ZSTD)) is not None, name


@pytest.mark.parametrize(
    "broken",
    [
        lambda patch: patch.setattr(zstd, "CARRIER", "no.such"),
        lambda patch: patch.setattr(zstd, "CARRIER", "no_such"),
        lambda patch: patch.setattr(zstd, "CARRIER", "json"),
        lambda patch: patch.setattr(zstd, "CARRIER", "_ctypes"),
    ],
)
def test_zstd_that_cannot_be_called(broken: Callable[[pytest.MonkeyPatch], None]) -> None:
    """Without the library's symbols frames are read all the same."""
    with pytest.MonkeyPatch.context() as patch:
        broken(patch)
        scratch = Scratch(FULL)
    assert scratch.zstd is None
    for name, records in FRAMES.items():
        response = sealed(PLAIN, records=records, attributes=ZSTD)
        alone, beside = take(response, scratch=scratch), take(response)
        assert (alone is None) == (beside is None), name
        if alone is not None and beside is not None:
            assert alone.data.tobytes() == beside.data.tobytes(), name


@pytest.mark.parametrize("name", FRAMES)
def test_frames_mean_the_same_either_way(name: str) -> None:
    """A zstd frame, however odd, has one meaning."""
    response = sealed(PLAIN, records=FRAMES[name], attributes=ZSTD)
    assert outcome(response) == by_objects(response)


@pytest.mark.parametrize(("window_log", "block"), [(10, 1000), (10, 5000), (20, 1 << 18)])
def test_blocks_beyond_the_window_mean_the_same_either_way(window_log: int, block: int) -> None:
    """Functions of zstd differ in what they take; which is called is not of what is beside."""
    large = batch([Record(0, bytes(200_000))])
    records = stored(large[batches.HEADER.size :], window_log, block)
    response = sealed(large, records=records, attributes=ZSTD)
    assert outcome(response) == by_objects(response)
    assert outcome(response + ODD[1]) == by_objects(response + ODD[1])


def test_a_full_chunk_ends_at_the_same_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways fill a chunk alike, with whatever codec."""
    monkeypatch.setattr(fetch, "CHUNK_BYTES", 5000)
    for codec in (NONE, LZ4, ZSTD):
        response = b"".join(
            batch([Record(0, bytes(1000))], base_offset=offset, codec=codec) for offset in range(10)
        )
        for start in (0, 4, 9, 10):
            assert outcome(response, start) == by_objects(response, start)


ODD = (
    message_set([b"o"], magic=1),
    batches.marker(7, 0, commit=True),
    sealed(PLAIN, records=BODY.replace(b"one", b"\xff\xff\xff"), count=2),
    sealed(PLAIN, records=b"no frame", attributes=ZSTD),
    sealed(PLAIN, count=-1),
    sealed(PLAIN, last_offset_delta=-3),
    sealed(PLAIN, records=b"", count=0),
    PLAIN[:30],
    struct.pack(">qi", 0, -5) + PLAIN[12:],
    struct.pack(">qi", 0, 20) + PLAIN[12:],
    struct.pack(">q", (1 << 63) - 1) + PLAIN[8:],
)


@pytest.mark.parametrize("one", ODD)
def test_odd_batches_are_left_to_objects(one: bytes) -> None:
    """What is odd means the same alone, before and behind a usual batch."""
    for response in (one, PLAIN + one, one + batch(SENT, base_offset=4)):
        assert outcome(response) == by_objects(response)


def test_counts_that_cannot_be_are_not_believed() -> None:
    """No array is sized by a number of records that the bytes have no room for."""
    assert take(sealed(PLAIN, count=len(BODY) // 7)) is not None
    assert take(sealed(PLAIN, count=len(BODY) // 7 + 1)) is None


def test_an_aborted_transaction_whose_end_is_not_fetched_yet() -> None:
    """Its records do not count, though no batch of the response says so."""
    flags = {"attributes": batches.TRANSACTIONAL, "producer_id": 7}
    response = batch(SENT, **flags) + batch(SENT, base_offset=4)
    (chunk,) = fetched(response, 0, aborted=[(7, 0)])
    assert chunk.offsets.tolist() == [4, 5, 7]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_responses_mean_the_same_either_way(data: st.DataObject) -> None:
    """Whatever the batches, and whatever was changed in them, nothing shows which way they took."""
    response = b""
    for at in range(data.draw(st.integers(1, 4))):
        codec = data.draw(st.sampled_from([NONE, ZSTD, ZSTD, LZ4, SNAPPY, GZIP]))
        flags = data.draw(st.sampled_from([0, 0, 0, batches.APPEND_TIME, batches.TRANSACTIONAL]))
        one = batch(SENT, base_offset=4 * at, codec=codec)
        one = sealed(one, attributes=codec | flags)
        if data.draw(st.integers(0, 5)) == 0:
            one = data.draw(st.sampled_from(ODD))
        if data.draw(st.booleans()):
            changed = bytearray(one)
            changed[data.draw(st.integers(0, len(one) - 1))] = data.draw(st.integers(0, 255))
            one = bytes(changed)
            if len(one) > batches.HEADER.size and data.draw(st.booleans()):
                one = sealed(one)
        response += one
    start = data.draw(st.integers(0, 9))
    assert outcome(response, start) == by_objects(response, start)


def test_no_reading_beyond_the_response() -> None:
    """Whatever the headers say, the pass stays within its arrays: beyond, the process would end."""
    whole = batch(SENT, codec=ZSTD) + batch(SENT, base_offset=4)
    found = zstd.find_zstd()
    assert found is not None
    functions = (found.context, found.decompress, found.frame_size)
    memory = chunks.guarded(bytes(600))
    memory.flags.writeable = True
    changed = [whole[:at] for at in range(len(whole))]
    for at in range(len(whole)):
        for byte in (0, 1, 0x7F, 0x80, 0xFF):
            wrong = whole[:at] + bytes([byte]) + whole[at + 1 :]
            changed.append(wrong)
            first = len(batch(SENT, codec=ZSTD))
            if at < first:
                changed.append(_honest(wrong[:first]) + whole[first:])
    came_to = set()
    for response in changed:
        data = chunks.guarded(response)
        state = np.zeros(sweep.STATE_WIDTH, np.int64)
        state[sweep.INFLATED] = -1
        table = np.empty((len(data) // sweep.HEADER_BYTES + 1, BATCH_WIDTH), np.int64)
        came_to.add(
            sweep.sweep(
                data, data.ctypes.data, functions, memory,
                (memory.ctypes.data, FULL, FULL), state, table,
            )
        )  # fmt: skip
        assert 0 <= state[sweep.USED] <= len(memory)
        assert state[sweep.POSITION] <= len(data)
    assert came_to == {sweep.AT_END, sweep.INFLATE, sweep.ODD}


def _honest(one: bytes) -> bytes:
    """A batch with the checksum of its bytes, whatever length it says."""
    return one[:17] + struct.pack(">I", calc_crc32c(one[21:])) + one[21:]
