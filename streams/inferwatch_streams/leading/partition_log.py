"""Reads partition 0 of a topic from an offset on, outside of any group; used within a thread."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from inferwatch_schemas.errors import KafkaUnavailableError
from inferwatch_schemas.kafka_errors import SILENT, Heard, kafka_errors
from inferwatch_streams.leading.fence import EPOCH_HEADER, Fence

if TYPE_CHECKING:
    from inferwatch_schemas.kafka import KafkaSettings

# Kafka's client wants a group for its consumer; this one is never joined and never commits.
GROUP: Final = "inferwatch-state"
AT_ONCE: Final = 1000
MANY_AT_ONCE: Final = 10_000
# How long the broker waits for a record before it answers without.
FETCH_WAIT_MS: Final = 100
# How long fetching rests when enough has been fetched that was not read yet. Of a whole second,
# librdkafka's own measure, most would pass with nothing left to read.
FETCH_REST_MS: Final = 5
#: How long one look for records waits. librdkafka waits so long for as many as it may return.
POLL_SECONDS: Final = 0.05
# Records of which one at least is the present leader's, or its claim: a worker that slept through
# its replacement writes few before it notices.
LOOK_BACK: Final = 1000


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One record as the log has it.

    Attributes:
        offset: Where.
        timestamp_ms: When the broker took it, in milliseconds since 1970.
        key: Its key; None where it has none, or none that is text.
        value: Its value; None where it has none.
        epoch: What its header says of its leader; None where it says nothing.
        headers: All headers, the last of a name.
    """

    offset: int
    timestamp_ms: int
    key: str | None
    value: bytes | None
    epoch: int | None
    headers: dict[str, bytes | None]


class PartitionLog:
    """A consumer at a place in the log.

    Attributes:
        position: Offset after the last record that was read.

    Everything it does raises ``KafkaUnavailableError`` and ``KafkaRefusedError``, as said there.
    """

    def __init__(self, kafka: KafkaSettings, topic: str, timeout: float) -> None:
        """Connect.

        Args:
            kafka: How to reach the broker.
            topic: The topic.
            timeout: How long to wait for one answer, in seconds.
        """
        self._kafka = kafka
        self._timeout = timeout
        self.position = 0
        self._heard = Heard()
        self._at = TopicPartition(topic, 0)
        with self._errors():
            self._consumer = Consumer(
                {
                    **kafka.confluent(),
                    "group.id": GROUP,
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "fetch.wait.max.ms": FETCH_WAIT_MS,
                    "fetch.queue.backoff.ms": FETCH_REST_MS,
                    # What was read is gone: better to know, and to read anew.
                    "auto.offset.reset": "error",
                    "error_cb": self._heard,
                },
                logger=SILENT,
            )

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return kafka_errors(self._kafka, lambda: self._heard.last)

    def bounds(self) -> tuple[int, int]:
        """First offset, and the one after the last, as far as the broker tells it."""
        with self._errors():
            low, high = self._consumer.get_watermark_offsets(self._at, timeout=self._timeout)
        return low, high

    def start(self, offset: int) -> None:
        """Read from an offset on."""
        with self._errors():
            self._consumer.assign([TopicPartition(self._at.topic, 0, offset)])
        self.position = offset

    def read(self, seconds: float) -> tuple[list[LogEntry], bool]:
        """What has come, waiting for so long at most, and whether the log's end was reached."""
        messages, ended = self._consumed(AT_ONCE, seconds)
        return [_entry(message) for message in messages], ended

    def read_pairs(self, seconds: float) -> tuple[list[tuple[bytes, bytes | None]], bool]:
        """Keys and values alone, as ``read``, at a fraction of its cost; no key counts as empty."""
        messages, ended = self._consumed(MANY_AT_ONCE, seconds)
        return [(message.key() or b"", message.value()) for message in messages], ended

    def _consumed(self, at_once: int, seconds: float) -> tuple[list[Any], bool]:
        messages: list[Any] = []
        ended = False
        with self._errors():
            for message in self._consumer.consume(at_once, seconds):
                error = message.error()
                if error is None:
                    messages.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # named so, yet public
                    ended = True
                else:
                    raise KafkaException(error)
        if messages:
            self.position = messages[-1].offset() + 1
        return messages, ended

    def close(self) -> None:
        """Let go of the connection."""
        # It goes in any case.
        with contextlib.suppress(KafkaException, RuntimeError):
            self._consumer.close()

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def end_of(kafka: KafkaSettings, topic: str, timeout: float) -> int:
    """The offset after the last of a topic's partition 0, as far as the broker tells it; blocks.

    Raises:
        KafkaUnavailableError: No broker answered in time.
        KafkaRefusedError: The broker refuses.
    """
    with PartitionLog(kafka, topic, timeout) as log:
        return log.bounds()[1]


def epoch_before(kafka: KafkaSettings, topic: str, offset: int, timeout: float) -> int:
    """Whose records count at an offset, for a reader that starts there; blocks.

    Args:
        kafka: How to reach the broker.
        topic: A state topic.
        offset: Where the reader starts.
        timeout: How long to wait for the records, in seconds.

    Raises:
        KafkaUnavailableError: No broker answered in time.
        KafkaRefusedError: The broker refuses.
    """
    fence = Fence()
    with PartitionLog(kafka, topic, timeout) as log:
        low, _ = log.bounds()
        if low >= offset:
            return fence.epoch
        log.start(max(low, offset - LOOK_BACK))
        ended, deadline = False, time.monotonic() + timeout
        while not ended:
            if time.monotonic() > deadline:
                raise KafkaUnavailableError(
                    f"Kafka at {kafka.bootstrap_servers} does not send {topic} in time."
                )
            entries, ended = log.read(POLL_SECONDS)
            for entry in entries:
                if entry.offset >= offset:
                    return fence.epoch
                fence.accepts(entry.key, entry.value is None, entry.epoch, entry.offset)
    return fence.epoch


def _entry(message: Any) -> LogEntry:
    headers = dict(message.headers() or ())
    key = message.key()
    return LogEntry(
        message.offset(),
        message.timestamp()[1],
        _text(key),
        message.value(),
        epoch_of(headers.get(EPOCH_HEADER)),
        headers,
    )


def _text(key: bytes | None) -> str | None:
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        return None


def epoch_of(header: bytes | None) -> int | None:
    """The epoch in a record's header; None where that says none."""
    try:
        return None if header is None else int(header)
    except ValueError:
        return None
