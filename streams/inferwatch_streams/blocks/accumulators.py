"""The state of each kind of measure: arrays with one element a slot, and what a row shows of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from inferwatch_schemas.columnar.reader import Numbers, Text
from inferwatch_streams import metrics
from inferwatch_streams.blocks import accumulate, names
from inferwatch_streams.blocks.grouping import Groups
from inferwatch_streams.blocks.histogram import Bins
from inferwatch_streams.blocks.segments import segments, sort_texts
from inferwatch_streams.rows import cells
from inferwatch_streams.signals import MAX_NAME_BYTES, MAX_NAMES, MICROS, OTHER, Kind, Measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from inferwatch_streams.rows.cells import Cells

FIRST_CAPACITY: Final = 64
_NEVER: Final = np.iinfo(np.int64).max
# Not writable, as the bytes of a chunk: for others the same code would be compiled again.
_OTHER: Final = np.frombuffer(OTHER.encode(), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of a chunk that are to be counted together.

    Attributes:
        data: Bytes of the chunk, into which columns of text point.
        slots: Slot of each row.
        offsets: Offset of each row.
        column: The measured column of each row; None where only rows are counted.
    """

    data: NDArray[np.uint8]
    slots: NDArray[np.int32]
    offsets: NDArray[np.int64]
    column: Text | Numbers | None


class Accumulator(Protocol):
    """State of one measure."""

    def grow(self, capacity: int) -> None:
        """Make room for so many slots."""
        ...

    def add(self, rows: Rows) -> None:
        """Take rows in."""
        ...

    def show(self, slots: NDArray[np.int64]) -> dict[str, Cells]:
        """Encoded fields of the aggregate rows of these slots, which ascend: one cell a slot."""
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
        self._totals = grown(self._totals, capacity, 0)

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

    def show(self, slots: NDArray[np.int64]) -> dict[str, Cells]:
        """See ``Accumulator``."""
        return {self._measure.name: cells.longs(self._totals[slots])}


class ExactSums:
    """DECIMAL_SUM and SUM_OF_SQUARES: a whole number of any size a slot, kept in limbs."""

    def __init__(self, measure: Measure) -> None:
        self._name = measure.name
        self._squares = measure.kind is Kind.SUM_OF_SQUARES
        limbs = accumulate.SQUARE_LIMBS if self._squares else accumulate.SUM_LIMBS
        self._limbs = np.zeros((limbs, FIRST_CAPACITY), np.int64)

    def grow(self, capacity: int) -> None:
        """See ``Accumulator``."""
        self._limbs = grown(self._limbs, capacity, 0)

    def add(self, rows: Rows) -> None:
        """See ``Accumulator``."""
        column = _numbers(rows.column)
        if self._squares:
            accumulate.add_squares(rows.slots, micros(column), column.valid, self._limbs)
            return
        whole = column.values.dtype == np.int64
        # Bytes in millionths leave 64 bits at nine terabytes, so they are scaled limb by limb.
        values = column.values.astype(np.int64) if whole else micros(column)
        factor = MICROS if whole else 1
        accumulate.add_limbs(rows.slots, values, column.valid, factor, self._limbs)

    def show(self, slots: NDArray[np.int64]) -> dict[str, Cells]:
        """See ``Accumulator``."""
        totals = accumulate.from_limbs(self._limbs[:, slots])
        # Avro's decimal: the digits as a whole number in two's complement, big-endian.
        raw = [
            total.to_bytes((total.bit_length() + 8) // 8, "big", signed=True) for total in totals
        ]
        return {self._name: cells.blobs(raw)}


class Extremes:
    """MINIMUM, MAXIMUM and those that may be null: one double a slot."""

    def __init__(self, measure: Measure) -> None:
        self._name = measure.name
        self._least = measure.kind in (Kind.MINIMUM, Kind.MINIMUM_OR_NULL)
        self._nullable = measure.kind in (Kind.MINIMUM_OR_NULL, Kind.MAXIMUM_OR_NULL)
        self._found = np.full(FIRST_CAPACITY, self._start, np.float64)

    @property
    def _start(self) -> float:
        return math.inf if self._least else -math.inf

    def grow(self, capacity: int) -> None:
        """See ``Accumulator``."""
        self._found = grown(self._found, capacity, self._start)

    def add(self, rows: Rows) -> None:
        """See ``Accumulator``."""
        column = _numbers(rows.column)
        take = accumulate.take_minima if self._least else accumulate.take_maxima
        # Adding zero makes -0.0 zero: the two are equal, and which one came first must not show.
        take(rows.slots, column.values.astype(np.float64) + 0.0, column.valid, self._found)

    def show(self, slots: NDArray[np.int64]) -> dict[str, Cells]:
        """See ``Accumulator``."""
        found = self._found[slots]
        if self._nullable:
            # Values of events are finite, so what it began with is no value.
            return {self._name: cells.doubles_or_null(found, np.isfinite(found))}
        return {self._name: cells.doubles(found)}


class Histogram:
    """HISTOGRAM: counts by bin."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._bins = Bins()

    def grow(self, capacity: int) -> None:
        """Nothing to do: what is noted grows by itself."""

    def add(self, rows: Rows) -> None:
        """See ``Accumulator``."""
        column = _numbers(rows.column)
        self._bins.add(rows.slots, column.values.astype(np.float64), column.valid)

    def show(self, slots: NDArray[np.int64]) -> dict[str, Cells]:
        """See ``Accumulator``."""
        bounds, bins, counts = self._bins.collect(slots)
        return {
            self._measure.name: cells.arrays(bounds, cells.longs(bins)),
            self._measure.counts: cells.arrays(bounds, cells.longs(counts)),
        }


class Tally:
    """TALLY: counts by text, as groups of their own whose tag is the slot; see ``names``."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._groups = Groups()
        self._counts = np.zeros(FIRST_CAPACITY, np.int64)
        self._firsts = np.full(FIRST_CAPACITY, _NEVER, np.int64)
        # Of each slot: events whose text may not be named, and whether one was too long for it.
        self._others = np.zeros(FIRST_CAPACITY, np.int64)
        self._folded = np.zeros(FIRST_CAPACITY, np.bool_)
        # names.REST, so that its text lies beside the others'.
        self._groups.assign(
            _OTHER, np.zeros((1, 1), np.int64), np.full((1, 1), len(_OTHER)), np.full(1, -1)
        )

    def grow(self, capacity: int) -> None:
        """See ``Accumulator``; the texts of a slot are not known before they come."""
        self._others = grown(self._others, capacity, 0)
        self._folded = grown(self._folded, capacity, 0)

    def add(self, rows: Rows) -> None:
        """See ``Accumulator``."""
        column = rows.column
        if not isinstance(column, Text):
            raise TypeError("The measure is of texts and its field is not.")
        there = np.empty(len(rows.slots), np.int64)
        found = names.pick_named(
            rows.data, rows.slots, column.starts, column.lengths, MAX_NAME_BYTES, _OTHER,
            self._others, self._folded, there,
        )  # fmt: skip
        if not found:
            return
        there = there[:found]
        entries = self._groups.assign(
            rows.data,
            np.ascontiguousarray(column.starts[np.newaxis, there]),
            np.ascontiguousarray(column.lengths[np.newaxis, there]),
            rows.slots[there].astype(np.int64),
        )
        if len(self._groups) > len(self._counts):
            room = 2 * len(self._groups)
            self._counts = grown(self._counts, room, 0)
            self._firsts = grown(self._firsts, room, _NEVER)
        names.note_named(entries, there, rows.offsets, self._counts, self._firsts)

    def show(self, slots: NDArray[np.int64]) -> dict[str, Cells]:
        """See ``Accumulator``."""
        bounds, entries = segments(self._groups.tags[names.REST + 1 :], slots)
        entries += names.REST + 1
        others, many = self._others[slots], np.diff(bounds) > MAX_NAMES
        if many.any() or others.any():
            bounds, entries, others = names.fold(
                bounds, entries, self._firsts, self._counts, others, MAX_NAMES
            )
            metrics.FOLDED_ROWS.inc(int(np.count_nonzero(many | self._folded[slots])))
        data, starts, lengths = self._groups.texts(np.arange(len(self._groups)), 1)
        sort_texts(bounds, data, starts[0], lengths[0], entries)
        texts = cells.texts(data, starts[0, entries], lengths[0, entries])
        counts = self._counts[entries]
        counts[entries == names.REST] = others[others > 0]
        return {
            self._measure.name: cells.arrays(bounds, texts),
            self._measure.counts: cells.arrays(bounds, cells.longs(counts)),
        }


CONSTRUCTORS: Final[dict[Kind, Callable[[Measure], Accumulator]]] = {
    Kind.COUNT: Totals,
    Kind.COUNT_VALID: Totals,
    Kind.SUM: Totals,
    Kind.SUM_MICROS: Totals,
    Kind.DECIMAL_SUM: ExactSums,
    Kind.SUM_OF_SQUARES: ExactSums,
    Kind.MINIMUM: Extremes,
    Kind.MAXIMUM: Extremes,
    Kind.MINIMUM_OR_NULL: Extremes,
    Kind.MAXIMUM_OR_NULL: Extremes,
    Kind.HISTOGRAM: Histogram,
    Kind.TALLY: Tally,
}


def grown(array: NDArray[Any], capacity: int, fill: float) -> NDArray[Any]:
    """A longer copy of an array of slots; new slots hold fill."""
    larger = np.full((*array.shape[:-1], capacity), fill, array.dtype)
    larger[..., : array.shape[-1]] = array
    return larger
