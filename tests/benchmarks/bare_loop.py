"""The bare per-record loop: confluent-kafka, pyruhvro and polars, with nothing kept safe.

What a Python user with an eye on speed writes: records are taken in batches, their payloads decoded
into Arrow by compiled code, and counted by polars. It emits no rows, keeps no state but a list of
its batches' sums, commits nothing, and a crash loses all of it. It shows what the cost of reading
record by record is before anything is made safe.

Usage: python -m tests.benchmarks.bare_loop BROKER TOPIC SCHEMA RESULT WARM_UP EVENTS. It says when
it has counted WARM_UP events, and then EVENTS more, and writes what they came to into RESULT.
"""

# A program that tells its parent where it is.
# ruff: noqa: T201

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pyruhvro
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from tests.benchmarks.window import MICROS, WINDOW_SECONDS, ZERO_BIN

PREFIX_BYTES = 5
BATCH = 50_000
POLL_SECONDS = 0.2
GROUP = [
    "window",
    "service_name",
    "deployment_environment_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "endpoint",
]
DURATION, FIRST = "duration_seconds", "time_to_first_token_seconds"


def micros(name: str) -> pl.Expr:
    """Sum of a column of seconds, in whole microseconds an event."""
    return (pl.col(name) * MICROS).round().cast(pl.Int64).sum()


def bins(name: str) -> pl.Expr:
    """Bin of an exponential histogram of 32 bins an octave, bounds above included."""
    seconds = pl.col(name)
    index = ((seconds.log(2) * 32).ceil() - 1).cast(pl.Int32)
    return pl.when(seconds > 0).then(index).when(seconds == 0).then(ZERO_BIN)


SUMS = [
    pl.len().alias("requests"),
    pl.col("gen_ai_usage_input_tokens").sum().alias("input_tokens"),
    pl.col("gen_ai_usage_output_tokens").sum().alias("output_tokens"),
    pl.col("gen_ai_usage_cache_read_input_tokens").sum().alias("cached_tokens"),
    pl.col("gen_ai_usage_reasoning_output_tokens").sum().alias("reasoning_tokens"),
    pl.col("cost_usd_micros").sum(),
    pl.col("cost_usd_micros").count().alias("priced_requests"),
    pl.col(DURATION).count().alias("durations"),
    micros(DURATION).alias("duration_micros"),
    pl.col(FIRST).count().alias("first_tokens"),
    micros(FIRST).alias("first_token_micros"),
]
COUNTS = ("error_type", "duration_bins", "first_token_bins")
USED = (
    *GROUP[1:],
    "error_type",
    "gen_ai_usage_input_tokens",
    "gen_ai_usage_output_tokens",
    "gen_ai_usage_cache_read_input_tokens",
    "gen_ai_usage_reasoning_output_tokens",
    "cost_usd_micros",
    DURATION,
    FIRST,
)


def counted(events: pl.DataFrame) -> list[pl.DataFrame]:
    """What a batch comes to: its sums, and how often each error and bin was there."""
    windowed = events.select(
        *USED,
        (pl.col("event_time").dt.epoch("s") // WINDOW_SECONDS).alias("window"),
        bins(DURATION).alias("duration_bins"),
        bins(FIRST).alias("first_token_bins"),
    )
    return [
        windowed.group_by(GROUP).agg(SUMS),
        *(
            windowed.filter(pl.col(name).is_not_null()).group_by([*GROUP, name]).len("count")
            for name in COUNTS
        ),
    ]


class Counted:
    """What the batches come to, kept until somebody asks."""

    def __init__(self, schema: str) -> None:
        self.events = 0
        self._schema = schema
        self._batches: list[list[pl.DataFrame]] = []

    def take(self, payloads: list[bytes]) -> None:
        """Decode and count a batch."""
        decoded = pyruhvro.deserialize_array(payloads, self._schema)
        self._batches.append(counted(pl.from_arrow(decoded)))
        self.events += len(payloads)

    def clear(self) -> None:
        """Forget the batches, not their number of events."""
        self._batches.clear()

    def totals(self) -> list[Any]:
        """All batches together: group and totals, by the names that the parent compares."""
        sums, *counts = (pl.concat(frames) for frames in zip(*self._batches, strict=True))
        totals: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in sums.group_by(GROUP).sum().iter_rows(named=True):
            group = tuple(row.pop(name) for name in GROUP)
            totals[group] = row | {"errors": {}, "duration_bins": {}, "first_token_bins": {}}
        for name, frame in zip(COUNTS, counts, strict=True):
            into = "errors" if name == "error_type" else name
            for *group, key, count in frame.group_by([*GROUP, name]).sum().iter_rows():
                totals[tuple(group)][into][key] = count
        return [[list(group), row] for group, row in totals.items()]


def main() -> None:
    """Count the warm-up, then the load."""
    broker, topic, schema, result, warm_up, events = sys.argv[1:]
    counts = Counted(Path(schema).read_text())
    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": "bare",
            "enable.auto.commit": False,
            # Its default of a second stalls a consumer this fast.
            "fetch.queue.backoff.ms": 5,
        }
    )
    partitions = consumer.list_topics(topic).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])

    def count_until(wanted: int) -> None:
        while counts.events < wanted:
            messages: Any = consumer.consume(BATCH, timeout=POLL_SECONDS)
            payloads = [message.value()[PREFIX_BYTES:] for message in messages]
            if payloads:
                counts.take(payloads)

    count_until(int(warm_up))
    print("warm", flush=True)
    counts.clear()
    count_until(int(warm_up) + int(events))
    print("done", flush=True)
    Path(result).write_text(json.dumps(counts.totals()))
    print("written", flush=True)


if __name__ == "__main__":
    main()
