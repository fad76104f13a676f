"""The rows of one log: of one signal and topic id, as one partition of the aggregates has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inferwatch_streams.windows.frontier import Frontier
from inferwatch_streams.windows.horizons import AHEAD_WINDOWS, HOURS, REACH, WINDOW_MS
from inferwatch_streams.windows.open_rows import BLOCK, PARTITION, WINDOW, OpenRows
from inferwatch_streams.windows.slots import Slots

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inferwatch_streams.windows.horizons import Horizons
    from inferwatch_streams.windows.layout import Layout
    from inferwatch_streams.windows.table import Table


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of one log, in the order of the records they came with.

    Attributes:
        keys: Group, window, partition and block of each (``open_rows.py``).
        ranks: Version and first offset of each.
        offsets: Offset of each one's record.
        times: The broker's time of each record in milliseconds, ascending.
        table: Their values and counts.
    """

    keys: NDArray[np.int64]
    ranks: NDArray[np.int64]
    offsets: NDArray[np.int64]
    times: NDArray[np.int64]
    table: Table

    def take(self, rows: NDArray[np.int64]) -> Batch:
        """Some rows, copied."""
        return Batch(
            self.keys[rows], self.ranks[rows], self.offsets[rows], self.times[rows],
            self.table.take(rows),
        )  # fmt: skip


@dataclass(slots=True)
class Taken:
    """What became of rows, by number.

    Attributes:
        taken: Counted, in place of an older one or as the first of their key.
        replaced: A better one of their key was there.
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
        open: Rows of blocks that may still grow.
        slots: Sums of the others.
        frontiers: Through which block the rows of each source partition are folded.
    """

    def __init__(self, layout: Layout) -> None:
        self.open = OpenRows(layout)
        self.slots = Slots(layout)
        self.frontiers: dict[int, Frontier] = {}

    def take(self, batch: Batch, taken: Taken) -> NDArray[np.int64]:
        """Take rows in; those that were, by their place in the batch."""
        admitted = np.zeros(len(batch.keys), np.bool_)
        partitions = batch.keys[:, PARTITION]
        for partition in np.unique(partitions).tolist():
            rows = np.flatnonzero(partitions == partition)
            frontier = self.frontiers.setdefault(partition, Frontier())
            admitted[rows] = frontier.admit(batch.keys[rows, BLOCK], batch.times[rows])
        taken.folded += len(admitted) - int(admitted.sum())
        age = batch.times // WINDOW_MS - batch.keys[:, WINDOW]
        in_time = (age >= -AHEAD_WINDOWS) & (age <= REACH[HOURS])
        taken.out_of_time += int((admitted & ~in_time).sum())
        rows = np.flatnonzero(admitted & in_time)
        chosen = batch if len(rows) == len(batch.keys) else batch.take(rows)
        count = self.open.put(chosen.keys, chosen.ranks, chosen.offsets, chosen.table)
        taken.taken += count
        taken.replaced += len(rows) - count
        return rows

    def fold(self, now_ms: int, horizons: Horizons) -> None:
        """Fold the rows of blocks whose time has come by the broker's clock."""
        moved = [
            (partition, frontier.limit)
            for partition, frontier in self.frontiers.items()
            if frontier.advance(now_ms)
        ]
        keys = self.open.keys
        ready = np.zeros(len(keys), np.bool_)
        for partition, limit in moved:
            ready |= (keys[:, PARTITION] == partition) & (keys[:, BLOCK] < limit)
        rows = np.flatnonzero(ready)
        if len(rows):
            self.slots.add(self.open.table().take(rows), horizons)
            self.open.remove(ready)

    def age(self, horizons: Horizons) -> None:
        """Keep less exactly what lies behind the horizons, or no longer."""
        self.slots.age(horizons)
        self.open.remove(self.open.keys[:, WINDOW] < horizons.hours)
