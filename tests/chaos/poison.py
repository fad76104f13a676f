"""Records that are no events, in chosen places of a batch, and the dead letters they make."""

from collections.abc import Sequence
from typing import Any

from confluent_kafka import Producer
from garbage import Bad
from load import Event, Record, encode
from storm import CODECS, Storm

from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import REQUESTS, Topic

KEY = b"key"
READER = "inferwatch-aggregation"
# A broker may be frozen for half a minute meanwhile.
FLUSH_SECONDS = 60


class Poison:
    """Publishes good and bad values as whole record batches; ``Storm.publish`` takes it as a log.

    Good ones become events of the seed, bad ones dead letters that its arena must hold.

    Args:
        storm: Its seed chooses partitions and compression.
        topic: Where to.
        reader: Who must report what is bad there.
    """

    def __init__(self, storm: Storm, topic: Topic = REQUESTS, reader: str = READER) -> None:
        self._chance = storm.chance
        self._arena = storm.arena
        self._topic = topic
        self._reader = reader
        self._log = storm.open_log()
        self._id = TopicAdmin(storm.arena.stack.kafka).ids([topic.name])[topic.name]

    def publish(self, values: Sequence[Event | Bad]) -> None:
        """Send all as one batch, unless they are more than a batch may hold; waits for it."""
        codec = self._chance.choice(CODECS)
        most = int(self._topic.config()["max.message.bytes"])
        settings = {"compression.type": codec, "linger.ms": 1000, "batch.size": most}
        producer = Producer(
            {**self._arena.stack.kafka.confluent(), **settings, "message.max.bytes": 8_000_000},
            logger=SILENT,
        )
        partition = self._chance.randrange(self._topic.partitions)
        for value in values:
            producer.produce(
                self._topic.name,
                encode(value) if isinstance(value, Event) else value.value,
                key=KEY,
                partition=partition,
                on_delivery=lambda error, message, value=value: self._keep(error, message, value),
            )
        assert producer.flush(FLUSH_SECONDS) == 0

    def _keep(self, error: Any, message: Any, value: Event | Bad) -> None:
        assert error is None, error
        place = (message.topic(), message.partition(), message.offset())
        if isinstance(value, Event):
            self._log.records.append(Record(value.schema, value.fields, *place))
            return
        self._arena.dead_letters.append(
            {
                "source_topic": place[0],
                "topic_id": self._id,
                "partition": place[1],
                "offset": place[2],
                "reader": self._reader,
                "reason": value.reason,
                "schema_id": value.schema_id,
                "key": KEY.hex().upper(),
                "value": None if value.value is None else value.value.hex().upper(),
            }
        )
