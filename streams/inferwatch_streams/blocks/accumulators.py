"""The state of each kind of measure: arrays with one element a slot, and what a row shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from inferwatch_schemas.columnar.reader import Numbers, Text

from inferwatch_streams.blocks import accumulate
from inferwatch_streams.blocks.grouping import Groups
from inferwatch_streams.blocks.histogram import SparseBins
from inferwatch_streams.signals import MICROS, Kind, Measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FIRST_CAPACITY: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of a chunk that are to be counted together.

    Attributes:
        data: Bytes of the chunk, into which columns of text point.
        slots: Slot of each row.
        column: The measured column of each row; None where only rows are counted.
    """

    data: NDArray[np.uint8]
    slots: NDArray[np.int32]
    column: Text | Numbers | None


class Accumulator(Protocol):
    """State of one measure."""

    def grow(self, capacity: int) -> None:
        """Make room for so many slots."""
        ...

    def add(self, rows: Rows) -> None:
        """Take rows in."""
        ...

    def show(self, wanted: NDArray[np.bool_]) -> Callable[[int], dict[str, Any]]:
        """A function from a wanted slot to its fields of the aggregate row."""
        ...


def micros(column: Numbers) -> NDArray[np.int64]:
    """Values in whole millionths, halves to even."""
    if column.values.dtype == np.int64:
        return column.values.astype(np.int64) * MICROS
    return np.rint(column.values * MICROS).astype(np.int64)


def _valid(column: Text | Numbers | None, rows: int) -> NDArray[np.bool_]:
    if column is None:
        return np.ones(rows, np.bool_)
    return column.lengths >= 0 if isinstance(column, Text) else column.valid


def _numbers(column: Text | Numbers | None) -> Numbers:
    if not isinstance(column, Numbers):
        raise TypeError("The measure is of numbers and its field is not.")
    return column


class Totals:
    """COUNT, COUNT_VALID, SUM and SUM_MICROS: one int64 a slot."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._totals = np.zeros(FIRST_CAPACITY, np.int64)

    def grow(self, capacity: int) -> None:
        """See ``Accumulator``."""
        self._totals = _grown(self._totals, capacity, 0)

    def add(self, rows: Rows) -> None:
        """See ``Accumulator``."""
        kind = self._measure.kind
        if kind in (Kind.COUNT, Kind.COUNT_VALID):
            column = None if kind is Kind.COUNT else rows.column
            accumulate.add_counts(rows.slots, _valid(column, len(rows.slots)), self._totals)
            return
        column = _numbers(rows.column)
        values = micros(column) if kind is Kind.SUM_MICROS else column.values.astype(np.int64)
        accumulate.add_sums(rows.slots, values, column.valid, self._totals)

    def show(self, wanted: NDArray[np.bool_]) -> Callable[[int], dict[str, Any]]:
        """See ``Accumulator``."""
        del wanted
        name, totals = self._measure.name, self._totals.tolist()
        return lambda slot: {name: totals[slot]}


class ExactSums:
    """DECIMAL_SUM and SUM_OF_SQUARES: limbs a slot."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._squares = measure.kind is Kind.SUM_OF_SQUARES
        limbs = accumulate.SQUARE_LIMBS if self._squares else accumulate.SUM_LIMBS
        self._limbs = np.zeros((limbs, FIRST_CAPACITY), np.int64)

    def grow(self, capacity: int) -> None:
        """See ``Accumulator``."""
        self._limbs = _grown(self._limbs, capacity, 0)

    def add(self, rows: Rows) -> None:
        """See ``Accumulator``."""
        column = _numbers(rows.column)
        if self._squares:
            accumulate.add_squares(rows.slots, micros(column), column.valid, self._limbs)
        elif column.values.dtype == np.int64:
            # Bytes in millionths would leave 64 bits at nine terabytes: shown times MICROS.
            accumulate.add_limbs(
                rows.slots, column.values.astype(np.int64), column.valid, self._limbs
            )
        else:
            accumulate.add_limbs(rows.slots, micros(column), column.valid, self._limbs)

    def show(self, wanted: NDArray[np.bool_]) -> Callable[[int], dict[str, Any]]:
        """See ``Accumulator``."""
        raise NotImplementedError


def _grown(array: NDArray[Any], capacity: int, fill: float) -> NDArray[Any]:
    larger = np.full((*array.shape[:-1], capacity), fill, array.dtype)
    larger[..., : array.shape[-1]] = array
    return larger
