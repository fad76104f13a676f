"""The compacted topics from the command line: what they say now, and saying something else."""

import secrets
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from getpass import getuser
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaError, Message, Producer

from inferwatch_agents.compacted import Compacted
from inferwatch_agents.compacted_reader import CompactedReader, ReaderSettings
from inferwatch_agents.publisher import PublisherSettings
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.errors import KafkaRefusedError, KafkaUnavailableError
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT, Heard, kafka_errors
from inferwatch_schemas.registry import Registry
from inferwatch_schemas.topics import Topic
from inferwatch_schemas.wire import Encoder, cloudevents_headers

SOURCE: Final = "inferwatch/command"
ANSWER_SECONDS: Final = 10.0
# A person waits for the end of the topic.
FETCH_WAIT_MS: Final = 20

T = TypeVar("T")


def read(
    kafka: KafkaSettings,
    topic: Topic,
    parse: Callable[[str, bytes], T],
    tell: Callable[[str], None],
) -> Mapping[str, T]:
    """What a topic says now, by key.

    Args:
        kafka: Where it is.
        topic: The topic.
        parse: Makes a value of a record's key and value.
        tell: Is told, in a sentence, of each record that cannot be used.

    Raises:
        KafkaUnavailableError: No broker answered in time.
        KafkaRefusedError: The topic does not exist, or may not be read.
    """
    _check(kafka, topic)
    compacted = Compacted(topic, parse, lambda _: None)
    last: list[str] = []

    def note(where: str, error: BaseException, which: str = "") -> None:
        last.append(str(error))
        tell(f"{where}: {which} {error}")

    reader = CompactedReader(kafka, [compacted], note, ReaderSettings(fetch_wait_ms=FETCH_WAIT_MS))
    try:
        if not reader.wait(ANSWER_SECONDS):
            raise KafkaUnavailableError(
                f"Kafka at {kafka.bootstrap_servers} does not send {topic.name} to its end"
                f"{f': {last[-1]}' if last else ''}."
            )
        return compacted.values
    finally:
        reader.close()


def keys(kafka: KafkaSettings, topic: Topic, tell: Callable[[str], None]) -> Collection[str]:
    """Keys that say something, be it what nobody can use: that can be removed, too.

    Raises:
        KafkaUnavailableError: As ``read``.
        KafkaRefusedError: Likewise.
    """
    return read(kafka, topic, lambda _, value: value, tell).keys()


def publish(
    kafka: KafkaSettings,
    topic: Topic,
    registry: Registry,
    records: Mapping[str, Mapping[str, Any] | None],
) -> None:
    """Say something of each key, or remove it; returns when the broker has it.

    Args:
        kafka: Where the topic is.
        topic: The topic, of one schema.
        registry: Where its id comes from.
        records: The record of each key; None removes it.

    Raises:
        KafkaUnavailableError: No broker answered in time.
        KafkaRefusedError: The topic does not exist, or the broker does not take a record.
        SchemasError: A record does not fit its schema, or the registry has it not.
    """
    _check(kafka, topic)
    (schema,) = topic.schemas
    encoder = Encoder(schema, registry)
    # All are encoded before the first is sent: all or none.
    values = {
        key: None if record is None else encoder.encode(record) for key, record in records.items()
    }
    heard, failed = Heard(), list[str]()

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error.str())

    settings = PublisherSettings(delivery_seconds=ANSWER_SECONDS).librdkafka()
    with kafka_errors(kafka, lambda: heard.last):
        producer = Producer({**kafka.confluent(), **settings, "error_cb": heard}, logger=SILENT)
        for key, value in values.items():
            headers = cloudevents_headers(
                schema, secrets.token_hex(8), SOURCE, datetime.now(UTC).isoformat()
            )
            producer.produce(topic.name, value, key, headers=[*headers], on_delivery=delivered)
        waiting = producer.flush(ANSWER_SECONDS + 1)
    if failed or waiting:
        why = failed[0] if failed else heard.last or "no answer"
        raise KafkaRefusedError(
            f"Kafka at {kafka.bootstrap_servers} did not take a record for {topic.name}: {why}."
        )


def actor() -> str | None:
    """Who runs the command; None where the system has no name for that."""
    try:
        return getuser()
    except (ImportError, KeyError, OSError):
        return None


def _check(kafka: KafkaSettings, topic: Topic) -> None:
    if topic.name not in TopicAdmin(kafka).ids([topic.name]):
        raise KafkaRefusedError(
            f"Kafka at {kafka.bootstrap_servers} has no topic {topic.name}; "
            "run: inferwatch topics create"
        )
