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
from inferwatch_streams.windows.table import NEVER
from inferwatch_streams.windows.totals import Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inferwatch_schemas.columnar.chunk import Chunk
    from inferwatch_schemas.columnar.reader import BadRecord, Part
    from inferwatch_streams.alerts.matcher import Matcher
    from inferwatch_streams.windows.reading import Totals


class WindowStore:
    """Aggregate rows by group and slot; what rules read as ``Windows``.

    Used by one thread at a time.

    Attributes:
        topic_id: Kafka's id of ``inferwatch.aggregates``.
        contents: What is held of each signal, by its name.
        taken: What became of the rows so far.
        now_ms: The greatest of the broker's times so far, in milliseconds since 1970.
        times: The broker's time that each partition of the aggregates has come to.
        positions: Offset after the last record taken in of each.
    """

    def __init__(self, topic_id: str = "") -> None:
        """Begin empty.

        Args:
            topic_id: Kafka's id of ``inferwatch.aggregates``; any text where nothing is saved.
        """
        self.topic_id = topic_id
        self.contents = {signal.name: Contents(layout_of(signal)) for signal in SIGNALS}
        self.taken = Taken()
        self.now_ms = 0
        self.times: dict[int, int] = {}
        self.positions: dict[int, int] = {}
        self._rows = Rows(self.contents)
        self._horizons = Horizons.at(0)
        # Since the last chunk, and since the last question that looked further ahead: of one tick.
        self._answers: dict[tuple[object, ...], Totals] = {}
        self._furthest = 0

    @property
    def groups(self) -> int:
        """Groups held of all signals."""
        return sum(len(contents.groups) for contents in self.contents.values())

    def take(self, chunk: Chunk, parts: Sequence[Part], bad: list[BadRecord]) -> None:
        """Take in what ``aggregate_reader`` read of a chunk.

        Args:
            chunk: The chunk.
            parts: Its columns.
            bad: Its bad records, to which those are added that are no rows after all.
        """
        partition = chunk.partition
        self.positions[partition] = max(chunk.end, self.positions.get(partition, 0))
        if not len(chunk):
            return
        self._answers.clear()
        # By the broker's clock; where that was set back, time stands still for a while.
        times = np.maximum(np.maximum.accumulate(chunk.timestamps), self.times.get(partition, 0))
        for rows in self._rows.read(chunk, parts, times, bad):
            contents = self.contents[rows.signal]
            shard = contents.shard(Place(self.topic_id, partition, rows.signal, rows.topic_id))
            table = rows.batch.table
            held = shard.take(rows.batch, self.taken)
            contents.groups.see(table.groups[held], table.newest[held])
        bad.sort(key=lambda record: record.index)
        now_ms = self.times[partition] = int(times[-1])
        self.advance(now_ms)
        for contents in self.contents.values():
            for (own, _), shard in contents.shards.items():
                if own == partition:
                    shard.fold(now_ms, self._horizons)

    def advance(self, now_ms: int) -> None:
        """Hear of a time of the broker: what has aged is kept less exactly, or no longer."""
        self.now_ms = max(self.now_ms, now_ms)
        horizons = Horizons.at(self.now_ms)
        if horizons == self._horizons:
            return
        self._horizons = horizons
        self._answers.clear()
        forgotten = 0
        for contents in self.contents.values():
            for shard in contents.shards.values():
                shard.age(horizons)
            forgotten += contents.groups.forget_before(horizons.hours)
        if forgotten:
            self._rows.forget()

    @property
    def newest(self) -> int | None:
        """End of the newest window with an event, in microseconds since 1970; None without any."""
        found = max(int(contents.groups.newest.max()) for contents in self.contents.values())
        return None if found == NEVER else (found + 1) * WINDOW_MICROS

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
        first, behind = self._horizons.span(start, end)
        if behind > self._furthest:
            self._furthest = behind
            self._answers.clear()
        key = (signal, first, behind, by, where, measures)
        found = self._answers.get(key)
        if found is None:
            found = answer(self.contents[signal], first, behind, by, where, measures)
            self._answers[key] = found
        return found

    def last_seen(
        self, signal: str, by: tuple[str, ...], where: tuple[Matcher, ...] = ()
    ) -> Mapping[tuple[str, ...], int]:
        """See ``Windows``."""
        groups = self.contents[signal].groups
        grouping = groups.grouping(by, where)
        newest = grouping.reduce(np.maximum, groups.newest)
        return dict(zip(grouping.names, (newest * WINDOW_MICROS).tolist(), strict=True))
