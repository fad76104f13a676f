"""What an event and a row cost: read from docs/measured/ for docs/scale.py."""

# Beside the script that imports it, in no package.
# ruff: noqa: INP001

import json
import math
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Final

MEASURED: Final = Path(__file__).parent / "measured"
SOURCES: Final = {
    "python.json": 'make bench ARGS="--json docs/measured/python.json"',
    "scenarios.json": 'make bench-scenarios ARGS="--json docs/measured/scenarios.json"',
    "storage.json": 'make bench-storage ARGS="--json docs/measured/storage.json"',
}
FEW, MANY = "20", "2000"
MILLION: Final = 1e6


class MeasuredError(Exception):
    """A file of measurements is missing, or lacks a figure; says which and what writes it."""


@dataclass(frozen=True)
class PerUnit:
    """CPU seconds for a million events, and besides for a million aggregate rows."""

    event: float
    row: float

    def cores(self, events: float, rows: float) -> float:
        """Cores that so many a second keep wholly busy."""
        return (self.event * events + self.row * rows) / MILLION


@dataclass(frozen=True)
class RowBytes:
    """Size of an aggregate row, which grows with the logarithm of its events: histograms fill.

    Attributes:
        few: Events and bytes of a row, measured with few events in it.
        many: The same with many.
    """

    few: tuple[float, float]
    many: tuple[float, float]

    def at(self, events: float) -> float:
        """Bytes of a row of so many events; never less than the smaller one that was measured."""
        (events_few, bytes_few), (events_many, bytes_many) = self.few, self.many
        slope = (bytes_many - bytes_few) / math.log(events_many / events_few)
        return max(bytes_few, bytes_few + slope * math.log(events / events_few))


@dataclass(frozen=True)
class Replay:
    """A load that was read as fast as it goes, and the aggregate rows that it made.

    Attributes:
        events: Of the load.
        groups: In it; each has events in every partition.
        partitions: Of its topic.
        block_length: Offsets in a block.
        flush_seconds: How often changed rows were sent.
        event_time_seconds: From its first event's time to its last one's.
        out_of_order_seconds: How late an event was at most.
        seconds: How long it took.
        sent: Rows that were sent.
        kept: Rows that remain of them.
    """

    events: int
    groups: int
    partitions: int
    block_length: int
    flush_seconds: float
    event_time_seconds: float
    out_of_order_seconds: float
    seconds: float
    sent: int
    kept: int


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        aggregation: CPU of a worker's aggregation.
        sink: CPU of a worker's sink.
        clickhouse: CPU of ClickHouse until everything is in.
        merging: CPU of ClickHouse for merging everything once.
        event_bytes: In Kafka's log, a replica, with the publisher's headers.
        event_compressed_bytes: In ClickHouse, merged.
        event_uncompressed_bytes: In ClickHouse, before compression.
        row_bytes: In Kafka's log, a replica.
        row_compressed_bytes: In ClickHouse, merged.
        row_uncompressed_bytes: In ClickHouse, before compression.
        replays: With few and with many groups.
        machine: In words.
        indicative: Files that say of themselves that they are.
    """

    aggregation: PerUnit
    sink: PerUnit
    clickhouse: PerUnit
    merging: PerUnit
    event_bytes: float
    event_compressed_bytes: float
    event_uncompressed_bytes: float
    row_bytes: RowBytes
    row_compressed_bytes: RowBytes
    row_uncompressed_bytes: RowBytes
    replays: tuple[Replay, Replay]
    machine: str
    indicative: tuple[str, ...]


def figure(folder: Path, file: str, *keys: str) -> Any:
    """A figure of a file.

    Raises:
        MeasuredError: There is none.
    """
    path = folder / file
    try:
        return reduce(lambda part, key: part[key], keys, json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise MeasuredError(f"{path} cannot be read; write it with {SOURCES[file]}") from error
    except (KeyError, TypeError) as error:
        told = f"{path} lacks {'.'.join(keys)}; write it again with {SOURCES[file]}"
        raise MeasuredError(told) from error


def per_unit(few: float, many: float, rows_few: float, rows_many: float) -> PerUnit:
    """Cost of an event and of a row, from two costs of an event and its rows.

    Args:
        few: CPU seconds for a million events with few rows.
        many: The same with many rows.
        rows_few: Rows an event that ``few`` has.
        rows_many: Rows an event that ``many`` has.
    """
    row = max(0.0, (many - few) / (rows_many - rows_few))
    return PerUnit(max(0.0, few - row * rows_few), row)


def read(folder: Path = MEASURED) -> Measured:
    """Read what was measured.

    Raises:
        MeasuredError: Something is missing.
    """
    replays = tuple(_replay(folder, groups) for groups in (FEW, MANY))
    rows = [replay.sent / replay.events for replay in replays]

    def stored(groups: str, *keys: str) -> float:
        return float(figure(folder, "storage.json", "groups", groups, *keys))

    def ours(groups: str) -> float:
        keys = ("groups", groups, "inferwatch", "cpu_seconds_per_million")
        return float(figure(folder, "python.json", *keys))

    def landing(role: str) -> float:
        keys = ("landing", "figures", "costs", role, "cpu_seconds_per_million")
        return float(figure(folder, "scenarios.json", *keys))

    def of_clickhouse(key: str) -> PerUnit:
        few, many = stored(FEW, key) * (1 + rows[0]), stored(MANY, key) * (1 + rows[1])
        return per_unit(few, many, *rows)

    def a_row(groups: str, table: str, key: str) -> float:
        return stored(groups, table, key) / stored(groups, table, "rows")

    def largest(key: str) -> float:
        return max(a_row(FEW, "raw", key), a_row(MANY, "raw", key))

    def aggregates(key: str) -> RowBytes:
        return row_bytes(a_row(FEW, "aggregates", key), a_row(MANY, "aggregates", key))

    def row_bytes(few_groups: float, many_groups: float) -> RowBytes:
        few, many = replays[1], replays[0]
        return RowBytes((few.events / few.kept, many_groups), (many.events / many.kept, few_groups))

    sink_few = landing("aggregation and sink") - landing("aggregation")
    sink_many = stored(MANY, "worker_cpu_seconds_per_million_events") - ours(MANY)
    machine = figure(folder, "storage.json", "machine")
    return Measured(
        aggregation=per_unit(ours(FEW), ours(MANY), *rows),
        sink=per_unit(sink_few, sink_many, *rows),
        clickhouse=of_clickhouse("clickhouse_cpu_seconds_per_million_rows"),
        merging=of_clickhouse("clickhouse_merge_cpu_seconds_per_million_rows"),
        event_bytes=float(figure(folder, "storage.json", "kafka_sdk_event_bytes")),
        event_compressed_bytes=largest("compressed_bytes"),
        event_uncompressed_bytes=largest("uncompressed_bytes"),
        row_bytes=row_bytes(stored(FEW, "kafka_row_bytes"), stored(MANY, "kafka_row_bytes")),
        row_compressed_bytes=aggregates("compressed_bytes"),
        row_uncompressed_bytes=aggregates("uncompressed_bytes"),
        replays=(replays[0], replays[1]),
        machine=f"{machine['cpus']} shared cores ({machine['processor']})",
        indicative=tuple(
            file for file in SOURCES if json.loads((folder / file).read_text()).get("indicative")
        ),
    )


def _replay(folder: Path, groups: str) -> Replay:
    found = {
        key: figure(folder, "storage.json", "groups", groups, key)
        for key in (
            "events",
            "groups",
            "partitions",
            "block_length",
            "flush_seconds",
            "event_time_seconds",
            "out_of_order_seconds",
        )
    }
    return Replay(
        **found,
        seconds=figure(folder, "storage.json", "groups", groups, "aggregation_seconds"),
        sent=figure(folder, "storage.json", "groups", groups, "rows_sent"),
        kept=figure(folder, "storage.json", "groups", groups, "aggregates", "rows"),
    )
