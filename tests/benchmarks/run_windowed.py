"""The contenders that write closed windows to a topic: Quix Streams and bytewax.

A window of theirs is closed by a later event of its group, so the warm-up and the load each end
with one event more of each group, long after; those of the load are counted as events of its cost.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT
from tests.benchmarks.contender_venv import PYTHON, write_schema
from tests.benchmarks.measuring import SESSION_SECONDS, WARM_UP_SECONDS, Cost, started
from tests.benchmarks.request_load import (
    OUT_OF_ORDER_SECONDS,
    PARTITIONS,
    Group,
    Load,
    Totals,
    make_closing,
    publish,
)
from tests.benchmarks.telling import create_topic, totals_of
from tests.benchmarks.totals import check, merged

TOPIC, OUTPUT = "windowed.requests", "windowed.aggregates"
WINDOW_MILLIS = 10_000
QUIX_GRACE_SECONDS = str(OUT_OF_ORDER_SECONDS)
# A watermark of bytewax moves with the clock too, so a stall of the machine must fit in.
BYTEWAX_GRACE_SECONDS = str(2 * OUT_OF_ORDER_SECONDS)
POLL_SECONDS = 0.02


class ClosedWindows:
    """The windows in the output topic; each comes once."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.requests = 0
        self.totals: dict[Group, Totals] = {}
        self._consumer = Consumer({**kafka.confluent(), "group.id": "bench"}, logger=SILENT)
        self._consumer.assign([TopicPartition(OUTPUT, number, 0) for number in range(PARTITIONS)])

    def reach(self, requests: int) -> bool:
        """Take in what has come, and say whether the windows count so many requests."""
        for message in self._consumer.consume(1000, timeout=POLL_SECONDS):
            key, value = message.key(), message.value()
            if message.error() or not isinstance(key, bytes) or not isinstance(value, bytes):
                raise SystemExit(f"The windows cannot be read: {message.error()}.")
            service, model, *_ = key.decode().split("|")
            row = json.loads(value)
            group = (row["start"] // WINDOW_MILLIS, service, model)
            if group in self.totals:
                raise SystemExit(f"The window {group} was closed twice.")
            self.totals[group] = totals_of(row["value"])
            self.requests += row["value"]["requests"]
        return self.requests >= requests

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()


def _run(  # noqa: PLR0913, PLR0917 -- a run, and what it is of
    name: str,
    command: Callable[[KafkaSettings, Path], list[str]],
    kafka: KafkaSettings,
    folder: Path,
    warm_up: Load,
    load: Load,
) -> Cost:
    for topic in (TOPIC, OUTPUT):
        create_topic(kafka, topic)
    first, last = make_closing(warm_up), make_closing(load)
    # The load closes the windows of the warm-up's last events.
    before = len(warm_up.values)
    after = before + len(first.values) + len(load.values)
    windows = ClosedWindows(kafka)
    try:
        with started(command(kafka, folder), folder) as contender:
            for part in (warm_up, first):
                publish(kafka, TOPIC, part.values, part.group_keys())
            contender.wait(lambda: windows.reach(before), WARM_UP_SECONDS)
            contender.pause()
            for part in (load, last):
                publish(kafka, TOPIC, part.values, part.group_keys())
            events = len(load.values) + len(last.values)
            cost = contender.cost_until(
                lambda: windows.reach(after), events, limit_seconds=60 + events / 1000
            )
    finally:
        windows.close()
    check(name, windows.totals, merged(merged(warm_up.totals, first.totals), load.totals))
    return cost


def _quix(kafka: KafkaSettings, folder: Path) -> list[str]:
    return [
        *(str(PYTHON), "-m", "tests.benchmarks.quix_streams", kafka.bootstrap_servers),
        *(TOPIC, OUTPUT, str(write_schema(folder)), str(folder / "state")),
        *(QUIX_GRACE_SECONDS, SESSION_SECONDS),
    ]


def _bytewax(kafka: KafkaSettings, folder: Path) -> list[str]:
    return [
        *(str(PYTHON), "-m", "tests.benchmarks.bytewax_flow", kafka.bootstrap_servers),
        *(TOPIC, OUTPUT, str(write_schema(folder)), BYTEWAX_GRACE_SECONDS),
    ]


run_quix_streams = partial(_run, "Quix Streams", _quix)
run_bytewax = partial(_run, "bytewax", _bytewax)
