"""Dead letters: reading their topic, choosing among them, publishing them where they came from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from inferwatch.topic_reading import messages
from inferwatch_schemas import wire
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.columnar.dead_letters import CUT
from inferwatch_schemas.errors import (
    KafkaRefusedError,
    KafkaUnavailableError,
    SchemasError,
    UnknownSchemaError,
)
from inferwatch_schemas.instants import moment
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT, Heard
from inferwatch_schemas.registry import Registry
from inferwatch_schemas.topics import DEAD_LETTERS, TOPICS

ORIGIN_HEADER: Final = "inferwatch_replayed_from"
# What stands in these letters is not the value of a record.
NO_RECORD: Final = ("corrupt_batch", "tombstone")
COMPACTED: Final = frozenset(topic.name for topic in TOPICS if topic.cleanup == "compact")
GROUP: Final = "inferwatch-dead-letters"
_POLL_SECONDS: Final = 0.2
_FLUSH_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record that could not be read as an event.

    Attributes:
        topic: Topic it stands in.
        topic_id: Kafka's id of that topic.
        partition: Its partition.
        offset: Its offset.
        reason: Why it could not be read, as one word.
        detail: The reason in a sentence.
        key: The record's key.
        value: The record's value; None for a tombstone.
        headers: The record's headers.
        found_at: When it was found.
        reader: Who could not read it; of a notification, which channel was not told.
    """

    topic: str
    topic_id: str
    partition: int
    offset: int
    reason: str
    detail: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    found_at: datetime
    reader: str = ""

    @property
    def place(self) -> str:
        """Where the record stands, as ``topic/partition/offset``."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def identity(self) -> tuple[str, int, int, str]:
        """A letter may be written several times; it is the same where this is the same."""
        return (self.topic_id, self.partition, self.offset, self.reader)

    @property
    def holds_record(self) -> bool:
        """Whether the whole record is here, so that it can be published again."""
        whole = self.reason not in NO_RECORD and not self.detail.endswith(CUT)
        return whole and self.value is not None

    @property
    def is_order(self) -> bool:
        """Whether it told services what to do, which a newer record may have changed since."""
        return self.topic in COMPACTED


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters are meant; what is None does not matter.

    Attributes:
        topic: Topic the record stands in.
        reason: Why it could not be read.
        partition: Its partition.
        offsets: Its offset is one of these; empty for any.
    """

    topic: str | None = None
    reason: str | None = None
    partition: int | None = None
    offsets: frozenset[int] = field(default_factory=frozenset)

    def takes(self, letter: DeadLetter) -> bool:
        """Whether a letter is one of those meant."""
        return (
            self.topic in (None, letter.topic)
            and self.reason in (None, letter.reason)
            and self.partition in (None, letter.partition)
            and (not self.offsets or letter.offset in self.offsets)
        )


def letter_of(value: bytes, registry: Registry) -> DeadLetter:
    """The dead letter in the value of a record.

    Raises:
        UnknownSchemaError: The registry does not know its schema.
        ValueError: The bytes are no dead letter.
    """
    record = wire.decode(value, registry)
    try:
        return DeadLetter(
            topic=record["source_topic"],
            topic_id=record["topic_id"],
            partition=record["partition"],
            offset=record["offset"],
            reason=record["reason"],
            detail=record["detail"],
            key=record["key"],
            value=record["value"],
            headers=tuple((header["key"], header["value"]) for header in record["headers"]),
            found_at=_time(record["found_at"]),
            reader=record["reader"],
        )
    except KeyError as error:
        raise ValueError(f"The record has no {error}: it is no dead letter.") from error


def _time(found: Any) -> datetime:
    return found if isinstance(found, datetime) else moment(found)


def read(
    kafka: KafkaSettings,
    registry: Registry,
    choice: Choice,
    *,
    foreign: Callable[[str], None],
    topic: str = DEAD_LETTERS.name,
) -> Iterator[DeadLetter]:
    """The letters meant, oldest first, each once, up to what the topic holds now.

    Args:
        kafka: Where they are.
        registry: Knows their schema.
        choice: Which are meant.
        foreign: Is told, in a sentence, of each record that is no dead letter.
        topic: Where they are.

    Raises:
        KafkaUnavailableError: No broker answered in time.
        KafkaRefusedError: The topic does not exist, or may not be read.
        RegistryUnavailableError: The registry did not answer.
    """
    seen = set()
    for message in messages(kafka, topic, GROUP):
        value = message.value()
        try:
            letter = letter_of(value if isinstance(value, bytes) else b"", registry)
        except (UnknownSchemaError, ValueError) as error:
            foreign(f"{topic}/{message.partition()}/{message.offset()} is no dead letter: {error}")
            continue
        if choice.takes(letter) and letter.identity not in seen:
            seen.add(letter.identity)
            yield letter


def replay(kafka: KafkaSettings, letters: Iterator[DeadLetter]) -> int:
    """Publish the records of letters again, as they were, to the partitions they came from.

    Each gets one header more, ``inferwatch_replayed_from: topic/partition/offset``. Nothing is
    remembered: a letter that is replayed twice is published twice.

    Args:
        kafka: Where they came from.
        letters: Those that hold a record; see ``DeadLetter.holds_record``.

    Returns:
        How many were published, all acknowledged by all replicas.

    Raises:
        KafkaUnavailableError: No broker answered in time; the message says how many were published.
        KafkaRefusedError: A record was refused, or its topic is gone; likewise.
    """
    heard = Heard()
    config: dict[str, Any] = {
        **kafka.confluent(),
        "acks": "all",
        "message.max.bytes": int(DEAD_LETTERS.config()["max.message.bytes"]),
        "message.timeout.ms": int(_FLUSH_SECONDS * 1000),
        "error_cb": heard,
    }
    admin = TopicAdmin(kafka)
    producer = Producer(config, logger=SILENT)
    published = 0
    failed: list[str] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        nonlocal published
        if error is None:
            published += 1
        else:
            failed.append(error.str())

    known: dict[str, str] = {}
    for letter in letters:
        if letter.topic not in known:
            known.update(admin.ids([letter.topic]))
            if letter.topic not in known:
                failed.append(f"there is no topic {letter.topic} any more")
        if failed:
            break
        try:
            _produce(producer, letter, delivered)
        except KafkaException as error:
            failed.append(f"{letter.place}: {error.args[0].str()}")
    producer.flush(_FLUSH_SECONDS)
    if failed or len(producer):
        reason = failed[0] if failed else heard.last or "no answer"
        kind: type[SchemasError] = KafkaRefusedError if failed else KafkaUnavailableError
        raise kind(
            f"Kafka at {kafka.bootstrap_servers} took {published} records and then no more: "
            f"{reason}."
        )
    return published


def _produce(
    producer: Producer, letter: DeadLetter, delivered: Callable[[KafkaError | None, Message], None]
) -> None:
    while True:
        try:
            producer.produce(
                letter.topic,
                value=letter.value,
                key=letter.key,
                partition=letter.partition,
                headers=[*letter.headers, (ORIGIN_HEADER, letter.place.encode())],
                on_delivery=delivered,
            )
        except BufferError:
            # The queue is full: wait for the broker to take some.
            producer.poll(_POLL_SECONDS)
        else:
            producer.poll(0)
            return
