"""What a row of a tally names: so many texts, the first of the log; the others count as one.

Without a bound, a service that puts an id into each error's type makes rows that no topic takes,
and a row that is refused is sent again for ever (docs/decisions/0016). Which texts are named must
not show how the log was cut, so nothing is chosen as events come: where writers of several
schemas share a chunk, they come out of order. Each text's first offset is kept instead, a minimum
as any other, and rows choose by it when they are shown.
"""

# Compiled code takes its arrays one by one: numba gives nothing better.
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The entry that stands for all texts without a name of their own: the first, before any is known.
REST: Final = 0


@compiled
def pick_named(
    data: NDArray[np.uint8],
    slots: NDArray[np.int32],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    longest: int,
    other: NDArray[np.uint8],
    others: NDArray[np.int64],
    folded: NDArray[np.bool_],
    named: NDArray[np.int64],
) -> int:
    """Tell rows whose text may be named from those that only count; null is neither.

    Args:
        data: Bytes that starts and lengths point into.
        slots: Slot of each row.
        starts: Where the text of each row begins.
        lengths: Its length; negative for null.
        longest: Bytes of the longest text that may be named.
        other: The name that the others get; who publishes it counts there too.
        others: Raised by the texts of each slot that may not be named.
        folded: Set where one was too long.
        named: Filled with the rows whose text may be named.

    Returns:
        How many these are.
    """
    found = 0
    for row in range(len(slots)):
        length = lengths[row]
        if length < 0:
            continue
        if length > longest:
            others[slots[row]] += 1
            folded[slots[row]] = True
            continue
        same = 0
        if length == len(other):
            while same < length and data[starts[row] + same] == other[same]:
                same += 1
        if same == len(other):
            others[slots[row]] += 1
            continue
        named[found] = row
        found += 1
    return found


@compiled
def note_named(
    entries: NDArray[np.int32],
    rows: NDArray[np.int64],
    offsets: NDArray[np.int64],
    counts: NDArray[np.int64],
    firsts: NDArray[np.int64],
) -> None:
    """Count the entry of each of these rows, and keep the lowest offset that it came with."""
    for k in range(len(entries)):
        entry = entries[k]
        counts[entry] += 1
        firsts[entry] = min(firsts[entry], offsets[rows[k]])


def fold(
    bounds: NDArray[np.int64],
    entries: NDArray[np.int64],
    firsts: NDArray[np.int64],
    counts: NDArray[np.int64],
    others: NDArray[np.int64],
    limit: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Leave each row its first entries, and REST where it has others.

    Args:
        bounds: Row k has the entries from bounds[k] to bounds[k + 1].
        entries: Entries of all rows, in any order within a row.
        firsts: First offset of each entry; no two of a row share one.
        counts: Events of each entry.
        others: Events of each row that count as REST in any case.
        limit: How many entries a row may keep.

    Returns:
        Bounds and entries then, and the events of each row that count as REST.
    """
    sizes = np.diff(bounds)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    if sizes.max(initial=0) > limit:
        entries = entries[np.lexsort((firsts[entries], rows))]
    ranks = np.arange(len(entries)) - bounds[rows]
    kept = ranks < limit
    rest = others.copy()
    np.add.at(rest, rows[~kept], counts[entries[~kept]])
    left = np.zeros(len(bounds), np.int64)
    np.cumsum(np.minimum(sizes, limit) + (rest > 0), out=left[1:])
    # REST comes after the entries that are kept: their places are filled, and its own is not.
    chosen = np.full(int(left[-1]), REST, np.int64)
    chosen[left[rows[kept]] + ranks[kept]] = entries[kept]
    return left, chosen, rest
