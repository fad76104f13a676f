"""Apache Kafka without Docker: one KRaft node from its Maven Central artifacts, on Java 17."""

import base64
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from inferwatch.embedded.broker import answers_kafka
from inferwatch.embedded.errors import EmbeddedError, StartError
from inferwatch.embedded.java import find_java
from inferwatch.embedded.maven import fetched, run_maven
from inferwatch.embedded.processes import (
    LOOPBACK,
    Child,
    accepts_connections,
    free_port,
    require_free,
)

KAFKA_VERSION = "4.3.1"

_NAME = "Apache Kafka"
_JAVA_RELEASE = 17
_LOG4J_VERSION = "2.25.1"
_ARTIFACTS = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    ("org.apache.kafka", "kafka-tools", KAFKA_VERSION),
    ("org.apache.logging.log4j", "log4j-core", _LOG4J_VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", _LOG4J_VERSION),
)
_FORMAT_SECONDS = 60
_STOP_SECONDS = 20

_LOG4J = {
    "status": "error",
    "rootLogger.level": "warn",
    "rootLogger.appenderRef.stdout.ref": "stdout",
    "appender.stdout.type": "Console",
    "appender.stdout.name": "stdout",
    "appender.stdout.layout.type": "PatternLayout",
    "appender.stdout.layout.pattern": "%d{ISO8601} %p %c: %m%n",
}


def kafka_libraries(cache: Path | None = None) -> Path:
    """Return the folder of Kafka's jars, fetching them on first use (about 54 MB).

    Args:
        cache: where fetched artifacts are kept; the user's cache by default.

    Raises:
        MissingProgramError: Maven is missing.
        DownloadError: the artifacts cannot be fetched or stored.
    """
    return fetched(f"kafka-{KAFKA_VERSION}", _fetch, root=cache)


class ApacheKafka:
    """One node that is broker and controller, on loopback only, with its data on disk.

    Use it as a context manager: on entry it is fetched if need be, started and awaited, on exit
    stopped. The data stays and is found again by the next start, also on another port.

    Args:
        data_dir: folder of its settings and data.
        log_dir: folder of its log, `kafka.log`.
        port: loopback port for clients; a free one by default, kept over restarts.
        cache: where fetched artifacts are kept; the user's cache by default.
        settings: added to or in place of the node's settings (`message.max.bytes`, ...).
        start_seconds: how long it may take to be ready.
    """

    def __init__(  # noqa: PLR0913 -- two folders, and options that all have a default
        self,
        data_dir: Path,
        log_dir: Path,
        *,
        port: int | None = None,
        cache: Path | None = None,
        settings: Mapping[str, str] | None = None,
        start_seconds: float = 60,
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._log = log_dir / "kafka.log"
        self._port = port
        self._controller_port: int | None = None
        self._cache = cache
        self._settings = dict(settings or {})
        self._start_seconds = start_seconds
        self._child: Child | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect: `host:port`."""
        if self._port is None:
            raise EmbeddedError(f"{_NAME} was not started yet.")
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of the node last started."""
        if self._child is None:
            raise EmbeddedError(f"{_NAME} was not started yet.")
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the node was started and still runs."""
        return self._child is not None and self._child.alive

    def start(self) -> None:
        """Start the node and wait until it answers.

        Raises:
            EmbeddedError: Java 17 or Maven missing, artifacts not to be had, port in use, or the
                node did not start.
        """
        java = find_java(_JAVA_RELEASE)
        libraries = kafka_libraries(self._cache)
        if self._port is None:
            self._port = free_port()
        if self._controller_port is None:
            self._controller_port = free_port()
        port = self._port
        for needed in (port, self._controller_port):
            require_free(needed, name=_NAME)
        config = self._configure()
        command = [
            str(java),
            *("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC"),
            f"-Dlog4j2.configurationFile={self._data_dir / 'log4j2.properties'}",
            *("-cp", f"{libraries}/*"),
        ]
        self._format(command, config)
        self._child = Child.start(
            [*command, "kafka.Kafka", config],
            name=_NAME,
            log=self._log,
        )
        self._child.wait_ready(
            lambda: accepts_connections(port) and answers_kafka(self.bootstrap_servers),
            self._start_seconds,
        )

    def stop(self) -> None:
        """Shut the node down cleanly; the data stays."""
        if self._child is not None:
            self._child.stop(_STOP_SECONDS)

    def kill(self) -> None:
        """End the node with SIGKILL, as a crash would."""
        if self._child is not None:
            self._child.kill()

    def restart(self) -> None:
        """Start again on the same port and data, after `kill` or instead of `stop` and `start`."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        """Start the node."""
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the node."""
        self.stop()

    def _configure(self) -> Path:
        config = self._data_dir / "server.properties"
        clients, controller = self.bootstrap_servers, f"{LOOPBACK}:{self._controller_port}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://{clients},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{clients}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": controller,
            "log.dirs": str(self._data_dir / "log"),
            # A killed node may register again only after its session, so this bounds a restart.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            # One node holds every replica, and few partitions make a quick start.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # A new group's first member need not wait 3 s for the others.
            "group.initial.rebalance.delay.ms": "0",
            # A misspelt topic is an error, not a new topic.
            "auto.create.topics.enable": "false",
            **self._settings,
        }
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            config.write_text(_properties(settings))
            config.with_name("log4j2.properties").write_text(_properties(_LOG4J))
        except OSError as error:
            raise EmbeddedError(
                f"{_NAME} cannot write to {self._data_dir}: {error.strerror}."
            ) from error
        return config

    def _format(self, command: list[str], config: Path) -> None:
        if (self._data_dir / "log" / "meta.properties").exists():
            return
        # Any 22 characters of base64 do; one that starts with a dash would read as an option.
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = ["kafka.tools.StorageTool", "format", "--standalone"]
        try:
            done = subprocess.run(  # noqa: S603 -- the Java that was found, no shell
                [*command, *tool, "-t", cluster.replace("-", "_"), "-c", str(config)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_FORMAT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise StartError(
                f"{_NAME} could not prepare {self._data_dir} within {_FORMAT_SECONDS} s."
            ) from error
        if done.returncode:
            # The last line that is no frame of a stack trace names the cause.
            said = [line for line in done.stderr.splitlines() if line and not line[0].isspace()]
            raise StartError(
                f"{_NAME} could not prepare {self._data_dir}: {said[-1] if said else 'no reason'}"
            )


def _fetch(folder: Path) -> None:
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version></dependency>"
        for group, artifact, version in _ARTIFACTS
    )
    pom = folder / "pom.xml"
    pom.write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        f"<groupId>inferwatch</groupId><artifactId>kafka</artifactId>"
        f"<version>{KAFKA_VERSION}</version><packaging>pom</packaging>"
        f"<dependencies>{dependencies}</dependencies></project>\n"
    )
    run_maven(
        [
            *("--file", str(pom)),
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={folder}",
        ],
        what=f"Apache Kafka {KAFKA_VERSION}",
    )


def _properties(settings: Mapping[str, str]) -> str:
    return "".join(f"{key}={value}\n" for key, value in settings.items())
