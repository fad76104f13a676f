"""Goes through a state topic in log order: up to our claim, and then on while we lead."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from inferwatch_streams.leading import metrics
from inferwatch_streams.leading.fence import CLAIM_KEY, NO_EPOCH, Fence
from inferwatch_streams.leading.partition_log import POLL_SECONDS, PartitionLog

if TYPE_CHECKING:
    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_streams.leading.partition_log import LogEntry

#: Kafka header of a claim: which one it is.
CLAIM_HEADER: Final = "inferwatch_claim"
FOLLOW_SECONDS: Final = 0.2


class Follower:
    """Goes through the topic in log order: first up to our claim, then on in a thread.

    Attributes:
        fence: Which records count.
        own: Offset of our claim, once it came.
        newest: Offset and value of the last record of each key that counts, up to our claim.
        why_not: Why we lead no more; None while we do.
    """

    def __init__(self, reader: PartitionLog, topic: str) -> None:
        self.fence = Fence()
        self.own = NO_EPOCH
        self.newest: dict[str, tuple[int, bytes]] = {}
        self.why_not: str | None = None
        self._reader = reader
        self._topic = topic
        self._outdone: set[str] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def take(self, entry: LogEntry, *, remember: bool) -> None:
        """Take the next record."""
        if self.fence.accepts(entry.key, entry.value is None, entry.epoch, entry.offset):
            if entry.key is None:
                return
            with self._lock:
                self._outdone.discard(entry.key)
            if not remember:
                return
            self.newest.pop(entry.key, None)
            if entry.value is not None:
                self.newest[entry.key] = (entry.offset, entry.value)
        elif entry.key != CLAIM_KEY:
            metrics.FENCED.labels(self._topic).inc()
            if entry.key is not None:
                with self._lock:
                    self._outdone.add(entry.key)

    def take_outdone(self) -> set[str]:
        """Keys whose last record does not count, each once."""
        with self._lock:
            outdone, self._outdone = self._outdone, set()
        return outdone

    def start(self) -> None:
        """Follow in a thread until stopped."""
        threading.Thread(target=self._run, name=f"{self._topic}-follower", daemon=True).start()

    def stop(self) -> None:
        """End soon; the thread closes its consumer."""
        self._stopped = True

    def _run(self) -> None:
        try:
            while not self._stopped:
                if self.fence.epoch > self.own:
                    self.why_not = (
                        f"{self._topic} was claimed by another worker (epoch {self.fence.epoch}, "
                        f"ours {self.own})."
                    )
                    return
                for entry in self._reader.read(FOLLOW_SECONDS)[0]:
                    self.take(entry, remember=False)
        except Exception as error:  # noqa: BLE001  # whatever it is: who does not see claims must not lead
            self.why_not = f"{self._topic} can be followed no more: {error!r}"
        finally:
            self._reader.close()


def read_to_claim(kafka: KafkaSettings, topic: str, claim: str, deadline: float) -> Follower:
    """Everything up to our claim; blocks.

    Raises:
        SchemasError: The broker does not answer, or refuses.
        TimeoutError: The claim did not come in time.
    """
    reader = PartitionLog(kafka, topic, max(0.1, deadline - time.monotonic()))
    try:
        low, _ = reader.bounds()
        reader.start(low)
        follower = Follower(reader, topic)
        while time.monotonic() < deadline:
            for entry in reader.read(POLL_SECONDS)[0]:
                leads = follower.own != NO_EPOCH
                follower.take(entry, remember=not leads)
                if entry.key == CLAIM_KEY and entry.headers.get(CLAIM_HEADER) == claim.encode():
                    # Written twice, on its way, it is a newer claim as any other.
                    follower.own = follower.own if leads else entry.offset
            if follower.own != NO_EPOCH:
                return follower
    except BaseException:
        reader.close()
        raise
    reader.close()
    raise TimeoutError("its end did not come in time")
