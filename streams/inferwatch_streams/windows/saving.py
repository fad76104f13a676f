"""What of the store goes to ``inferwatch.totals``: sums that changed, and rows that rest.

A row of an open block that has not changed for a while is saved by itself, so that reading need
not begin where the block did: a block of a slow topic is open for months, and the aggregates are
kept for days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_streams.windows.frontier import FOLD_AFTER_MS
from inferwatch_streams.windows.open_rows import (
    EPOCH,
    OFFSET,
    SAVED_VERSION,
    TIME,
    UNSAVED,
    VERSION,
)
from inferwatch_streams.windows.totals import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inferwatch_streams.windows.groups import Groups
    from inferwatch_streams.windows.shard import Shard
    from inferwatch_streams.windows.totals import Record, TotalFormat, Written

#: How long a row has to be unchanged by the broker's clock until it is saved.
REST_MS: Final = FOLD_AFTER_MS


@dataclass(frozen=True, slots=True)
class Save:
    """Records to write, in this order.

    Attributes:
        steps: Totals, checkpoints, removals: each is written when the broker has acknowledged all
            of the one before.
        floors: By partition of the aggregates, where it would be read from after the checkpoints:
            what may be committed when they are acknowledged.
    """

    steps: tuple[Sequence[Record], ...]
    floors: Mapping[int, int]


def save_shard(
    shard: Shard, groups: Groups, layout: TotalFormat, written: Written, now_ms: int
) -> list[Record]:
    """Records of what changed in a log; keys that hold no longer are added to its ``gone``."""
    return [
        *_sums(shard, groups, layout, written),
        *_rows(shard, groups, layout, written, now_ms),
    ]


def _sums(shard: Shard, groups: Groups, layout: TotalFormat, written: Written) -> list[Record]:
    records: list[Record] = []
    limits = [(p, frontier.limit) for p, frontier in sorted(shard.frontiers.items())]
    for level, slots in enumerate(shard.slots.levels):
        for number, slot in slots.items():
            if not slot.changed:
                continue
            whole = shard.slots.merged(slot)
            table = whole.take(np.flatnonzero(np.isin(whole.groups, list(slot.changed))))
            names = [groups.names[group] for group in table.groups.tolist()]
            values = layout.sums(shard.place, written, level, number, limits, table, names)
            for group, name, value in zip(table.groups.tolist(), names, values, strict=True):
                key = key_of(shard.place, written.epoch, level, number, name)
                records.append((key, value))
                before = slot.saved.get(group, written.epoch)
                if before != written.epoch:
                    shard.gone.append(key_of(shard.place, before, level, number, name))
                slot.saved[group] = written.epoch
            slot.changed.clear()
    return records


def _rows(
    shard: Shard, groups: Groups, layout: TotalFormat, written: Written, now_ms: int
) -> list[Record]:
    held = shard.open
    rows = np.flatnonzero(
        (held.saved[:, SAVED_VERSION] == UNSAVED) & (held.origins[:, TIME] <= now_ms - REST_MS)
    )
    if not len(rows):
        return []
    table = held.table().take(rows)
    names = [groups.names[group] for group in table.groups.tolist()]
    values = layout.rows(shard.place, written, held.keys[rows], held.ranks[rows], table, names)
    epochs = held.saved[rows, EPOCH]
    shard.gone += shard.row_keys(rows[(epochs != UNSAVED) & (epochs != written.epoch)])
    held.saved[rows, EPOCH] = written.epoch
    held.saved[rows, SAVED_VERSION] = held.ranks[rows, VERSION]
    return list(zip(shard.row_keys(rows), values, strict=True))


def unsaved_from(shard: Shard) -> int | None:
    """Offset of the first record of the aggregates whose row is held and not saved."""
    held = shard.open
    offsets = held.origins[held.saved[:, SAVED_VERSION] == UNSAVED, OFFSET]
    return int(offsets.min()) if len(offsets) else None
