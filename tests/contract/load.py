"""A load on its way to Kafka, and where in Kafka each event of it came to be.

Events are encoded with fastavro from the schema files alone, so that nothing of the pipeline
vouches for itself.
"""

import io
import json
import random
import struct
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import fastavro
from confluent_kafka import Producer

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import TOPICS, topic_of

MICROS = 1_000_000
# 45 s before a month ends: windows fall on both sides of what ClickHouse partitions by.
START_MICROS = 1_711_929_555 * MICROS

_AVRO = files("inferwatch_schemas") / "avro"
SCHEMA_IDS: dict[str, int] = {
    release["name"]: release["id"]
    for release in json.loads((_AVRO / "released" / "ids.json").read_text())
}
SCHEMAS = {
    name: fastavro.parse_schema(json.loads((_AVRO / f"{name}.avsc").read_text()))
    for topic in TOPICS
    for name in topic.schemas
}


@dataclass(frozen=True)
class Event:
    """An event to publish."""

    schema: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Record:
    """An event and its place in Kafka."""

    schema: str
    fields: dict[str, Any]
    topic: str
    partition: int
    offset: int


def encode(event: Event) -> bytes:
    """The record's value in Confluent's wire format."""
    body = io.BytesIO()
    body.write(struct.pack(">bI", 0, SCHEMA_IDS[event.schema]))
    fastavro.schemaless_writer(body, SCHEMAS[event.schema], event.fields)
    return body.getvalue()


class Log:
    """Publishes events to chosen partitions, and keeps what the broker acknowledged.

    Attributes:
        records: Acknowledged events.
        ahead_seconds: How far the producer's clock is ahead.

    Args:
        kafka: Where to.
        settings: The producer's, in place of zstd and a linger of 20 ms.
        flush_seconds: How long the broker may take to acknowledge what was sent.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        settings: Mapping[str, Any] | None = None,
        flush_seconds: float = 30,
    ) -> None:
        self.records: list[Record] = []
        self.ahead_seconds = 0.0
        self._random = random.Random(7)  # noqa: S311 -- a load, no secret
        self._partitions = {topic.name: topic.partitions for topic in TOPICS}
        self._flush_seconds = flush_seconds
        usual = {"compression.type": "zstd", "linger.ms": 20}
        self._producer = Producer({**kafka.confluent(), **usual, **(settings or {})}, logger=SILENT)

    def publish(self, events: Iterable[Event]) -> None:
        """Send events and wait until all are acknowledged."""
        for event in events:
            topic = topic_of(event.schema).name

            def acknowledged(error: Any, message: Any, event: Event = event) -> None:
                assert error is None, error
                place = (message.topic(), message.partition(), message.offset())
                self.records.append(Record(event.schema, event.fields, *place))

            self._producer.produce(
                topic,
                encode(event),
                key=b"any",
                partition=self._random.randrange(self._partitions[topic]),
                timestamp=round((time.time() + self.ahead_seconds) * 1000),
                on_delivery=acknowledged,
            )
            self._producer.poll(0)
        assert self._producer.flush(self._flush_seconds) == 0

    def of(self, schema: str) -> list[Record]:
        """The acknowledged events of one schema."""
        return [record for record in self.records if record.schema == schema]


class Publishing:
    """Publishes a load in slices from a thread, until told to send the rest at once.

    Args:
        log: Publishes, and keeps what was acknowledged.
        events: The load.
        slices: Into how many parts it is cut; each is acknowledged before the next is sent.
        pause_seconds: Between two slices.
    """

    def __init__(self, log: Log, events: list[Event], slices: int, pause_seconds: float) -> None:
        self._log = log
        self._pause_seconds = pause_seconds
        size = len(events) // slices + 1
        self._slices = [events[at : at + size] for at in range(0, len(events), size)]
        self._hurry = threading.Event()
        self._cancelled = False
        self._failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for part in self._slices:
                if self._cancelled:
                    return
                self._log.publish(part)
                self._hurry.wait(self._pause_seconds)
        except BaseException as error:  # noqa: BLE001 -- raised again where the thread is joined
            self._failed.append(error)

    def finish(self, seconds: float = 150) -> None:
        """Publish the rest without pauses and wait for it."""
        self._hurry.set()
        self._thread.join(seconds)
        assert not self._thread.is_alive()
        if self._failed:
            raise self._failed[0]

    def cancel(self, seconds: float = 10) -> None:
        """Publish nothing more, whatever became of what was sent."""
        self._cancelled = True
        self._hurry.set()
        self._thread.join(seconds)
