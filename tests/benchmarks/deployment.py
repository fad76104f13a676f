"""The whole pipeline for a benchmark: Kafka, the embedded ClickHouse, workers, and a live load."""

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import psutil

from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch.embedded.errors import EmbeddedError
from inferwatch.embedded.kafka import KAFKA_VERSION, ApacheKafka
from inferwatch.embedded.processes import Child
from inferwatch_clickhouse.migrate import migrate
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.topics import REQUESTS, TOPICS
from tests.benchmarks.live_load import Status, read_status
from tests.contract.pipeline import Stack, Worker, wait_until

READY_SECONDS = 120.0
# A worker that is busy for long must not be thought dead.
SESSION_SECONDS = 30.0
# The embedded broker lets a group's first member wait half its session timeout.
EMBEDDED_SESSION_SECONDS = 6.0
LOAD_STOP_SECONDS = 90.0
# On a fresh checkout the first events wait until everything is compiled.
WARM_SECONDS = 240.0
CURRENT_SECONDS = 3.0
POLL_SECONDS = 0.2
# A metric of each role that tells of a partition.
SHOWN = {
    "aggregation": "inferwatch_floor",
    "sink": "inferwatch_sink_position",
    "rules": "inferwatch_rules_lag_records",
    "notifications": "inferwatch_notifications_lag_records",
}


@dataclass(frozen=True)
class Usage:
    """What a process has used so far.

    Attributes:
        cpu_seconds: User and system, all threads.
        rss_bytes: Resident memory now.
    """

    cpu_seconds: float
    rss_bytes: int


def usage(pid: int) -> Usage:
    """What a process has used so far.

    Raises:
        psutil.NoSuchProcess: It has ended.
    """
    process = psutil.Process(pid)
    times = process.cpu_times()
    return Usage(times.user + times.system, process.memory_info().rss)


@dataclass(frozen=True)
class Deployment:
    """Servers with topics and tables, on which workers can be started.

    Attributes:
        stack: Starts workers, and asks ClickHouse.
        broker: What the broker is, in words.
        broker_pid: Its process.
        clickhouse_pid: ClickHouse's process.
        folder: Everything's data and logs; gone at the end.
    """

    stack: Stack
    broker: str
    broker_pid: int
    clickhouse_pid: int
    folder: Path


@contextlib.contextmanager
def deployed(
    *, broker_settings: Mapping[str, str] | None = None, request_partitions_factor: int = 1
) -> Iterator[Deployment]:
    """Run Apache Kafka where Java and Maven are, else the embedded broker; and ClickHouse.

    Args:
        broker_settings: Apache Kafka's own.
        request_partitions_factor: Times as many partitions of requests as the catalogue declares.
    """
    with contextlib.ExitStack() as stop:
        folder = Path(stop.enter_context(tempfile.TemporaryDirectory(prefix="inferwatch-bench-")))
        kafka, which, pid, session = _broker(stop, folder, broker_settings or {})
        clickhouse = stop.enter_context(EmbeddedClickHouse(folder / "clickhouse", folder))
        settings = ClickHouseSettings(url=clickhouse.url)
        TopicAdmin(kafka).create([REQUESTS], factor=request_partitions_factor)
        TopicAdmin(kafka).create(TOPICS)
        migrate(settings)
        stack = Stack(kafka, settings, folder, session)
        yield Deployment(stack, which, pid, clickhouse.pid, folder)


def _broker(
    stop: contextlib.ExitStack, folder: Path, settings: Mapping[str, str]
) -> tuple[KafkaSettings, str, int, float]:
    apache = ApacheKafka(folder / "kafka", folder, settings=settings)
    try:
        apache.start()
    except EmbeddedError as error:
        embedded = stop.enter_context(EmbeddedBroker(folder))
        which = f"the embedded broker, for want of Apache Kafka ({error})"
        return (
            KafkaSettings(embedded.bootstrap_servers),
            which,
            embedded.pid,
            (EMBEDDED_SESSION_SECONDS),
        )
    stop.callback(apache.stop)
    return (
        KafkaSettings(apache.bootstrap_servers),
        f"Apache Kafka {KAFKA_VERSION}",
        apache.pid,
        (SESSION_SECONDS),
    )


@contextlib.contextmanager
def workers(deployment: Deployment, count: int, only: str | None = None) -> Iterator[list[Worker]]:
    """Run workers, and wait until each has partitions; ends them however this ends.

    Args:
        deployment: Where.
        count: How many.
        only: One of the roles; those that count and land when None.
    """
    arguments = ("--only", only) if only else ()
    roles = (only,) if only else ("aggregation", "sink")
    with contextlib.ExitStack() as stop:
        started: list[Worker] = []
        for number in range(1, count + 1):
            # One after the other: a group that forms anew at each start would only take longer.
            worker = deployment.stack.worker(f"worker-{number}", *arguments)
            started.append(stop.enter_context(worker))
            wait_until(
                partial(has_partitions, worker, roles), bool, *started, seconds=READY_SECONDS
            )
        yield started


def has_partitions(worker: Worker, roles: Iterable[str]) -> bool:
    """Whether a worker was given partitions in each of these roles."""
    metrics = worker.metrics()
    return all(f"{SHOWN[role]}{{" in metrics for role in roles)


class LiveLoad:
    """``live_load`` in a process of its own.

    Args:
        deployment: Where it goes.
        rate: Events a second.
        seconds: For how long.
        trace: Where each request is noted; then nothing else is sent.
    """

    def __init__(
        self, deployment: Deployment, rate: float, seconds: float, trace: Path | None = None
    ) -> None:
        self._status = deployment.folder / "load.json"
        noted = ("--trace", str(trace)) if trace else ()
        self._child = Child.start(
            [
                *(sys.executable, "-m", "tests.benchmarks.live_load"),
                *("--rate", str(rate), "--seconds", str(seconds)),
                *("--status", str(self._status), *noted),
            ],
            name="the load",
            log=deployment.folder / "load.log",
            env=deployment.stack.kafka.to_environment(),
        )
        self._log = deployment.folder / "load.log"

    def status(self) -> Status:
        """How far it is.

        Raises:
            SystemExit: It ended before it was done, or the broker did not take an event.
        """
        alive = self._child.alive
        status = read_status(self._status)
        if status.failed or not (alive or status.done):
            raise SystemExit(f"The load failed: {self._log.read_text()[-2000:]}")
        return status

    def stop(self) -> Status:
        """End it now, and wait until the broker has acknowledged everything."""
        self._child.stop(LOAD_STOP_SECONDS)
        return self.status()

    def __enter__(self) -> Self:
        """Return the running load."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, however this ends."""
        self._child.stop(LOAD_STOP_SECONDS)


def await_current(deployment: Deployment, load: LiveLoad) -> None:
    """Wait until ClickHouse counts the requests of a running load within CURRENT_SECONDS.

    Raises:
        SystemExit: It does not come to that.
    """
    deadline = time.monotonic() + WARM_SECONDS
    while time.monotonic() < deadline:
        handed = load.status().handed.get("request", 0)
        until = time.monotonic() + CURRENT_SECONDS
        while handed and time.monotonic() < until:
            if deployment.stack.one("SELECT sum(requests) FROM requests_10s") >= handed:
                return
            time.sleep(POLL_SECONDS)
        time.sleep(POLL_SECONDS)
    raise SystemExit(f"The workers were not current {WARM_SECONDS:g} s after the load began.")
