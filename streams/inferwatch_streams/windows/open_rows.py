"""Rows of blocks that may still grow, each of which a better one may replace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inferwatch_streams.windows import kernel
from inferwatch_streams.windows.table import Spans, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inferwatch_streams.windows.layout import Layout

FIRST_ROOM: Final = 64
#: Columns of a row's key and of its ranks (``kernel.place_rows``).
GROUP, WINDOW, PARTITION, BLOCK = range(4)
VERSION, FIRST_OFFSET = range(2)
#: Columns of where a row came from, and of what was saved of it.
OFFSET, TIME = range(2)
EPOCH, SAVED_VERSION = range(2)
#: Below every epoch and version.
UNSAVED: Final = -1


class OpenRows:
    """Rows of one log by (group, window, partition, block), as ``inferwatch.aggregates`` has them.

    Attributes:
        changes: Raised when a row comes, or goes.
    """

    def __init__(self, layout: Layout) -> None:
        self.changes = 0
        self._count = 0
        self._table: Table | None = None
        self._index = np.full(2 * FIRST_ROOM, kernel.FREE, np.int32)
        self._keys = np.empty((FIRST_ROOM, 4), np.int64)
        self._ranks = np.empty((FIRST_ROOM, 2), np.int64)
        self._origins = np.empty((FIRST_ROOM, 2), np.int64)
        self._saved = np.empty((FIRST_ROOM, 2), np.int64)
        self._values = np.empty((FIRST_ROOM, len(layout.values)))
        self._spans = [_Growing() for _ in layout.counts]

    def __len__(self) -> int:
        return self._count

    @property
    def keys(self) -> NDArray[np.int64]:
        """Keys of the rows held, (rows, 4)."""
        return self._keys[: self._count]

    @property
    def ranks(self) -> NDArray[np.int64]:
        """Versions and first offsets, (rows, 2)."""
        return self._ranks[: self._count]

    @property
    def origins(self) -> NDArray[np.int64]:
        """Offset and time of the record that each came with, (rows, 2)."""
        return self._origins[: self._count]

    @property
    def saved(self) -> NDArray[np.int64]:
        """Epoch and version in which ``inferwatch.totals`` has each, (rows, 2); may be written to.

        The epoch is ``UNSAVED`` where it has none, the version also where the row grew since.
        """
        return self._saved[: self._count]

    def put(
        self,
        keys: NDArray[np.int64],
        ranks: NDArray[np.int64],
        origins: NDArray[np.int64],
        table: Table,
    ) -> NDArray[np.int64]:
        """Take rows in, but for those that have a better one of their key.

        Args:
            keys: Group, window, partition and block of each.
            ranks: Version and first offset of each.
            origins: Offset and time of each one's record.
            table: Their values and counts.

        Returns:
            Where each is now; LOST for those that were not taken.
        """
        self._make_room(len(keys))
        before = self._count
        places = np.empty(len(keys), np.int64)
        self._count = kernel.place_rows(
            self._index, self._keys, self._ranks, self._count, keys, ranks, places
        )
        taken = np.flatnonzero(places != kernel.LOST)
        at = places[taken]
        # Of several rows of one place the last one stays: numpy's assignment says so.
        self._values[at] = table.values[taken]
        self._origins[at] = origins[taken]
        self._saved[before : self._count] = UNSAVED
        self._saved[at, SAVED_VERSION] = UNSAVED
        for spans, new in zip(self._spans, table.spans, strict=True):
            spans.put(at, new.take(taken), self._count)
        if len(taken):
            self.changes += 1
            self._table = None
        return places

    def table(self) -> Table:
        """All rows, as they are now; their spans do not lie one after the other."""
        if self._table is None:
            self._table = Table(
                self.keys[:, GROUP].astype(np.int32),
                self.keys[:, WINDOW].copy(),
                self._values[: self._count],
                tuple(spans.spans(self._count) for spans in self._spans),
            )
        return self._table

    def remove(self, rows: NDArray[np.bool_]) -> None:
        """Give up the rows of a mask."""
        if not rows.any():
            return
        kept = np.flatnonzero(~rows)
        count = len(kept)
        room = max(FIRST_ROOM, 2 * count)
        self._keys = _with_room(self._keys[kept], room)
        self._ranks = _with_room(self._ranks[kept], room)
        self._origins = _with_room(self._origins[kept], room)
        self._saved = _with_room(self._saved[kept], room)
        self._values = _with_room(self._values[kept], room)
        for k, spans in enumerate(self._spans):
            self._spans[k] = _Growing(spans.spans(self._count).take(kept), room)
        self._count = count
        self._index_anew(room)
        self.changes += 1
        self._table = None

    def _make_room(self, more: int) -> None:
        needed = self._count + more
        if needed <= len(self._keys):
            return
        room = max(needed, 2 * len(self._keys))
        self._keys = _with_room(self._keys, room)
        self._ranks = _with_room(self._ranks, room)
        self._origins = _with_room(self._origins, room)
        self._saved = _with_room(self._saved, room)
        self._values = _with_room(self._values, room)
        self._index_anew(room)

    def _index_anew(self, room: int) -> None:
        self._index = np.full(2 << (room - 1).bit_length(), kernel.FREE, np.int32)
        kernel.index_rows(self._index, self._keys, self._count)


class _Growing:
    """Counts of rows that come and are replaced: those replaced are left out by and by."""

    def __init__(self, held: Spans | None = None, room: int = FIRST_ROOM) -> None:
        none = np.empty(0, np.int64)
        held = held or Spans(none, none, none.astype(np.uint16), none)
        self._starts, self._ends = _with_room(held.starts, room), _with_room(held.ends, room)
        self._labels, self._counts = held.labels, held.counts
        self._size = len(held.labels)
        self._in_use = self._size

    def spans(self, rows: int) -> Spans:
        return Spans(self._starts[:rows], self._ends[:rows], self._labels, self._counts)

    def put(self, places: NDArray[np.int64], new: Spans, rows: int) -> None:
        """Give rows new counts; of several of one place the last ones stay."""
        if rows > len(self._starts):
            room = max(rows, 2 * len(self._starts))
            self._starts, self._ends = (_with_room(x, room) for x in (self._starts, self._ends))
        size = self._size + len(new.labels)
        if size > len(self._labels):
            self._labels = _with_room(self._labels, 2 * size)
            self._counts = _with_room(self._counts, 2 * size)
        self._labels[self._size : size] = new.labels
        self._counts[self._size : size] = new.counts
        self._starts[places] = new.starts + self._size
        self._ends[places] = new.ends + self._size
        self._size = size
        if size > 2 * self._in_use + FIRST_ROOM:
            kept = self.spans(rows).take(np.arange(rows))
            self._starts[:rows], self._ends[:rows] = kept.starts, kept.ends
            self._labels, self._counts = kept.labels, kept.counts
            self._size = self._in_use = len(kept.labels)


def _with_room(array: NDArray[Any], room: int) -> NDArray[Any]:
    larger = np.empty((room, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
