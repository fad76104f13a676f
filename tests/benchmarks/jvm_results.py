"""What the results of a JVM contender in Kafka come to."""

import struct
from collections import defaultdict

from confluent_kafka import Consumer, TopicPartition

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT
from tests.benchmarks.measuring import POLL_SECONDS
from tests.benchmarks.request_load import MICROS, PARTITIONS, WINDOW_MICROS, Group, Totals
from tests.benchmarks.totals import NUMBERS

# The longs of Measures.java, in its order.
LONGS_NAMES = (
    "requests",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_usd_micros",
    "priced_requests",
    "durations",
    "duration_micros",
    "first_tokens",
    "first_token_micros",
)
LONGS = struct.Struct(f">{len(LONGS_NAMES)}q")
HISTOGRAM = struct.Struct(">3i")
INT = struct.Struct(">i")


class WindowResults:
    """The latest result of each window and group.

    Args:
        kafka: Where the results are.
        topic: Which holds them.
        closing: Groups that only make event time go on; they are left out.
    """

    def __init__(self, kafka: KafkaSettings, topic: str, closing: set[Group]) -> None:
        self.requests = 0
        self._closing = closing
        self._latest: dict[Group, tuple[int, bytes]] = {}
        self._consumer = Consumer({**kafka.confluent(), "group.id": "bench"}, logger=SILENT)
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])

    def reach(self, requests: int) -> bool:
        """Take in what has come, and say whether the results count so many requests."""
        for message in self._consumer.consume(1000, timeout=POLL_SECONDS):
            key, value = message.key(), message.value()
            if not isinstance(key, bytes) or not isinstance(value, bytes):
                raise SystemExit(f"The results cannot be read: {message.error()}.")
            start, service, model = key.decode().split("\n")
            group = int(start) * MICROS // WINDOW_MICROS, service, model
            if group in self._closing:
                continue
            counted = LONGS.unpack_from(value)[0]
            self.requests += counted - self._latest.get(group, (0, b""))[0]
            self._latest[group] = counted, value
        return self.requests >= requests

    def totals(self) -> dict[Group, Totals]:
        """What the results say."""
        return {group: decoded(value) for group, (_, value) in self._latest.items()}

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()


def decoded(value: bytes) -> Totals:
    """A result, whose layout is ``Measures.java``'s."""
    numbers = dict(zip(LONGS_NAMES, LONGS.unpack_from(value), strict=True))
    duration_bins, end = _histogram(value, LONGS.size)
    first_token_bins, end = _histogram(value, end)
    return Totals(
        **{name: numbers[name] for name in NUMBERS},
        errors=_errors(value, end),
        duration_bins=duration_bins,
        first_token_bins=first_token_bins,
    )


def _histogram(value: bytes, at: int) -> tuple[dict[int, int], int]:
    _zeros, first, bins = HISTOGRAM.unpack_from(value, at)
    at += HISTOGRAM.size
    counts = struct.unpack_from(f">{bins}i", value, at)
    found = {first + index: count for index, count in enumerate(counts) if count}
    return defaultdict(int, found), at + bins * INT.size


def _errors(value: bytes, at: int) -> dict[str, int]:
    errors: dict[str, int] = defaultdict(int)
    (left,) = INT.unpack_from(value, at)
    at += INT.size
    for _ in range(left):
        (length,) = INT.unpack_from(value, at)
        at += INT.size
        name = value[at : at + length].decode()
        at += length
        (errors[name],) = INT.unpack_from(value, at)
        at += INT.size
    return errors
