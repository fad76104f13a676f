"""Publishes events to Kafka: header, sequence, key, Avro, CloudEvents headers.

It waits where the broker is slower than the caller, so it suits whoever would rather wait than
lose events: the host agent, replays, load.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from inferwatch_agents.channel import open_channel
from inferwatch_agents.errors import PublishError
from inferwatch_schemas.instants import now_micros
from inferwatch_schemas.kafka_errors import SILENT, Heard
from inferwatch_schemas.topics import PUBLISHED
from inferwatch_schemas.unreachable import unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferwatch_agents.channel import Channel, Message
    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.registry import Registry

KEY_FIELDS: Final = {
    "service": "service_name",
    "host": "host_name",
    "user": "user_id",
    "trace id": "trace_id",
    "model": "gen_ai_request_model",
}
# How long one wait for room in the queue takes before it is tried again.
QUEUE_WAIT_SECONDS: Final = 0.1
FLUSH_WAIT_SECONDS: Final = 0.25

Clock: TypeAlias = "Callable[[], int]"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PublisherSettings:
    """How a publisher trades latency, memory and patience.

    Attributes:
        linger_ms: How long an event waits for others to share its batch.
        queue_events: Events that may wait for the broker; then ``publish`` waits.
        connect_seconds: How long the broker may take to answer at the start.
        delivery_seconds: How long an event may wait for the broker's acknowledgement.
    """

    linger_ms: int = 10
    queue_events: int = 100_000
    connect_seconds: float = 8.0
    delivery_seconds: float = 60.0

    def librdkafka(self) -> dict[str, Any]:
        """The same as configuration of librdkafka, with what is no matter of taste."""
        return {
            "acks": "all",
            "compression.type": "zstd",
            "delivery.timeout.ms": int(self.delivery_seconds * 1000),
            "enable.idempotence": True,
            "linger.ms": self.linger_ms,
            "message.max.bytes": min(int(t.config()["max.message.bytes"]) for t in PUBLISHED),
            # The Java clients' own, so that a key has one partition whoever writes it.
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": self.queue_events,
        }


class Publisher:
    """Publishes events of any schema that services write; several threads may share one.

    Attributes:
        producer_id: Names this publisher in its events; another at each start.
        delivered: Events that the broker acknowledged.
        failed: Events that were accepted by ``publish`` and then could not be delivered.
    """

    def __init__(  # noqa: PLR0913  # the last three are seams with defaults
        self,
        kafka: KafkaSettings,
        registry: Registry,
        producer_id: str | None = None,
        *,
        clock: Clock = now_micros,
        settings: PublisherSettings | None = None,
        make_producer: Callable[..., Any] = Producer,
    ) -> None:
        """Connect.

        Args:
            kafka: Where the broker is.
            registry: Where schema ids come from.
            producer_id: Random when None, as it has to be where sequences start anew.
            clock: Microseconds since 1970, for events without a time of their own.
            settings: Defaults when None.
            make_producer: Called as ``confluent_kafka.Producer``.

        Raises:
            PublishError: No broker answers, or Kafka's settings are refused.
        """
        self.producer_id = producer_id or secrets.token_hex(8)
        self.delivered = 0
        self.failed = 0
        self._kafka = kafka
        self._servers = kafka.bootstrap_servers
        self._registry = registry
        self._clock = clock
        self._settings = settings or PublisherSettings()
        self._channels: dict[str, Channel] = {}
        self._failures: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        # The client calls back in whichever thread polls, also while _lock is held.
        self._count_lock = threading.Lock()
        self._heard = Heard()
        config = {
            **kafka.confluent(),
            **self._settings.librdkafka(),
            "error_cb": self._on_broker_error,
            "on_delivery": self._on_delivery,
        }
        try:
            self._producer = make_producer(config, logger=SILENT)
        except KafkaException as error:
            raise PublishError(f"Kafka's client refuses its settings: {_reason(error)}.") from error
        self._topics = self._existing_topics()

    def publish(
        self,
        schema: str,
        record: Mapping[str, Any],
        *,
        event_time_micros: int | None = None,
        key: str | None = None,
    ) -> None:
        """Add the event header to a record and queue it, waiting while the queue is full.

        Args:
            schema: Name of the record's schema, one of a topic that services publish to.
            record: All its fields except event_id, producer_id, sequence and event_time; nullable
                ones may be left out.
            event_time_micros: Microseconds since 1970 (UTC); now when None.
            key: Record key; the field that the topic catalogue names when None.

        Raises:
            EncodeError: The record does not fit its schema.
            UnknownSchemaError: Nothing of that name was released, or the registry lacks it.
            RegistryUnavailableError: The registry did not answer.
            PublishError: The topic does not exist, the event is too large for it, or the client
                has given up.
        """
        at = self._clock() if event_time_micros is None else event_time_micros
        with self._lock:
            channel = self._channels.get(schema) or self._open(schema)
            self._enqueue(channel.message(record, channel.sequence, at, key))
            channel.sequence += 1
        self._producer.poll(0)

    def poll(self) -> None:
        """Take up what the broker has answered; for those who publish nothing for a while."""
        self._producer.poll(0)

    def flush(self, timeout: float) -> None:
        """Wait until the broker has acknowledged everything.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            PublishError: Events since the last flush failed, or still wait after the timeout.
        """
        deadline = time.monotonic() + timeout
        # In short waits: the client's own does not let Python see a signal.
        while (waiting := self._producer.flush(FLUSH_WAIT_SECONDS)) and time.monotonic() < deadline:
            pass
        with self._count_lock:
            failures, self._failures = self._failures, Counter()
        if failures:
            told = "; ".join(
                f"{topic}: {count} ({reason})" for (topic, reason), count in failures.items()
            )
            raise PublishError(f"Events were not delivered to Kafka at {self._servers}: {told}.")
        if waiting:
            because = f" ({self._heard.last})" if self._heard.last else ""
            topics = ", ".join(sorted(c.topic.name for c in self._channels.values()))
            raise PublishError(
                f"Kafka at {self._servers} has not acknowledged {waiting} events of {topics} "
                f"within {timeout:g} s{because}."
            )

    def _open(self, schema: str) -> Channel:
        channel = open_channel(schema, self._registry, self.producer_id, KEY_FIELDS)
        topic = channel.topic
        if not topic.published:
            raise PublishError(f"{schema} events are written by the stream processors only.")
        if topic.name not in self._topics:
            # It may have been created since.
            self._topics = self._existing_topics()
        if topic.name not in self._topics:
            raise PublishError(
                f"Kafka at {self._servers} has no topic {topic.name}; run: inferwatch topics create"
            )
        self._channels[schema] = channel
        return channel

    def _enqueue(self, message: Message) -> None:
        topic, key, value, headers = message
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers)
            except BufferError:
                # Bounded: the client fails what the broker does not take in delivery_seconds.
                self._producer.poll(QUEUE_WAIT_SECONDS)
            except KafkaException as error:
                raise PublishError(
                    f"Kafka's client does not take an event for {topic}: {_reason(error)}."
                ) from error
            else:
                return

    def _existing_topics(self) -> frozenset[str]:
        try:
            # Asked for all: asked for one, a broker may create it with its own defaults.
            metadata = self._producer.list_topics(timeout=self._settings.connect_seconds)
        except KafkaException as error:
            self._producer.poll(0)
            raise PublishError(
                unreachable(self._kafka, self._heard.last or _reason(error))
            ) from error
        return frozenset(metadata.topics)

    def _on_delivery(self, error: Any, message: Any) -> None:
        with self._count_lock:
            if error is None:
                self.delivered += 1
            else:
                self.failed += 1
                self._failures[message.topic(), error.str()] += 1

    def _on_broker_error(self, error: KafkaError) -> None:
        before = self._heard.last
        self._heard(error)
        # The client repeats itself at every attempt to connect.
        if self._channels and self._heard.last != before:
            log.warning("kafka", reason=self._heard.last)


def _reason(error: KafkaException) -> str:
    """The broker's or client's own words in an exception."""
    first = error.args[0]
    text: str = first.str() if hasattr(first, "str") else str(first)
    return text.rstrip(".")
