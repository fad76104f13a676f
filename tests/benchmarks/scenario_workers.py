"""Three workers on twelve partitions: each must do a third of the work."""

# A program that reports to whoever runs it.
# ruff: noqa: T201

from collections.abc import Sequence

from confluent_kafka import Producer

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import REQUESTS
from tests.benchmarks.claims import Claim, Finding
from tests.benchmarks.cost_per_event import WARM_UP, WARM_UP_START_MICROS
from tests.benchmarks.deployment import deployed, usage, workers
from tests.benchmarks.request_load import make_load
from tests.benchmarks.rows import Rows
from tests.benchmarks.totals import check, merged
from tests.contract.pipeline import Worker, wait_until

WORKERS = 3
FACTOR = 3
PARTITIONS = FACTOR * REQUESTS.partitions
GROUPS = 20
MAX_UNEVEN = 0.20
WARM_UP_SECONDS = 240.0
FLUSH_SECONDS = 120.0


def publish_evenly(kafka: KafkaSettings, values: Sequence[bytes]) -> None:
    """Send values to the twelve partitions in turn, and wait for the broker."""
    producer = Producer(
        {**kafka.confluent(), "compression.type": "zstd", "linger.ms": 50}, logger=SILENT
    )
    for number, value in enumerate(values):
        while True:
            try:
                producer.produce(REQUESTS.name, value, partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(FLUSH_SECONDS):
        raise SystemExit(f"The broker did not take the load within {FLUSH_SECONDS:g} s.")


def work(started: Sequence[Worker]) -> list[tuple[float, float]]:
    """Events counted and CPU seconds used so far, of each worker."""
    return [
        (worker.metric("inferwatch_events_total"), usage(worker.pid).cpu_seconds)
        for worker in started
    ]


def run(events: int) -> Finding:
    """Shares of events and CPU of each worker."""
    warm_up = make_load(1, 12 * WARM_UP, GROUPS, WARM_UP_START_MICROS)
    load = make_load(3, events, GROUPS)
    with (
        deployed(request_partitions_factor=FACTOR) as deployment,
        workers(deployment, WORKERS, "aggregation") as started,
    ):
        kafka = deployment.stack.kafka
        rows = Rows(kafka)
        counted = len(warm_up.values)
        publish_evenly(kafka, warm_up.values)
        wait_until(lambda: rows.reach(counted), bool, *started, seconds=WARM_UP_SECONDS)
        before = work(started)
        publish_evenly(kafka, load.values)
        limit = 60 + events / 10_000
        wait_until(lambda: rows.reach(counted + events), bool, *started, seconds=limit)
        after = work(started)
        found = rows.totals()
        rows.close()
    check("inferwatch", found, merged(warm_up.totals, load.totals))
    did = [(e2 - e1, c2 - c1) for (e1, c1), (e2, c2) in zip(before, after, strict=True)]
    for number, (taken, cpu) in enumerate(did, start=1):
        print(f"worker {number} of {WORKERS}: {taken:,.0f} events, {cpu:.2f} CPU-s", flush=True)
    return judge(did)


def judge(did: Sequence[tuple[float, float]]) -> Finding:
    """How far each worker's events and CPU are from an even share."""
    claims = []
    uneven = {}
    for what, amounts in zip(("events", "CPU"), zip(*did, strict=True), strict=True):
        even = sum(amounts) / len(amounts)
        uneven[what] = max(abs(amount / even - 1) for amount in amounts)
        shares = ", ".join(f"{amount / sum(amounts):.1%}" for amount in amounts)
        claims.append(
            Claim(
                f"{len(amounts)} workers on {PARTITIONS} partitions, {what}: {shares}; at most "
                f"{uneven[what]:.0%} from even (at most {MAX_UNEVEN:.0%})",
                uneven[what] <= MAX_UNEVEN,
            )
        )
    figures = {
        "workers": [{"events": taken, "cpu_seconds": cpu} for taken, cpu in did],
        "uneven": uneven,
    }
    return Finding(figures, claims)
