"""Metrics of the stream processors: the one list of their names."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from inferwatch_schemas.columnar.watchdog import Meters

EVENTS = Counter(
    "inferwatch_events", "Events counted into blocks, a re-read counted again.", ["topic"]
)
DEAD_LETTERS = Counter(
    "inferwatch_dead_letters", "Records that were no events.", ["topic", "reason"]
)
ROWS = Counter("inferwatch_aggregate_rows", "Aggregate rows sent.", ["signal"])
FOLDED_ROWS = Counter(
    "inferwatch_folded_rows",
    "Aggregate rows made in which types of errors, too many or too long, count as _OTHER.",
)
EMIT_FAILURES = Counter(
    "inferwatch_emit_failures", "Flushes that the broker did not acknowledge; they are repeated."
)
LOST_OFFSETS = Counter(
    "inferwatch_lost_offsets", "Offsets that retention removed before they were read.", ["topic"]
)
DELIVERY_GAPS = Gauge(
    "inferwatch_delivery_gaps",
    "Holes between chunks since the start; each time the partitions were read again.",
)
POSITION = Gauge(
    "inferwatch_position", "Offset after the last event taken in.", ["topic", "partition"]
)
FLOOR = Gauge("inferwatch_floor", "Offset up to which results are durable.", ["topic", "partition"])
FLUSH_SECONDS = Histogram(
    "inferwatch_flush_seconds",
    "From taking changed rows to the broker's acknowledgement of the last one.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
WATCHDOG = Meters(
    lag=Gauge(
        "inferwatch_lag_records",
        "Offsets between the log's end and what is durable of it.",
        ["topic", "partition"],
    ),
    stalled=Gauge(
        "inferwatch_stalled_partitions",
        "1 where a partition is stalled, 0 where not.",
        ["topic", "partition"],
    ),
    repairs=Counter(
        "inferwatch_stall_repairs",
        "How often all partitions were read again because some were stalled for no known reason.",
    ),
    recreated=Counter(
        "inferwatch_topics_recreated", "Topics that were deleted and created again.", ["topic"]
    ),
)
