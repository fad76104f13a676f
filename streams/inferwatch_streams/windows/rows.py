"""From a chunk of ``inferwatch.aggregates`` to batches of rows, one a signal and log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.reader import ChunkReader, Text
from inferwatch_schemas.topics import AGGREGATES
from inferwatch_streams.rows import cells
from inferwatch_streams.signals import SIGNALS
from inferwatch_streams.windows.columns import FIELDS, RowColumns
from inferwatch_streams.windows.horizons import WINDOW_MS
from inferwatch_streams.windows.labels import TextLabels
from inferwatch_streams.windows.layout import layout_of
from inferwatch_streams.windows.shard import Batch
from inferwatch_streams.windows.table import Spans, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from inferwatch_schemas.columnar.chunk import Chunk
    from inferwatch_schemas.columnar.reader import BadRecord, Part
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.windows.columns import Lists
    from inferwatch_streams.windows.contents import Contents
    from inferwatch_streams.windows.labels import BinLabels

LAYOUTS: Final = {signal.row: layout_of(signal) for signal in SIGNALS}


def aggregate_reader(registry: Registry) -> ChunkReader:
    """A reader of the columns that ``Rows`` takes; its ``read`` names the records that are bad."""
    fields = {row: (*FIELDS, *layout.fields) for row, layout in LAYOUTS.items()}
    return ChunkReader(AGGREGATES, registry, fields)


@dataclass(frozen=True, slots=True, eq=False)
class LogRows:
    """Rows of one signal and topic id."""

    signal: str
    topic_id: str
    batch: Batch


class Rows:
    """Tells rows apart by log, and gives their groups and labels numbers."""

    def __init__(self, contents: Mapping[str, Contents]) -> None:
        """Read into these.

        Args:
            contents: What is known of each signal, by its name.
        """
        self._contents = contents
        # Topic id and group by their bytes, as rows have them.
        self._known: dict[str, dict[bytes, tuple[str, int]]] = {name: {} for name in contents}

    def forget(self) -> None:
        """Hear that numbers of groups are used again."""
        for known in self._known.values():
            known.clear()

    def read(
        self, chunk: Chunk, parts: Sequence[Part], times: NDArray[np.int64], bad: list[BadRecord]
    ) -> Iterator[LogRows]:
        """Rows of a chunk.

        Args:
            chunk: The chunk.
            parts: What ``aggregate_reader`` read of it.
            times: The broker's time of each record in milliseconds, ascending.
            bad: What is no row after all is added to these.
        """
        for part in parts:
            columns = RowColumns(part, chunk.data, LAYOUTS[part.name])
            good = columns.good(bad)
            if good.any():
                yield from self._logs(chunk, columns, good, times)

    def _logs(
        self, chunk: Chunk, columns: RowColumns, good: NDArray[np.bool_], times: NDArray[np.int64]
    ) -> Iterator[LogRows]:
        layout, number = columns.layout, columns.number
        contents = self._contents[layout.signal]
        topic_ids, groups = self._names(columns, contents, good)
        windows = number("window_start")[good] // WINDOW_MS
        keys = np.stack(
            [groups.astype(np.int64), windows, number("partition")[good], number("block")[good]],
            axis=1,
        )
        ranks = np.stack([number("version")[good], number("first_offset")[good]], axis=1)
        values = np.empty((len(groups), len(layout.values)))
        for k, value in enumerate(layout.values):
            values[:, k] = columns.value(value.name)[good]
        spans = tuple(
            _spans(chunk.data, lists.without_faults(good), labels)
            for lists, labels in zip(columns.lists, contents.labels, strict=True)
        )
        table = Table(groups, windows, values, spans)
        records = columns.part.rows[good]
        origins = np.stack([chunk.offsets[records], times[records]], axis=1)
        batch = Batch(keys, ranks, origins, table)
        different = sorted(set(topic_ids))
        if len(different) == 1:
            yield LogRows(layout.signal, different[0], batch)
            return
        for topic_id in different:
            rows = np.array([k for k, own in enumerate(topic_ids) if own == topic_id], np.int64)
            yield LogRows(layout.signal, topic_id, batch.take(rows))

    def _names(
        self, columns: RowColumns, contents: Contents, good: NDArray[np.bool_]
    ) -> tuple[list[str], NDArray[np.int32]]:
        """Topic id and group of each row: looked up by their bytes, decoded where they are new."""
        known = self._known[columns.layout.signal]
        texts = [columns.text(name) for name in ("topic_id", *columns.layout.dimensions)]
        taken = [Text(text.starts[good], text.lengths[good]) for text in texts]
        joined = cells.join(
            [cells.texts(columns.data, text.starts, text.lengths) for text in taken]
        )
        raw = joined.data.tobytes()
        topic_ids: list[str] = []
        groups: list[int] = []
        ends = (joined.starts + joined.lengths).tolist()
        for row, (start, end) in enumerate(zip(joined.starts.tolist(), ends, strict=True)):
            held = known.get(raw[start:end])
            if held is None:
                topic_id, *names = (_text(columns.data, text, row) for text in taken)
                held = known[raw[start:end]] = (topic_id, contents.groups.number(tuple(names)))
            topic_ids.append(held[0])
            groups.append(held[1])
        return topic_ids, np.array(groups, np.int32)


def _text(data: NDArray[np.uint8], text: Text, row: int) -> str:
    start = int(text.starts[row])
    return data[start : start + int(text.lengths[row])].tobytes().decode()


def _spans(data: NDArray[np.uint8], lists: Lists, labels: BinLabels | TextLabels) -> Spans:
    """The lists, with numbers for their labels."""
    found: NDArray[np.int32]
    if isinstance(labels, TextLabels):
        assert isinstance(lists.labels, Text)  # noqa: S101  # both follow from the layout
        raw = data.tobytes() if len(lists.labels.starts) else b""
        places = zip(lists.labels.starts.tolist(), lists.labels.lengths.tolist(), strict=True)
        numbers = [labels.number(raw[start : start + length]) for start, length in places]
        found = np.array(numbers, np.int32)
    else:
        assert not isinstance(lists.labels, Text)  # noqa: S101  # as above
        found = labels.columns(lists.labels)
    return Spans.of(lists.sizes, found.astype(np.uint16), lists.counts)
