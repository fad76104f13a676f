"""Rows in columns: what rows from Kafka, open rows and slots have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from inferwatch_streams.windows import kernel
from inferwatch_streams.windows.layout import Merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inferwatch_streams.windows.layout import Layout

#: Below and above every window.
NEVER: Final = int(np.iinfo(np.int64).min)
FOR_EVER: Final = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Counts by label of rows: row k has those from starts[k] to ends[k].

    Attributes:
        starts: Where each row's begin.
        ends: Where they end.
        labels: Numbers of labels (``labels.py``).
        counts: Events of each.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    labels: NDArray[np.uint16]
    counts: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Labels of each row."""
        return self.ends - self.starts

    @classmethod
    def of(
        cls, sizes: NDArray[np.int64], labels: NDArray[np.uint16], counts: NDArray[np.int64]
    ) -> Self:
        """Those that lie one after the other."""
        ends = np.cumsum(sizes)
        return cls(ends - sizes, ends, labels, counts)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Those of some rows, copied one after the other."""
        starts, ends = self.starts[rows], self.ends[rows]
        sizes = ends - starts
        size = int(sizes.sum())
        labels, counts = np.empty(size, np.uint16), np.empty(size, self.counts.dtype)
        kernel.copy_spans(starts, ends, self.labels, self.counts, labels, counts)
        return self.of(sizes, labels, counts)

    def merged(self, rows: NDArray[np.int64], count: int) -> Self:
        """Those of so many rows, to which these go; the labels of each ascending."""
        # Numbers of labels are of 16 bits.
        keys = (np.repeat(rows, self.sizes) << 16) | self.labels
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        begins = np.flatnonzero(np.diff(keys, prepend=-1))
        counts = np.add.reduceat(self.counts[order].astype(np.int64), begins) if len(keys) else keys
        found = keys[begins]
        return self.of(
            np.bincount(found >> 16, minlength=count).astype(np.int64),
            (found & 0xFFFF).astype(np.uint16),
            narrowed(counts),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows in columns.

    Attributes:
        groups: Group of each row.
        newest: Number of the newest window that each counts.
        values: The layout's values, (rows, values); NaN for a least or greatest of none.
        spans: The layout's counts.
    """

    groups: NDArray[np.int32]
    newest: NDArray[np.int64]
    values: NDArray[np.float64]
    spans: tuple[Spans, ...]

    def __len__(self) -> int:
        return len(self.groups)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Some rows, copied."""
        return type(self)(
            self.groups[rows],
            self.newest[rows],
            self.values[rows],
            tuple(spans.take(rows) for spans in self.spans),
        )


def joined(tables: Sequence[Table]) -> Table:
    """The rows of all; their spans must lie one after the other, as those of ``take`` do."""
    if len(tables) == 1:
        return tables[0]
    return Table(
        np.concatenate([table.groups for table in tables]),
        np.concatenate([table.newest for table in tables]),
        np.concatenate([table.values for table in tables]),
        tuple(
            Spans.of(
                np.concatenate([spans.sizes for spans in each]),
                np.concatenate([spans.labels for spans in each]),
                np.concatenate([spans.counts for spans in each]),
            )
            for each in zip(*(table.spans for table in tables), strict=True)
        ),
    )


def by_group(table: Table, layout: Layout) -> Table:
    """One row a group, ascending; the table's spans must lie one after the other."""
    groups, rows = np.unique(table.groups, return_inverse=True)
    values = blank(len(groups), layout)
    kernel.add_values(
        rows.astype(np.int32), table.newest, NEVER, FOR_EVER, table.values, layout.merges, values
    )
    newest = np.full(len(groups), NEVER)
    np.maximum.at(newest, rows, table.newest)
    spans = tuple(each.merged(rows, len(groups)) for each in table.spans)
    return Table(groups, newest, values, spans)


def blank(groups: int, layout: Layout) -> NDArray[np.float64]:
    """Values of groups that have none."""
    values = np.zeros((groups, len(layout.values)))
    values[:, layout.merges != Merge.ADD] = np.nan
    return values


def narrowed(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same numbers in as few bytes as hold them all: most counts of a minute need one."""
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))
