"""Reads records of ``inferwatch.totals`` back into columns, log by log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.arrays import longs_of, texts_of
from inferwatch_schemas.columnar.chunk import Chunk
from inferwatch_schemas.columnar.reader import ChunkReader, Numbers, Text
from inferwatch_schemas.topics import TOTALS
from inferwatch_schemas.wire import decode
from inferwatch_streams.windows import checkpoint, totals
from inferwatch_streams.windows.checkpoint import Checkpoint
from inferwatch_streams.windows.horizons import SIZES, WINDOW_MS
from inferwatch_streams.windows.labels import LEAST_BIN, MOST_BINS, BinLabels
from inferwatch_streams.windows.table import Spans, Table, joined, narrowed
from inferwatch_streams.windows.totals import DOUBLE, Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from inferwatch_schemas.columnar.reader import Part
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.windows.contents import Contents

#: Records that are read at once, so that little is held twice.
AT_ONCE: Final = 20_000
_TEXTS: Final = ("aggregates_topic_id", "signal", "topic_id")
_NUMBERS: Final = (
    "aggregates_partition", "epoch", "read_through", "as_of", "slot_start", "slot_seconds",
    "newest_window", "version", "first_offset",
)  # fmt: skip
_LISTS: Final = (
    "dimensions", "partitions", "blocks", "values", "label_counts", "labels", "counts", "texts",
)  # fmt: skip
_LEVELS: Final = {size * WINDOW_MS // 1000: level for level, size in enumerate(SIZES)}


@dataclass(frozen=True, slots=True, eq=False)
class LoadedTotals:
    """Totals of one log, one element a record.

    Attributes:
        records: Which of the records given.
        numbers: Columns of the schema that are whole numbers, by name.
        levels: Level of each slot.
        sources: Partitions and blocks: record k has those from bounds[k] to bounds[k + 1].
        table: Groups, values and counts.
    """

    records: NDArray[np.int64]
    numbers: Mapping[str, NDArray[np.int64]]
    levels: NDArray[np.int64]
    sources: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    table: Table


@dataclass(slots=True)
class Loaded:
    """Everything that was read.

    Attributes:
        logs: Totals, by log.
        checkpoints: Checkpoints, with which of the records each was.
        unread: Records that cannot be used.
    """

    logs: dict[Place, list[LoadedTotals]] = field(default_factory=dict)
    checkpoints: list[tuple[int, Checkpoint]] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)


def read_totals(
    values: Sequence[bytes], contents: Mapping[str, Contents], registry: Registry
) -> Loaded:
    """Read records, giving their groups and labels numbers."""
    reader = ChunkReader(TOTALS, registry, {totals.SCHEMA: (*_TEXTS, *_NUMBERS, *_LISTS)})
    loaded = Loaded()
    for begin in range(0, len(values), AT_ONCE):
        chunk = _chunk_of(values[begin : begin + AT_ONCE])
        parts, bad = reader.read(chunk)
        loaded.unread += [begin + each.index for each in bad]
        for part in parts:
            if part.name == checkpoint.SCHEMA:
                for row in part.rows.tolist():
                    record = decode(values[begin + row], registry)
                    loaded.checkpoints.append((begin + row, Checkpoint.from_record(record)))
            else:
                _Reading(chunk.data, part, begin, loaded).read(contents)
    return loaded


def _chunk_of(values: Sequence[bytes]) -> Chunk:
    lengths = np.array([len(value) for value in values], np.int64)
    ends = np.cumsum(lengths)
    offsets = np.arange(len(values), dtype=np.int64)
    data = np.frombuffer(b"".join(values), np.uint8)
    return Chunk(
        TOTALS.name, 0, 0, len(values), data, offsets, np.zeros_like(offsets), ends - lengths,
        ends - lengths, ends,
    )  # fmt: skip


class _Reading:
    """One part under way."""

    def __init__(self, data: NDArray[np.uint8], part: Part, begin: int, loaded: Loaded) -> None:
        self._data = data
        self._part = part
        self._begin = begin
        self._loaded = loaded
        self._numbers = {name: self._number(name) for name in _NUMBERS}

    def _number(self, name: str) -> NDArray[np.int64]:
        column = self._part.columns[name]
        assert isinstance(column, Numbers)  # noqa: S101  # the schema says so
        values: NDArray[np.int64] = column.values.astype(np.int64, copy=False)
        return values

    def _text(self, name: str, rows: NDArray[np.int64] | slice = slice(None)) -> Text:
        column = self._part.columns[name]
        assert isinstance(column, Text)  # noqa: S101  # the schema says so
        return Text(column.starts[rows], column.lengths[rows])

    def read(self, contents: Mapping[str, Contents]) -> None:
        logs: dict[tuple[bytes, ...], list[int]] = {}
        raw = self._data.tobytes()
        columns = [
            [raw[start : start + length] for start, length in _places(self._text(name))]
            for name in _TEXTS
        ]
        partitions = self._numbers["aggregates_partition"].tolist()
        for row, key in enumerate(zip(*columns, partitions, strict=True)):
            logs.setdefault(key, []).append(row)
        for key, members in logs.items():
            aggregates, signal, topic_id, partition = key
            place = Place(aggregates.decode(), int(partition), signal.decode(), topic_id.decode())
            rows = np.array(members, np.int64)
            known = contents.get(place.signal)
            good = self._good(rows, known)
            self._loaded.unread += (self._part.rows[rows[~good]] + self._begin).tolist()
            rows = rows[good]
            if known is not None and len(rows):
                found = self._log(raw, rows, known)
                self._loaded.logs.setdefault(place, []).append(found)

    def _good(self, rows: NDArray[np.int64], contents: Contents | None) -> NDArray[np.bool_]:
        """Records that fit the signal as this version knows it."""
        good = np.isin(self._numbers["slot_seconds"][rows], list(_LEVELS))
        if contents is None:
            return np.zeros_like(good)
        layout = contents.layout
        good &= self._text("values", rows).lengths == len(layout.values) * DOUBLE.itemsize
        good &= np.diff(texts_of(self._data, self._text("dimensions", rows))[0]) == len(
            layout.dimensions
        )
        lists = [longs_of(self._data, self._text(name, rows)) for name in _LISTS[4:7]]
        (widths, sizes), (labels, found), (counts, _) = lists
        good &= np.diff(widths) == len(layout.counts)
        sums = np.concatenate([[0], np.cumsum(sizes)])
        for bounds in (labels, counts):
            good &= np.diff(bounds) == sums[widths[1:]] - sums[widths[:-1]]
        wrong = np.concatenate(
            [[0], np.cumsum((found < LEAST_BIN) | (found >= LEAST_BIN + MOST_BINS))]
        )
        good &= wrong[labels[1:]] == wrong[labels[:-1]]
        ends = [longs_of(self._data, self._text(name, rows))[0] for name in _LISTS[1:3]]
        good &= np.diff(ends[0]) == np.diff(ends[1])
        return good

    def _log(self, raw: bytes, rows: NDArray[np.int64], contents: Contents) -> LoadedTotals:
        numbers = {name: column[rows] for name, column in self._numbers.items()}
        width = len(contents.layout.values) * DOUBLE.itemsize
        places = self._text("values", rows).starts[:, None] + np.arange(width)
        values = self._data[places].view(DOUBLE).astype(np.float64)
        table = Table(
            self._groups(raw, rows, contents),
            numbers["newest_window"] // WINDOW_MS,
            values,
            self._spans(raw, rows, contents),
        )
        bounds, partitions = longs_of(self._data, self._text("partitions", rows))
        _, blocks = longs_of(self._data, self._text("blocks", rows))
        return LoadedTotals(
            self._part.rows[rows] + self._begin,
            numbers,
            np.array([_LEVELS[s] for s in numbers["slot_seconds"].tolist()], np.int64),
            (bounds, partitions, blocks),
            table,
        )

    def _groups(self, raw: bytes, rows: NDArray[np.int64], contents: Contents) -> NDArray[np.int32]:
        known: dict[bytes, int] = {}
        groups = []
        column = self._text("dimensions", rows)
        for row, (start, length) in enumerate(_places(column)):
            encoded = raw[start : start + length]
            group = known.get(encoded)
            if group is None:
                one = Text(column.starts[row : row + 1], column.lengths[row : row + 1])
                names = texts_of(self._data, one)[1]
                group = known[encoded] = contents.groups.number(
                    tuple(raw[start : start + length].decode() for start, length in _places(names))
                )
            groups.append(group)
        return np.array(groups, np.int32)

    def _spans(self, raw: bytes, rows: NDArray[np.int64], contents: Contents) -> tuple[Spans, ...]:
        width = len(contents.labels)
        if not width:
            return ()
        sizes = longs_of(self._data, self._text("label_counts", rows))[1].reshape(-1, width)
        owners = np.repeat(np.tile(np.arange(width), len(rows)), sizes.reshape(-1))
        labels = longs_of(self._data, self._text("labels", rows))[1]
        counts = longs_of(self._data, self._text("counts", rows))[1]
        of_row = np.repeat(np.arange(len(rows)), sizes.sum(axis=1))
        bounds, texts = texts_of(self._data, self._text("texts", rows))
        named = [raw[start : start + length] for start, length in _places(texts)]
        spans = []
        for k, known in enumerate(contents.labels):
            mine = owners == k
            if isinstance(known, BinLabels):
                found = known.columns(labels[mine])
            else:
                numbers = np.array([known.number(text) for text in named], np.int32)
                found = numbers[bounds[of_row[mine]] + labels[mine]]
            spans.append(Spans.of(sizes[:, k], found.astype(np.uint16), narrowed(counts[mine])))
        return tuple(spans)


def _places(text: Text) -> list[tuple[int, int]]:
    return list(zip(text.starts.tolist(), text.lengths.tolist(), strict=True))


def joined_totals(parts: Sequence[LoadedTotals]) -> LoadedTotals:
    """All totals of one log."""
    ends = np.concatenate([[0], *(np.diff(part.sources[0]) for part in parts)])
    return LoadedTotals(
        np.concatenate([part.records for part in parts]),
        {name: np.concatenate([part.numbers[name] for part in parts]) for name in _NUMBERS},
        np.concatenate([part.levels for part in parts]),
        (
            np.cumsum(ends),
            np.concatenate([part.sources[1] for part in parts]),
            np.concatenate([part.sources[2] for part in parts]),
        ),
        joined([part.table for part in parts]),
    )
