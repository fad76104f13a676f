"""Takes apart columns of arrays: the items of all rows, one after the other.

The bytes are those that the compiled reader has checked (Avro specification 1.12, "Arrays").
"""

# Compiled code takes its arrays one by one: numba gives nothing better.
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inferwatch_schemas.columnar.compiling import compiled
from inferwatch_schemas.columnar.kernel import read_varint
from inferwatch_schemas.columnar.reader import Text

if TYPE_CHECKING:
    from numpy.typing import NDArray


def longs_of(data: NDArray[np.uint8], column: Text) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Items of arrays of int or long: row k has those from bounds[k] to bounds[k + 1].

    Args:
        data: The chunk's bytes.
        column: The column that the reader gave of the arrays.

    Returns:
        Bounds and items.
    """
    bounds, items, _ = _items(data, column, text=False)
    return bounds, items


def texts_of(data: NDArray[np.uint8], column: Text) -> tuple[NDArray[np.int64], Text]:
    """As ``longs_of``, of arrays of string."""
    bounds, starts, lengths = _items(data, column, text=True)
    return bounds, Text(starts, lengths)


def _items(
    data: NDArray[np.uint8], column: Text, *, text: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    # An item takes a byte at least.
    room = int(column.lengths.sum())
    bounds = np.zeros(len(column.starts) + 1, np.int64)
    first, second = np.empty(room, np.int64), np.empty(room if text else 0, np.int64)
    read_items(data, column.starts, column.lengths, text, bounds, first, second)
    size = int(bounds[-1])
    return bounds, first[:size], second[:size]


@compiled
def read_items(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    text: bool,  # noqa: FBT001  # numba takes no keywords
    bounds: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> None:
    """Fill first with whole numbers, or with the starts of texts and second with their lengths."""
    at = 0
    for row in range(len(starts)):
        pos, end = starts[row], starts[row] + lengths[row]
        while pos < end:
            count, pos = read_varint(data, pos, end)
            if count == 0:
                break
            if count < 0:
                # The block's size in bytes follows.
                count = -count
                _, pos = read_varint(data, pos, end)
            for _ in range(count):
                value, pos = read_varint(data, pos, end)
                if text:
                    first[at] = pos
                    second[at] = value
                    pos += value
                else:
                    first[at] = value
                at += 1
        bounds[row + 1] = at
