"""What the aggregates in Kafka come to."""

import io
from typing import Any

import fastavro
from confluent_kafka import Consumer, TopicPartition

from inferwatch_schemas import releases
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import AGGREGATES
from tests.benchmarks.request_load import WINDOW_MICROS, Group, Totals
from tests.benchmarks.totals import NUMBERS

POLL_SECONDS = 0.02


class Rows:
    """The aggregate rows in Kafka, the highest version of each.

    Attributes:
        requests: That the rows read so far count.
        sent: Rows that came, those replaced by a later version among them.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self.requests = 0
        self.sent = 0
        self._unread: list[bytes] = []
        self._rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._schema = fastavro.parse_schema(releases.latest("request_aggregate").schema)
        self._consumer = Consumer({**kafka.confluent(), "group.id": "bench"}, logger=SILENT)
        self._consumer.assign(
            [TopicPartition(AGGREGATES.name, number, 0) for number in range(AGGREGATES.partitions)]
        )

    def collect(self) -> int:
        """Keep what has come, unread, and say how many rows that is."""
        messages = self._consumer.consume(10_000, timeout=POLL_SECONDS)
        for message in messages:
            value = message.value()
            if not isinstance(value, bytes):
                raise SystemExit(f"The aggregates cannot be read: {message.error()}.")
            self._unread.append(value)
        self.sent += len(messages)
        return len(messages)

    def reach(self, requests: int) -> bool:
        """Take in what has come, and say whether the rows count so many requests."""
        self.collect()
        unread, self._unread = self._unread, []
        for value in unread:
            body = io.BytesIO(value[5:])
            row: Any = fastavro.schemaless_reader(body, self._schema, None)
            key = (
                row["service"],
                row["model"],
                row["window_start"],
                row["partition"],
                row["block"],
            )
            before = self._rows.get(key)
            if before is None or row["version"] > before["version"]:
                self.requests += row["requests"] - (before["requests"] if before else 0)
                self._rows[key] = row
        return self.requests >= requests

    def totals(self) -> dict[Group, Totals]:
        """The rows summed over blocks and partitions."""
        totals: dict[Group, Totals] = {}
        for row in self._rows.values():
            window = int(row["window_start"].timestamp()) * 1_000_000 // WINDOW_MICROS
            group = totals.setdefault((window, row["service"], row["model"]), Totals())
            for name in NUMBERS:
                setattr(group, name, getattr(group, name) + row[name])
            for bins, into in (
                (("error_types", "error_type_counts"), group.errors),
                (("duration_bin_indexes", "duration_bin_counts"), group.duration_bins),
                (("first_token_bin_indexes", "first_token_bin_counts"), group.first_token_bins),
            ):
                for index, count in zip(row[bins[0]], row[bins[1]], strict=True):
                    into[index] += count
        return totals

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()
