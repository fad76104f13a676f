"""What is held of one signal: its groups, labels and logs, added up over spans of windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inferwatch_streams.windows import kernel
from inferwatch_streams.windows.groups import Groups
from inferwatch_streams.windows.labels import BinLabels, TextLabels
from inferwatch_streams.windows.shard import Shard
from inferwatch_streams.windows.table import FOR_EVER, NEVER, blank

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from inferwatch_streams.windows.layout import Layout
    from inferwatch_streams.windows.table import Table
    from inferwatch_streams.windows.totals import Place

    # Adds the rows of a table, those of windows from first up to end, to sums.
    Add = Callable[[Table, int, int, NDArray[Any]], None]

#: Sums that are kept for the next question; those asked for longest ago go.
MAX_KEPT: Final = 64


class Contents:
    """One signal.

    Attributes:
        layout: How its rows are laid out.
        groups: Its groups.
        labels: Labels of each of the layout's counts.
        shards: Its logs, by partition of the aggregates and topic id of the source.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.groups = Groups(layout.dimensions)
        self.labels = tuple(TextLabels() if c.text else BinLabels() for c in layout.counts)
        self.shards: dict[tuple[int, str], Shard] = {}
        self._kept: dict[tuple[Any, ...], tuple[tuple[int, ...], NDArray[Any]]] = {}

    def shard(self, place: Place) -> Shard:
        """A log, which may be new."""
        at = (place.aggregates_partition, place.topic_id)
        found = self.shards.get(at)
        if found is None:
            found = self.shards[at] = Shard(place, self.layout, self.groups)
        return found

    def values(self, first: int, end: int) -> NDArray[np.float64]:
        """The layout's values of windows from first up to end, (numbers of groups, values)."""

        def add(table: Table, first: int, end: int, sums: NDArray[np.float64]) -> None:
            kernel.add_values(
                table.groups, table.newest, first, end, table.values, self.layout.merges, sums
            )

        return self._sums("values", first, end, blank(self.groups.room, self.layout), add)

    def counts(self, index: int, first: int, end: int) -> NDArray[np.int64]:
        """One of the layout's counts by its place there, (numbers of groups, labels)."""

        def add(table: Table, first: int, end: int, sums: NDArray[np.int64]) -> None:
            spans = table.spans[index]
            kernel.add_counts(
                table.groups, table.newest, first, end,
                spans.starts, spans.ends, spans.labels, spans.counts, sums,
            )  # fmt: skip

        none = np.zeros((self.groups.room, len(self.labels[index])), np.int64)
        return self._sums(index, first, end, none, add)

    def count_of(self, index: int, label: int, first: int, end: int) -> NDArray[np.float64]:
        """One label of one of the layout's counts, of each number of a group."""

        def add(table: Table, first: int, end: int, sums: NDArray[np.float64]) -> None:
            spans = table.spans[index]
            kernel.add_one_label(
                table.groups, table.newest, first, end,
                spans.starts, spans.ends, spans.labels, spans.counts, label, sums,
            )  # fmt: skip

        return self._sums((index, label), first, end, np.zeros(self.groups.room), add)

    def _sums(self, what: Any, first: int, end: int, none: NDArray[Any], add: Add) -> NDArray[Any]:
        """Sums of open rows and slots; each part is kept while nothing of its kind changed."""
        shards = self.shards.values()
        shape = none.shape
        of_slots = (sum(shard.slots.changes for shard in shards), *shape)
        of_open = (sum(shard.open.changes for shard in shards), *of_slots)

        def folded() -> NDArray[Any]:
            sums = none.copy()
            for table in self._tables(first, end):
                add(table, NEVER, FOR_EVER, sums)
            return sums

        def whole() -> NDArray[Any]:
            slots = self._keep(("slots", what, *self._ends(first, end, of_slots)), of_slots, folded)
            sums = slots.copy()
            for shard in shards:
                add(shard.open.table(), first, end, sums)
            return sums

        return self._keep(("all", what, first, end), of_open, whole)

    def _tables(self, first: int, end: int) -> Iterator[Table]:
        for shard in self.shards.values():
            yield from shard.slots.between(first, end)

    def _ends(self, first: int, end: int, stamp: tuple[int, ...]) -> tuple[int, int]:
        """What two spans have in common that hold the same slots."""

        def begins() -> NDArray[np.int64]:
            return np.unique(
                [begin for shard in self.shards.values() for begin in shard.slots.begins()]
            ).astype(np.int64)

        known = self._keep(("begins",), stamp, begins)
        one, other = np.searchsorted(known, [first, end]).tolist()
        return one, other

    def _keep(
        self, key: tuple[Any, ...], stamp: tuple[int, ...], make: Callable[[], NDArray[Any]]
    ) -> NDArray[Any]:
        found = self._kept.pop(key, None)
        if found is None or found[0] != stamp:
            found = (stamp, make())
        self._kept[key] = found
        while len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        return found[1]
