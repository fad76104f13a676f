"""Metrics of the sink: the one list of their names."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from inferwatch_schemas.columnar.watchdog import Meters

ROWS = Counter("inferwatch_sink_rows", "Rows that ClickHouse acknowledged.", ["table"])
FAILURES = Counter(
    "inferwatch_sink_failures", "Inserts that failed; each is tried again.", ["table"]
)
SKIPPED = Counter(
    "inferwatch_sink_skipped", "Records that are no events, left to the dead letters.", ["topic"]
)
POSITION = Gauge(
    "inferwatch_sink_position", "Offset after the last record inserted.", ["topic", "partition"]
)
WAITING_BYTES = Gauge("inferwatch_sink_waiting_bytes", "Bytes that wait to be inserted.")
INSERT_SECONDS = Histogram(
    "inferwatch_sink_insert_seconds",
    "One insert.",
    ["table"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
WATCHDOG = Meters(
    lag=Gauge(
        "inferwatch_sink_lag_records",
        "Offsets between the log's end and what is durable of it.",
        ["topic", "partition"],
    ),
    stalled=Gauge(
        "inferwatch_sink_stalled_partitions",
        "1 where a partition is stalled, 0 where not.",
        ["topic", "partition"],
    ),
    repairs=Counter(
        "inferwatch_sink_stall_repairs",
        "How often all partitions were read again because some were stalled for no known reason.",
    ),
    recreated=Counter(
        "inferwatch_sink_topics_recreated", "Topics that were deleted and created again.", ["topic"]
    ),
)
