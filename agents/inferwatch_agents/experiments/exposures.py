"""Which exposures were sent already."""

from __future__ import annotations

from typing import Final

MOST_REMEMBERED: Final = 20_000


class Remembered:
    """The last so many exposures, at least; up to twice as many.

    Two generations of plain dictionaries in place of a list by use: no step takes a lock, which a
    caller would wait for and a fork could leave held. At worst two threads that meet as the
    generations change send an exposure twice.
    """

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        """Start with none.

        Args:
            most: How many are remembered at least.
        """
        self._most = most
        self._young: dict[int, object] = {}
        self._old: dict[int, object] = {}

    def is_new(self, experiment: str, variant: str, user: str) -> bool:
        """Whether it was not seen lately; from now on it was."""
        # Its hash alone: ids come from callers, and may be long. Two have the same once in 2**64.
        key = hash((experiment, variant, user))
        mine = object()
        young = self._young
        if young.setdefault(key, mine) is not mine:
            return False
        known = key in self._old
        if len(young) >= self._most:
            self._old, self._young = young, {}
        return not known
