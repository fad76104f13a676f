"""Exponential histograms (OpenTelemetry metrics data model, "ExponentialHistogram", scale 5).

Bin i counts values in (2^(i/32), 2^((i+1)/32)]. A value is estimated by 2*lo*hi/(lo+hi) of its
bin, which is off by at most (b-1)/(b+1) = 1.083 % for b = 2^(1/32). Zeros have a bin of their own.
The same value falls into the same bin on every machine: the bounds of one octave are constants,
compared exactly, instead of a logarithm, whose last digit differs between libraries.
"""

# Compiled code takes its arrays one by one: numba gives nothing better.
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from inferwatch_schemas.columnar.compiling import compiled, inlined
from inferwatch_streams.blocks.segments import segments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

SCALE: Final = 5
BINS_AN_OCTAVE: Final = 1 << SCALE
ZERO_BIN: Final = -32768
# What stands for a bin, 2*lo*hi/(lo+hi), in units of lo.
_BASE: Final = 2.0 ** (1 / BINS_AN_OCTAVE)
_REPRESENTATIVE: Final = 2 * _BASE / (1 + _BASE)
FIRST_ROOM: Final = 1024
# Up to so many values, sorting them costs less than looking through the bins between.
FEW: Final = 24


# How a double is laid out (IEEE 754): 52 bits of mantissa, above them the exponent.
_MANTISSA_BITS: Final = 52
_MANTISSA: Final = (1 << _MANTISSA_BITS) - 1
_EXPONENT_OF_ONE: Final = 1023
# A bin is at least 2.2 % wide and a cell, a 64th of an octave, at most 1.6 %: it lies in two bins.
_CELL_BITS: Final = 6
_CELL_SHIFT: Final = _MANTISSA_BITS - _CELL_BITS


def _limits() -> NDArray[np.int64]:
    """Mantissas of the largest doubles not above 2^(k/32), for k from 0 to 32.

    Found with whole numbers: five square roots make the 32nd root, rounded down.
    """
    limits = []
    for k in range(BINS_AN_OCTAVE):
        root = 1 << (k + _MANTISSA_BITS * BINS_AN_OCTAVE)
        for _ in range(SCALE):
            root = math.isqrt(root)
        limits.append(root & _MANTISSA)
    return np.array([*limits, _MANTISSA], np.int64)


LIMITS: Final = _limits()
#: The least k whose limit is not below the start of each cell.
CELLS: Final = np.searchsorted(LIMITS, np.arange(1 << _CELL_BITS) << _CELL_SHIFT)


def bin_indexes(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of each value; values are finite and not negative."""
    bins = np.empty(len(values), np.int64)
    find_bins(np.ascontiguousarray(values).view(np.int64), LIMITS, CELLS, bins)
    return bins


@compiled
def find_bins(
    bits: NDArray[np.int64],
    limits: NDArray[np.int64],
    cells: NDArray[np.int64],
    bins: NDArray[np.int64],
) -> None:
    """Bin of each double, given by its bits."""
    for row in range(len(bits)):
        if bits[row] <= 0:
            # Zero, or the bits of minus zero.
            bins[row] = ZERO_BIN
            continue
        exponent = bits[row] >> _MANTISSA_BITS
        mantissa = bits[row] & _MANTISSA
        if exponent == 0:
            # A subnormal double has no leading one: it is moved to where that stands.
            exponent = 1
            while mantissa <= _MANTISSA:
                mantissa <<= 1
                exponent -= 1
            mantissa &= _MANTISSA
        k = cells[mantissa >> _CELL_SHIFT]
        if mantissa > limits[k]:
            k += 1
        # Bins of the least subnormals would leave 16 bits.
        bins[row] = max((exponent - _EXPONENT_OF_ONE) * BINS_AN_OCTAVE + k - 1, ZERO_BIN + 1)


def bin_value(index: int) -> float:
    """The value that stands for a bin: that of least relative error."""
    return 0.0 if index == ZERO_BIN else math.pow(2.0, index / BINS_AN_OCTAVE) * _REPRESENTATIVE


def quantile(q: float, bins: Iterable[tuple[int, int]]) -> float | None:
    """Nearest-rank quantile: the value of rank ceil(q * n), within 1.1 %; None without values.

    Args:
        q: Between 0 and 1.
        bins: Pairs of index and count, in any order; an index may come more than once.
    """
    ordered = sorted(bins)
    total = sum(count for _, count in ordered)
    rank = max(1, math.ceil(q * total))
    for index, count in ordered:
        rank -= count
        if rank <= 0:
            return bin_value(index)
    return None


class Bins:
    """Counts by slot and bin, for one histogram of one block.

    Values are only noted as they come, and counted when rows are shown: a block has few enough,
    and a table of counts by slot and bin would be larger, and slower at every value.
    """

    # Zero between two calls, of which there is one at a time.
    _scratch: ClassVar[NDArray[np.int32]] = np.zeros(1 << 16, np.int32)

    def __init__(self) -> None:
        self._slots = np.empty(FIRST_ROOM, np.int32)
        self._bins = np.empty(FIRST_ROOM, np.int16)
        self._size = 0

    def add(
        self, slots: NDArray[np.int32], values: NDArray[np.float64], valid: NDArray[np.bool_]
    ) -> None:
        """Note one value a row, where it is valid."""
        needed = self._size + len(slots)
        if needed > len(self._slots):
            room = 1 << (needed - 1).bit_length()
            self._slots = _enlarged(self._slots, room, self._size)
            self._bins = _enlarged(self._bins, room, self._size)
        self._size = note_bins(
            slots, bin_indexes(values), valid, self._slots, self._bins, self._size
        )

    def collect(
        self, slots: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Bins of the slots, which ascend.

        Returns:
            Bounds, so that slot number k has the elements from bounds[k] to bounds[k + 1] of the
            two others: its bins, ascending, and how many each counts.
        """
        noted, entries = segments(self._slots[: self._size], slots)
        keys = self._bins[entries].astype(np.int64)
        bounds = np.zeros(len(slots) + 1, np.int64)
        counts = np.empty(len(keys), np.int64)
        count_bins(noted, keys, counts, bounds, self._scratch)
        return bounds, keys[: bounds[-1]], counts[: bounds[-1]]


@compiled
def note_bins(
    slots: NDArray[np.int32],
    bins: NDArray[np.int64],
    valid: NDArray[np.bool_],
    noted_slots: NDArray[np.int32],
    noted_bins: NDArray[np.int16],
    size: int,
) -> int:
    """Append the valid rows; the number of rows noted then."""
    for row in range(len(slots)):
        noted_slots[size] = slots[row]
        noted_bins[size] = bins[row]
        size += valid[row]
    return size


@compiled
def count_bins(
    noted: NDArray[np.int64],
    keys: NDArray[np.int64],
    counts: NDArray[np.int64],
    bounds: NDArray[np.int64],
    scratch: NDArray[np.int32],
) -> None:
    """Replace each segment of noted bins by its bins, ascending, each once, with their counts.

    Args:
        noted: Bounds of the segments.
        keys: Bins; overwritten from the front with the bins of all segments.
        counts: Filled with the count of each of these.
        bounds: Filled with the bounds of the segments then.
        scratch: A zero for each bin there can be; left so.
    """
    at = 0
    for row in range(len(noted) - 1):
        first, last = noted[row], noted[row + 1]
        if last - first <= FEW:
            sort_few(keys, first, last)
            for k in range(first, last):
                if k > first and keys[k] == keys[at - 1]:
                    counts[at - 1] += 1
                else:
                    keys[at] = keys[k]
                    counts[at] = 1
                    at += 1
        else:
            least, greatest, zeros = np.int64(32767), np.int64(-32768), 0
            for k in range(first, last):
                if keys[k] == ZERO_BIN:
                    # Far from all others: the bins between are not to be looked through.
                    zeros += 1
                    continue
                least, greatest = min(least, keys[k]), max(greatest, keys[k])
                scratch[keys[k] + 32768] += 1
            if zeros:
                keys[at] = ZERO_BIN
                counts[at] = zeros
                at += 1
            for key in range(least, greatest + 1):
                if scratch[key + 32768]:
                    keys[at] = key
                    counts[at] = scratch[key + 32768]
                    scratch[key + 32768] = 0
                    at += 1
        bounds[row + 1] = at


@inlined
def sort_few(keys: NDArray[np.int64], first: int, last: int) -> None:
    """Sort a short segment in place, by insertion."""
    for at in range(first + 1, last):
        key = keys[at]
        k = at
        while k > first and keys[k - 1] > key:
            keys[k] = keys[k - 1]
            k -= 1
        keys[k] = key


def _enlarged(array: NDArray[Any], room: int, size: int) -> NDArray[Any]:
    larger = np.empty(room, array.dtype)
    larger[:size] = array[:size]
    return larger
