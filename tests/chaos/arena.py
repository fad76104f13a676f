"""What one scenario runs on over all its seeds: a broker, ClickHouse, and the workers alive."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline import Stack, Worker
from verdict import Row

from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch.embedded.kafka import ApacheKafka
from inferwatch_clickhouse.migrate import migrate
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.topics import TOPICS

# So short that the load of every seed closes blocks in every partition.
BLOCK_LENGTH = 500
SESSION_SECONDS = 3.0
BROKER_SETTINGS = {
    # Apache Kafka grants no session below 6 s unless told so.
    "group.min.session.timeout.ms": "1000",
    # It looks every few minutes for what it may remove.
    "log.initial.task.delay.ms": "500",
    "log.retention.check.interval.ms": "1000",
}
# Much happens in a short time: rows are sent, inserted and committed several times a second.
WORKER_SETTINGS = {
    "aggregation_block_length": str(BLOCK_LENGTH),
    "aggregation_flush_seconds": "0.3",
    "aggregation_commit_seconds": "0.5",
    "sink_flush_seconds": "0.3",
    "sink_commit_seconds": "0.5",
}


@dataclass
class Arena:
    """A broker and ClickHouse that a scenario has to itself, and its workers.

    Attributes:
        broker: May be killed or frozen by a scenario that sets it right again.
        server: ClickHouse; likewise.
        stack: How to reach them, and to start workers.
        workers: Those started here that were not ended yet, the oldest first.
        dead_letters: What the table of dead letters must hold, of all seeds so far: columns as in
            ``comparison.DEAD_LETTERS``.
        settled: Fingerprints of what the seeds that came out exact had left, by table and tag.
    """

    broker: EmbeddedBroker | ApacheKafka
    server: EmbeddedClickHouse
    stack: Stack
    workers: list[Worker] = field(default_factory=list)
    dead_letters: list[Row] = field(default_factory=list)
    settled: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def start_worker(self, *arguments: str, stack: Stack | None = None, **variables: str) -> Worker:
        """Start one more worker; it is at work some seconds later.

        Args:
            arguments: Further ones of the command line.
            stack: What it reaches, when not all that this arena has (a proxy in between).
            variables: Its settings, in lower case and without ``INFERWATCH_``.
        """
        worker = (stack or self.stack).worker(
            f"worker-{next(self._numbers)}", "--log-level", "info", *arguments, **variables
        )
        self.workers.append(worker)
        return worker

    def kill(self, worker: Worker) -> None:
        """End a worker with SIGKILL, frozen or not."""
        worker.kill()
        self.workers.remove(worker)

    def stop(self, worker: Worker) -> None:
        """End a worker with SIGTERM; it must leave in order, without a traceback."""
        self.workers.remove(worker)
        try:
            worker.stop()
        finally:
            worker.kill()

    def clear(self) -> None:
        """Kill all workers: what a seed that failed leaves behind."""
        for worker in tuple(self.workers):
            self.kill(worker)

    def describe(self) -> str:
        """Ends of the logs of the workers that were not ended, and where those stand."""
        return "\n".join(worker.describe() for worker in self.workers)


@contextmanager
def opened(kind: str, folder: Path, database: str) -> Iterator[Arena]:
    """A fresh arena.

    Args:
        kind: ``embedded`` or ``kafka``.
        folder: For data and logs; the data is removed at the end.
        database: Of ClickHouse.
    """
    broker: EmbeddedBroker | ApacheKafka = (
        EmbeddedBroker(folder)
        if kind == "embedded"
        else ApacheKafka(folder / "kafka", folder, settings=BROKER_SETTINGS)
    )
    with broker, EmbeddedClickHouse(folder / "clickhouse", folder) as server:
        kafka = KafkaSettings(broker.bootstrap_servers)
        clickhouse = replace(ClickHouseSettings(url=server.url), database=database)
        TopicAdmin(kafka).create(TOPICS)
        migrate(clickhouse)
        stack = Stack(kafka, clickhouse, folder, SESSION_SECONDS, WORKER_SETTINGS)
        arena = Arena(broker, server, stack)
        try:
            yield arena
        finally:
            arena.clear()
    for data in ("kafka", "clickhouse"):
        shutil.rmtree(folder / data, ignore_errors=True)
