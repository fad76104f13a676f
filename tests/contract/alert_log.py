"""What the alerts' topic says to a reader of it, worked out without the code under test."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import ALERTS
from inferwatch_schemas.wire import decode

POLL_SECONDS = 0.1


class AlertLog:
    """A reader of the topic from its beginning.

    Attributes:
        accepted: Every alert that counts, in the order of the log: what was written after a claim
            by who had an older one does not.
        fenced: How many do not count.
        silences: Ids of silences that count.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self.accepted: list[dict[str, Any]] = []
        self.fenced = 0
        self.silences: set[str] = set()
        self._claimed = -1
        self._consumer = Consumer({**kafka.confluent(), "group.id": "alert-log"})
        self._consumer.assign([TopicPartition(ALERTS.name, 0, OFFSET_BEGINNING)])

    def read(self) -> "AlertLog":
        """Read on while anything comes."""
        while (message := self._consumer.poll(POLL_SECONDS)) is not None:
            assert message.error() is None, message.error()
            key, value = message.key(), message.value()
            if key == b"leader":
                self._claimed = message.offset()
                continue
            if value is None:
                continue
            record = decode(value, PinnedRegistry())
            if record["epoch"] != self._claimed:
                self.fenced += 1
            elif key.startswith(b"silence/"):
                self.silences.add(record["silence_id"])
            else:
                self.accepted.append(record)
        return self

    def transitions(self, **labels: str) -> list[str]:
        """Statuses of the alerts with these labels, one for each transition, in order.

        Records that repeat a transition (a value written again, a state repaired) count once, and
        must come before the next one of their alert.
        """
        seen: dict[str, list[str]] = defaultdict(list)
        statuses: list[str] = []
        for record in self._of(labels):
            known = seen[record["fingerprint"]]
            if record["transition_id"] in known:
                assert record["transition_id"] == known[-1], "a transition came back"
                continue
            known.append(record["transition_id"])
            statuses.append(record["status"])
        return statuses

    def _of(self, labels: dict[str, str]) -> Iterator[dict[str, Any]]:
        for record in self.accepted:
            own = {each["name"]: each["value"] for each in record["labels"]}
            if labels.items() <= own.items():
                yield record

    def records(self, **labels: str) -> list[dict[str, Any]]:
        """All accepted records of the alerts with these labels."""
        return list(self._of(labels))

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()
