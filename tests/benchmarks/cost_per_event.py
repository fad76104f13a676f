"""What an event costs: the aggregation of ``inferwatch worker``, beside a plain Faust agent.

    python -m tests.benchmarks.cost_per_event [--events N] [--groups 20|2000] [--runs 3]

Each run of a contender has a broker and a process of its own. The process first counts a few
events, so that start-up, joining the group and loading compiled code are over; then it is stopped
(SIGSTOP) while the load is published, and continued. From there until its last result, its CPU time
(user and system, all threads) and its largest resident memory are its cost. Its results must equal
the totals that were kept while the load was made, or the benchmark fails.
"""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import argparse
import io
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import psutil
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch.embedded.errors import EmbeddedError
from inferwatch.embedded.kafka import KAFKA_VERSION, ApacheKafka
from inferwatch_schemas import releases
from inferwatch_schemas.admin import SILENT, TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.topics import AGGREGATES, REQUESTS, TOPICS
from tests.benchmarks.request_load import (
    GROUPS,
    PARTITIONS,
    START_MICROS,
    WINDOW_MICROS,
    Group,
    Load,
    Totals,
    make_load,
    publish,
)

WARM_UP = 1_000
# A day before the load: windows of its own.
WARM_UP_START_MICROS = START_MICROS - 86_400_000_000
WARM_UP_SECONDS = 120.0
POLL_SECONDS = 0.02
COORDINATOR_SECONDS = 30.0
# Less than this part of a CPU for so long is a process that waits.
QUIET_SECONDS = 1.5
QUIET_LOAD = 0.1
# A stopped process sends no heartbeats; the load is published well within this.
SESSION_SECONDS = "300"
PLAIN_TOPIC = "plain.requests"
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Cost:
    """What one run of a contender took."""

    events: int
    cpu_seconds: float
    seconds: float
    peak_rss_bytes: int

    @property
    def cpu_seconds_per_million(self) -> float:
        """CPU seconds, user and system, for a million events."""
        return self.cpu_seconds / self.events * 1e6


class Measured:
    """A contender's process under observation."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._observed = psutil.Process(process.pid)
        self._peak = 0

    def pause(self) -> None:
        """Stop it once it has nothing to do."""
        deadline = time.monotonic() + WARM_UP_SECONDS
        before = self._cpu()
        while True:
            time.sleep(QUIET_SECONDS)
            now = self._cpu()
            if now - before < QUIET_LOAD * QUIET_SECONDS or time.monotonic() > deadline:
                break
            before = now
        self._process.send_signal(signal.SIGSTOP)

    def cost_until(self, done: Callable[[], bool], events: int, limit_seconds: float) -> Cost:
        """Continue it, and measure until it is done."""
        cpu, began = self._cpu(), time.monotonic()
        self._process.send_signal(signal.SIGCONT)
        self.wait(done, limit_seconds)
        return Cost(events, self._cpu() - cpu, time.monotonic() - began, self._peak)

    def wait(self, done: Callable[[], bool], limit_seconds: float) -> None:
        """Wait for a condition, while watching its memory."""
        deadline = time.monotonic() + limit_seconds
        while not done():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("A contender ended or took too long; its log is above.")
            self._peak = max(self._peak, self._observed.memory_info().rss)

    def _cpu(self) -> float:
        times = self._observed.cpu_times()
        return float(times.user + times.system)


@contextmanager
def started(command: list[str], folder: Path, **variables: str) -> Iterator[Measured]:
    """Run a contender, which is killed however this ends; its log is printed where it failed."""
    log = folder / "contender.log"
    own = {name: value for name, value in os.environ.items() if not name.startswith("INFERWATCH_")}
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 -- our own programs, no shell
            command, stdout=output, stderr=subprocess.STDOUT, env=own | variables, cwd=REPOSITORY
        )
    try:
        yield Measured(process)
    except SystemExit:
        print(log.read_text(errors="replace"), file=sys.stderr)
        raise
    finally:
        process.kill()
        process.wait()


class Rows:
    """The aggregate rows in Kafka, the highest version of each."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.requests = 0
        self._rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._schema = fastavro.parse_schema(releases.latest("request_aggregate").schema)
        self._consumer = Consumer({**kafka.confluent(), "group.id": "bench"}, logger=SILENT)
        self._consumer.assign(
            [TopicPartition(AGGREGATES.name, number, 0) for number in range(AGGREGATES.partitions)]
        )

    def reach(self, requests: int) -> bool:
        """Take in what has come, and say whether the rows count so many requests."""
        for message in self._consumer.consume(1000, timeout=POLL_SECONDS):
            value = message.value()
            if not isinstance(value, bytes):
                raise SystemExit(f"The aggregates cannot be read: {message.error()}.")
            body = io.BytesIO(value[5:])
            row: Any = fastavro.schemaless_reader(body, self._schema, None)
            key = (
                row["service"],
                row["model"],
                row["window_start"],
                row["partition"],
                row["block"],
            )
            before = self._rows.get(key)
            if before is None or row["version"] > before["version"]:
                self.requests += row["requests"] - (before["requests"] if before else 0)
                self._rows[key] = row
        return self.requests >= requests

    def totals(self) -> dict[Group, Totals]:
        """The rows summed over blocks and partitions."""
        totals: dict[Group, Totals] = {}
        for row in self._rows.values():
            window = int(row["window_start"].timestamp()) * 1_000_000 // WINDOW_MICROS
            group = totals.setdefault((window, row["service"], row["model"]), Totals())
            for name in NUMBERS:
                setattr(group, name, getattr(group, name) + row[name])
            for bins, into in (
                (("error_types", "error_type_counts"), group.errors),
                (("duration_bin_indexes", "duration_bin_counts"), group.duration_bins),
                (("first_token_bin_indexes", "first_token_bin_counts"), group.first_token_bins),
            ):
                for index, count in zip(row[bins[0]], row[bins[1]], strict=True):
                    into[index] += count
        return totals

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()


NUMBERS = (
    "requests",
    "input_tokens",
    "output_tokens",
    "cost_usd_micros",
    "duration_micros",
    "first_token_micros",
)


def run_inferwatch(kafka: KafkaSettings, folder: Path, warm_up: Load, load: Load) -> Cost:
    """``inferwatch worker --only aggregation``, until the broker has its last row."""
    TopicAdmin(kafka).create(TOPICS)
    command = [sys.executable, "-c", "from inferwatch.main import run; run()"]
    rows = Rows(kafka)
    try:
        with started(
            [*command, "worker", "--only", "aggregation"],
            folder,
            INFERWATCH_AGGREGATION_SESSION_TIMEOUT_SECONDS=SESSION_SECONDS,
            **kafka.to_environment(),
        ) as worker:
            publish(kafka, REQUESTS.name, warm_up.values)
            worker.wait(lambda: rows.reach(WARM_UP), WARM_UP_SECONDS)
            worker.pause()
            publish(kafka, REQUESTS.name, load.values)
            events = len(load.values)
            cost = worker.cost_until(
                lambda: rows.reach(WARM_UP + events), events, limit_seconds=60 + events / 20_000
            )
        check("inferwatch", rows.totals(), merged(warm_up.totals, load.totals))
        return cost
    finally:
        rows.close()


def run_plain(kafka: KafkaSettings, folder: Path, warm_up: Load, load: Load) -> Cost:
    """The plain Faust agent, until its last event is counted."""
    admin = AdminClient(kafka.confluent())
    admin.create_topics([NewTopic(PLAIN_TOPIC, PARTITIONS, 1)])[PLAIN_TOPIC].result(20)
    result, log = folder / "result.json", folder / "contender.log"
    events = len(load.values)
    command = [
        *(sys.executable, "-m", "tests.benchmarks.plain_faust", kafka.bootstrap_servers),
        *(PLAIN_TOPIC, "plain", str(result), str(WARM_UP), str(events)),
    ]

    def said(word: str) -> Callable[[], bool]:
        def look() -> bool:
            time.sleep(POLL_SECONDS)
            # Faust writes a terminal's codes in front, without a line of their own.
            return f"{word}\n" in log.read_text(errors="replace")

        return look

    with started(command, folder) as plain:
        publish(kafka, PLAIN_TOPIC, warm_up.values)
        plain.wait(said("warm"), WARM_UP_SECONDS)
        plain.pause()
        publish(kafka, PLAIN_TOPIC, load.values)
        cost = plain.cost_until(said("done"), events, limit_seconds=60 + events / 1000)
        plain.wait(said("written"), 60)
    totals = {}
    for (window, service, _, _, model, _), row in json.loads(result.read_text()):
        for name in ("duration_bins", "first_token_bins"):
            row[name] = {int(index): count for index, count in row[name].items()}
        kept = {
            name: row[name] for name in (*NUMBERS, "errors", "duration_bins", "first_token_bins")
        }
        totals[window, service, model] = Totals(**kept)
    check("plain Faust", totals, load.totals)
    return cost


def merged(one: dict[Group, Totals], other: dict[Group, Totals]) -> dict[Group, Totals]:
    """Totals of two loads, which have no window in common."""
    if one.keys() & other.keys():
        raise SystemExit("The warm-up must lie in windows of its own.")
    return one | other


def check(name: str, found: dict[Group, Totals], expected: dict[Group, Totals]) -> None:
    """End the benchmark where a contender counted wrongly."""
    plain = [
        {group: json.dumps(vars(totals), sort_keys=True) for group, totals in side.items()}
        for side in (found, expected)
    ]
    if plain[0] != plain[1]:
        wrong = [group for group in expected if plain[0].get(group) != plain[1][group]]
        raise SystemExit(f"{name} counted wrongly: {len(wrong)} groups, first {wrong[:1]}.")


@contextmanager
def broker(folder: Path) -> Iterator[tuple[KafkaSettings, str]]:
    """Run Apache Kafka where Java and Maven are, else the embedded broker, and say which."""
    apache = ApacheKafka(folder / "data", folder)
    try:
        apache.start()
    except EmbeddedError:
        with EmbeddedBroker(folder) as embedded:
            yield KafkaSettings(embedded.bootstrap_servers), "the embedded broker"
        return
    kafka = KafkaSettings(apache.bootstrap_servers)
    try:
        await_coordinator(kafka)
        yield kafka, f"Apache Kafka {KAFKA_VERSION}"
    finally:
        apache.stop()


def await_coordinator(kafka: KafkaSettings) -> None:
    """Wait until groups can be joined: a fresh broker makes their topic when first asked."""
    consumer = Consumer({**kafka.confluent(), "group.id": "first"}, logger=SILENT)
    deadline = time.monotonic() + COORDINATOR_SECONDS
    while True:
        try:
            consumer.committed([TopicPartition("any", 0)], timeout=COORDINATOR_SECONDS)
            break
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"The broker has no coordinator of groups: {error}.") from error
            time.sleep(POLL_SECONDS)
    consumer.close()


Run = Callable[[KafkaSettings, Path, Load, Load], Cost]


def measure(name: str, run: Run, warm_up: Load, load: Load, runs: int) -> tuple[list[Cost], str]:
    """Cost of each run, and the broker it was on; each is printed as it comes."""
    costs = []
    for number in range(1, runs + 1):
        with (
            tempfile.TemporaryDirectory(prefix="inferwatch-bench-") as folder,
            broker(Path(folder)) as (kafka, which),
        ):
            cost = run(kafka, Path(folder), warm_up, load)
        costs.append(cost)
        print(
            f"{name}, run {number} on {which}: {cost.cpu_seconds_per_million:.2f} CPU-s/M, "
            f"{cost.events / cost.seconds:,.0f} events/s, peak RSS "
            f"{cost.peak_rss_bytes / 2**20:.0f} MiB, {cost.events:,} events",
            flush=True,
        )
    return costs, which


def summary(costs: list[Cost]) -> dict[str, float]:
    """Medians over the runs."""
    return {
        "events": costs[0].events,
        "cpu_seconds_per_million": statistics.median(c.cpu_seconds_per_million for c in costs),
        "events_per_second": statistics.median(c.events / c.seconds for c in costs),
        "peak_rss_bytes": statistics.median(c.peak_rss_bytes for c in costs),
    }


def main() -> None:
    """Measure both contenders and print what they cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="for inferwatch")
    parser.add_argument("--plain-events", type=int, default=40_000, help="for plain Faust")
    parser.add_argument("--groups", type=int, choices=sorted(GROUPS), default=20)
    parser.add_argument("--runs", type=int, default=3, help="of each contender")
    options = parser.parse_args()
    print(
        f"Requests in {options.groups} groups, {PARTITIONS} partitions, zstd, out of order; "
        f"{os.cpu_count()} CPUs, Python {platform.python_version()}",
        flush=True,
    )
    warm_up = make_load(1, WARM_UP, options.groups, WARM_UP_START_MICROS)
    plain, which = measure(
        "plain Faust", run_plain, warm_up, make_load(2, options.plain_events, options.groups),
        options.runs,
    )  # fmt: skip
    ours, which = measure(
        "inferwatch", run_inferwatch, warm_up, make_load(3, options.events, options.groups),
        options.runs,
    )  # fmt: skip
    results = {"inferwatch": summary(ours), "plain_faust": summary(plain)}
    cost = results["inferwatch"]["cpu_seconds_per_million"]
    ratio = results["plain_faust"]["cpu_seconds_per_million"] / cost
    told = {"broker": which, "groups": options.groups, "runs": options.runs, "ratio": ratio}
    print(json.dumps(results | told))
    print(f"inferwatch: {cost:.2f} CPU-s/M, {ratio:.0f} x plain Faust")


if __name__ == "__main__":
    main()
