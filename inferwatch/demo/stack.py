"""Everything that a demo runs on: broker, ClickHouse, registry and workers, as children."""

import contextlib
import functools
import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

from inferwatch.demo.meters import Meters, is_ready, read_meters
from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch.embedded.errors import EmbeddedError, EndedError
from inferwatch.embedded.kafka import ApacheKafka
from inferwatch.embedded.pinned_catalogue import PinnedSchema
from inferwatch.embedded.pinned_registry import PinnedRegistryServer
from inferwatch.embedded.processes import Child, free_port
from inferwatch_clickhouse import migrate
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.releases import releases
from inferwatch_schemas.topics import TOPICS, topic_of

WORKERS: Final = {
    "aggregation": ("aggregation",),
    "sink": ("sink",),
    "alerting": ("rules", "incidents", "notifications"),
}
"""The workers by name, and their roles."""
RULES_FILE: Final = Path(__file__).with_name("rules.yaml")
INCIDENTS_FILE: Final = Path(__file__).with_name("incidents.yaml")
WORKER_START_SECONDS: Final = 90.0
WORKER_STOP_SECONDS: Final = 10.0
# Where a worker cannot hand anything over, because what it needs has ended.
BROKEN_STOP_SECONDS: Final = 1.0

Server: TypeAlias = EmbeddedClickHouse | EmbeddedBroker | ApacheKafka
# The embedded broker lets a group's first member wait half its session timeout.
EMBEDDED_SESSION_SECONDS: Final = 6


@dataclass(frozen=True)
class Ingredients:
    """What a demo is made of.

    Attributes:
        data: Folder of everything that is kept.
        kafka: A broker that runs already; one of our own when None.
        apache: Whether that one of our own is Apache Kafka, not the embedded broker.
        clickhouse: A ClickHouse that runs already; the embedded one when None.
        registry_url: A schema registry that runs already; the pinned ids when None.
    """

    data: Path
    kafka: KafkaSettings | None = None
    apache: bool = False
    clickhouse: ClickHouseSettings | None = None
    registry_url: str | None = None


class Stack:
    """Starts what a demo needs, in order; stops it in the opposite order, whatever happens.

    Attributes:
        kafka: How to reach the broker.
        clickhouse: How to reach ClickHouse.
        registry_url: Where programs in any language find the schemas.
        broker: What the broker is, in words.
    """

    kafka: KafkaSettings
    clickhouse: ClickHouseSettings
    registry_url: str
    broker: str

    def __init__(self, ingredients: Ingredients, say: Callable[[str], None]) -> None:
        self._ingredients = ingredients
        self._say = say
        self._stop = contextlib.ExitStack()
        self._servers: dict[str, tuple[Server, Path]] = {}
        self._workers: dict[str, Child] = {}
        self._broken = False
        self._ports: dict[str, int] = {}

    @property
    def data(self) -> Path:
        """Folder of everything that is kept."""
        return self._ingredients.data

    @property
    def logs(self) -> Path:
        """Folder of the children's logs."""
        return self.data / "logs"

    def __enter__(self) -> Self:
        """Start everything.

        Raises:
            EmbeddedError: Something does not start; says what and why.
            ClickHouseError: ClickHouse does not answer, or cannot be migrated.
            SchemasError: The broker does not answer, or refuses a topic.
        """
        try:
            self._start()
        except BaseException:
            self._stop.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop everything that was started."""
        self._stop.close()

    def _start(self) -> None:
        wanted = self._ingredients
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedError(
                f"The folder {wanted.data} cannot be written ({error}); choose another with --data."
            ) from error
        if wanted.clickhouse is None:
            self._say("starting the embedded ClickHouse ...")
            engine = EmbeddedClickHouse(wanted.data / "clickhouse", self.logs)
            self._start_server("The embedded ClickHouse", engine, "clickhouse.log")
            self.clickhouse = ClickHouseSettings(url=engine.url)
        else:
            self.clickhouse = wanted.clickhouse
        migrate.migrate(self.clickhouse)
        self.kafka, self.broker = self._broker()
        TopicAdmin(self.kafka).create(TOPICS)
        self.registry_url = wanted.registry_url or self._stop.enter_context(_pinned_registry()).url
        self._say(f"starting the workers: {', '.join(WORKERS)} ...")
        self._stop.callback(self._stop_workers)
        for name in WORKERS:
            self._start_worker(name)
        for name, child in self._workers.items():
            child.wait_ready(functools.partial(self._ready, name), WORKER_START_SECONDS)
        self._publish_endpoints()

    def _broker(self) -> tuple[KafkaSettings, str]:
        wanted = self._ingredients
        if wanted.kafka is not None:
            return wanted.kafka, f"Kafka at {wanted.kafka.bootstrap_servers}"
        if wanted.apache:
            self._say("starting Apache Kafka (the first time it is fetched from Maven Central) ...")
            kafka = ApacheKafka(wanted.data / "kafka", self.logs)
            self._start_server("Apache Kafka", kafka, "kafka.log")
            return KafkaSettings(kafka.bootstrap_servers), "Apache Kafka"
        self._say("starting the embedded broker ...")
        broker = EmbeddedBroker(self.logs)
        self._start_server("The embedded Kafka broker", broker, "broker.log")
        return KafkaSettings(broker.bootstrap_servers), "the embedded broker"

    def _start_server(self, name: str, server: Server, log: str) -> None:
        # Before the start, which may be interrupted while its child already runs.
        self._stop.callback(server.stop)
        server.start()
        self._servers[name] = server, self.logs / log

    @property
    def embedded_clickhouse(self) -> bool:
        """Whether ClickHouse is one of our own, with its tables in the folder."""
        return self._ingredients.clickhouse is None

    @property
    def embedded_broker(self) -> bool:
        """Whether the broker keeps all it was sent in memory."""
        return self._ingredients.kafka is None and not self._ingredients.apache

    def _start_worker(self, name: str) -> None:
        port = self._ports[name] = free_port()
        settings = {
            **self.kafka.to_environment(),
            "INFERWATCH_CLICKHOUSE_URL": self.clickhouse.url,
            "INFERWATCH_CLICKHOUSE_DATABASE": self.clickhouse.database,
            "INFERWATCH_CLICKHOUSE_USER": self.clickhouse.user,
            "INFERWATCH_CLICKHOUSE_PASSWORD": self.clickhouse.password,
            # A file that one has named oneself holds here too.
            "INFERWATCH_RULES_FILE": os.environ.get("INFERWATCH_RULES_FILE", str(RULES_FILE)),
            "INFERWATCH_INCIDENTS_FILE": os.environ.get(
                "INFERWATCH_INCIDENTS_FILE", str(INCIDENTS_FILE)
            ),
        }
        if self._ingredients.registry_url is not None:
            settings["INFERWATCH_REGISTRY_URL"] = self._ingredients.registry_url
        roles = WORKERS[name]
        if self.embedded_broker:
            for role in roles:
                variable = f"INFERWATCH_{role.upper()}_SESSION_TIMEOUT_SECONDS"
                settings[variable] = str(EMBEDDED_SESSION_SECONDS)
        command = [sys.executable, "-m", "inferwatch", "worker", "--metrics-port", str(port)]
        for role in roles:
            command += ["--only", role]
        child = Child.start(
            command,
            name=f"the {name} worker",
            log=self.logs / f"{name}.log",
            env={**os.environ, **settings},
        )
        self._workers[name] = child

    def _stop_workers(self) -> None:
        # At once: each waits for what it still has to hand over.
        seconds = BROKEN_STOP_SECONDS if self._broken else WORKER_STOP_SECONDS
        with ThreadPoolExecutor() as pool:
            for stopped in [pool.submit(child.stop, seconds) for child in self._workers.values()]:
                stopped.result()

    def _ready(self, name: str) -> bool:
        self.check()
        return is_ready(self._ports[name])

    def meters(self, name: str) -> Meters:
        """What a worker's metrics say now; zeros while it does not answer."""
        return read_meters(self._ports[name])

    def check(self) -> None:
        """Make sure that everything that was started runs.

        Raises:
            EndedError: Something has ended; names its log. Servers come first, as workers may end
                for want of them.
        """
        for name, (server, log) in self._servers.items():
            self._require(name, server, log)
        for name, child in self._workers.items():
            self._require(f"The {name} worker", child, self.logs / f"{name}.log")

    def _require(self, name: str, server: Server | Child, log: Path) -> None:
        if not server.alive:
            self._broken = True
            raise EndedError(f"{name} has ended; its log is {log}.")

    def _publish_endpoints(self) -> None:
        """Tell ``inferwatch query --data`` where to ask while the demo runs."""
        file = self._ingredients.data / "endpoints.json"
        file.write_text(
            json.dumps(
                {
                    "pid": os.getpid(),
                    "clickhouse_url": self.clickhouse.url,
                    "bootstrap_servers": self.kafka.bootstrap_servers,
                    "registry_url": self.registry_url,
                }
            ),
            encoding="utf-8",
        )
        self._stop.callback(file.unlink, missing_ok=True)


def _pinned_registry() -> PinnedRegistryServer:
    return PinnedRegistryServer(
        [
            PinnedSchema(
                release.id, topic_of(release.name).subject(release.name), release.version,
                release.text,
            )
            for release in releases()
        ]
    )  # fmt: skip
