"""The live store: takes chunks of aggregate rows in, and answers the questions of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inferwatch_streams.signals import SIGNALS
from inferwatch_streams.windows.answers import answer
from inferwatch_streams.windows.contents import Contents
from inferwatch_streams.windows.horizons import WINDOW_MICROS, Horizons
from inferwatch_streams.windows.layout import layout_of
from inferwatch_streams.windows.rows import Rows
from inferwatch_streams.windows.shard import Taken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inferwatch_schemas.columnar.chunk import Chunk
    from inferwatch_schemas.columnar.reader import BadRecord, Part
    from inferwatch_streams.alerts.matcher import Matcher
    from inferwatch_streams.windows.reading import Totals


class WindowStore:
    """Aggregate rows by group and slot; what rules read as ``Windows``.

    Attributes:
        taken: What became of the rows so far.
        now_ms: The greatest of the broker's times so far, in milliseconds since 1970.
    """

    def __init__(self) -> None:
        self.taken = Taken()
        self.now_ms = 0
        self._contents = {signal.name: Contents(layout_of(signal)) for signal in SIGNALS}
        self._rows = Rows(self._contents)
        self._times: dict[int, int] = {}
        self._horizons = Horizons.at(0)
        # Of the time since the last chunk.
        self._answers: dict[tuple[object, ...], Totals] = {}

    def take(self, chunk: Chunk, parts: Sequence[Part], bad: list[BadRecord]) -> None:
        """Take in what ``aggregate_reader`` read of a chunk.

        Args:
            chunk: The chunk.
            parts: Its columns.
            bad: Its bad records, to which those are added that are no rows after all.
        """
        if not len(chunk):
            return
        self._answers.clear()
        partition = chunk.partition
        # By the broker's clock; what set that back a little must not bring blocks back.
        times = np.maximum(np.maximum.accumulate(chunk.timestamps), self._times.get(partition, 0))
        for rows in self._rows.read(chunk, parts, times, bad):
            contents = self._contents[rows.signal]
            shard = contents.shard(partition, rows.topic_id)
            taken = shard.take(rows.batch, self.taken)
            contents.groups.see(rows.batch.table.groups[taken], rows.batch.table.newest[taken])
        self._advance(partition, int(times[-1]))

    def _advance(self, partition: int, now_ms: int) -> None:
        self._times[partition] = now_ms
        self.now_ms = max(self.now_ms, now_ms)
        horizons = Horizons.at(self.now_ms)
        aged = horizons != self._horizons
        self._horizons = horizons
        for contents in self._contents.values():
            for (own, _), shard in contents.shards.items():
                if own == partition:
                    shard.fold(now_ms, horizons)
                if aged:
                    shard.age(horizons)
            if aged and contents.groups.forget_before(horizons.hours):
                self._rows.forget()

    def totals(  # noqa: PLR0913  # see Windows
        self,
        signal: str,
        start: int,
        end: int,
        by: tuple[str, ...],
        where: tuple[Matcher, ...] = (),
        *,
        measures: tuple[str, ...] | None = None,
    ) -> Totals:
        """See ``Windows``."""
        first, end_window = self._horizons.span(start, end)
        key = (signal, first, end_window, by, where, measures)
        found = self._answers.get(key)
        if found is None:
            contents = self._contents[signal]
            found = self._answers[key] = answer(contents, first, end_window, by, where, measures)
        return found

    def last_seen(
        self, signal: str, by: tuple[str, ...], where: tuple[Matcher, ...] = ()
    ) -> Mapping[tuple[str, ...], int]:
        """See ``Windows``."""
        groups = self._contents[signal].groups
        grouping = groups.grouping(by, where)
        newest = grouping.reduce(np.maximum, groups.newest)
        return dict(zip(grouping.names, (newest * WINDOW_MICROS).tolist(), strict=True))
