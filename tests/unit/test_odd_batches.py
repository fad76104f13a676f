"""Odd batches: each has its fate alone, whatever was fetched with it, and none costs much."""

import struct
import tracemalloc
from typing import Any

import batches
import pytest
import zstandard
from batches import GZIP, ZSTD, Record, batch, fetched, message_set, rows, sealed

from inferwatch_streams.transport import inflate
from inferwatch_streams.transport.record_batch import split_batches


def _latin() -> bytes:
    """A batch that the walk takes, and aiokafka does not: a header's name is not UTF-8."""
    honest = batch([Record(0, b"a", headers=[("abc", b"1")]), Record(1, b"b")])
    return sealed(honest, records=honest[batches.HEADER.size :].replace(b"abc", b"\xe9\xfeq"))


ODD = {
    "plain": batch([Record(0, b"p"), Record(1, None)], codec=ZSTD),
    "Latin header": _latin(),
    "not inflated": sealed(batch([Record(0), Record(1)]), records=b"no frame", attributes=ZSTD),
    "lying count": sealed(batch([Record(0), Record(1)]), count=7),
    "old": message_set([b"o"], magic=1) + message_set([b"p"], magic=1, base_offset=1),
    "overlapping": sealed(batch([Record(0, b"x"), Record(1, b"y")]), last_offset_delta=2),
}


@pytest.mark.parametrize("second", ODD)
@pytest.mark.parametrize("first", ODD)
def test_a_batch_means_the_same_beside_any_other(first: str, second: str) -> None:
    """What becomes of a batch does not depend on those that were fetched with it."""
    parts = [ODD[first], _moved(ODD[second], 2), _moved(ODD["plain"], 4)]
    alone: list[Any] = []
    corrupt = 0
    position = 0
    for part in parts:
        read = fetched(part, position)
        for chunk in read:
            alone += rows(chunk)
            corrupt += len(chunk.corrupt)
        position = max(position, read.next_fetch_offset)
    (chunk,) = fetched(b"".join(parts))
    assert rows(chunk) == alone
    assert len(chunk.corrupt) == corrupt
    assert chunk.end == position


def _moved(response: bytes, by: int) -> bytes:
    """The batches of a response at higher offsets, as another broker's log might have them."""
    moved = b""
    for found in split_batches(response):
        raw = bytes(found.raw)
        moved += struct.pack(">q", found.base_offset + by) + raw[8:]
    return moved


def test_bombs_fill_a_chunk() -> None:
    """A response full of what inflates too far, or of old wrappers, ends a chunk early."""
    frame = zstandard.ZstdCompressor().compress(bytes(inflate.MAX_INFLATED_BYTES + 1))
    bombs = b"".join(
        sealed(batch([Record(0)], base_offset=offset), records=frame, attributes=ZSTD)
        for offset in range(5)
    )
    (chunk,) = fetched(bombs)
    assert (chunk.corrupt, chunk.end) == ((0,), 1)
    wrappers = b"".join(
        message_set([bytes(9 << 20)], magic=1, codec=GZIP, base_offset=offset)
        for offset in range(5)
    )
    (chunk,) = fetched(wrappers)
    assert chunk.end == 2
    assert len(chunk.data) < 19 << 20


def test_records_that_are_no_records_cost_little() -> None:
    """Millions of records at one offset, in a few kilobytes, are not made objects one by one."""
    plain = batch([Record(0, None)], base_offset=3)
    record = plain[batches.HEADER.size :]
    for many in (200_000, 4_000_000):
        frame = zstandard.ZstdCompressor().compress(record * many)
        lie = sealed(plain, records=frame, attributes=ZSTD, count=many, last_offset_delta=many - 1)
        tracemalloc.start()
        (chunk,) = fetched(lie)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert chunk.corrupt == (0,)
        # The inflated bytes, and five columns of the records that there are said to be.
        assert most < 4 * len(record) * many + 5 * 8 * many + (1 << 20)
