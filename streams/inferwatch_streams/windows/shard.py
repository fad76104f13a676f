"""The rows of one log: of one signal and topic id, as one partition of the aggregates has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inferwatch_streams.windows.frontier import Frontier
from inferwatch_streams.windows.horizons import (
    AHEAD_WINDOWS,
    HOURS,
    LEVELS,
    REACH,
    SIZES,
    TENS,
    WINDOW_MS,
)
from inferwatch_streams.windows.kernel import LOST
from inferwatch_streams.windows.open_rows import (
    BLOCK,
    EPOCH,
    PARTITION,
    TIME,
    UNSAVED,
    WINDOW,
    OpenRows,
)
from inferwatch_streams.windows.slots import Slots
from inferwatch_streams.windows.totals import key_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inferwatch_streams.windows.groups import Groups
    from inferwatch_streams.windows.horizons import Horizons
    from inferwatch_streams.windows.layout import Layout
    from inferwatch_streams.windows.table import Table
    from inferwatch_streams.windows.totals import Place


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of one log, in the order of the records they came with.

    Attributes:
        keys: Group, window, partition and block of each (``open_rows.py``).
        ranks: Version and first offset of each.
        origins: Offset and time of each one's record; by the broker, in milliseconds, ascending.
        table: Their values and counts.
    """

    keys: NDArray[np.int64]
    ranks: NDArray[np.int64]
    origins: NDArray[np.int64]
    table: Table

    def take(self, rows: NDArray[np.int64]) -> Batch:
        """Some rows, copied."""
        return Batch(self.keys[rows], self.ranks[rows], self.origins[rows], self.table.take(rows))


@dataclass(slots=True)
class Taken:
    """What became of rows, by number.

    Attributes:
        taken: Counted, in place of an older one or as the first of their key.
        replaced: One as good or better of their key was there.
        folded: Of blocks whose rows are taken no more.
        out_of_time: Too old for the store, or ahead of the broker's clock by more than an hour.
    """

    taken: int = 0
    replaced: int = 0
    folded: int = 0
    out_of_time: int = 0


class Shard:
    """Open rows and slots of one log.

    Attributes:
        place: Which log.
        open: Rows of blocks that may still grow.
        slots: Sums of the others.
        frontiers: Through which block the rows of each source partition are folded.
        ahead: By level, number of slot and group: sums of ``inferwatch.totals`` that hold more
            blocks than the frontiers say, by partition the first that they do not hold. They were
            written, and the checkpoint after them was not.
        gone: Keys of ``inferwatch.totals`` that hold no longer.
    """

    def __init__(self, place: Place, layout: Layout, groups: Groups) -> None:
        self.place = place
        self.open = OpenRows(layout)
        self.slots = Slots(layout)
        self.frontiers: dict[int, Frontier] = {}
        self.ahead: dict[tuple[int, int, int], dict[int, int]] = {}
        self.gone: list[bytes] = []
        self._groups = groups

    def take(self, batch: Batch, taken: Taken) -> NDArray[np.int64]:
        """Take rows in; places in the batch of those that are counted, or better ones of theirs."""
        admitted = np.zeros(len(batch.keys), np.bool_)
        partitions, times = batch.keys[:, PARTITION], batch.origins[:, TIME]
        for partition in np.unique(partitions).tolist():
            rows = np.flatnonzero(partitions == partition)
            frontier = self.frontiers.setdefault(partition, Frontier())
            admitted[rows] = frontier.admit(batch.keys[rows, BLOCK], times[rows])
        if self.ahead:
            admitted &= ~self.counted_ahead(batch.keys)
        taken.folded += len(admitted) - int(admitted.sum())
        age = times // WINDOW_MS - batch.keys[:, WINDOW]
        in_time = (age >= -AHEAD_WINDOWS) & (age <= REACH[HOURS])
        taken.out_of_time += int((admitted & ~in_time).sum())
        rows = np.flatnonzero(admitted & in_time)
        chosen = batch if len(rows) == len(batch.keys) else batch.take(rows)
        places = self.open.put(chosen.keys, chosen.ranks, chosen.origins, chosen.table)
        lost = int((places == LOST).sum())
        taken.taken += len(places) - lost
        taken.replaced += lost
        return rows

    def counted_ahead(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Rows that a sum holds already."""
        found = np.zeros(len(keys), np.bool_)
        for row, (group, window, partition, block) in enumerate(keys.tolist()):
            for level in LEVELS:
                limits = self.ahead.get((level, window // SIZES[level], group))
                found[row] |= limits is not None and block < limits.get(partition, 0)
        return found

    def fold(self, now_ms: int, horizons: Horizons) -> None:
        """Fold the rows of blocks whose time has come by the broker's clock."""
        moved = [
            (partition, frontier.limit)
            for partition, frontier in self.frontiers.items()
            if frontier.advance(now_ms)
        ]
        if not moved:
            return
        keys = self.open.keys
        ready = np.zeros(len(keys), np.bool_)
        for partition, limit in moved:
            ready |= (keys[:, PARTITION] == partition) & (keys[:, BLOCK] < limit)
        rows = np.flatnonzero(ready)
        if len(rows):
            self.slots.add(self.open.table().take(rows), horizons)
            self._remove(ready)

    def age(self, horizons: Horizons) -> None:
        """Keep less exactly what lies behind the horizons, or no longer."""
        for gone in self.slots.age(horizons):
            self.gone += [
                key_of(self.place, epoch, gone.level, gone.number, self._groups.names[group])
                for group, epoch in gone.saved.items()
            ]
        self._remove(self.open.keys[:, WINDOW] < horizons.hours)

    def _remove(self, rows: NDArray[np.bool_]) -> None:
        saved = np.flatnonzero(rows & (self.open.saved[:, EPOCH] != UNSAVED))
        self.gone += self.row_keys(saved)
        self.open.remove(rows)

    def row_keys(self, rows: NDArray[np.int64]) -> list[bytes]:
        """Keys under which open rows were saved."""
        keys, epochs = self.open.keys[rows].tolist(), self.open.saved[rows, EPOCH].tolist()
        names = self._groups.names
        return [
            key_of(self.place, epoch, TENS, window, names[group], partition, block)
            for (group, window, partition, block), epoch in zip(keys, epochs, strict=True)
        ]
