"""Sums of folded rows by slot, finer near the present; what has aged moves to the next level."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_streams.windows.horizons import HOURS, LEVELS, MINUTES, SIZES
from inferwatch_streams.windows.table import Table, by_group, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from inferwatch_streams.windows.horizons import Horizons
    from inferwatch_streams.windows.layout import Layout

# Tables of one slot before they are merged to one.
MANY: Final = 8


@dataclass(slots=True, eq=False)
class Slot:
    """One slot of one log.

    Attributes:
        tables: What was folded into it.
        changed: Groups that changed since it was saved.
        saved: Groups of it that ``inferwatch.totals`` has, with the epoch of who wrote them.
    """

    tables: list[Table] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)
    saved: dict[int, int] = field(default_factory=dict)

    def merged(self, layout: Layout) -> Table:
        """One row a group."""
        if len(self.tables) > 1:
            self.tables = [by_group(joined(self.tables), layout)]
        return self.tables[0]


@dataclass(frozen=True, slots=True)
class Gone:
    """A slot that ``inferwatch.totals`` has and must have no longer.

    Attributes:
        level: Its level.
        number: Its number there.
        saved: Groups of it, with the epoch of who wrote them.
    """

    level: int
    number: int
    saved: dict[int, int]


class Slots:
    """The slots of one log: sums over blocks whose rows change no more.

    Attributes:
        changes: Raised when any slot changes.
        levels: Slots of each level, by number: how many of that level's lie between 1970 and it.
    """

    def __init__(self, layout: Layout) -> None:
        self.changes = 0
        self.levels: tuple[dict[int, Slot], ...] = tuple({} for _ in LEVELS)
        self._layout = layout

    def add(self, table: Table, horizons: Horizons) -> None:
        """Fold rows, each of the one window that it names as its newest."""
        levels = horizons.levels(table.newest)
        for level in LEVELS:
            rows = np.flatnonzero((levels == level) & (table.newest >= horizons.hours))
            numbers = table.newest[rows] // SIZES[level]
            order = np.argsort(numbers, kind="stable")
            found, begins = np.unique(numbers[order], return_index=True)
            for number, members in zip(
                found.tolist(), np.split(rows[order], begins[1:]), strict=False
            ):
                self._put(level, number, by_group(table.take(members), self._layout))

    def _put(self, level: int, number: int, table: Table) -> None:
        slot = self.levels[level].setdefault(number, Slot())
        slot.tables.append(table)
        slot.changed.update(table.groups.tolist())
        if len(slot.tables) > MANY:
            slot.merged(self._layout)
        self.changes += 1

    def age(self, horizons: Horizons) -> list[Gone]:
        """Move what lies behind the horizons to the next level, and forget what is too old.

        Returns:
            Slots that went and were saved.
        """
        gone = []
        for level in LEVELS:
            slots, size = self.levels[level], SIZES[level]
            for number in [n for n in slots if n * size < horizons.begin(level)]:
                slot = slots.pop(number)
                self.changes += 1
                if slot.saved:
                    gone.append(Gone(level, number, slot.saved))
                if level != HOURS:
                    window = number * size
                    coarser = MINUTES if window >= horizons.minutes else HOURS
                    self._put(coarser, window // SIZES[coarser], slot.merged(self._layout))
        return gone

    def merged(self, slot: Slot) -> Table:
        """One row a group of a slot."""
        return slot.merged(self._layout)

    def put_saved(self, level: int, number: int, table: Table, epochs: Iterable[int]) -> None:
        """Put in a slot of ``inferwatch.totals``: one row a group, written in these epochs."""
        saved = dict(zip(table.groups.tolist(), epochs, strict=True))
        self.levels[level][number] = Slot([table], saved=saved)
        self.changes += 1

    def begins(self) -> list[int]:
        """First window of each slot."""
        return [number * SIZES[level] for level in LEVELS for number in self.levels[level]]

    def between(self, first: int, end: int) -> Iterator[Table]:
        """Tables of all slots that begin within these windows."""
        for level in LEVELS:
            size = SIZES[level]
            for number, slot in self.levels[level].items():
                if first <= number * size < end:
                    yield from slot.tables
