"""The compiled reader: walks records by a program and fills columns.

Compiled code checks no bounds, so every length is held against the end of the record before it is
used; a record that does not fit is marked with an error code and its neighbours are read as ever.
fastavro is the oracle in the tests.
"""

# Compiled code passes positions and values as plain tuples of numbers, and takes its arrays one by
# one: numba gives nothing better.
# ruff: noqa: PLR0913, PLR0917, PLR0911, PLR0912, PLR0915, PLR2004, C901

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.compiling import compiled, inlined
from inferwatch_schemas.columnar.program import (
    ARGUMENT,
    COLUMN,
    FIELD,
    KIND,
    LONG_MAX,
    MAXIMUM,
    MINIMUM,
    NULL_BRANCH,
    OP,
    SKIP,
    Kind,
)
from inferwatch_schemas.columnar.resolution import Op
from inferwatch_schemas.columnar.unaligned import load_f32, load_f64, load_u64

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What mypy takes an element of an array for, besides an int.
Whole = int | np.int64

# numba takes module constants as literals, but not enum members of Python.
_BOOLEAN, _INT, _LONG, _FLOAT, _DOUBLE = (int(op) for op in list(Op)[:5])
_STRING, _BYTES, _ENUM, _FIXED, _ARRAY = (int(op) for op in list(Op)[5:])
_AS_DOUBLE: Final = int(Kind.DOUBLE)
HIGH_BITS: Final = np.uint64(0x8080808080808080)

OK: Final = 0
TRUNCATED: Final = 1
LONG_VARINT: Final = 2
BAD_BRANCH: Final = 3
NEGATIVE_LENGTH: Final = 4
BAD_UTF8: Final = 5
OUT_OF_RANGE: Final = 6
BAD_SYMBOL: Final = 7
BAD_BOOLEAN: Final = 8
INT_OVERFLOW: Final = 9
TRAILING_BYTES: Final = 10
WRONG_SIZE: Final = 11

INT_MIN: Final = -(2**31)
INT_MAX: Final = 2**31 - 1


@inlined
def read_varint(data: NDArray[np.uint8], pos: Whole, end: Whole) -> tuple[Whole, Whole]:
    """A zig-zag varint: its value and the position after it, or minus an error code."""
    if pos >= end:
        return 0, -TRUNCATED
    byte = np.int64(data[pos])
    pos += 1
    if byte < 128:
        return (byte >> 1) ^ -(byte & 1), pos
    bits = byte & 0x7F
    shift = 7
    while True:
        if pos >= end:
            return 0, -TRUNCATED
        byte = np.int64(data[pos])
        pos += 1
        # The tenth byte holds the 64th bit and nothing else.
        if shift == 63 and byte > 1:
            return 0, -LONG_VARINT
        bits |= (byte & 0x7F) << shift
        if byte < 128:
            # The 64th bit is the sign here, and must not be copied to the right.
            return ((bits >> 1) & LONG_MAX) ^ -(bits & 1), pos
        shift += 7


@compiled
def valid_utf8(data: NDArray[np.uint8], pos: Whole, end: Whole) -> bool:
    """Whether bytes are UTF-8.

    RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
    """
    while pos < end:
        if pos + 8 <= len(data):
            # Eight bytes at once; those after the text do not count.
            word = load_u64(data, pos) & HIGH_BITS
            if end - pos < 8:
                word &= (np.uint64(1) << np.uint64(8 * (end - pos))) - np.uint64(1)
            if word == 0:
                pos += 8
                continue
        lead = data[pos]
        if lead < 0x80:
            pos += 1
            continue
        if lead < 0xC2 or lead > 0xF4:
            return False
        extra = 1 if lead < 0xE0 else (2 if lead < 0xF0 else 3)
        if pos + extra >= end:
            return False
        second = data[pos + 1]
        low = 0xA0 if lead == 0xE0 else (0x90 if lead == 0xF0 else 0x80)
        high = 0x9F if lead == 0xED else (0x8F if lead == 0xF4 else 0xBF)
        if second < low or second > high:
            return False
        for k in range(2, extra + 1):
            if data[pos + k] & 0xC0 != 0x80:
                return False
        pos += extra + 1
    return True


@inlined
def read_number(
    data: NDArray[np.uint8], pos: Whole, end: int, op: int, argument: int
) -> tuple[Whole, Whole]:
    """A boolean, int, long or enum, and the position after it or minus an error code."""
    if op == _BOOLEAN:
        if pos >= end:
            return 0, -TRUNCATED
        if data[pos] > 1:
            return 0, -BAD_BOOLEAN
        return np.int64(data[pos]), pos + 1
    value, pos = read_varint(data, pos, end)
    if op == _INT and (value < INT_MIN or value > INT_MAX):
        return value, -INT_OVERFLOW
    if op == _ENUM and pos >= 0 and (value < 0 or value >= argument):
        return value, -BAD_SYMBOL
    return value, pos


@inlined
def read_length(
    data: NDArray[np.uint8], pos: Whole, end: int, op: int, argument: Whole
) -> tuple[Whole, Whole]:
    """Length of a string, bytes or fixed, and where it begins or minus an error code."""
    if op == _FIXED:
        length = argument
    else:
        length, pos = read_varint(data, pos, end)
        if pos < 0:
            return 0, pos
        if length < 0:
            return 0, -NEGATIVE_LENGTH
    if length > end - pos:
        return 0, -TRUNCATED
    if op == _STRING and not valid_utf8(data, pos, pos + length):
        return 0, -BAD_UTF8
    return length, pos


@inlined
def read_float(data: NDArray[np.uint8], pos: Whole, end: int, op: int) -> tuple[float, Whole]:
    """A float or double, and the position after it or minus an error code.

    NaN and the infinities are no measurements: they would poison every sum they enter.
    """
    width = 8 if op == _DOUBLE else 4
    if end - pos < width:
        return 0.0, -TRUNCATED
    number = load_f64(data, pos) if op == _DOUBLE else np.float64(load_f32(data, pos))
    if not np.isfinite(number):
        return 0.0, -OUT_OF_RANGE
    return number, pos + width


@compiled
def skip_array(
    data: NDArray[np.uint8], pos: Whole, end: int, code: NDArray[np.int64], first: int, last: int
) -> Whole:
    """Walk an array whose items are the instructions first to last; the position after it."""
    while True:
        count, pos = read_varint(data, pos, end)
        if pos < 0 or count == 0:
            return pos
        stop: Whole = -1
        if count < 0:
            # A block may be preceded by its size in bytes; then its count is negative.
            count = -count
            size, pos = read_varint(data, pos, end)
            if pos < 0:
                return pos
            if size < 0:
                return -NEGATIVE_LENGTH
            if size > end - pos:
                return -TRUNCATED
            stop = pos + size
        # Every item takes at least one byte, so a larger count cannot be honest.
        if count < 0 or count > end - pos:
            return -TRUNCATED
        for _ in range(count):
            for step in range(first, last):
                if code[step, NULL_BRANCH] >= 0:
                    branch, pos = read_varint(data, pos, end)
                    if pos < 0:
                        return pos
                    if branch == code[step, NULL_BRANCH]:
                        continue
                    if branch != 1 - code[step, NULL_BRANCH]:
                        return -BAD_BRANCH
                op = code[step, OP]
                if op in (_STRING, _BYTES, _FIXED):
                    length, pos = read_length(data, pos, end, op, code[step, ARGUMENT])
                    pos += length
                elif op in (_DOUBLE, _FLOAT):
                    _, pos = read_float(data, pos, end, op)
                else:
                    _, pos = read_number(data, pos, end, op, code[step, ARGUMENT])
                if pos < 0:
                    return pos
        # Readers that skip arrays go by this size: a wrong one would shift all that follows.
        if stop >= 0 and pos != stop:
            return -WRONG_SIZE


@compiled
def read_records(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    code: NDArray[np.int64],
    minimum: NDArray[np.float64],
    maximum: NDArray[np.float64],
    longs: NDArray[np.int64],
    doubles: NDArray[np.float64],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    long_valid: NDArray[np.bool_],
    double_valid: NDArray[np.bool_],
    errors: NDArray[np.int64],
    error_fields: NDArray[np.int64],
) -> None:
    """Read Avro bodies (begins to ends) into columns; errors holds a code for each bad record."""
    steps = len(code)
    for row in range(len(begins)):
        pos = begins[row]
        end = ends[row]
        step = 0
        field = np.int64(0)
        while step < steps:
            at = step
            field = code[at, FIELD]
            op = code[at, OP]
            step += 1
            if op == _ARRAY:
                step += code[at, ARGUMENT]
                begin = pos
                pos = skip_array(data, pos, end, code, at + 1, step)
                if pos < 0:
                    break
                if code[at, COLUMN] != SKIP:
                    starts[code[at, COLUMN], row] = begin
                    lengths[code[at, COLUMN], row] = pos - begin
                continue
            null = code[at, NULL_BRANCH]
            if null >= 0:
                branch, pos = read_varint(data, pos, end)
                if pos < 0:
                    break
                if branch == null:
                    continue
                if branch != 1 - null:
                    pos = -BAD_BRANCH
                    break
            column = code[at, COLUMN]
            if op in (_STRING, _BYTES, _FIXED):
                length, pos = read_length(data, pos, end, op, code[at, ARGUMENT])
                if pos < 0:
                    break
                if column != SKIP:
                    starts[column, row] = pos
                    lengths[column, row] = length
                pos += length
            elif op in (_DOUBLE, _FLOAT):
                number, pos = read_float(data, pos, end, op)
                if pos < 0:
                    break
                if number < minimum[at] or number > maximum[at]:
                    pos = -OUT_OF_RANGE
                    break
                if column != SKIP:
                    doubles[column, row] = number
                    double_valid[column, row] = True
            else:
                value, pos = read_number(data, pos, end, op, code[at, ARGUMENT])
                if pos < 0:
                    break
                if value < code[at, MINIMUM] or value > code[at, MAXIMUM]:
                    pos = -OUT_OF_RANGE
                    break
                if column != SKIP:
                    if code[at, KIND] == _AS_DOUBLE:
                        doubles[column, row] = value
                        double_valid[column, row] = True
                    else:
                        longs[column, row] = value
                        long_valid[column, row] = True
        if pos < 0:
            errors[row] = -pos
            error_fields[row] = field
        elif pos != end:
            errors[row] = TRAILING_BYTES
