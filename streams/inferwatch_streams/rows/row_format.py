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
        dimensions: A column for each dimension.
        windows: Number of each row's window.
        metrics: Which of the unpivoted fields each row is about; None where none are.
        versions: Offset after the last event counted.
        measures: Encoded fields of the measures, by name.
    """

    dimensions: Sequence[Texts]
    windows: NDArray[np.int64]
    metrics: NDArray[np.int64] | None
    versions: NDArray[np.int64]
    measures: Mapping[str, Cells]


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Rows as Kafka records: key, value and headers of each."""

    keys: Cells
    values: Cells
    headers: Cells

    def __len__(self) -> int:
        return len(self.keys)


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
            np.frombuffer(b"".join(names), np.uint8), np.cumsum(sizes) - sizes, sizes
        )

    def encode(self, place: Place, columns: Columns) -> Records:
        """Rows of one block as records."""
        signal, rows = self._signal, len(columns.versions)
        texts = dict(zip((d.name for d in signal.dimensions), columns.dimensions, strict=True))
        if columns.metrics is not None:
            found = self._metrics
            texts[METRIC] = Texts(
                found.data, found.starts[columns.metrics], found.lengths[columns.metrics]
            )
        shared = {
            "signal": signal.name,
            "window_seconds": WINDOW_SECONDS,
            "topic_id": place.topic_id,
            "partition": place.partition,
            "block": place.block,
            "first_offset": place.first_offset,
        }
        own = {
            "window_start": cells.longs(columns.windows * (WINDOW_SECONDS * 1000)),
            "version": cells.longs(columns.versions),
            **{name: cells.texts(t.data, t.starts, t.lengths) for name, t in texts.items()},
            **columns.measures,
        }
        return Records(
            _keys(signal.name, list(texts.values()), rows),
            self._values(shared, own, rows),
            _headers(signal, place, columns.versions, texts.get(METRIC)),
        )

    def _values(self, shared: Mapping[str, Any], own: Mapping[str, Cells], rows: int) -> Cells:
        parts: list[Cells] = []
        same = self._prefix
        for name, kind in self._fields:
            if name in shared:
                same += _encoded(kind, shared[name])
                continue
            if same:
                parts.append(cells.constant(same, rows))
                same = b""
            parts.append(own[name])
        return cells.join(parts)


def _encoded(kind: Any, value: str | int) -> bytes:
    """Avro of one text or whole number."""
    if kind == "string":
        raw = str(value).encode()
        return cells.longs(np.array([len(raw)])).row(0) + raw
    return cells.longs(np.array([value], np.int64)).row(0)


def _keys(signal: str, texts: Sequence[Texts], rows: int) -> Cells:
    """JSON arrays of the signal's name and the dimensions."""
    parts = [cells.constant(f"[{json.dumps(signal)}".encode(), rows)]
    parts += [cells.json_items(text.data, text.starts, text.lengths) for text in texts]
    return cells.join([*parts, cells.constant(b"]", rows)])


def _headers(
    signal: Signal, place: Place, versions: NDArray[np.int64], metric: Texts | None
) -> Cells:
    """CloudEvents headers as a record holds them: their number, then each with its lengths.

    The event's id names the row's block and version. One event may change a row of each of its
    metrics, but no row twice.
    """
    rows = len(versions)
    before = f"{signal.name}/{place.topic_id}/{place.partition}/{place.block}/{place.first_offset}/"
    parts = [cells.constant(before.encode(), rows), cells.decimals(versions)]
    parts.append(cells.constant(b"/", rows))
    if metric is not None:
        parts.append(Cells(_spared(metric.data), metric.starts, metric.lengths))
    identities = cells.join(parts)
    headers = cloudevents_headers(signal.row, "", SOURCE)
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


def _varint(value: int) -> bytes:
    return cells.longs(np.array([value])).row(0)


def _spared(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([data, np.zeros(cells.SPARE, np.uint8)])
