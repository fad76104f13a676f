"""The whole pipeline for a test: a broker, ClickHouse, and workers as processes of their own."""

import json
import os
import re
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from inferwatch.embedded.processes import LOOPBACK, Child, free_port
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.errors import ClickHouseUnavailableError
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.topics import TOPICS

PROGRAM = (sys.executable, "-c", "from inferwatch.main import run; run()")
POLL_SECONDS = 0.1
# So short that a small load closes blocks. It belongs to the signals' version in production.
BLOCK_LENGTH = 2000
COUNT_AND_LAND = ("--only", "aggregation", "--only", "sink")
QUOTED_LINES = 30
TOLD = re.compile(r"inferwatch_(sink_)?(position|floor|events_total|delivery|emit|failures)")

T = TypeVar("T")


def environment(kafka: KafkaSettings, clickhouse: ClickHouseSettings) -> dict[str, str]:
    """This process' variables, with nothing of Inferwatch's but where the two are."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("INFERWATCH_")}
    return own | kafka.to_environment() | clickhouse.to_environment()


class Worker:
    """``inferwatch worker`` in a process of its own.

    Args:
        name: Tells it from others, and names its log.
        folder: Where its log goes.
        variables: Its environment.
        arguments: Further ones of the command line.
        program: What is run in place of ``inferwatch``.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        variables: Mapping[str, str],
        arguments: tuple[str, ...] = (),
        program: tuple[str, ...] = PROGRAM,
    ) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        self._port = free_port()
        self._child = Child.start(
            [*program, "worker", "--metrics-port", str(self._port), *arguments],
            name=name,
            log=self._log,
            env=variables,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._child.alive

    @property
    def said(self) -> str:
        """All that it logged."""
        return self._log.read_text(errors="replace")

    def metrics(self) -> str:
        """What it serves to Prometheus; nothing while it does not serve."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self._port}", timeout=5) as answer:
                text: str = answer.read().decode()
        except OSError:
            return ""
        return text

    def metric(self, name: str, **labels: str) -> float:
        """Sum of a metric over the series that have these labels; 0 while none is served."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.metrics())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def health(self, of: Literal["live", "ready"]) -> tuple[int, dict[str, Any]]:
        """Status and JSON of its health endpoint; status 0 while it does not serve."""
        url = f"http://{LOOPBACK}:{self._port}/health/{of}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, {}

    def by_partition(self, name: str) -> dict[tuple[str, int], float]:
        """A metric of every topic and partition that it is served of."""
        return {
            (sample.labels["topic"], int(sample.labels["partition"])): sample.value
            for family in text_string_to_metric_families(self.metrics())
            for sample in family.samples
            if sample.name == name
        }

    def describe(self) -> str:
        """The end of its log, and where it stands, for a test that failed."""
        told = [line for line in self.metrics().splitlines() if TOLD.match(line)]
        return "\n".join([f"--- {self.name}", *self.said.splitlines()[-QUOTED_LINES:], *told])

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._child.kill()

    def terminate(self) -> None:
        """Tell it with SIGTERM to leave, and do not wait."""
        os.kill(self.pid, signal.SIGTERM)

    def freeze(self) -> None:
        """Stop it where it stands with SIGSTOP: alive to the system, dead to its group."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on with SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it with SIGTERM; its log must not hold a traceback."""
        self._child.stop(timeout_seconds=30)
        assert "Traceback" not in self.said, self.said

    def __enter__(self) -> Self:
        """Return the running worker."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, however the test ended."""
        self._child.stop(timeout_seconds=20)


@dataclass(frozen=True)
class Stack:
    """A broker with the catalogue's topics, and a migrated database of ClickHouse.

    Attributes:
        kafka: How to reach the broker.
        clickhouse: How to reach the database.
        folder: For logs.
        session_seconds: Session timeout of the workers' groups. The embedded broker lets the first
            member of a group wait for half of it; Apache Kafka grants no less than 6 s.
        settings: Variables of every worker besides.
        program: What a worker runs in place of ``inferwatch``.
        broker_pid: The broker's process.
    """

    kafka: KafkaSettings
    clickhouse: ClickHouseSettings
    folder: Path
    session_seconds: float
    settings: Mapping[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = PROGRAM
    broker_pid: int | None = None

    def worker(self, name: str, *arguments: str, **variables: str) -> Worker:
        """Start a worker; variables are named without ``INFERWATCH_``, in lower case.

        Without ``--only`` among the arguments it counts and lands, and does nothing else.
        """
        session = str(self.session_seconds)
        given = {
            "aggregation_session_timeout_seconds": session,
            "sink_session_timeout_seconds": session,
            "rules_session_timeout_seconds": session,
            **self.settings,
            **variables,
        }
        return Worker(
            name,
            self.folder,
            environment(self.kafka, self.clickhouse)
            | {f"INFERWATCH_{key.upper()}": value for key, value in given.items()},
            arguments if "--only" in arguments else (*COUNT_AND_LAND, *arguments),
            self.program,
        )

    def topic_ids(self) -> dict[str, str]:
        """Kafka's ids of the topics, by name."""
        return TopicAdmin(self.kafka).ids(topic.name for topic in TOPICS)

    def query(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        asked = ClickHouse(self.clickhouse)
        try:
            return asked.query(sql, parameters)
        finally:
            asked.close()

    def one(self, sql: str) -> Any:
        """The one value that a query answers; None while ClickHouse is away."""
        try:
            ((value,),) = self.query(sql)
        except ClickHouseUnavailableError:
            return None
        return value


def wait_until(
    ask: Callable[[], T], right: Callable[[T], bool], *workers: Worker, seconds: float
) -> T:
    """Ask until the answer is right, and return it.

    Raises:
        AssertionError: A worker ended, or the time was over; quotes the answer and the logs.
    """
    deadline = time.monotonic() + seconds
    while not right(answer := ask()):
        ended = [worker.name for worker in workers if not worker.alive]
        if ended or time.monotonic() > deadline:
            logs = "\n".join(worker.describe() for worker in workers)
            why = f"{ended} ended" if ended else f"not within {seconds:g} s"
            raise AssertionError(f"{why}; the last answer was {answer!r}\n{logs}")
        time.sleep(POLL_SECONDS)
    return answer
