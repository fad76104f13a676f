"""What a stream of events needs of workers, Kafka and ClickHouse: the arithmetic of scale.py.

Whatever is neither measured (docs/measured/) nor computed is a constant here, with its reason:
change it to your own. docs/scale.md says where the others come from.
"""

# Beside the script that imports it, in no package.
# ruff: noqa: INP001

import math
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import Final

from measured_costs import Measured, Replay

DAY, MB, TB = 86_400, 1e6, 1e12

# Inferwatch's own (topics.py, signals.py); a test holds them against it.
REQUESTS_DAYS, AGGREGATES_DAYS = 7, 3
LEAST_PARTITIONS = 4
MOST_PARTITIONS = 10_000_000
BLOCK_LENGTH, WINDOW_SECONDS = 65_536, 10

# Half idle: what an hour of standstill left is then caught up with within another hour.
UTILISATION = 0.5
# A process is one event loop and is counted as one core. With several partitions each, one more or
# less makes no process much busier than the others, and there is room for more processes.
PARTITIONS_PER_PROCESS = 4
# An event reaches Kafka seconds after its time: it is published when the call has ended.
LATE_SECONDS = 2.0
# Topics are keyed by service, and the busiest may send so large a part of everything.
BUSIEST_SHARE = 0.1
REPLICAS = 3
# Assumed, from producers, a broker: 67 MB/s with three replicas were measured on machines of 2014
# (LinkedIn), and 605 MB/s of a newer cluster (Confluent).
BROKER_MB = 100.0
# Replicas included; the most that Amazon recommends, on its largest brokers.
BROKER_PARTITIONS = 4000
# Assumed: ten such leaders fill a broker, and a lost replica of one is soon made again.
PARTITION_MB = 10.0
# Assumed disks, of which 70 % are filled: merges, moves and growth need the rest.
BROKER_TB, CLICKHOUSE_TB, FILLED = 8.0, 8.0, 0.7
CLICKHOUSE_CORES, CLICKHOUSE_REPLICAS = 32, 2
# Assumed: how often a row is written again until its part is large.
MERGE_PASSES = 4
# Assumed wishes: raw events for drill-down, 10 s windows for incidents, the rest for trends.
RAW_DAYS, TEN_SECOND_DAYS, MINUTE_DAYS, HOUR_DAYS = 30, 30, 365, 5 * 365
REGIONS = 20


@dataclass(frozen=True)
class Case:
    """A stream of events.

    Attributes:
        name: For people.
        rate: Events a second, of all partitions together.
        groups: Active in a window; one that has events in several partitions counts for each.
        raw_share: What part of the events is landed; below 1 by way of a topic of samples.
        block_length: Offsets in a block.
        flush_seconds: How often changed rows are sent.
        window_seconds: Length of a window.
        late_seconds: How long after its time an event may come.
        requests_days: Retention of the events in Kafka.
    """

    name: str
    rate: float
    groups: float
    raw_share: float = 1.0
    block_length: int = BLOCK_LENGTH
    flush_seconds: float = 1.0
    window_seconds: float = WINDOW_SECONDS
    late_seconds: float = LATE_SECONDS
    requests_days: float = REQUESTS_DAYS

    @property
    def events_per_window(self) -> float:
        """Events of a group in a window."""
        return self.rate * self.window_seconds / self.groups

    def blocks_per_window(self, partitions: int) -> float:
        """Blocks of a partition in which a window has events."""
        seconds = self.window_seconds + self.late_seconds
        return 1 + self.rate / partitions * seconds / self.block_length

    def rows_sent(self, partitions: int) -> float:
        """Aggregate rows a second, all versions: the formula of the page."""
        cuts = 1 / self.flush_seconds + self.rate / partitions / self.block_length
        windows = 1 + (self.late_seconds + 1 / cuts) / self.window_seconds
        events = self.rate / partitions / cuts
        return partitions * cuts * distinct(events, self.groups / partitions * windows)

    def rows_kept(self, partitions: int) -> float:
        """Aggregate rows a second of which the highest versions are: one a group and block."""
        kept = distinct(self.events_per_window, self.blocks_per_window(partitions))
        return self.groups / self.window_seconds * kept


CASES: Final = (
    Case("10^4", 1e4, groups=2_000),
    Case("10^6", 1e6, groups=50_000),
    Case("10^8", 1e8, groups=1_000_000),
)
LARGEST: Final = CASES[-1]
CHANGES: Final = (
    replace(LARGEST, name="as it is"),
    replace(LARGEST, name="blocks of 2^20", block_length=1 << 20),
    replace(LARGEST, name="and flushed every 5 s", block_length=1 << 20, flush_seconds=5),
    replace(
        LARGEST,
        name="and 1 % of raw events landed, events in Kafka for a day",
        block_length=1 << 20,
        flush_seconds=5,
        raw_share=0.01,
        requests_days=1,
    ),
    Case(f"one of {REGIONS} regions, as it is", 1e8 / REGIONS, groups=1_000_000 / REGIONS),
)


@dataclass(frozen=True)
class Plan:
    """What a case needs.

    Attributes:
        partitions: Of the topic of requests.
        row_partitions: Of the topic of aggregates.
        busiest: Partitions that the busiest service needs: as many as it fills processes.
        sent: Aggregate rows a second.
        kept: Of these, after merges.
        row_events: Events in a row.
        aggregation: Processes.
        sink: Processes.
        kafka_mb: A second, from producers.
        kafka_read_mb: A second, to consumers.
        kafka_tb: With retention and replicas.
        brokers: At least three.
        brokers_by: What they are bound by.
        clickhouse_cores: Wholly busy ones, of one replica.
        raw_tb: A day, of one replica.
        rows_tb: A day, of one replica.
        clickhouse_tb: With retention, of one replica.
        clickhouse_mb: A second, before compression.
        shards: Each of CLICKHOUSE_REPLICAS servers.
        shards_by: What they are bound by.
    """

    partitions: int
    row_partitions: int
    busiest: int
    sent: float
    kept: float
    row_events: float
    aggregation: int
    sink: int
    kafka_mb: float
    kafka_read_mb: float
    kafka_tb: float
    brokers: int
    clickhouse_mb: float
    clickhouse_cores: float
    raw_tb: float
    rows_tb: float
    clickhouse_tb: float
    brokers_by: str
    shards: int
    shards_by: str


def distinct(events: float, cells: float) -> float:
    """Into how many of so many equally likely cells some events are expected to fall."""
    return -cells * math.expm1(-events / cells)


def processes(cores: float) -> int:
    """Worker processes for what keeps so many cores wholly busy."""
    return max(1, math.ceil(cores / UTILISATION))


def most(wanted: dict[str, float]) -> tuple[int, str]:
    """The largest number of what is wanted, and what wants it."""
    by = max(wanted, key=lambda name: wanted[name])
    return math.ceil(wanted[by]), by


def partitioned(least: float) -> int:
    """Partitions: at least so many, and as often as the catalogue has them."""
    return max(1, math.ceil(least / LEAST_PARTITIONS)) * LEAST_PARTITIONS


def partitions_of(case: Case, measured: Measured) -> int:
    """The fewest partitions that are enough: the more there are, the fewer rows and processes."""

    def enough(partitions: int) -> bool:
        sent = case.rows_sent(partitions)
        busy = max(
            processes(measured.aggregation.cores(case.rate, sent)),
            processes(measured.sink.cores(case.rate * case.raw_share, sent)),
        )
        mb = case.rate * measured.event_bytes / MB
        return partitions >= max(busy * PARTITIONS_PER_PROCESS, mb / PARTITION_MB)

    numbers = range(LEAST_PARTITIONS, MOST_PARTITIONS, LEAST_PARTITIONS)
    return numbers[bisect_left(numbers, True, key=enough)]


def plan(case: Case, measured: Measured) -> Plan:
    """What a case needs."""
    raw, event_mb = case.rate * case.raw_share, case.rate * measured.event_bytes / MB
    partitions = partitions_of(case, measured)
    sent = case.rows_sent(partitions)
    aggregation = processes(measured.aggregation.cores(case.rate, sent))
    sink = processes(measured.sink.cores(raw, sent))
    kept = case.rows_kept(partitions)
    row_events = case.events_per_window / (kept * case.window_seconds / case.groups)
    # Bytes of rows that have grown to their end: an upper bound for those sent on the way.
    row_mb = sent * measured.row_bytes.at(row_events) / MB
    row_partitions = partitioned(row_mb / PARTITION_MB)
    sample_mb = event_mb * case.raw_share if case.raw_share < 1 else 0.0
    kafka_mb = event_mb + row_mb + sample_mb
    days_of_mb = event_mb * case.requests_days + row_mb * AGGREGATES_DAYS
    kafka_tb = (days_of_mb + sample_mb * case.requests_days) * DAY * MB / TB * REPLICAS
    merging = measured.merging.cores(raw, sent) * MERGE_PASSES
    cores = measured.clickhouse.cores(raw, sent) + merging
    raw_tb = raw * measured.event_compressed_bytes * DAY / TB
    rows_tb = kept * measured.row_compressed_bytes.at(row_events) * DAY / TB
    rolled = sum(rolled_up_tb(case, measured).values())
    clickhouse_tb = raw_tb * RAW_DAYS + rows_tb * TEN_SECOND_DAYS + rolled
    brokers, brokers_by = most(
        {
            "replicas": REPLICAS,
            "throughput": kafka_mb / BROKER_MB,
            "disk": kafka_tb / (BROKER_TB * FILLED),
            "partitions": (partitions + row_partitions) * REPLICAS / BROKER_PARTITIONS,
        }
    )
    shards, shards_by = most(
        {
            "replicas": 1,
            "CPU": cores / (CLICKHOUSE_CORES * UTILISATION),
            "disk": clickhouse_tb / (CLICKHOUSE_TB * FILLED),
        }
    )
    return Plan(
        partitions=partitions,
        row_partitions=row_partitions,
        busiest=math.ceil(BUSIEST_SHARE * max(aggregation, sink)),
        sent=sent,
        kept=kept,
        row_events=row_events,
        aggregation=aggregation,
        sink=sink,
        kafka_mb=kafka_mb,
        kafka_read_mb=event_mb * (2 if case.raw_share == 1 else 1) + row_mb + sample_mb,
        kafka_tb=kafka_tb,
        brokers=brokers,
        brokers_by=brokers_by,
        clickhouse_mb=(
            raw * measured.event_uncompressed_bytes
            + sent * measured.row_uncompressed_bytes.at(row_events)
        )
        / MB,
        clickhouse_cores=cores,
        raw_tb=raw_tb,
        rows_tb=rows_tb,
        clickhouse_tb=clickhouse_tb,
        shards=shards,
        shards_by=shards_by,
    )


def rolled_up_tb(case: Case, measured: Measured) -> dict[int, float]:
    """Roll-ups without blocks, of one replica, with their retention, by seconds of a window."""
    return {
        seconds: case.groups
        * (DAY / seconds)
        * days
        * measured.row_compressed_bytes.at(case.rate * seconds / case.groups)
        / TB
        for seconds, days in ((60, MINUTE_DAYS), (3600, HOUR_DAYS))
    }


def as_case(replay: Replay) -> Case:
    """A replay as a stream: its windows pass faster than the clock."""
    speed = replay.event_time_seconds / replay.seconds
    return Case(
        f"{replay.groups:,}",
        replay.events / replay.seconds,
        groups=replay.groups * replay.partitions,
        block_length=replay.block_length,
        flush_seconds=replay.flush_seconds,
        window_seconds=WINDOW_SECONDS / speed,
        late_seconds=replay.out_of_order_seconds / speed,
    )
