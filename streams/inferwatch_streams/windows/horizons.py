"""How finely the past is kept: ten seconds near the present, then minutes, then hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from inferwatch_streams.signals import MICROS, WINDOW_SECONDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW_MS: Final = 1000 * WINDOW_SECONDS
WINDOW_MICROS: Final = MICROS * WINDOW_SECONDS
#: Levels, and how many windows a slot of each holds.
TENS, MINUTES, HOURS = range(3)
LEVELS: Final = (TENS, MINUTES, HOURS)
SIZES: Final = (1, 6, 360)
#: How far back the slots of each level reach, in windows.
REACH: Final = (90, 6 * 360, 8 * 24 * 360)
#: A row whose window lies further ahead of its record's time has a wrong clock.
AHEAD_WINDOWS: Final = 360


@dataclass(frozen=True, slots=True)
class Horizons:
    """Where each level begins, as numbers of windows.

    Attributes:
        tens: First window that is kept by itself.
        minutes: First that is kept in a minute; a whole hour begins with it.
        hours: First that is kept at all; likewise.
    """

    tens: int
    minutes: int
    hours: int

    @classmethod
    def at(cls, now_ms: int) -> Self:
        """The horizons at a time, in milliseconds since 1970."""
        now = now_ms // WINDOW_MS
        minute, hour = SIZES[MINUTES], SIZES[HOURS]
        return cls(
            (now - REACH[TENS]) // minute * minute,
            (now - REACH[MINUTES]) // hour * hour,
            (now - REACH[HOURS]) // hour * hour,
        )

    def begin(self, level: int) -> int:
        """First window of a level."""
        return (self.tens, self.minutes, self.hours)[level]

    def levels(self, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Level of each window."""
        return np.where(
            windows >= self.tens, TENS, np.where(windows >= self.minutes, MINUTES, HOURS)
        )

    def _size(self, window: int) -> int:
        return SIZES[int(self.levels(np.array([window]))[0])]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """First window and the one after the last of the slots that [start, end) touches.

        Args:
            start: In microseconds since 1970.
            end: In microseconds since 1970.
        """
        first = start // WINDOW_MICROS
        last = -(-end // WINDOW_MICROS) - 1
        first -= first % self._size(first)
        size = self._size(last)
        return first, max(first, last - last % size + size)
