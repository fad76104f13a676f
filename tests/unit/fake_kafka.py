"""A Kafka client that does what a test says, for whatever sends through confluent-kafka."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from inferwatch_schemas.topics import TOPICS

AWAY = KafkaException(KafkaError(KafkaError._TRANSPORT, "nobody listens"))  # noqa: SLF001  # public, though named so


@dataclass
class FakeKafka:
    """Stands for ``confluent_kafka.Producer`` and for the broker behind it.

    Attributes:
        away: No broker answers.
        full: So many records are refused because the client's queue is full; -1 for all.
        topics: What the broker has.
        verdict: What the broker says to a record.
        refuse: What the client says to it.
        produced: Topic, value and key of what was taken.
        asked: How often the broker was asked for its topics.
    """

    away: bool = False
    full: int = 0
    topics: tuple[str, ...] = tuple(topic.name for topic in TOPICS)
    verdict: Callable[[], KafkaError | None] = lambda: None
    refuse: Callable[[], KafkaException | None] = lambda: None
    produced: list[tuple[str, bytes, str]] = field(default_factory=list)
    unacknowledged: list[Callable[[Any, Any], None]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    asked: int = 0
    made: int = 0

    def make(self, config: dict[str, Any], logger: object) -> "FakeKafka":
        """Be made as ``Producer`` is."""
        assert logger
        self.config = config
        self.made += 1
        return self

    def produce(
        self, topic: str, value: bytes, key: str, headers: object, on_delivery: Callable[..., None]
    ) -> None:
        """Take a record, unless there is no room or the client refuses."""
        assert headers
        if self.full:
            self.full -= 1
            raise BufferError
        if (error := self.refuse()) is not None:
            raise error
        self.produced.append((topic, value, key))
        self.unacknowledged.append(on_delivery)

    def poll(self, _timeout: float) -> None:
        """Report deliveries, if the broker is there."""
        if not self.away:
            waiting, self.unacknowledged = self.unacknowledged, []
            for report in waiting:
                report(self.verdict(), None)

    def flush(self, timeout: float) -> int:
        """As ``poll``."""
        self.poll(timeout)
        return len(self)

    def purge(self) -> None:
        """Give up what waits."""
        waiting, self.unacknowledged = self.unacknowledged, []
        for report in waiting:
            report(KafkaError(KafkaError._PURGE_QUEUE), None)  # noqa: SLF001  # as above

    def list_topics(self, timeout: float) -> "FakeKafka":
        """Answer as the metadata would."""
        assert timeout > 0
        self.asked += 1
        if self.away:
            raise AWAY
        return self

    def __len__(self) -> int:
        return len(self.unacknowledged)
