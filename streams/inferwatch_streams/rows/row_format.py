"""How the rows of a signal become Kafka records: key, Avro value and CloudEvents headers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inferwatch_schemas import releases
from inferwatch_schemas.wire import MAGIC, PREFIX, cloudevents_headers
from inferwatch_streams.rows import cells
from inferwatch_streams.rows.cells import Cells
from inferwatch_streams.signals import WINDOW_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.signals import Signal

SOURCE: Final = "inferwatch/aggregation"
METRIC: Final = "metric"


@dataclass(frozen=True, slots=True)
class Place:
    """Which block rows belong to: what all of them share.

    Attributes:
        topic_id: Kafka's id of the source topic.
        partition: Its partition.
        block: Number of the block.
        first_offset: First offset that was read of it.
    """

    topic_id: str
    partition: int
    block: int
    first_offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """A column of texts: bytes that starts and lengths point into."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What rows of one signal show.

    Attributes:
        dimensions: A column for each dimension, one text a group.
        groups: Group of each row.
        windows: Number of each row's window.
        metrics: Which of the unpivoted fields each row is about; None where none are.
        versions: Offset after the last event counted.
        measures: Encoded fields of the measures, by name.
    """

    dimensions: Sequence[Texts]
    groups: NDArray[np.int64]
    windows: NDArray[np.int64]
    metrics: NDArray[np.int64] | None
    versions: NDArray[np.int64]
    measures: Mapping[str, Cells]


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Rows as Kafka records.

    Attributes:
        keys: Keys, each once.
        key_rows: Which of the keys each record has.
        values: Value of each record.
        headers: Headers of each record.
    """

    keys: Cells
    key_rows: NDArray[np.int64]
    values: Cells
    headers: Cells

    def __len__(self) -> int:
        return len(self.values)

    def key(self, row: int) -> bytes:
        """Key of one record."""
        return self.keys.row(int(self.key_rows[row]))


class RowFormat:
    """Encodes rows of one signal, by the newest release of their schema."""

    def __init__(self, signal: Signal, registry: Registry) -> None:
        """Look the schema up once.

        Raises:
            UnknownSchemaError: The registry does not have the release.
            RegistryUnavailableError: The registry did not answer.
        """
        schema = releases.latest(signal.row).schema
        self._signal = signal
        self._fields = [(field["name"], field["type"]) for field in schema["fields"]]
        self._prefix = PREFIX.pack(MAGIC, registry.id_of(signal.row))
        names = [name.encode() for name in signal.unpivot]
        sizes = np.array([len(name) for name in names], np.int64)
        self._metrics = Texts(
            np.frombuffer(b"".join(names) + bytes(cells.SPARE), np.uint8),
            np.cumsum(sizes) - sizes,
            sizes,
        )

    def encode(self, place: Place, columns: Columns) -> Records:
        """Rows of one block as records."""
        keys, key_rows = self._keys(columns)
        return Records(keys, key_rows, self._values(place, columns), self._headers(place, columns))

    def _keys(self, columns: Columns) -> tuple[Cells, NDArray[np.int64]]:
        """JSON arrays of the signal's name and the dimensions: each once, and that of each row."""
        texts = columns.dimensions
        groups = len(texts[0].starts)
        parts = [cells.constant(f"[{json.dumps(self._signal.name)}".encode(), groups)]
        parts += [cells.json_items(text.data, text.starts, text.lengths) for text in texts]
        if columns.metrics is None:
            return cells.join([*parts, cells.constant(b"]", groups)]), columns.groups
        found = self._metrics
        metrics = cells.json_items(found.data, found.starts, found.lengths)
        rows = len(columns.groups)
        parts = [
            cells.join(parts).take(columns.groups),
            metrics.take(columns.metrics),
            cells.constant(b"]", rows),
        ]
        return cells.join(parts), np.arange(rows)

    def _values(self, place: Place, columns: Columns) -> Cells:
        signal = self._signal
        shared: dict[str, str | int] = {
            "signal": signal.name,
            "window_seconds": WINDOW_SECONDS,
            "topic_id": place.topic_id,
            "partition": place.partition,
            "block": place.block,
            "first_offset": place.first_offset,
        }
        texts = dict(zip((d.name for d in signal.dimensions), columns.dimensions, strict=True))
        own = {
            "window_start": cells.longs(columns.windows * (WINDOW_SECONDS * 1000)),
            "version": cells.longs(columns.versions),
            **columns.measures,
        }
        if columns.metrics is not None:
            found = self._metrics
            metrics = cells.texts(found.data, found.starts, found.lengths)
            own[METRIC] = metrics.take(columns.metrics)
        groups = len(columns.dimensions[0].starts)
        parts: list[Cells] = []
        # What all rows of a group share is joined once a group.
        same = [cells.constant(self._prefix, groups)]
        for name, kind in self._fields:
            if name in shared:
                same.append(cells.constant(_encoded(kind, shared[name]), groups))
            elif name in texts:
                text = texts[name]
                same.append(cells.texts(text.data, text.starts, text.lengths))
            else:
                if same:
                    parts.append(cells.join(same).take(columns.groups))
                    same = []
                parts.append(own[name])
        return cells.join(parts)

    def _headers(self, place: Place, columns: Columns) -> Cells:
        """CloudEvents headers as a record holds them: their number, then each with its lengths.

        The event's id names the row's block and version. One event may change a row of each of
        its metrics, but no row twice.
        """
        rows = len(columns.versions)
        before = (
            f"{self._signal.name}/{place.topic_id}/{place.partition}/{place.block}/"
            f"{place.first_offset}/"
        )
        parts = [cells.constant(before.encode(), rows), cells.decimals(columns.versions)]
        parts.append(cells.constant(b"/", rows))
        if columns.metrics is not None:
            found = self._metrics
            parts.append(Cells(found.data, found.starts, found.lengths).take(columns.metrics))
        identities = cells.join(parts)
        headers = cloudevents_headers(self._signal.row, "", SOURCE)
        joined: list[Cells] = []
        same = _varint(len(headers))
        for name, value in headers:
            same += _varint(len(name)) + name.encode()
            if name == "ce_id":
                joined += [cells.constant(same, rows), cells.longs(identities.lengths), identities]
                same = b""
            else:
                same += _varint(len(value)) + value
        return cells.join([*joined, cells.constant(same, rows)])


def _encoded(kind: Any, value: str | int) -> bytes:
    """Avro of one text or whole number."""
    if kind == "string":
        raw = str(value).encode()
        return _varint(len(raw)) + raw
    return _varint(int(value))


def _varint(value: int) -> bytes:
    return cells.longs(np.array([value], np.int64)).row(0)
