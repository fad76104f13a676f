"""Reading a topic from its beginning to its end, for commands that look at what there is."""

from collections.abc import Iterator
from contextlib import closing
from time import monotonic
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from inferwatch_schemas.admin import TIMEOUT_SECONDS
from inferwatch_schemas.errors import KafkaRefusedError, KafkaUnavailableError
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT, Heard, kafka_errors

_POLL_SECONDS: Final = 0.2
_POLL_RECORDS: Final = 500
_LAST_LOOK_SECONDS: Final = 2.0


def messages(kafka: KafkaSettings, topic: str, group: str) -> Iterator[Message]:
    """The records of a topic in the order of each partition, up to what it holds now.

    Args:
        kafka: Where it is.
        topic: Its name.
        group: Name of a consumer group, as Kafka's client wants one; it never commits, and is
            never joined.

    Raises:
        KafkaUnavailableError: No broker answered in time.
        KafkaRefusedError: The topic does not exist, or may not be read.
    """
    heard = Heard()
    config: dict[str, Any] = {
        **kafka.confluent(),
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "error_cb": heard,
    }
    with (
        kafka_errors(kafka, lambda: heard.last),
        closing(Consumer(config, logger=SILENT)) as consumer,
    ):
        metadata = consumer.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic]
        if metadata.error is not None:
            raise KafkaRefusedError(
                f"Kafka at {kafka.bootstrap_servers} has no topic {topic} that can be read "
                f"({metadata.error.str()}); run: inferwatch topics create"
            )
        position: dict[int, int] = {}
        end: dict[int, int] = {}
        for partition in metadata.partitions:
            position[partition], end[partition] = consumer.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=TIMEOUT_SECONDS
            )
        consumer.assign([TopicPartition(topic, part, start) for part, start in position.items()])
        deadline = monotonic() + TIMEOUT_SECONDS
        last_look: float | None = None
        while True:
            batch = consumer.consume(_POLL_RECORDS, timeout=_POLL_SECONDS)
            for message in batch:
                if (error := message.error()) is not None:
                    raise KafkaException(error)
                position[message.partition() or 0] = (message.offset() or 0) + 1
                yield message
            if all(position[part] >= end[part] for part in end):
                # The embedded broker's end may be that of all but its last batch, so one more
                # look; not for ever, as others may be writing.
                last_look = last_look or monotonic() + _LAST_LOOK_SECONDS
                if not batch or monotonic() >= last_look:
                    return
            elif batch:
                deadline = monotonic() + TIMEOUT_SECONDS
            elif monotonic() >= deadline:
                raise KafkaUnavailableError(
                    f"Kafka at {kafka.bootstrap_servers} sends no more of {topic}, which goes on."
                )
