"""What the source topics hold, read back by a plain consumer: an oracle for producers in trouble.

A producer that is not idempotent may store an event twice and be told of one of the two. Both are
in the log, so both count.
"""

import io
from datetime import datetime
from typing import Any

import fastavro
from confluent_kafka import Consumer, TopicPartition
from load import SCHEMA_IDS, SCHEMAS, Record

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import PUBLISHED

READ_SECONDS = 20.0
NAMES = {number: name for name, number in SCHEMA_IDS.items()}


class ReadBack:
    """The part of the source topics that is written from now on.

    Apache Kafka only: the embedded broker tells the ends of its logs wrongly.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._starts = self._ends()

    def records(self) -> list[Record]:
        """All events written since."""
        ends = self._ends()
        due = {at: end for at, end in ends.items() if end > self._starts[at]}
        consumer = self._consumer()
        consumer.assign([TopicPartition(*at, self._starts[at]) for at in due])
        found: list[Record] = []
        while due:
            messages = consumer.consume(10_000, timeout=READ_SECONDS)
            assert messages, f"not read to the end: {due}"
            for message in messages:
                assert message.error() is None, message.error()
                topic, partition, offset = message.topic(), message.partition(), message.offset()
                assert topic is not None
                assert partition is not None
                assert offset is not None
                value = message.value()
                assert isinstance(value, bytes)
                name = NAMES[int.from_bytes(value[1:5], "big")]
                found.append(Record(name, _decode(name, value), topic, partition, offset))
                if offset + 1 >= due.get((topic, partition), 0):
                    due.pop((topic, partition), None)
        consumer.close()
        return found

    def _ends(self) -> dict[tuple[str, int], int]:
        consumer = self._consumer()
        ends = {}
        for topic in PUBLISHED:
            for partition in range(topic.partitions):
                at = (topic.name, partition)
                _, ends[at] = consumer.get_watermark_offsets(TopicPartition(*at), timeout=20)
        consumer.close()
        return ends

    def _consumer(self) -> Consumer:
        settings = {"group.id": "oracle", "enable.auto.commit": False}
        return Consumer({**self._kafka.confluent(), **settings}, logger=SILENT)


def _decode(name: str, value: bytes) -> dict[str, Any]:
    fields: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), SCHEMAS[name], None)
    return {field: _written(found) for field, found in fields.items()}


def _written(value: Any) -> Any:
    """A field as it was written: of times, microseconds since 1970, with nothing lost to floats."""
    if isinstance(value, list):
        return [{name: _written(found) for name, found in item.items()} for item in value]
    if not isinstance(value, datetime):
        return value
    since = value - datetime.fromtimestamp(0, value.tzinfo)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
