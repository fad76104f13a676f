"""What a soak looks at every few seconds: memory, CPU, and how far each role is behind."""

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from prometheus_client.parser import text_string_to_metric_families

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import AGGREGATED, LANDED, TOPICS
from tests.benchmarks.deployment import Deployment, LiveLoad, Usage, usage
from tests.contract.pipeline import Worker

ANSWER_SECONDS = 10.0
# Older log ends than that tell only that a partition is that far behind.
REMEMBERED_SECONDS = 300.0
# The aggregation's position is in memory; the sink's is what ClickHouse has acknowledged.
POSITIONS = {"aggregation": "inferwatch_position", "sink": "inferwatch_sink_position"}

# Topic and partition.
Place = tuple[str, int]


@dataclass(frozen=True)
class Lag:
    """How far the worst partition of a role is behind.

    Attributes:
        seconds: Age of the oldest event that it has not taken in.
        events: Events that all partitions of the role have not taken in.
        worst: That partition.
    """

    seconds: float
    events: int
    worst: str


@dataclass(frozen=True)
class Sample:
    """One look.

    Attributes:
        at: Seconds since the soak began.
        produced: Events that the broker had acknowledged.
        workers: Usage of each worker.
        clickhouse: Usage of ClickHouse.
        broker: Usage of the broker.
        lag: Of each role.
    """

    at: float
    produced: int
    workers: tuple[Usage, ...]
    clickhouse: Usage
    broker: Usage
    lag: dict[str, Lag]

    @property
    def worker_cpu_seconds(self) -> float:
        """What all workers have used."""
        return sum(worker.cpu_seconds for worker in self.workers)


class LogEnds:
    """Where each partition's log ends, and where it ended before."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._admin = AdminClient(kafka.confluent(), logger=SILENT)
        self._asked: dict[TopicPartition, OffsetSpec] = {
            TopicPartition(topic.name, number): OffsetSpec.latest()
            for topic in TOPICS
            for number in range(topic.partitions)
        }
        self._history: deque[tuple[float, dict[Place, int]]] = deque()

    def look(self) -> None:
        """Ask the broker.

        Raises:
            KafkaException: It does not answer.
        """
        futures: dict[TopicPartition, Any] = self._admin.list_offsets(
            self._asked, request_timeout=ANSWER_SECONDS
        )
        ends = {
            (asked.topic, asked.partition): answer.result(ANSWER_SECONDS).offset
            for asked, answer in futures.items()
        }
        now = time.monotonic()
        self._history.append((now, ends))
        while now - self._history[0][0] > REMEMBERED_SECONDS:
            self._history.popleft()

    def lag(self, positions: Mapping[Place, int], topics: Iterable[str]) -> Lag:
        """How far positions are behind the ends last seen; a partition without one is at 0."""
        now, ends = self._history[-1]
        seconds = {
            place: seconds_behind(
                [(at, before[place]) for at, before in self._history], positions.get(place, 0), now
            )
            for place in ends
            if place[0] in set(topics)
        }
        events = sum(max(0, ends[place] - positions.get(place, 0)) for place in seconds)
        worst = max(seconds, key=lambda place: seconds[place])
        return Lag(seconds[worst], events, f"{worst[0]}/{worst[1]}")


def seconds_behind(history: Sequence[tuple[float, int]], position: int, now: float) -> float:
    """How long ago a log grew beyond a position; 0 where it has not.

    Args:
        history: Times and log ends, both rising; between two of them growth counts as even.
        position: Offset up to which everything is taken in.
        now: When the position was so.
    """
    before: tuple[float, int] | None = None
    for at, end in history:
        if end > position:
            if before is None:
                return now - at
            share = (position - before[1]) / (end - before[1])
            return now - (before[0] + max(0.0, share) * (at - before[0]))
        before = at, end
    return 0.0


class Watch:
    """Takes samples of a running pipeline.

    Args:
        deployment: Where it runs.
        workers: All its workers.
        load: What is sent to it.
    """

    def __init__(self, deployment: Deployment, workers: Sequence[Worker], load: LiveLoad) -> None:
        self._deployment = deployment
        self._workers = workers
        self._load = load
        self._ends = LogEnds(deployment.stack.kafka)
        self._began = time.monotonic()

    def sample(self) -> Sample:
        """Look at everything once.

        Raises:
            SystemExit: A process has ended, or the broker does not answer; says which.
        """
        for worker in self._workers:
            if not worker.alive:
                raise SystemExit(f"{worker.name} has ended:\n{worker.describe()}")
        # Positions first: what comes in between counts as lag, not the other way round.
        positions = self._positions()
        try:
            self._ends.look()
            used = [usage(worker.pid) for worker in self._workers]
            clickhouse = usage(self._deployment.clickhouse_pid)
            broker = usage(self._deployment.broker_pid)
        except (KafkaException, psutil.Error) as error:
            raise SystemExit(f"A server of the soak is gone: {error}") from error
        sources, all_topics = [t.name for t in AGGREGATED], [t.name for t in LANDED]
        return Sample(
            at=time.monotonic() - self._began,
            produced=self._load.status().delivered,
            workers=tuple(used),
            clickhouse=clickhouse,
            broker=broker,
            lag={
                "aggregation": self._ends.lag(positions["aggregation"], sources),
                "sink": self._ends.lag(positions["sink"], all_topics),
            },
        )

    def _positions(self) -> dict[str, dict[Place, int]]:
        """Position of each partition; of those given away, the newer worker's is the higher."""
        found: dict[str, dict[Place, int]] = {role: {} for role in POSITIONS}
        for worker in self._workers:
            for family in text_string_to_metric_families(worker.metrics()):
                for value in family.samples:
                    for role, name in POSITIONS.items():
                        if value.name == name:
                            place = value.labels["topic"], int(value.labels["partition"])
                            known = found[role].get(place, 0)
                            found[role][place] = max(known, int(value.value))
        return found
