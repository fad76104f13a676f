"""Through which block the rows of a source partition are folded: decided by the log alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: How long after a later block's first row a block's own rows may still come, by the broker's
#: clock: longer than an aggregation that lost its broker takes to send them again.
FOLD_AFTER_MS: Final = 15 * 60 * 1000


class Frontier:
    """Blocks of one source partition, as their rows come in one partition of the aggregates.

    Attributes:
        limit: Rows of blocks below are folded.
        seen: Later blocks, each with when its first row came, in milliseconds; ascending in both.
    """

    def __init__(self, limit: int = 0, seen: tuple[tuple[int, int], ...] = ()) -> None:
        self.limit = limit
        self.seen = list(seen)

    def admit(self, blocks: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows, in the order of the log, are not of blocks that were folded when they came.

        Args:
            blocks: Block of each row.
            times: When each came, ascending, in milliseconds; not before anything seen so far.
        """
        newest = self.seen[-1][0] if self.seen else self.limit - 1
        before = np.maximum.accumulate(np.concatenate([[newest], blocks]))[:-1]
        for row in np.flatnonzero(blocks > before).tolist():
            self.seen.append((int(blocks[row]), int(times[row])))
        known = np.array(self.seen, np.int64).reshape(-1, 2)
        passed = np.searchsorted(known[:, 1], times - FOLD_AFTER_MS, side="right")
        limits = np.concatenate([[self.limit], known[:, 0]])[passed]
        admitted: NDArray[np.bool_] = blocks >= limits
        return admitted

    def advance(self, now_ms: int) -> bool:
        """Move to where the log is at a time; whether the limit moved."""
        moved = False
        # The newest block is known by its place in the list, so that it stays there.
        while len(self.seen) > 1 and self.seen[1][1] <= now_ms - FOLD_AFTER_MS:
            del self.seen[0]
        if self.seen and self.seen[0][1] <= now_ms - FOLD_AFTER_MS and self.seen[0][0] > self.limit:
            self.limit = self.seen[0][0]
            moved = True
        return moved
