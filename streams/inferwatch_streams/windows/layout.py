"""How the rows of a signal are laid out in columns: follows from the table in ``signals.py``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_streams.rows.row_format import METRIC
from inferwatch_streams.signals import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inferwatch_streams.signals import Signal


class Merge(IntEnum):
    """How two values of a group become one."""

    ADD = 0
    LEAST = 1
    GREATEST = 2


_MERGES: Final = {
    Kind.MINIMUM: Merge.LEAST,
    Kind.MINIMUM_OR_NULL: Merge.LEAST,
    Kind.MAXIMUM: Merge.GREATEST,
    Kind.MAXIMUM_OR_NULL: Merge.GREATEST,
}
# Decimals are kept as the whole numbers they are made of, which add up exactly up to 2^53.
_UNITS: Final = {Kind.DECIMAL_SUM: 1e6, Kind.SUM_OF_SQUARES: 1e12}
_LISTS: Final = (Kind.HISTOGRAM, Kind.TALLY)


@dataclass(frozen=True, slots=True)
class Value:
    """A field that is one number.

    Attributes:
        name: Field of the row.
        merge: How two become one.
        unit: What is kept is a multiple of one over this; other than 1 in decimals.
    """

    name: str
    merge: Merge
    unit: float


@dataclass(frozen=True, slots=True)
class Counts:
    """A field that counts by labels: a histogram's bins, or the texts of a tally.

    Attributes:
        name: What it is asked for by: a histogram's field of counts, a tally's of labels.
        labels: Field of the row with the labels.
        counts: Field of the row with the count of each.
        text: Whether it is a tally.
    """

    name: str
    labels: str
    counts: str
    text: bool


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A signal's rows as columns.

    Attributes:
        signal: Name and version of the signal.
        row: Schema of its rows.
        dimensions: Fields that groups are told apart by.
        values: Fields that are numbers.
        merges: How each of these is merged.
        counts: Fields that are histograms and tallies.
    """

    signal: str
    row: str
    dimensions: tuple[str, ...]
    values: tuple[Value, ...]
    merges: NDArray[np.int64]
    counts: tuple[Counts, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of a row to read as columns, besides those that all rows have."""
        lists = [field for each in self.counts for field in (each.labels, each.counts)]
        return (*self.dimensions, *(value.name for value in self.values), *lists)


@cache
def layout_of(signal: Signal) -> Layout:
    """The layout of a signal's rows."""
    names = tuple(dimension.name for dimension in signal.dimensions)
    values = tuple(
        Value(measure.name, _MERGES.get(measure.kind, Merge.ADD), _UNITS.get(measure.kind, 1.0))
        for measure in signal.measures
        if measure.kind not in _LISTS
    )
    counts = tuple(
        Counts(measure.name, measure.name, measure.counts, text=True)
        if measure.kind is Kind.TALLY
        else Counts(measure.counts, measure.name, measure.counts, text=False)
        for measure in signal.measures
        if measure.kind in _LISTS
    )
    return Layout(
        signal.name,
        signal.row,
        (*names, METRIC) if signal.unpivot else names,
        values,
        np.array([value.merge for value in values], np.int64),
        counts,
    )
