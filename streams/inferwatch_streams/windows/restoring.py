"""Puts what was read of ``inferwatch.totals`` back into the logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inferwatch_streams.windows.horizons import HOURS, LEVELS, MINUTES, SIZES, WINDOW_MS
from inferwatch_streams.windows.kernel import LOST
from inferwatch_streams.windows.loading import joined_totals
from inferwatch_streams.windows.open_rows import (
    BLOCK,
    EPOCH,
    GROUP,
    PARTITION,
    SAVED_VERSION,
    VERSION,
    WINDOW,
)
from inferwatch_streams.windows.totals import OF_SUM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inferwatch_streams.windows.loading import LoadedTotals
    from inferwatch_streams.windows.shard import Shard


def restore(shard: Shard, parts: Sequence[LoadedTotals], read_through: int) -> NDArray[np.int64]:
    """Put a log's totals back.

    Args:
        shard: The log, new but for its frontiers.
        parts: Its totals.
        read_through: That of the checkpoint: what was written later is ahead of it.

    Returns:
        Which records hold no longer.
    """
    totals = joined_totals(parts)
    of_sums = totals.numbers["version"] == OF_SUM
    # Sums first: a row that one of them holds is not put back.
    stale = np.concatenate(
        [
            _sums(shard, totals, np.flatnonzero(of_sums), read_through),
            _rows(shard, totals, np.flatnonzero(~of_sums)),
        ]
    )
    found: NDArray[np.int64] = totals.records[stale]
    return found


def _sums(
    shard: Shard, totals: LoadedTotals, rows: NDArray[np.int64], read_through: int
) -> NDArray[np.int64]:
    groups, epochs = totals.table.groups[rows].astype(np.int64), totals.numbers["epoch"][rows]
    levels = totals.levels[rows]
    numbers = totals.numbers["slot_start"][rows] // (np.array(SIZES)[levels] * WINDOW_MS)
    order = np.lexsort((epochs, groups, numbers, levels))
    identity = np.stack([levels, numbers, groups], axis=1)[order]
    # Of one identity that of the highest epoch comes last, and holds.
    newest = np.ones(len(rows), np.bool_)
    newest[:-1] = (identity[1:] != identity[:-1]).any(axis=1)
    held = _without_finer(identity, newest)
    kept, chosen = rows[order][held], identity[held]
    splits = np.flatnonzero((np.diff(chosen[:, :2], axis=0) != 0).any(axis=1)) + 1
    for members in np.split(np.arange(len(kept)), splits):
        if len(members):
            level, number, _ = chosen[members[0]].tolist()
            table = totals.table.take(kept[members])
            written = totals.numbers["epoch"][kept[members]].tolist()
            shard.slots.put_saved(level, number, table, written)
    ahead = totals.numbers["read_through"][kept] > read_through
    bounds, partitions, blocks = totals.sources
    for at in np.flatnonzero(ahead).tolist():
        level, number, group = chosen[at].tolist()
        span = slice(bounds[kept[at]], bounds[kept[at] + 1])
        limits = zip(partitions[span].tolist(), blocks[span].tolist(), strict=True)
        shard.ahead[level, number, group] = dict(limits)
    return rows[order][~held]


def _without_finer(identity: NDArray[np.int64], held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which sums hold where a coarser one of their group, if it is there, has taken them in."""
    levels, numbers, groups = identity.T
    for coarse in (MINUTES, HOURS):
        of_coarse = held & (levels == coarse)
        taken = np.stack([numbers[of_coarse], groups[of_coarse]], axis=1)
        for fine in LEVELS[:coarse]:
            rows = np.flatnonzero(held & (levels == fine))
            within = numbers[rows] * SIZES[fine] // SIZES[coarse]
            held[rows[_is_among(np.stack([within, groups[rows]], axis=1), taken)]] = False
    return held


def _is_among(pairs: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pairs of a slot's number and a group, each of less than 32 bits, are among others."""
    found: NDArray[np.bool_] = np.isin(
        (pairs[:, 0] << 32) | pairs[:, 1], (others[:, 0] << 32) | others[:, 1]
    )
    return found


def _rows(shard: Shard, totals: LoadedTotals, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    bounds, partitions, blocks = totals.sources
    keys = np.empty((len(rows), 4), np.int64)
    keys[:, GROUP] = totals.table.groups[rows]
    keys[:, WINDOW] = totals.numbers["slot_start"][rows] // WINDOW_MS
    keys[:, PARTITION] = partitions[bounds[rows]]
    keys[:, BLOCK] = blocks[bounds[rows]]
    limits = {partition: frontier.limit for partition, frontier in shard.frontiers.items()}
    below = [limits.get(partition, 0) for partition in keys[:, PARTITION].tolist()]
    holds = (keys[:, BLOCK] >= np.array(below, np.int64)) & ~shard.counted_ahead(keys)
    chosen = np.flatnonzero(holds)
    ranks = np.stack(
        [totals.numbers[name][rows[chosen]] for name in ("version", "first_offset")], axis=1
    )
    # What is saved is read again by nobody: where it came from is of no account.
    origins = np.zeros((len(chosen), 2), np.int64)
    places = shard.open.put(keys[chosen], ranks, origins, totals.table.take(rows[chosen]))
    put = places != LOST
    # Of several of one place, of several leaders, the last one was better than those before.
    last = np.full(len(shard.open), -1)
    last[places[put]] = np.flatnonzero(put)
    stays = put.copy()
    stays[put] = last[places[put]] == np.flatnonzero(put)
    shard.open.saved[places[stays], EPOCH] = totals.numbers["epoch"][rows[chosen[stays]]]
    shard.open.saved[places[stays], SAVED_VERSION] = ranks[stays, VERSION]
    holds[chosen[~stays]] = False
    return rows[~holds]
