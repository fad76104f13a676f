"""Records of ``inferwatch.totals``: keys, and values encoded column by column."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.wire import MAGIC, PREFIX
from inferwatch_streams.rows import cells
from inferwatch_streams.windows.horizons import SIZES, TENS, WINDOW_MS
from inferwatch_streams.windows.labels import BinLabels, TextLabels
from inferwatch_streams.windows.open_rows import BLOCK, FIRST_OFFSET, PARTITION, VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.rows.cells import Cells
    from inferwatch_streams.windows.table import Spans, Table

#: A record of a compacted topic: key, and value or None for a removal.
Record = tuple[bytes, bytes | None]
SCHEMA: Final = "total"
#: Version and first offset of what is no row but a sum; partition and block of its key.
OF_SUM: Final = -1
DOUBLE: Final = np.dtype("<f8")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Which log rows are of, and where they came.

    Attributes:
        aggregates_topic_id: Kafka's id of ``inferwatch.aggregates``.
        aggregates_partition: Its partition.
        signal: Name and version of the signal.
        topic_id: Kafka's id of the source topic.
    """

    aggregates_topic_id: str
    aggregates_partition: int
    signal: str
    topic_id: str


@dataclass(frozen=True, slots=True)
class Written:
    """When and by whom totals are written.

    Attributes:
        epoch: The claim of the leader.
        read_through: Offset after the last record taken in of the aggregates' partition.
        as_of_ms: The greatest of the broker's times.
    """

    epoch: int
    read_through: int
    as_of_ms: int


def key_of(  # noqa: PLR0913, PLR0917  # an identity has so many parts
    place: Place,
    epoch: int,
    level: int,
    number: int,
    names: tuple[str, ...],
    partition: int = OF_SUM,
    block: int = OF_SUM,
) -> bytes:
    """Key of a sum, or of a row of a partition and block.

    The leader's epoch is part of it: one that was replaced, and does not know it yet, writes keys
    of its own, and overwrites nothing.
    """
    parts = [
        place.aggregates_topic_id, place.aggregates_partition, place.signal, place.topic_id,
        epoch, SIZES[level], number, partition, block, *names,
    ]  # fmt: skip
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()


class TotalFormat:
    """Encodes totals of a signal."""

    def __init__(self, labels: Sequence[BinLabels | TextLabels], registry: Registry) -> None:
        """Look the schema up once.

        Raises:
            UnknownSchemaError: The registry does not have the release.
            RegistryUnavailableError: The registry did not answer.
        """
        self._prefix = PREFIX.pack(MAGIC, registry.id_of(SCHEMA))
        self._labels = labels

    def sums(  # noqa: PLR0913, PLR0917  # a record has so many parts
        self,
        place: Place,
        written: Written,
        level: int,
        number: int,
        limits: Sequence[tuple[int, int]],
        table: Table,
        names: Sequence[tuple[str, ...]],
    ) -> list[bytes]:
        """Values of the groups of one slot.

        Args:
            place: The log.
            written: By whom.
            level: The slot's level.
            number: Its number there.
            limits: Source partitions, each with the first block that is not in the sums.
            table: One row a group.
            names: Its dimensions.
        """
        rows = len(table)
        partitions, blocks = np.array(limits, np.int64).reshape(-1, 2).T
        ends = cells.constant(_longs([OF_SUM, OF_SUM]), rows)
        return self._encode(
            place, written, level, np.full(rows, number), table, names,
            cells.constant(_long_array(partitions) + _long_array(blocks), rows), ends,
        )  # fmt: skip

    def rows(  # noqa: PLR0913, PLR0917  # as sums
        self,
        place: Place,
        written: Written,
        keys: NDArray[np.int64],
        ranks: NDArray[np.int64],
        table: Table,
        names: Sequence[tuple[str, ...]],
    ) -> list[bytes]:
        """Values of rows of blocks that may still grow (``open_rows.py``)."""
        each = np.arange(len(table) + 1)
        sources = [cells.arrays(each, cells.longs(keys[:, k].copy())) for k in (PARTITION, BLOCK)]
        ends = [cells.longs(ranks[:, k].copy()) for k in (VERSION, FIRST_OFFSET)]
        return self._encode(
            place, written, TENS, table.newest, table, names, cells.join(sources), cells.join(ends)
        )

    def _encode(  # noqa: PLR0913, PLR0917  # as sums
        self,
        place: Place,
        written: Written,
        level: int,
        numbers: NDArray[np.int64],
        table: Table,
        names: Sequence[tuple[str, ...]],
        sources: Cells,
        ranks: Cells,
    ) -> list[bytes]:
        size = SIZES[level]
        head = (
            self._prefix + _text(place.aggregates_topic_id) + _longs([place.aggregates_partition])
            + _longs([written.epoch, written.read_through, written.as_of_ms])
            + _text(place.signal) + _text(place.topic_id)
        )  # fmt: skip
        values = np.ascontiguousarray(table.values, DOUBLE)
        width = values.shape[1] * DOUBLE.itemsize
        starts = np.arange(len(table), dtype=np.int64) * width
        joined = cells.join(
            [
                cells.constant(head, len(table)),
                _raw([_text_array(group) for group in names]),
                cells.longs(numbers * (size * WINDOW_MS)),
                cells.constant(_longs([size * WINDOW_MS // 1000]), len(table)),
                cells.longs(table.newest * WINDOW_MS),
                sources,
                ranks,
                cells.texts(values.view(np.uint8).reshape(-1), starts, np.full(len(table), width)),
                *_lists(table.spans, self._labels, len(table)),
            ]
        )
        return [joined.row(row) for row in range(len(table))]


def _lists(
    spans: Sequence[Spans], labels: Sequence[BinLabels | TextLabels], rows: int
) -> list[Cells]:
    """Labels, counts and texts of all lists, row by row, as the schema has them."""
    width = len(spans)
    sizes = np.stack([each.sizes for each in spans], axis=1) if width else np.zeros((rows, 0), int)
    owners, found, counts = [], [], []
    texts: list[list[bytes]] = [[] for _ in range(rows)]
    for k, (each, known) in enumerate(zip(spans, labels, strict=True)):
        of_row = np.repeat(np.arange(rows), each.sizes)
        owners.append(of_row * width + k)
        counts.append(each.counts.astype(np.int64))
        if isinstance(known, BinLabels):
            found.append(known.bins()[each.labels])
            continue
        places = []
        for row, label in zip(of_row.tolist(), each.labels.tolist(), strict=True):
            places.append(len(texts[row]))
            texts[row].append(known.texts[label].encode())
        found.append(np.array(places, np.int64))
    order = np.argsort(np.concatenate([*owners, np.empty(0, np.int64)]), kind="stable")
    none = np.empty(0, np.int64)
    bounds = np.concatenate([[0], np.cumsum(sizes.sum(axis=1))]).astype(np.int64)
    ends = np.concatenate([[0], np.cumsum([len(own) for own in texts])]).astype(np.int64)
    return [
        cells.arrays(np.arange(rows + 1) * width, cells.longs(sizes.reshape(-1).astype(np.int64))),
        cells.arrays(bounds, cells.longs(np.concatenate([*found, none])[order])),
        cells.arrays(bounds, cells.longs(np.concatenate([*counts, none])[order])),
        cells.arrays(ends, cells.blobs([text for own in texts for text in own])),
    ]


def _raw(values: Sequence[bytes]) -> Cells:
    lengths = np.array([len(value) for value in values], np.int64)
    data = np.frombuffer(b"".join(values) + bytes(cells.SPARE), np.uint8)
    return cells.Cells(data, np.cumsum(lengths) - lengths, lengths)


def _longs(values: Sequence[int]) -> bytes:
    found = cells.longs(np.array(values, np.int64))
    return b"".join(found.row(k) for k in range(len(values)))


def _long_array(values: NDArray[np.int64]) -> bytes:
    bounds = np.array([0, len(values)], np.int64)
    return cells.arrays(bounds, cells.longs(np.ascontiguousarray(values))).row(0)


def _text(value: str) -> bytes:
    return cells.blobs([value.encode()]).row(0)


def _text_array(values: Sequence[str]) -> bytes:
    bounds = np.array([0, len(values)], np.int64)
    return cells.arrays(bounds, cells.blobs([value.encode() for value in values])).row(0)
