"""The broker of a run, with nothing in it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch.embedded.errors import EmbeddedError
from inferwatch.embedded.kafka import KAFKA_VERSION, ApacheKafka
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT

POLL_SECONDS = 0.02
COORDINATOR_SECONDS = 30.0


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
