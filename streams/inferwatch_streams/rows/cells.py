"""Columns of encoded values: what a row's record is put together from.

A column of cells is the Avro encoding of one field for many rows (Avro 1.12, "Binary Encoding");
joining the columns row by row gives records. Nothing here makes a Python object for a row.
"""

# Compiled code takes its arrays one by one: numba gives nothing better.
# ruff: noqa: PLR0913, PLR0917, PLR2004

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.compiling import compiled, inlined
from inferwatch_schemas.columnar.unaligned import copy_bytes, copy_from, load_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_VARINT: Final = 10
# Short cells are copied with so many bytes, so that every buffer has as many to spare.
SPARE: Final = 16
HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """One column: encoded values, one a row.

    Attributes:
        data: Bytes, with ``SPARE`` ones after the last that counts.
        starts: Where the cell of each row begins; several may share their bytes.
        lengths: Bytes of each cell.
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, rows: NDArray[np.int64]) -> Cells:
        """These cells, in this order; they share their bytes."""
        return Cells(self.data, self.starts[rows], self.lengths[rows])

    def row(self, number: int) -> bytes:
        """One cell."""
        start = int(self.starts[number])
        return self.data[start : start + int(self.lengths[number])].tobytes()


def constant(raw: bytes, rows: int) -> Cells:
    """The same bytes in every row."""
    data = np.frombuffer(raw + bytes(SPARE), np.uint8)
    return Cells(data, np.zeros(rows, np.int64), np.full(rows, len(raw), np.int64))


def _made(size: int, rows: int) -> Cells:
    return Cells(
        np.empty(size + SPARE, np.uint8), np.empty(rows, np.int64), np.empty(rows, np.int64)
    )


def longs(values: NDArray[np.int64]) -> Cells:
    """Avro's int and long."""
    made = _made(MAX_VARINT * len(values), len(values))
    put_longs(values, made.data, made.starts, made.lengths)
    return made


def doubles(values: NDArray[np.float64]) -> Cells:
    """Avro's double."""
    data = np.zeros(8 * len(values) + SPARE, np.uint8)
    data[: 8 * len(values)] = np.ascontiguousarray(values, "<f8").view(np.uint8)
    return Cells(data, np.arange(0, 8 * len(values), 8), np.full(len(values), 8, np.int64))


def doubles_or_null(values: NDArray[np.float64], valid: NDArray[np.bool_]) -> Cells:
    """Avro's union of null and double, in this order: which of the two, then the double."""
    size = 9
    data = np.zeros(size * len(values) + SPARE, np.uint8)
    rows = data[: size * len(values)].reshape(-1, size)
    rows[:, 0] = np.where(valid, 2, 0)
    rows[:, 1:] = np.ascontiguousarray(values, "<f8").view(np.uint8).reshape(-1, size - 1)
    return Cells(data, np.arange(0, size * len(values), size), np.where(valid, size, 1))


def blobs(values: Sequence[bytes]) -> Cells:
    """Avro's bytes."""
    lengths = np.array([len(value) for value in values], np.int64)
    data = np.frombuffer(b"".join(values) + bytes(SPARE), np.uint8)
    return texts(data, np.cumsum(lengths) - lengths, lengths)


def texts(data: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Cells:
    """Avro's string and bytes: each with its length."""
    made = _made(int(lengths.sum()) + MAX_VARINT * len(lengths), len(lengths))
    put_texts(data, starts, lengths, made.data, made.starts, made.lengths)
    return made


def json_items(
    data: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Cells:
    """Texts as further items of a JSON array: a comma, and a string with its quotes (RFC 8259).

    Nothing is escaped that need not be.
    """
    made = _made(6 * int(lengths.sum()) + 3 * len(lengths), len(lengths))
    put_json(data, starts, lengths, HEX, made.data, made.starts, made.lengths)
    return made


def arrays(bounds: NDArray[np.int64], items: Cells) -> Cells:
    """Avro's arrays: row k has the items from bounds[k] to bounds[k + 1].

    The items lie one after the other, as those of ``longs`` and ``texts`` do.
    """
    rows = len(bounds) - 1
    made = _made(int(items.lengths.sum()) + (MAX_VARINT + 1) * rows, rows)
    put_arrays(
        bounds, items.data, items.starts, items.lengths, made.data, made.starts, made.lengths
    )
    return made


def decimals(values: NDArray[np.int64]) -> Cells:
    """Whole numbers as text, in digits."""
    made = _made(20 * len(values), len(values))
    put_decimals(values, made.data, made.starts, made.lengths)
    return made


def join(columns: Sequence[Cells]) -> Cells:
    """The cells of each row one after the other."""
    rows = len(columns[0])
    made = _made(sum(int(column.lengths.sum()) for column in columns), rows)
    # Where they lie, and not the arrays: numba takes no list of them without a price.
    kept = [
        (c.data, np.ascontiguousarray(c.starts), np.ascontiguousarray(c.lengths)) for c in columns
    ]
    addresses = np.array([[array.ctypes.data for array in arrays] for arrays in kept], np.int64)
    put_joined(addresses, made.data, made.starts, made.lengths)
    return made


@inlined
def put_varint(out: NDArray[np.uint8], at: int, value: int) -> int:
    """Write a zig-zag varint; the position after it."""
    bits = np.uint64((value << 1) ^ (value >> 63))
    while bits > np.uint64(0x7F):
        out[at] = np.uint8(bits & np.uint64(0x7F)) | np.uint8(0x80)
        bits >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(bits)
    return at + 1


@inlined
def put_bytes(
    out: NDArray[np.uint8], at: int, data: NDArray[np.uint8], start: int, length: int
) -> int:
    """Copy bytes; ``SPARE`` more may be written after them. The position after them."""
    if length <= SPARE:
        copy_bytes(out, at, data, start, SPARE)
    else:
        copy_bytes(out, at, data, start, length)
    return at + length


@compiled
def put_longs(
    values: NDArray[np.int64],
    out: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> None:
    """See ``longs``."""
    at = 0
    for row in range(len(values)):
        starts[row] = at
        at = put_varint(out, at, values[row])
        lengths[row] = at - starts[row]


@compiled
def put_texts(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int64],
    out: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> None:
    """See ``texts``."""
    at = 0
    for row in range(len(begins)):
        starts[row] = at
        at = put_varint(out, at, sizes[row])
        copy_bytes(out, at, data, begins[row], sizes[row])
        at += sizes[row]
        lengths[row] = at - starts[row]


@compiled
def put_json(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int64],
    digits: NDArray[np.uint8],
    out: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> None:
    """See ``json_items``."""
    at = 0
    for row in range(len(begins)):
        starts[row] = at
        out[at] = 0x2C
        out[at + 1] = 0x22
        at += 2
        for k in range(begins[row], begins[row] + sizes[row]):
            byte = data[k]
            if byte >= 0x20 and byte not in (0x22, 0x5C):
                out[at] = byte
                at += 1
                continue
            out[at] = 0x5C
            at += 1
            if byte >= 0x20:
                out[at] = byte
                at += 1
                continue
            # A control character: u, two zeros, two hexadecimal digits.
            out[at] = 0x75
            out[at + 1] = 0x30
            out[at + 2] = 0x30
            out[at + 3] = digits[byte >> 4]
            out[at + 4] = digits[byte & 15]
            at += 5
        out[at] = 0x22
        at += 1
        lengths[row] = at - starts[row]


@compiled
def put_arrays(
    bounds: NDArray[np.int64],
    data: NDArray[np.uint8],
    item_starts: NDArray[np.int64],
    item_lengths: NDArray[np.int64],
    out: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> None:
    """See ``arrays``."""
    at = 0
    for row in range(len(bounds) - 1):
        starts[row] = at
        if bounds[row + 1] > bounds[row]:
            last = bounds[row + 1] - 1
            at = put_varint(out, at, bounds[row + 1] - bounds[row])
            start = item_starts[bounds[row]]
            at = put_bytes(out, at, data, start, item_starts[last] + item_lengths[last] - start)
        out[at] = 0
        at += 1
        lengths[row] = at - starts[row]


@compiled
def put_decimals(
    values: NDArray[np.int64],
    out: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> None:
    """See ``decimals``; values are not negative."""
    at = 0
    for row in range(len(values)):
        starts[row] = at
        rest = values[row]
        digits = 1
        while rest >= 10:
            rest //= 10
            digits += 1
        rest = values[row]
        for place in range(at + digits - 1, at - 1, -1):
            out[place] = 0x30 + rest % 10
            rest //= 10
        at += digits
        lengths[row] = digits


@compiled
def put_joined(
    addresses: NDArray[np.int64],
    out: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> None:
    """See ``join``; addresses of data, starts and lengths, a row for each column."""
    at = 0
    for row in range(len(starts)):
        starts[row] = at
        for column in range(len(addresses)):
            source = addresses[column, 0] + load_from(addresses[column, 1] + 8 * row)
            length = load_from(addresses[column, 2] + 8 * row)
            # Copying more than is meant, of a fixed size, is a single instruction.
            if length <= SPARE:
                copy_from(out, at, source, SPARE)
            else:
                copy_from(out, at, source, length)
            at += length
        lengths[row] = at - starts[row]
