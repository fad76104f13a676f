"""The columns of a chunk's aggregate rows, and which of its records are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.arrays import longs_of, texts_of
from inferwatch_schemas.columnar.reader import BadRecord, Numbers, Text
from inferwatch_streams.signals import WINDOW_SECONDS
from inferwatch_streams.windows.horizons import WINDOW_MS
from inferwatch_streams.windows.kernel import read_decimals
from inferwatch_streams.windows.labels import LEAST_BIN, MOST_BINS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from inferwatch_schemas.columnar.reader import Part
    from inferwatch_streams.windows.layout import Layout

NUMBERS: Final = (
    "window_start", "window_seconds", "partition", "block", "first_offset", "version",
)  # fmt: skip
FIELDS: Final = ("signal", "topic_id", *NUMBERS)


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Labels and counts of rows, one after the other.

    Attributes:
        sizes: How many labels each row has.
        labels: Bins of a histogram, texts of a tally.
        counts_sizes: How many counts each row has: as many where it has no fault.
        counts: Events of each label.
        fault: Rows in which they do not fit each other, or are out of range.
    """

    sizes: NDArray[np.int64]
    labels: NDArray[np.int64] | Text
    counts_sizes: NDArray[np.int64]
    counts: NDArray[np.int64]
    fault: NDArray[np.bool_]

    def without_faults(self, good: NDArray[np.bool_]) -> Lists:
        """Those of some rows, none of which has a fault."""
        if good.all():
            return self
        of_labels, of_counts = np.repeat(good, self.sizes), np.repeat(good, self.counts_sizes)
        labels = (
            Text(self.labels.starts[of_labels], self.labels.lengths[of_labels])
            if isinstance(self.labels, Text)
            else self.labels[of_labels]
        )
        sizes = self.sizes[good]
        return Lists(sizes, labels, sizes, self.counts[of_counts], self.fault[good])


class RowColumns:
    """What one part of a chunk says, one element a row.

    Attributes:
        part: The part.
        data: The chunk's bytes.
        layout: How its rows are laid out.
        lists: The layout's counts.
    """

    def __init__(self, part: Part, data: NDArray[np.uint8], layout: Layout) -> None:
        self.part = part
        self.data = data
        self.layout = layout
        self.lists = tuple(
            self._lists(each.labels, each.counts, text=each.text) for each in layout.counts
        )

    def text(self, name: str) -> Text:
        """A column of texts."""
        column = self.part.columns[name]
        assert isinstance(column, Text)  # noqa: S101  # the schema says so
        return column

    def number(self, name: str) -> NDArray[np.int64]:
        """A column of whole numbers that are never null."""
        column = self.part.columns[name]
        assert isinstance(column, Numbers)  # noqa: S101  # the schema says so
        values: NDArray[np.int64] = column.values.astype(np.int64, copy=False)
        return values

    def value(self, name: str) -> NDArray[np.float64]:
        """A column of numbers of any kind; NaN for null."""
        column = self.part.columns[name]
        if isinstance(column, Numbers):
            return np.where(column.valid, column.values, np.nan)
        values = np.empty(len(column.starts))
        read_decimals(self.data, column.starts, column.lengths, values)
        return values

    def _lists(self, labels: str, counts: str, *, text: bool) -> Lists:
        bounds, numbers = longs_of(self.data, self.text(counts))
        fault = _any(numbers < 0, bounds)
        found: NDArray[np.int64] | Text
        if text:
            label_bounds, found = texts_of(self.data, self.text(labels))
        else:
            label_bounds, found = longs_of(self.data, self.text(labels))
            fault |= _any((found < LEAST_BIN) | (found >= LEAST_BIN + MOST_BINS), label_bounds)
        sizes, counts_sizes = np.diff(label_bounds), np.diff(bounds)
        return Lists(sizes, found, counts_sizes, numbers, fault | (sizes != counts_sizes))

    def faults(self) -> Iterator[tuple[NDArray[np.bool_], str]]:
        """What the schema does not say of a row, and where it is not so."""
        start = self.number("window_start")
        yield ~self._is_signal(), f"signal is not {self.layout.signal}"
        yield self.number("window_seconds") != WINDOW_SECONDS, "window_seconds is another"
        yield (start % WINDOW_MS != 0) | (start < 0), "window_start is no start of a window"
        for name in ("partition", "block", "first_offset", "version"):
            yield self.number(name) < 0, f"{name} is negative"
        for lists, each in zip(self.lists, self.layout.counts, strict=True):
            yield lists.fault, f"{each.labels} and {each.counts} do not fit"

    def _is_signal(self) -> NDArray[np.bool_]:
        column = self.text("signal")
        name = np.frombuffer(self.layout.signal.encode(), np.uint8)
        found: NDArray[np.bool_] = column.lengths == len(name)
        places = column.starts[found, None] + np.arange(len(name))
        found[found] = (self.data[places] == name).all(axis=1)
        return found

    def good(self, bad: list[BadRecord]) -> NDArray[np.bool_]:
        """Rows without a fault; the others are added to the bad records."""
        good = np.ones(len(self.part.rows), np.bool_)
        for fault, what in self.faults():
            for row in np.flatnonzero(fault & good).tolist():
                detail = f"{self.part.name}: {what}."
                index = int(self.part.rows[row])
                bad.append(BadRecord(index, "out_of_range", detail, self.part.schema_id))
            good &= ~fault
        return good


def _any(items: NDArray[np.bool_], bounds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each row has such an item."""
    so_far = np.concatenate([[0], np.cumsum(items)])
    found: NDArray[np.bool_] = so_far[bounds[1:]] > so_far[bounds[:-1]]
    return found
