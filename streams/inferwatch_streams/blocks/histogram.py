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
from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.compiling import compiled
from inferwatch_streams.blocks.segments import segments, sort_segments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

SCALE: Final = 5
BINS_AN_OCTAVE: Final = 1 << SCALE
ZERO_BIN: Final = -32768
_EMPTY: Final = -1
# What stands for a bin, 2*lo*hi/(lo+hi), in units of lo.
_BASE: Final = 2.0 ** (1 / BINS_AN_OCTAVE)
_REPRESENTATIVE: Final = 2 * _BASE / (1 + _BASE)
# A key is slot and bin in one number; bins of doubles lie within 16 bits.
_BIN_BITS: Final = 16


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


@compiled
def add_bins(
    slots: NDArray[np.int32],
    bins: NDArray[np.int64],
    valid: NDArray[np.bool_],
    keys: NDArray[np.int64],
    counts: NDArray[np.int64],
    used: NDArray[np.int64],
    first: int,
) -> int:
    """Count rows first and following into an open-addressing table; the row after the last done.

    Stops early where the table is half full.
    """
    mask = len(keys) - 1
    for row in range(first, len(slots)):
        if not valid[row]:
            continue
        key = (np.int64(slots[row]) << _BIN_BITS) | (bins[row] + 32768)
        place = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
        while keys[place] != key:
            if keys[place] == _EMPTY:
                if 2 * (used[0] + 1) > len(keys):
                    return row
                keys[place] = key
                used[0] += 1
                break
            place = (place + 1) & mask
        counts[place] += 1
    return len(slots)


class SparseBins:
    """Counts by slot and bin, for one histogram of one block."""

    def __init__(self) -> None:
        self._keys = np.full(1024, _EMPTY, np.int64)
        self._counts = np.zeros(1024, np.int64)
        self._used = np.zeros(1, np.int64)

    def add(
        self, slots: NDArray[np.int32], values: NDArray[np.float64], valid: NDArray[np.bool_]
    ) -> None:
        """Count one value a row, where it is valid."""
        bins = bin_indexes(values)
        done = 0
        while True:
            done = add_bins(slots, bins, valid, self._keys, self._counts, self._used, done)
            if done == len(slots):
                return
            self._grow()

    def _grow(self) -> None:
        keys, counts = self._keys, self._counts
        taken = keys != _EMPTY
        self._keys = np.full(4 * len(keys), _EMPTY, np.int64)
        self._counts = np.zeros(4 * len(keys), np.int64)
        mask = len(self._keys) - 1
        hashed = (
            (keys[taken].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)
        ).astype(np.int64) & mask
        _place_again(keys[taken], counts[taken], hashed, self._keys, self._counts)

    def collect(
        self, slots: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Bins of the slots, which ascend.

        Returns:
            Bounds, so that slot number k has the elements from bounds[k] to bounds[k + 1] of the
            two others: its bins, ascending, and how many each counts.
        """
        taken = np.flatnonzero(self._keys != _EMPTY)
        keys = self._keys[taken]
        bounds, entries = segments(keys >> _BIN_BITS, slots)
        bins = (keys[entries] & ((1 << _BIN_BITS) - 1)) - 32768
        counts = self._counts[taken[entries]]
        sort_segments(bounds, bins, counts)
        return bounds, bins, counts


@compiled
def _place_again(
    old_keys: NDArray[np.int64],
    old_counts: NDArray[np.int64],
    places: NDArray[np.int64],
    keys: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    mask = len(keys) - 1
    for k in range(len(old_keys)):
        place = places[k]
        while keys[place] != _EMPTY:
            place = (place + 1) & mask
        keys[place] = old_keys[k]
        counts[place] = old_counts[k]
