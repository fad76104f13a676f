"""What an event and a row take: bytes in Kafka and ClickHouse, rows an event, CPU of ClickHouse.

    python -m tests.benchmarks.storage [--events N] [--groups 20 2000] [--json FILE]

The load of ``cost_per_event`` goes through a worker with both roles, on Apache Kafka and the
embedded ClickHouse. Bytes in Kafka are the sizes of log segments on disk (one replica, zstd,
without indexes); bytes in ClickHouse are those of active parts (``system.parts``) after
OPTIMIZE ... FINAL, so after all merges. Every count is checked against the totals that were kept
while the load was made, before anything is told.
"""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import argparse
import io
import json
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fastavro

from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch.embedded.kafka import KAFKA_VERSION
from inferwatch_agents.publisher import Publisher
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.migrate import migrate
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas import releases
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES, REQUESTS
from inferwatch_streams.settings import AggregationSettings
from tests.benchmarks.cost_per_event import WARM_UP, WARM_UP_START_MICROS
from tests.benchmarks.deployment import usage
from tests.benchmarks.measuring import SESSION_SECONDS, WARM_UP_SECONDS, started
from tests.benchmarks.report import machine
from tests.benchmarks.request_load import (
    GROUPS,
    OUT_OF_ORDER_SECONDS,
    PARTITIONS,
    SPREAD_SECONDS,
    START_MICROS,
    Load,
    make_load,
    publish,
)
from tests.benchmarks.rows import Rows
from tests.benchmarks.stored_bytes import (
    Table,
    apache_kafka,
    last_written,
    log_bytes,
    log_records,
    merge,
    weighed,
)
from tests.benchmarks.totals import check, merged
from tests.contract.pipeline import COUNT_AND_LAND

# The tables, and the time of a row in each.
RAW, ROWS = ("requests_stored", "event_time"), ("request_aggregates_stored", "window_start")
# Before it lies the warm-up, a day before the load.
LOAD_SECONDS = START_MICROS // 1_000_000 - 3600
# What the publisher adds to an event by itself.
STAMPED = ("event_id", "producer_id", "sequence", "event_time")
# Enough for batches as full as those of the load.
SDK_EVENTS = 100_000
# Whole counts read everything with FINAL, which must not be what is measured.
ASK_SECONDS = 1.0


@dataclass(frozen=True)
class Storage:
    """What a load of so many events, read as fast as it goes, came to.

    Attributes:
        events: Of the load.
        groups: In the load.
        partitions: Of the topic, between which events go in turn.
        block_length: Offsets in a block.
        flush_seconds: How often changed rows are sent.
        event_time_seconds: From the first event's time to the last one's.
        out_of_order_seconds: How late an event may be.
        aggregation_seconds: Until Kafka had the last row.
        landing_seconds: Until ClickHouse had everything.
        rows_sent: Aggregate rows in Kafka, versions included.
        kafka_event_bytes: Of an event in the log.
        kafka_row_bytes: Of an aggregate row in the log.
        worker_cpu_seconds_per_million_events: Both roles.
        clickhouse_cpu_seconds_per_million_rows: Of rows that arrived, raw and aggregate.
        clickhouse_merge_cpu_seconds_per_million_rows: OPTIMIZE FINAL, besides.
        raw: Raw events in ClickHouse.
        aggregates: Aggregate rows in ClickHouse.
    """

    events: int
    groups: int
    partitions: int
    block_length: int
    flush_seconds: float
    event_time_seconds: float
    out_of_order_seconds: float
    aggregation_seconds: float
    landing_seconds: float
    rows_sent: int
    kafka_event_bytes: float
    kafka_row_bytes: float
    worker_cpu_seconds_per_million_events: float
    clickhouse_cpu_seconds_per_million_rows: float
    clickhouse_merge_cpu_seconds_per_million_rows: float
    raw: Table
    aggregates: Table


@dataclass(frozen=True)
class Servers:
    """What runs, and where.

    Attributes:
        kafka: How to reach Kafka.
        logs: Where its logs are.
        clickhouse: How to reach ClickHouse.
        clickhouse_pid: Its process.
        folder: For logs of programs.
    """

    kafka: KafkaSettings
    logs: Path
    clickhouse: ClickHouseSettings
    clickhouse_pid: int
    folder: Path

    def clickhouse_cpu_seconds(self) -> float:
        """What ClickHouse has used so far."""
        return usage(self.clickhouse_pid).cpu_seconds


@dataclass
class Landing:
    """Whether everything has arrived."""

    rows: Rows
    clickhouse: ClickHouse
    events: int
    asked: float = 0.0

    def done(self) -> bool:
        """Whether Kafka's rows, ClickHouse's rows and its raw events all count all events."""
        if not self.rows.reach(self.events):
            return False
        if time.monotonic() < self.asked + ASK_SECONDS:
            return False
        self.asked = time.monotonic()
        # Metadata alone, as long as it shows that some are missing.
        ((stored,),) = self.clickhouse.query(f"SELECT count() FROM {RAW[0]}")  # noqa: S608 -- a constant
        if stored < self.events:
            return False
        ((raw, counted),) = self.clickhouse.query(
            "SELECT (SELECT count() FROM requests), (SELECT sum(requests) FROM requests_10s)"
        )
        if max(raw, counted) > self.events:
            raise SystemExit(f"{self.events} were sent, and ClickHouse has {max(raw, counted)}.")
        return bool(raw == counted == self.events)


def sdk_event_bytes(load: Load) -> float:
    """Bytes of an event in the log where ``inferwatch_agents`` publishes it: headers and key."""
    schema = fastavro.parse_schema(releases.latest("request").schema)
    with (
        tempfile.TemporaryDirectory(prefix="inferwatch-bench-") as folder,
        apache_kafka(Path(folder)) as (kafka, logs),
    ):
        publisher = Publisher(kafka, PinnedRegistry())
        for value in load.values:
            event: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
            at = round(event["event_time"].timestamp() * 1e6)
            bare = {name: cell for name, cell in event.items() if name not in STAMPED}
            publisher.publish("request", bare, event_time_micros=at)
        publisher.flush(WARM_UP_SECONDS)
        if (found := log_records(kafka, REQUESTS)) != len(load.values):
            raise SystemExit(f"{len(load.values)} events were published, Kafka has {found}.")
        return log_bytes(logs, REQUESTS) / len(load.values)


def measure(events: int, groups: int) -> Storage:
    """Send a load through a worker with both roles, and weigh what it leaves.

    Raises:
        SystemExit: Something is missing, or was counted wrongly.
    """
    warm_up = make_load(1, WARM_UP, groups, WARM_UP_START_MICROS)
    load = make_load(3, events, groups)
    with tempfile.TemporaryDirectory(prefix="inferwatch-bench-") as name:
        folder = Path(name)
        with (
            apache_kafka(folder) as (kafka, logs),
            EmbeddedClickHouse(folder / "clickhouse", folder) as server,
        ):
            settings = ClickHouseSettings(url=server.url)
            migrate(settings)
            servers = Servers(kafka, logs, settings, server.pid, folder)
            return _measured(servers, warm_up, load, groups)


def _measured(servers: Servers, warm_up: Load, load: Load, groups: int) -> Storage:
    kafka, logs = servers.kafka, servers.logs
    events, all_events = len(load.values), len(warm_up.values) + len(load.values)
    command = [sys.executable, "-m", "inferwatch", "worker", *COUNT_AND_LAND]
    variables = {
        "INFERWATCH_AGGREGATION_SESSION_TIMEOUT_SECONDS": SESSION_SECONDS,
        "INFERWATCH_SINK_SESSION_TIMEOUT_SECONDS": SESSION_SECONDS,
        **kafka.to_environment(),
        **servers.clickhouse.to_environment(),
    }
    with (
        closing(Rows(kafka)) as rows,
        closing(ClickHouse(servers.clickhouse)) as clickhouse,
        started(command, servers.folder, **variables) as worker,
    ):
        publish(kafka, REQUESTS.name, warm_up.values)
        worker.wait(Landing(rows, clickhouse, len(warm_up.values)).done, WARM_UP_SECONDS)
        worker.pause()
        event_bytes, row_bytes = log_bytes(logs, REQUESTS), log_bytes(logs, AGGREGATES)
        rows_before = log_records(kafka, AGGREGATES)
        publish(kafka, REQUESTS.name, load.values)
        cpu = servers.clickhouse_cpu_seconds()
        landing, began = Landing(rows, clickhouse, all_events), time.time()
        cost = worker.cost_until(landing.done, events, limit_seconds=120 + events / 5_000)
        landed_cpu = servers.clickhouse_cpu_seconds() - cpu
        check("inferwatch", rows.totals(), merged(warm_up.totals, load.totals))
        sent = log_records(kafka, AGGREGATES) - rows_before
        cpu = servers.clickhouse_cpu_seconds()
        for table, _ in (RAW, ROWS):
            merge(clickhouse, table)
        merge_cpu = servers.clickhouse_cpu_seconds() - cpu
        raw, kept = (
            weighed(clickhouse, table, f"toUnixTimestamp({time}) < {LOAD_SECONDS}")
            for table, time in (RAW, ROWS)
        )
        if raw.rows != events:
            raise SystemExit(f"{events} events were sent, {raw.rows} remain after merging.")
        millions = (events + sent) / 1e6
        defaults = AggregationSettings()
        return Storage(
            events=events,
            groups=groups,
            partitions=PARTITIONS,
            block_length=defaults.block_length,
            flush_seconds=defaults.flush_seconds,
            event_time_seconds=SPREAD_SECONDS,
            out_of_order_seconds=OUT_OF_ORDER_SECONDS,
            aggregation_seconds=last_written(logs, AGGREGATES) - began,
            landing_seconds=cost.seconds,
            rows_sent=sent,
            kafka_event_bytes=(log_bytes(logs, REQUESTS) - event_bytes) / events,
            kafka_row_bytes=(log_bytes(logs, AGGREGATES) - row_bytes) / sent,
            worker_cpu_seconds_per_million_events=cost.cpu_seconds_per_million,
            clickhouse_cpu_seconds_per_million_rows=landed_cpu / millions,
            clickhouse_merge_cpu_seconds_per_million_rows=merge_cpu / millions,
            raw=raw,
            aggregates=kept,
        )


def told(found: Storage) -> str:
    """What was found, for people."""
    raw, kept = found.raw, found.aggregates
    return (
        f"{found.groups:,} groups, {found.events:,} events: Kafka {found.kafka_event_bytes:.1f} "
        f"bytes an event, {found.kafka_row_bytes:.0f} a row; {found.rows_sent:,} rows sent, "
        f"{kept.rows:,} remain; ClickHouse {raw.compressed_bytes / raw.rows:.1f} bytes an event "
        f"({raw.uncompressed_bytes / raw.rows:.0f} uncompressed), "
        f"{kept.compressed_bytes / kept.rows:.0f} a row "
        f"({kept.uncompressed_bytes / kept.rows:.0f}); ClickHouse "
        f"{found.clickhouse_cpu_seconds_per_million_rows:.2f} CPU-s a million rows, merging "
        f"{found.clickhouse_merge_cpu_seconds_per_million_rows:.2f}; worker "
        f"{found.worker_cpu_seconds_per_million_events:.2f} CPU-s a million events"
    )


def main() -> None:
    """Measure each size of load, and print what it takes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="of a load")
    parser.add_argument("--groups", type=int, nargs="+", choices=sorted(GROUPS), default=[20, 2000])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    asked = parser.parse_args()
    sizes = sorted(set(asked.groups))
    sdk = sdk_event_bytes(make_load(3, min(asked.events, SDK_EVENTS), sizes[0]))
    print(f"Apache Kafka {KAFKA_VERSION}; {sdk:.1f} bytes an event by the publisher", flush=True)
    found: dict[str, dict[str, Any]] = {}
    for groups in sizes:
        one = measure(asked.events, groups)
        print(told(one), flush=True)
        found[str(groups)] = asdict(one)
    if asked.json:
        results: dict[str, Any] = {"machine": machine(), "broker": f"Apache Kafka {KAFKA_VERSION}"}
        results |= {"kafka_sdk_event_bytes": sdk, "groups": found}
        asked.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
