"""One block of one partition: what its events come to, by signal, group and window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.reader import Numbers, Text
from inferwatch_streams.blocks import accumulate
from inferwatch_streams.blocks.accumulators import CONSTRUCTORS, FIRST_CAPACITY, Rows, grown
from inferwatch_streams.blocks.grouping import Groups
from inferwatch_streams.blocks.segments import distinct
from inferwatch_streams.blocks.slots import Slots
from inferwatch_streams.rows.row_format import Columns, Texts
from inferwatch_streams.signals import MICROS, WINDOW_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from inferwatch_schemas.columnar.chunk import Chunk
    from inferwatch_schemas.columnar.reader import Part
    from inferwatch_streams.rows.cells import Cells
    from inferwatch_streams.signals import Signal

WINDOW_MICROS: Final = WINDOW_SECONDS * MICROS


class SignalBlock:
    """The rows of one signal in one block."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._groups = Groups()
        self._slots = Slots()
        self._capacity = FIRST_CAPACITY
        self._versions = np.zeros(FIRST_CAPACITY, np.int64)
        self._changed = np.zeros(FIRST_CAPACITY, np.bool_)
        self._measures = [CONSTRUCTORS[measure.kind](measure) for measure in signal.measures]

    def add(self, chunk: Chunk, part: Part, first: int, last: int) -> None:
        """Count rows first to last (exclusive) of a part."""
        time = part.columns["event_time"]
        if not isinstance(time, Numbers):
            raise TypeError("event_time is a number in every schema of an event.")
        windows = time.values[first:last].astype(np.int64) // WINDOW_MICROS
        texts = [_rows(part.columns[d.field], first, last) for d in self._signal.dimensions]
        starts = np.stack([text.starts for text in texts if isinstance(text, Text)])
        lengths = np.stack([text.lengths for text in texts if isinstance(text, Text)])
        offsets = chunk.offsets[part.rows[first:last]]
        tags = np.zeros(len(windows), np.int64)
        groups = self._groups.assign(chunk.data, starts, lengths, tags).astype(np.int64)
        if not self._signal.unpivot:
            slots = self._slots.assign(groups, windows)
            columns = [
                _rows(part.columns[measure.field], first, last) if measure.field else None
                for measure in self._signal.measures
            ]
            self._count(chunk.data, slots, offsets, columns)
            return
        metrics = len(self._signal.unpivot)
        for index, name in enumerate(self._signal.unpivot):
            column = _rows(part.columns[name], first, last)
            if not isinstance(column, Numbers):
                raise TypeError(f"{name} is unpivoted and no number.")
            there = np.flatnonzero(column.valid)
            if not len(there):
                continue
            slots = self._slots.assign(groups[there] * metrics + index, windows[there])
            measured = Numbers(column.values[there], column.valid[there])
            self._count(chunk.data, slots, offsets[there], [measured] * len(self._measures))

    def _count(
        self,
        data: NDArray[np.uint8],
        slots: NDArray[np.int32],
        offsets: NDArray[np.int64],
        columns: Sequence[Text | Numbers | None],
    ) -> None:
        """Take rows in, with the column of each measure."""
        self._make_room()
        accumulate.advance_versions(slots, offsets, self._versions, self._changed)
        for accumulator, column in zip(self._measures, columns, strict=True):
            accumulator.add(Rows(data, slots, offsets, column))

    def _make_room(self) -> None:
        if len(self._slots) <= self._capacity:
            return
        # Doubling from the first capacity on, as the table of groups does.
        self._capacity = 1 << (len(self._slots) - 1).bit_length()
        self._versions = grown(self._versions, self._capacity, 0)
        self._changed = grown(self._changed, self._capacity, 0)
        for accumulator in self._measures:
            accumulator.grow(self._capacity)

    def mark_all(self) -> None:
        """Make every row count as changed: it is not known which ones arrived."""
        self._changed[: len(self._slots)] = True

    def take_changed(self) -> Columns | None:
        """The rows that changed since the last call, whole; None where none did."""
        slots = np.flatnonzero(self._changed[: len(self._slots)])
        if not len(slots):
            return None
        self._changed[:] = False
        groups, metrics = self._slots.groups(slots), None
        if self._signal.unpivot:
            groups, metrics = np.divmod(groups, len(self._signal.unpivot))
        shown, rows = distinct(groups, len(self._groups))
        data, starts, lengths = self._groups.texts(shown, len(self._signal.dimensions))
        measures: dict[str, Cells] = {}
        for accumulator in self._measures:
            measures |= accumulator.show(slots)
        return Columns(
            [Texts(data, s, n) for s, n in zip(starts, lengths, strict=True)],
            rows,
            self._slots.windows(slots),
            metrics,
            self._versions[slots],
            measures,
        )


class Block:
    """All signals of one block of one partition.

    Attributes:
        number: The block's number: its offsets divided by the block length.
        first_offset: First offset that was read of it.
    """

    def __init__(self, number: int, first_offset: int, signals: tuple[Signal, ...]) -> None:
        self.number = number
        self.first_offset = first_offset
        self._signals = {signal: SignalBlock(signal) for signal in signals}

    def add(self, chunk: Chunk, part: Part, first: int, last: int) -> None:
        """Count rows first to last (exclusive) of a part, in every signal of its schema."""
        for signal, counted in self._signals.items():
            if signal.schema == part.name:
                counted.add(chunk, part, first, last)

    def mark_all(self) -> None:
        """See ``SignalBlock.mark_all``."""
        for counted in self._signals.values():
            counted.mark_all()

    def take_changed(self, whole: Callable[[], bool]) -> Iterator[tuple[Signal, Columns]]:
        """See ``SignalBlock.take_changed``; signals without a changed row are left out.

        Args:
            whole: Whether all chunks were counted whole; asked before each signal.
        """
        for signal, counted in self._signals.items():
            if not whole():
                return
            columns = counted.take_changed()
            if columns is not None:
                yield signal, columns


def _rows(column: Text | Numbers, first: int, last: int) -> Text | Numbers:
    if isinstance(column, Text):
        return Text(column.starts[first:last], column.lengths[first:last])
    return Numbers(column.values[first:last], column.valid[first:last])
