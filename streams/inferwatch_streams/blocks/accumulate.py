"""Compiled accumulators: one pass over the rows of a chunk for each measure.

Every sum is of whole numbers, so that equal rows come out whatever the order of the events. Sums
that outgrow 64 bits are kept in limbs of 32 bits, each in an int64: a block has at most 2^16
events, so no limb overflows.
"""

# Compiled code takes its arrays one by one: numba gives nothing better.

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIMB_BITS: Final = 32
SUM_LIMBS: Final = 3
SQUARE_LIMBS: Final = 4
_LOW: Final = np.uint64(0xFFFFFFFF)
_SHIFT: Final = np.uint64(32)


@compiled
def advance_versions(
    slots: NDArray[np.int32],
    offsets: NDArray[np.int64],
    versions: NDArray[np.int64],
    changed: NDArray[np.bool_],
) -> None:
    """Raise each slot's version to the offset after its last row."""
    for row in range(len(slots)):
        versions[slots[row]] = max(versions[slots[row]], offsets[row] + 1)
        changed[slots[row]] = True


@compiled
def add_counts(
    slots: NDArray[np.int32], valid: NDArray[np.bool_], totals: NDArray[np.int64]
) -> None:
    """Count the valid rows of each slot."""
    for row in range(len(slots)):
        totals[slots[row]] += valid[row]


@compiled
def add_sums(
    slots: NDArray[np.int32],
    values: NDArray[np.int64],
    valid: NDArray[np.bool_],
    totals: NDArray[np.int64],
) -> None:
    """Add up the valid values of each slot."""
    for row in range(len(slots)):
        if valid[row]:
            totals[slots[row]] += values[row]


@compiled
def take_minima(
    slots: NDArray[np.int32],
    values: NDArray[np.float64],
    valid: NDArray[np.bool_],
    least: NDArray[np.float64],
) -> None:
    """Least valid value of each slot."""
    for row in range(len(slots)):
        if valid[row] and values[row] < least[slots[row]]:
            least[slots[row]] = values[row]


@compiled
def take_maxima(
    slots: NDArray[np.int32],
    values: NDArray[np.float64],
    valid: NDArray[np.bool_],
    greatest: NDArray[np.float64],
) -> None:
    """Greatest valid value of each slot."""
    for row in range(len(slots)):
        if valid[row] and values[row] > greatest[slots[row]]:
            greatest[slots[row]] = values[row]


@compiled
def add_limbs(
    slots: NDArray[np.int32],
    values: NDArray[np.int64],
    valid: NDArray[np.bool_],
    factor: int,
    limbs: NDArray[np.int64],
) -> None:
    """Add up valid values times a factor below 2^31, exactly; limbs has shape (SUM_LIMBS, slots).

    A negative value borrows: its high part is negative, its low part is not.
    """
    for row in range(len(slots)):
        if valid[row]:
            slot = slots[row]
            low = (values[row] & 0xFFFFFFFF) * factor
            high = (values[row] >> LIMB_BITS) * factor
            limbs[0, slot] += low & 0xFFFFFFFF
            limbs[1, slot] += (low >> LIMB_BITS) + (high & 0xFFFFFFFF)
            limbs[2, slot] += high >> LIMB_BITS


@compiled
def add_squares(
    slots: NDArray[np.int32],
    values: NDArray[np.int64],
    valid: NDArray[np.bool_],
    limbs: NDArray[np.int64],
) -> None:
    """Add up squares of valid values exactly; limbs has shape (SQUARE_LIMBS, slots).

    Values lie within 2^51: their schema limits them to 10^9 units of 10^6.
    """
    for row in range(len(slots)):
        if valid[row]:
            slot = slots[row]
            size = np.uint64(abs(values[row]))
            low = size & _LOW
            high = size >> _SHIFT
            low_squared = low * low
            crossed = (low * high) << np.uint64(1)
            limbs[0, slot] += np.int64(low_squared & _LOW)
            limbs[1, slot] += np.int64(low_squared >> _SHIFT) + np.int64(crossed & _LOW)
            limbs[2, slot] += np.int64(crossed >> _SHIFT) + np.int64(high * high)


def from_limbs(limbs: NDArray[np.int64]) -> list[int]:
    """The whole numbers that limbs stand for, one a slot."""
    totals = [0] * limbs.shape[1]
    for place, row in enumerate(limbs.tolist()):
        totals = [
            total + (limb << (LIMB_BITS * place)) for total, limb in zip(totals, row, strict=True)
        ]
    return totals
