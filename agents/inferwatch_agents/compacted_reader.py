"""Follows compacted topics in a thread of its own, which a service never waits for and never sees.

While Kafka is away, or a topic is missing, what was known holds, and both are looked for again. A
topic that was created again, or got more partitions, is read anew.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

# The class itself, as in sender: OpenTelemetry's instrumentation would make a span of each poll.
from confluent_kafka.cimpl import Consumer

from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.errors import RegistryUnavailableError
from inferwatch_schemas.kafka_errors import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inferwatch_agents.compacted import Compacted
    from inferwatch_schemas.kafka import KafkaSettings

# Kafka's client wants a group for its consumer; this one is never joined and never commits.
GROUP: Final = "inferwatch-sdk"
POLL_SECONDS: Final = 0.2
AT_ONCE: Final = 500
# How long one look for the topics may take; the end of the process may have to wait for it.
ASK_SECONDS: Final = 1.0
CLOSING_SECONDS: Final = 0.5
# A partition's records that wait here; librdkafka would keep 64 MiB.
QUEUED_KBYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """How often the broker is asked.

    Attributes:
        look_seconds: For the topics, while all is well.
        again_seconds: For the topics, after a failure.
        fetch_wait_ms: For records: how long it waits for one before it answers without. What comes
            meanwhile is sent at once; the end of a topic is told no sooner.
    """

    look_seconds: float = 30.0
    again_seconds: float = 3.0
    fetch_wait_ms: int = 500


class Note(Protocol):
    """Is told of each failure, as ``Faults.note``."""

    def __call__(self, where: str, error: BaseException, which: str = "") -> None:
        """Count it, and tell it once."""
        ...


class CompactedReader:
    """Keeps some topics' newest values; a forked child reads for itself, from the beginning."""

    def __init__(  # noqa: PLR0913  # the last three are seams with defaults
        self,
        kafka: KafkaSettings,
        topics: Sequence[Compacted[Any]],
        note: Note,
        settings: ReaderSettings | None = None,
        *,
        make_consumer: Callable[..., Any] = Consumer,
        make_admin: Callable[..., Any] = TopicAdmin,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; ``start`` starts the thread.

        Args:
            kafka: Where the broker is.
            topics: What to follow.
            note: Is told of what fails.
            settings: Defaults when None.
            make_consumer: Called as ``confluent_kafka.Consumer``.
            make_admin: Called as ``TopicAdmin``.
            monotonic: Clock in seconds.
        """
        self._kafka = kafka
        self._topics = {each.topic.name: each for each in topics}
        self._note = note
        self._settings = settings or ReaderSettings()
        self._make_consumer = make_consumer
        self._make_admin = make_admin
        self._monotonic = monotonic
        self._closed = False
        self._reset()
        _readers.add(self)

    def _reset(self) -> None:
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._ready = threading.Event()
        self._consumer: Any = None
        self._admin: Any = None
        self._found: dict[str, tuple[str, int]] | None = None
        self._look_at = 0.0

    @property
    def running(self) -> bool:
        """Whether the thread was started in this process."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread, where it does not run and was not closed."""
        if self._starting.acquire(blocking=False):
            try:
                if self._thread is None and not self._closed:
                    thread = threading.Thread(
                        target=self._run, name="inferwatch-definitions", daemon=True
                    )
                    thread.start()
                    self._thread = thread
            except RuntimeError as error:
                # The system has no thread left, or the interpreter ends.
                self._note("reading definitions", error)
            finally:
                self._starting.release()

    def wait(self, seconds: float) -> bool:
        """Start, and wait until all that the topics say is known; False where time ran out."""
        self.start()
        return self._ready.wait(seconds)

    def stop(self) -> None:
        """Tell the thread to end; what was known stays."""
        self._closed = True

    def close(self) -> None:
        """End the thread."""
        self.stop()
        if self._thread is not None:
            # It keeps to this, but for a broker that does not answer.
            self._thread.join(POLL_SECONDS + ASK_SECONDS + CLOSING_SECONDS)

    def _run(self) -> None:
        while not self._closed:
            try:
                self.step()
            except Exception as error:  # noqa: BLE001  # the thread outlives any defect, which is told
                self._failed(error)
        self._disconnect()

    def step(self) -> None:
        """Look for the topics where it is time, and take what has come."""
        if self._monotonic() >= self._look_at:
            self._look()
        if self._consumer is None:
            time.sleep(POLL_SECONDS)
            return
        messages = self._consumer.consume(AT_ONCE, POLL_SECONDS)
        for message in messages:
            self._take(message)
        if messages:
            for topic in self._topics.values():
                topic.publish()
        if all(topic.loaded for topic in self._topics.values()):
            self._ready.set()

    def _failed(self, error: Exception) -> None:
        self._note("reading definitions", error)
        self._disconnect()
        self._look_at = self._monotonic() + self._settings.again_seconds

    def _look(self) -> None:
        self._look_at = self._monotonic() + self._settings.again_seconds
        if self._admin is None:
            self._admin = self._make_admin(self._kafka, ASK_SECONDS)
        try:
            found = self._admin.logs(self._topics)
        except Exception as error:  # noqa: BLE001  # whatever it is: what is connected may still work
            self._note("looking for definitions", error)
            return
        if found != self._found:
            self._disconnect()
            self._connect(found)
        self._look_at = self._monotonic() + self._settings.look_seconds

    def _connect(self, found: dict[str, tuple[str, int]]) -> None:
        for name, topic in self._topics.items():
            if name in found:
                topic.begin(range(found[name][1]))
            else:
                topic.lost()
        if found:
            self._consumer = self._make_consumer(self._config(), logger=SILENT)
            self._consumer.assign(
                [
                    TopicPartition(name, partition, OFFSET_BEGINNING)
                    for name, (_, partitions) in found.items()
                    for partition in range(partitions)
                ]
            )
        else:
            self._ready.set()
        self._found = found

    def _config(self) -> dict[str, Any]:
        return {
            **self._kafka.confluent(),
            "group.id": GROUP,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": self._settings.fetch_wait_ms,
            # What was read is gone: better to know, and to read anew.
            "auto.offset.reset": "error",
            "queued.max.messages.kbytes": QUEUED_KBYTES,
        }

    def _disconnect(self) -> None:
        consumer, self._consumer, self._found = self._consumer, None, None
        if consumer is not None:
            with contextlib.suppress(KafkaException, RuntimeError):  # it goes in any case
                consumer.close()

    def _take(self, message: Any) -> None:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  # named so, yet public
            raise KafkaException(error)
        topic = self._topics[message.topic()]
        if error is not None:
            topic.ended(message.partition())
            return
        try:
            _, at = message.timestamp()
            topic.take(message.partition(), message.key(), message.value(), at)
        except RegistryUnavailableError:
            # The record may be sound; all is read anew a moment later.
            raise
        except Exception as unusable:  # noqa: BLE001  # whatever its bytes are, the next may be sound
            self._note(f"reading {message.topic()}", unusable, str(message.key()))

    def after_fork_in_child(self) -> None:
        """Start anew: the clients' threads are the parent's; what was known is known here too."""
        for client in (self._consumer, self._admin):
            if client is not None:
                # Freeing it would wait for those threads for ever.
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))
        self._reset()


_readers: weakref.WeakSet[CompactedReader] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for reader in list(_readers):
        reader.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
