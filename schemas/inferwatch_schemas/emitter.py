"""Sends what the pipeline itself writes to Kafka, and knows when the broker has it all."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from inferwatch_schemas.errors import EmitError

if TYPE_CHECKING:
    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.wire import Headers

log = structlog.get_logger(__name__)

# A delivery that takes longer has failed; the rows are then sent again, so it may be short.
DELIVERY_TIMEOUT_MS: Final = 20_000
MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
# The client's queue holds a hundred thousand records; beyond that, sending would block.
MAX_OUTSTANDING: Final = 50_000
SENT_AT_ONCE: Final = 1_000
# How often the delivery reports of a slow broker are looked for.
POLL_SECONDS: Final = 0.005


class Emitter:
    """A producer that counts what is outstanding.

    It is not idempotent: after a delivery that timed out, a broker may fence an idempotent producer
    for good (the embedded one does). What is sent here may arrive twice: its id tells.
    """

    def __init__(self, kafka: KafkaSettings, client_id: str) -> None:
        self._outstanding = 0
        self._failures: list[str] = []
        self._producer = Producer(
            {
                **kafka.confluent(),
                "client.id": client_id,
                "enable.idempotence": False,
                "acks": "all",
                "compression.type": "zstd",
                "linger.ms": 5,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
                "error_cb": self._on_error,
                "logger": _Quiet(),
            }
        )

    def _on_error(self, error: KafkaError) -> None:
        log.warning("broker", error=str(error))

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        self._outstanding -= 1
        if error is not None:
            self._failures.append(str(error))

    async def room(self) -> None:
        """Wait while so much is outstanding that the client's queue might fill up.

        Whoever sends much awaits this every ``SENT_AT_ONCE`` records, and so lets others run.
        """
        await asyncio.sleep(0)
        while self._outstanding > MAX_OUTSTANDING:
            self._producer.poll(0)
            await asyncio.sleep(POLL_SECONDS)

    def send(self, topic: str, key: bytes, value: bytes | None, headers: Headers) -> None:
        """Queue a record, without a value where that is None; waits for room in a full queue.

        Raises:
            EmitError: The client refuses the record.
        """
        while True:
            try:
                self._producer.produce(
                    topic, value, key, headers=[*headers], on_delivery=self._on_delivery
                )
            except BufferError:
                self._producer.poll(POLL_SECONDS)
                continue
            except KafkaException as error:
                raise EmitError(f"A record for {topic} was refused: {error}.") from error
            self._outstanding += 1
            return

    async def settle(self) -> None:
        """Wait until the broker has everything that was sent.

        Raises:
            EmitError: It does not have some of it; says how many and why. What failed is forgotten
                here: the caller sends it again.
        """
        while self._outstanding:
            self._producer.poll(0)
            if self._outstanding:
                await asyncio.sleep(POLL_SECONDS)
        failures, self._failures = self._failures, []
        if failures:
            raise EmitError(f"{len(failures)} records were not acknowledged: {failures[0]}.")

    def close(self, timeout_seconds: float) -> None:
        """Wait for what is outstanding, for so long at most."""
        deadline = time.monotonic() + timeout_seconds
        while self._outstanding and time.monotonic() < deadline:
            self._producer.poll(POLL_SECONDS)


class _Quiet:
    """librdkafka's log lines, as structured log lines at debug level."""

    def log(self, _level: int, message: str, *parts: Any) -> None:
        """Called by confluent-kafka as a ``logging.Logger`` would be."""
        log.debug("librdkafka", message=message % parts if parts else message)
