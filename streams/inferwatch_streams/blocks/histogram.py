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
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.compiling import compiled

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


def _octave() -> NDArray[np.float64]:
    """Upper bounds of the bins between 1/2 and 1: the largest doubles not above 2^((k-31)/32).

    Found with whole numbers: a double x is not above 2^(-m/32) exactly when x^32 <= 2^-m.
    """
    bounds = []
    for k in range(BINS_AN_OCTAVE):
        exponent = k + 1 - BINS_AN_OCTAVE
        bound = 2.0 ** (exponent / BINS_AN_OCTAVE)
        limit = Fraction(2) ** exponent
        while Fraction(bound) ** BINS_AN_OCTAVE > limit:
            bound = math.nextafter(bound, 0.0)
        while Fraction(math.nextafter(bound, 2.0)) ** BINS_AN_OCTAVE <= limit:
            bound = math.nextafter(bound, 2.0)
        bounds.append(bound)
    return np.array(bounds, np.float64)


OCTAVE: Final = _octave()


def bin_indexes(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of each value; values are finite and not negative."""
    mantissas, exponents = np.frexp(values)
    # frexp gives [1/2, 1): exactly 1/2 is the last value of the octave below, which searching
    # among that octave's upper bounds puts at index -1, as it should.
    within = np.searchsorted(OCTAVE, mantissas, side="left")
    within = np.where(mantissas == 0.5, -1, within)  # noqa: PLR2004  # frexp's least mantissa
    bins = (exponents.astype(np.int64) - 1) * BINS_AN_OCTAVE + within
    # Below 2^-1023, doubles are subnormal and their bins would leave 16 bits.
    bins = np.clip(bins, ZERO_BIN + 1, -ZERO_BIN - 1)
    return np.where(values > 0, bins, ZERO_BIN)


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

    def collect(self, wanted: NDArray[np.bool_]) -> dict[int, tuple[list[int], list[int]]]:
        """Bins and counts of each wanted slot that has any, bins ascending."""
        keys = self._keys[self._keys != _EMPTY]
        counts = self._counts[self._keys != _EMPTY]
        keep = wanted[keys >> _BIN_BITS]
        keys, counts = keys[keep], counts[keep]
        if not len(keys):
            return {}
        order = np.argsort(keys)
        keys, counts = keys[order], counts[order]
        slots, begins = np.unique(keys >> _BIN_BITS, return_index=True)
        ends = np.append(begins[1:], len(keys))
        bins = (keys & ((1 << _BIN_BITS) - 1)) - 32768
        return {
            int(slot): (bins[b:e].tolist(), counts[b:e].tolist())
            for slot, b, e in zip(slots, begins, ends, strict=True)
        }


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
