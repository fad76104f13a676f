"""Decompression of one zstd frame by compiled code.

Both ways of a batch begin here. zstd's function for a whole frame takes frames that its function
for streams refuses (blocks larger than the window, matches from beyond it), and what becomes of a
batch must not depend on those beside it (docs/decisions/0021).
"""

# Compiled code takes its arrays one by one.
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inferwatch_schemas.columnar.compiling import compiled, inlined
from inferwatch_streams.transport.big_endian import big_endian
from inferwatch_streams.transport.zstd import call_2, call_5

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAGIC: Final = 0x28B52FFD
# RFC 8878, 3.1.1.1: the window's logarithm is 10 and the upper five bits of the descriptor. The
# stream reader, by which Python inflates, takes 27 at most (zstd.h, ZSTD_WINDOWLOG_LIMIT_DEFAULT).
SINGLE_SEGMENT_MASK: Final = 0x20
WINDOW_SHIFT: Final = 3
MAX_WINDOW: Final = 27 - 10
SHORTEST_FRAME: Final = 6


@compiled
def inflate_frame(
    data: NDArray[np.uint8],
    address: int,
    begin: int,
    size: int,
    zstd: tuple[int, int, int],
    out: int,
    space: int,
) -> int:
    """Inflate what is one whole frame and nothing else.

    Args:
        data: Holds the frame.
        address: Of its first byte.
        begin: Where the frame begins in data.
        size: Its bytes; the caller has held both against the array's end.
        zstd: ``Zstd.context``, ``.decompress`` and ``.frame_size``; zeros where there is none.
        out: Address to write to.
        space: Bytes that may be written there.

    Returns:
        Bytes written, or a number below zero where it is left to Python.
    """
    context, decompress, frame_size = zstd
    if decompress == 0 or not _begins_as_frame(data, begin, size):
        return -1
    source = address + begin
    if call_2(frame_size, (source, size)) != size:
        return -1
    return call_5(decompress, (context, out, space, source, size))


@inlined
def _begins_as_frame(data: NDArray[np.uint8], begin: int, size: int) -> bool:
    """Whether bytes begin as a zstd frame with a window that Python's reader takes as well."""
    if size < SHORTEST_FRAME or big_endian(data, begin, 4) != MAGIC:
        return False
    if data[begin + 4] & SINGLE_SEGMENT_MASK:
        return True
    return int(data[begin + 5] >> WINDOW_SHIFT) <= MAX_WINDOW
