"""Aggregate rows as the aggregation would write them, for services of which a test says all."""

import time
from typing import Any
from zlib import crc32

from confluent_kafka import Producer

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES
from inferwatch_schemas.wire import Encoder

WINDOW_MS = 10_000
SECONDS = 20.0
NOTHING = (
    "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd_micros",
    "priced_requests", "durations", "duration_micros", "first_tokens", "first_token_micros",
)  # fmt: skip


class CountedCalls:
    """Rows of one block that grows, by service and window."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._producer = Producer(kafka.confluent())
        self._encoder = Encoder("request_aggregate", PinnedRegistry())
        self._counts: dict[tuple[str, int], tuple[int, int]] = {}
        self._version = 0
        self._sent: dict[str, list[bytes]] = {}

    def tell(self, service: str, *, requests: int, errors: int) -> None:
        """More calls of a service have ended now; returns when the broker has the row."""
        window = int(time.time() * 1000) // WINDOW_MS * WINDOW_MS
        before = self._counts.get((service, window), (0, 0))
        counts = self._counts[service, window] = (before[0] + requests, before[1] + errors)
        self._version += requests
        value = self._encoder.encode(self._row(service, window, *counts))
        self._sent.setdefault(service, []).append(value)
        self._send(service, value)

    def repeat(self, service: str) -> None:
        """Send every row of a service again, as an aggregation does that reads a log again."""
        for value in self._sent[service]:
            self._send(service, value)

    def _send(self, service: str, value: bytes) -> None:
        key = f"requests.v1/{service}"
        self._producer.produce(AGGREGATES.name, value, key, partition=crc32(key.encode()) % 4)
        assert self._producer.flush(SECONDS) == 0

    def _row(self, service: str, window: int, requests: int, errors: int) -> dict[str, Any]:
        return {
            "signal": "requests.v1", "service": service, "environment": "production",
            "provider": "p", "model": "m", "endpoint": "/", "window_start": window,
            "window_seconds": WINDOW_MS // 1000, "topic_id": "log", "partition": 0, "block": 0,
            "first_offset": 0, "version": self._version, "requests": requests, "errors": errors,
            "error_types": ["timeout"] if errors else [],
            "error_type_counts": [errors] if errors else [],
            "duration_bin_indexes": [], "duration_bin_counts": [],
            "first_token_bin_indexes": [], "first_token_bin_counts": [],
            **dict.fromkeys(NOTHING, 0),
        }  # fmt: skip
