"""Aggregate rows as chunks of ``inferwatch.aggregates``, so that they are read as live.

A row that was added up over blocks stands for a block of its own. Time passes as the rows' windows
do: a window's rows come when it is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inferwatch_schemas.columnar.chunk import Chunk
from inferwatch_schemas.instants import moment_text
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES
from inferwatch_schemas.wire import Encoder
from inferwatch_streams.errors import StoredRowError
from inferwatch_streams.signals import MICROS, SIGNALS, WINDOW_SECONDS
from inferwatch_streams.windows.rows import aggregate_reader
from inferwatch_streams.windows.store import WindowStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from inferwatch_streams.windows.reading import Windows

    Row = Mapping[str, Any]

_BLOCK_MICROS: Final = 60 * MICROS
_WINDOW_MICROS: Final = WINDOW_SECONDS * MICROS


class PastWindows:
    """Windows as they were at any time, as far as rows that were landed tell.

    Late events count in their window from the beginning, while rules that ran then saw them later.
    """

    def __init__(self, rows: Iterator[tuple[int, str, Row]]) -> None:
        """Take rows as they are asked for.

        Args:
            rows: Start of the window in microseconds since 1970, ascending; name of the signal; and
                fields of the row without those that say where it came from.
        """
        registry = PinnedRegistry()
        self._rows = rows
        self._next = next(rows, None)
        self._store = WindowStore()
        self._reader = aggregate_reader(registry)
        self._encoders = {signal.name: Encoder(signal.row, registry) for signal in SIGNALS}
        self._offset = 0

    def at(self, at: int) -> Windows:
        """The windows that are over at a time; asked for ascending times.

        Raises:
            StoredRowError: A row is none.
        """
        due: list[tuple[int, str, Row]] = []
        while self._next is not None and self._next[0] + _WINDOW_MICROS <= at:
            due.append(self._next)
            self._next = next(self._rows, None)
        if due:
            self._take(due)
        return self._store

    def _take(self, rows: Sequence[tuple[int, str, Row]]) -> None:
        values = []
        for start, signal, fields in rows:
            record = {
                **fields,
                "signal": signal,
                "window_start": start // 1000,
                "window_seconds": WINDOW_SECONDS,
                "topic_id": "backtest",
                "partition": 0,
                "block": start // _BLOCK_MICROS,
                "first_offset": 0,
                "version": 1,
            }
            values.append(self._encoders[signal].encode(record))
        times = [(start + _WINDOW_MICROS) // 1000 for start, _, _ in rows]
        chunk = _chunk(values, times, self._offset)
        self._offset = chunk.end
        parts, bad = self._reader.read(chunk)
        self._store.take(chunk, parts, bad)
        if bad:
            start, signal, _ = rows[bad[0].index]
            raise StoredRowError(
                f"A stored row of {signal} of the window from {moment_text(start)} cannot be read: "
                f"{bad[0].detail.rstrip('.')}."
            )


def _chunk(values: Sequence[bytes], times: Sequence[int], start: int) -> Chunk:
    lengths = np.array([len(value) for value in values], np.int64)
    ends = np.cumsum(lengths)
    count = len(values)
    return Chunk(
        topic=AGGREGATES.name,
        partition=0,
        start=start,
        end=start + count,
        data=np.frombuffer(b"".join(values), np.uint8),
        offsets=np.arange(start, start + count),
        timestamps=np.array(times, np.int64),
        record_starts=ends - lengths,
        value_starts=ends - lengths,
        value_ends=ends,
    )
