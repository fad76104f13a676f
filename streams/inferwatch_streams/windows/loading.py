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
from inferwatch_streams.blocks.grouping import Groups
from inferwatch_streams.windows import checkpoint, kernel, totals
from inferwatch_streams.windows.checkpoint import Checkpoint
from inferwatch_streams.windows.horizons import SIZES, WINDOW_MS
from inferwatch_streams.windows.labels import LEAST_BIN, MOST_BINS, BinLabels
from inferwatch_streams.windows.numbering import NO_GROUP, SignalNumbers
from inferwatch_streams.windows.table import Spans, Table, joined, narrowed
from inferwatch_streams.windows.totals import DOUBLE, OF_SUM, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from inferwatch_schemas.columnar.reader import Part
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.windows.contents import Contents
    from inferwatch_streams.windows.layout import Layout

    #: By field, bounds and items: record k has those from bounds[k] to bounds[k + 1].
    Lists = Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64]]]

#: Records that are read at once, so that little is held twice.
AT_ONCE: Final = 20_000
_TEXTS: Final = ("aggregates_topic_id", "signal", "topic_id")
_NUMBERS: Final = (
    "aggregates_partition", "epoch", "read_through", "as_of", "slot_start", "slot_seconds",
    "newest_window", "version", "first_offset",
)  # fmt: skip
_LISTS: Final = ("partitions", "blocks", "label_counts", "labels", "counts")
_OTHERS: Final = ("dimensions", "values", "texts")
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
        others: Records of another topic of the aggregates.
        unread: Records that cannot be used.
    """

    logs: dict[Place, list[LoadedTotals]] = field(default_factory=dict)
    checkpoints: list[tuple[int, Checkpoint]] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)


def read_totals(
    values: Sequence[bytes], topic_id: str, contents: Mapping[str, Contents], registry: Registry
) -> Loaded:
    """Read the records of a topic of the aggregates, giving their groups and labels numbers."""
    reader = ChunkReader(TOTALS, registry, {totals.SCHEMA: (*_TEXTS, *_NUMBERS, *_LISTS, *_OTHERS)})
    loaded = Loaded()
    encoded = {name: SignalNumbers(each) for name, each in contents.items()}
    for begin in range(0, len(values), AT_ONCE):
        chunk = _chunk_of(values[begin : begin + AT_ONCE])
        parts, bad = reader.read(chunk)
        loaded.unread += [begin + each.index for each in bad]
        for part in parts:
            if part.name == checkpoint.SCHEMA:
                for row in part.rows.tolist():
                    found = Checkpoint.from_record(decode(values[begin + row], registry))
                    if found.aggregates_topic_id == topic_id:
                        loaded.checkpoints.append((begin + row, found))
                    else:
                        loaded.others.append(begin + row)
            else:
                _Reading(chunk.data, part, begin, loaded).read(topic_id, encoded)
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

    def read(self, topic_id: str, encoded: Mapping[str, SignalNumbers]) -> None:
        """Add the part to what is loaded."""
        for place, of_log in self._logs():
            rows = of_log
            if place.aggregates_topic_id != topic_id:
                self._loaded.others += (self._part.rows[rows] + self._begin).tolist()
                continue
            known = encoded.get(place.signal)
            if known is None:
                self._loaded.unread += (self._part.rows[rows] + self._begin).tolist()
                continue
            lists = self._lists(rows)
            for fitting in (self._sized, self._named):
                rows, lists = self._kept(rows, lists, fitting(rows, lists, known.layout))
            groups = known.groups.of(self._data, self._text("dimensions", rows))
            rows, lists = self._kept(rows, lists, groups != NO_GROUP)
            groups = groups[groups != NO_GROUP]
            if len(rows):
                found = self._log(rows, groups, lists, known)
                self._loaded.logs.setdefault(place, []).append(found)

    def _logs(self) -> Iterator[tuple[Place, NDArray[np.int64]]]:
        """The logs that records are of, each with its records."""
        texts = [self._text(name) for name in _TEXTS]
        starts = np.stack([text.starts for text in texts])
        lengths = np.stack([text.lengths for text in texts])
        logs = Groups()
        of = logs.assign(self._data, starts, lengths, self._numbers["aggregates_partition"])
        for number, partition in enumerate(logs.tags.tolist()):
            rows = np.flatnonzero(of == number)
            aggregates, signal, source = (
                self._data[start : start + length].tobytes().decode()
                for start, length in zip(
                    starts[:, rows[0]].tolist(), lengths[:, rows[0]].tolist(), strict=True
                )
            )
            yield Place(aggregates, partition, signal, source), rows

    def _lists(self, rows: NDArray[np.int64]) -> Lists:
        return {name: longs_of(self._data, self._text(name, rows)) for name in _LISTS}

    def _kept(
        self, rows: NDArray[np.int64], lists: Lists, good: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], Lists]:
        """The good records and their lists; the others count as unread."""
        if good.all():
            return rows, lists
        self._loaded.unread += (self._part.rows[rows[~good]] + self._begin).tolist()
        return rows[good], self._lists(rows[good])

    def _sized(self, rows: NDArray[np.int64], lists: Lists, layout: Layout) -> NDArray[np.bool_]:
        """Records whose sizes are those of the signal as this version knows it."""
        good = np.isin(self._numbers["slot_seconds"][rows], list(_LEVELS))
        good &= self._text("values", rows).lengths == len(layout.values) * DOUBLE.itemsize
        widths, sizes = lists["label_counts"]
        good &= np.diff(widths) == len(layout.counts)
        # Beyond all items there are, sums of sizes might begin anew below them.
        good &= _none((sizes < 0) | (sizes > len(lists["labels"][1])), widths)
        sums = np.concatenate([[0], np.cumsum(sizes)])
        for name in ("labels", "counts"):
            good &= np.diff(lists[name][0]) == sums[widths[1:]] - sums[widths[:-1]]
        bounds, found = lists["labels"]
        good &= _none((found < LEAST_BIN) | (found >= LEAST_BIN + MOST_BINS), bounds)
        sources = np.diff(lists["partitions"][0])
        good &= sources == np.diff(lists["blocks"][0])
        # A row is of one block.
        good &= (sources == 1) | (self._numbers["version"][rows] == OF_SUM)
        return good

    def _named(self, rows: NDArray[np.int64], lists: Lists, layout: Layout) -> NDArray[np.bool_]:
        """Records whose tallies count texts that they have; of those whose sizes fit."""
        good = np.ones(len(rows), np.bool_)
        sizes = lists["label_counts"][1].reshape(len(rows), len(layout.counts))
        texts = np.diff(texts_of(self._data, self._text("texts", rows))[0])
        for k, each in enumerate(layout.counts):
            if each.text:
                found, _ = _picked(lists, sizes, k)
                wrong = (found < 0) | (found >= np.repeat(texts, sizes[:, k]))
                good &= _none(wrong, np.concatenate([[0], np.cumsum(sizes[:, k])]))
        return good

    def _log(
        self,
        rows: NDArray[np.int64],
        groups: NDArray[np.int32],
        lists: Lists,
        encoded: SignalNumbers,
    ) -> LoadedTotals:
        numbers = {name: column[rows] for name, column in self._numbers.items()}
        width = len(encoded.layout.values) * DOUBLE.itemsize
        places = self._text("values", rows).starts[:, None] + np.arange(width)
        values = self._data[places].view(DOUBLE).astype(np.float64)
        table = Table(
            groups, numbers["newest_window"] // WINDOW_MS, values, self._spans(rows, lists, encoded)
        )
        bounds, partitions = lists["partitions"]
        return LoadedTotals(
            self._part.rows[rows] + self._begin,
            numbers,
            np.array([_LEVELS[s] for s in numbers["slot_seconds"].tolist()], np.int64),
            (bounds, partitions, lists["blocks"][1]),
            table,
        )

    def _spans(
        self, rows: NDArray[np.int64], lists: Lists, encoded: SignalNumbers
    ) -> tuple[Spans, ...]:
        sizes = lists["label_counts"][1].reshape(len(rows), len(encoded.labels))
        spans = []
        for k, (labels, texts) in enumerate(zip(encoded.labels, encoded.texts, strict=True)):
            mine = np.ascontiguousarray(sizes[:, k])
            found, counts = _picked(lists, sizes, k)
            if isinstance(labels, BinLabels):
                numbers = labels.columns(found)
            else:
                assert texts is not None  # noqa: S101  # a tally has them
                bounds, of = texts_of(self._data, self._text("texts", rows))
                at = np.repeat(bounds[:-1], mine) + found
                numbers = texts.of(self._data, Text(of.starts[at], of.lengths[at]))
            spans.append(Spans.of(mine, numbers.astype(np.uint16), narrowed(counts)))
        return tuple(spans)


def _picked(
    lists: Lists, sizes: NDArray[np.int64], which: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels and counts of one of each record's lists."""
    total = int(sizes[:, which].sum())
    labels, counts = np.empty(total, np.int64), np.empty(total, np.int64)
    kernel.pick_lists(sizes, which, lists["labels"][1], lists["counts"][1], labels, counts)
    return labels, counts


def _none(wrong: NDArray[np.bool_], bounds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each record has no such item."""
    if not wrong.any():
        return np.ones(len(bounds) - 1, np.bool_)
    so_far = np.concatenate([[0], np.cumsum(wrong)])
    found: NDArray[np.bool_] = so_far[bounds[1:]] == so_far[bounds[:-1]]
    return found


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
