"""Producers that send 1 to 10 events at a time: what small record batches cost."""

from pathlib import Path

from confluent_kafka import Producer

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT
from tests.benchmarks.claims import Claim, Finding
from tests.benchmarks.cost_per_event import WARM_UP, WARM_UP_START_MICROS, measure
from tests.benchmarks.measuring import Cost
from tests.benchmarks.report import summary
from tests.benchmarks.request_load import PARTITIONS, Load, make_load
from tests.benchmarks.run_inferwatch import run_inferwatch
from tests.benchmarks.run_plain_faust import run_plain_faust

SIZES = range(1, 11)
GROUPS = 20
PLAIN_EVENTS = 40_000
# What may be lost of the gain over plain Faust.
MAX_LOST = 1 / 3
# Events under way at most: far fewer than the client's queue holds.
FLUSH_EVERY = 20_000
FLUSH_SECONDS = 120.0


def publish_tiny(kafka: KafkaSettings, topic: str, values: list[bytes]) -> None:
    """Send values in record batches of 1 to 10, as many of each size, one a produce request."""
    producers = {
        size: Producer(
            {
                **kafka.confluent(),
                "compression.type": "zstd",
                "linger.ms": 0,
                "batch.num.messages": size,
            },
            logger=SILENT,
        )
        for size in SIZES
    }
    # Partitions change by the round, so every size meets every one of them.
    sent = turn = 0
    while sent < len(values):
        for size, producer in producers.items():
            for value in values[sent : sent + size]:
                producer.produce(topic, value, partition=turn % PARTITIONS)
            sent += size
        turn += 1
        if turn % (FLUSH_EVERY // sum(SIZES)) == 0:
            _flush(producers)
    _flush(producers)


def _flush(producers: dict[int, Producer]) -> None:
    if any(producer.flush(FLUSH_SECONDS) for producer in producers.values()):
        raise SystemExit(f"The broker did not take the load within {FLUSH_SECONDS:g} s.")


def batch_sizes(log: Path) -> tuple[int, int]:
    """How many record batches and records are in Apache Kafka's segments of a partition.

    Source: Kafka's documentation, "Record Batch": base offset (8 bytes), length of what follows
    (4 bytes), and after 45 bytes more the number of records (4 bytes).
    """
    batches = records = 0
    for segment in log.glob("*.log"):
        data = segment.read_bytes()
        at = 0
        # A segment that is being written ends in zeros.
        while at + 61 <= len(data) and (length := int.from_bytes(data[at + 8 : at + 12])):
            batches += 1
            records += int.from_bytes(data[at + 57 : at + 61])
            at += 12 + length
    return batches, records


def run_tiny_inferwatch(kafka: KafkaSettings, folder: Path, warm_up: Load, load: Load) -> Cost:
    """Inferwatch on tiny batches; says how large they are, where the log can be looked at."""
    cost = run_inferwatch(kafka, folder, warm_up, load, publish_tiny)
    found = [batch_sizes(path) for path in folder.glob("data/log/inferwatch.requests-*")]
    batches, records = (sum(parts) for parts in zip(*found, strict=True)) if found else (0, 0)
    if batches:
        mean = records / batches
        print(f"  {batches:,} record batches of {mean:.1f} events", flush=True)  # noqa: T201 -- told
        if mean > max(SIZES) / 2 + 1:
            raise SystemExit(f"The batches were meant to be tiny, and hold {mean:.1f} events.")
    return cost


def run_tiny_plain_faust(kafka: KafkaSettings, folder: Path, warm_up: Load, load: Load) -> Cost:
    """Plain Faust on tiny batches."""
    return run_plain_faust(kafka, folder, warm_up, load, publish_tiny)


def run(events: int, runs: int) -> Finding:
    """Cost of both on ordinary and on tiny batches."""
    warm_up = make_load(1, WARM_UP, GROUPS, WARM_UP_START_MICROS)
    load = make_load(3, events, GROUPS)
    few = make_load(3, min(PLAIN_EVENTS, events), GROUPS, of=events)
    costs = {}
    for name, contender, counted in (
        ("plain Faust, ordinary batches", run_plain_faust, few),
        ("plain Faust, tiny batches", run_tiny_plain_faust, few),
        ("inferwatch, ordinary batches", run_inferwatch, load),
        ("inferwatch, tiny batches", run_tiny_inferwatch, load),
    ):
        found, _ = measure(name, contender, warm_up, counted, runs)
        costs[name] = summary(found)
    plain, plain_tiny, ours, ours_tiny = (
        cost["cpu_seconds_per_million"] for cost in costs.values()
    )
    gain, tiny_gain = plain / ours, plain_tiny / ours_tiny
    lost = 1 - tiny_gain / gain
    claim = Claim(
        f"batches of 1 to 10 events: {ours_tiny:.2f} CPU-s/M, ordinary ones {ours:.2f}; "
        f"{tiny_gain:.0f} times better than plain Faust on the same log, on ordinary batches "
        f"{gain:.0f} times; {max(0.0, lost):.1%} of the gain is lost (at most {MAX_LOST:.1%})",
        lost <= MAX_LOST,
    )
    return Finding({"costs": costs, "gain": gain, "tiny_gain": tiny_gain}, [claim])
