"""What became of events, and what failed inside the SDK: counted, told once, never raised."""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol

import structlog

log = structlog.get_logger()

QUEUE_FULL: Final = "queue_full"
TOPIC_MISSING: Final = "topic_missing"
SCHEMA_UNKNOWN: Final = "schema_unknown"
NOT_ENCODED: Final = "not_encoded"
NOT_DELIVERED: Final = "not_delivered"
UNSENT_AT_EXIT: Final = "unsent_at_exit"
# So many kinds of fault are told; a service with more has one cause that makes them.
MAX_TOLD: Final = 100


class Counts(Protocol):
    """What ``prometheus_client.Counter`` offers."""

    def labels(self, *values: str) -> Counts:
        """The counter of these label values."""
        ...

    def inc(self, amount: float) -> None:
        """Add to it."""
        ...


class Outcomes:
    """Events by what became of them; written by the sending thread, read by any.

    Attributes:
        sent: Acknowledged by Kafka, by schema.
        dropped: By schema and reason: never given to Kafka's client.
        failed: By schema and reason: refused by the encoder, Kafka's client or the broker.
    """

    def __init__(
        self,
        sent: Counts | None = None,
        dropped: Counts | None = None,
        failed: Counts | None = None,
    ) -> None:
        """Start at nothing.

        Args:
            sent: Counts along by schema.
            dropped: Counts along by schema and reason.
            failed: Likewise.
        """
        self.sent: Counter[str] = Counter()
        self.dropped: Counter[tuple[str, str]] = Counter()
        self.failed: Counter[tuple[str, str]] = Counter()
        self._meters = (sent, dropped, failed)

    def send(self, schema: str) -> None:
        """One was acknowledged."""
        self.sent[schema] += 1
        if self._meters[0] is not None:
            self._meters[0].labels(schema).inc(1)

    def drop(self, schema: str, reason: str, count: int = 1) -> None:
        """So many were dropped."""
        self._lose(self.dropped, self._meters[1], schema, reason, count)

    def fail(self, schema: str, reason: str, count: int = 1) -> None:
        """So many failed."""
        self._lose(self.failed, self._meters[2], schema, reason, count)

    @staticmethod
    def _lose(
        kept: Counter[tuple[str, str]], meter: Counts | None, schema: str, reason: str, count: int
    ) -> None:
        kept[schema, reason] += count
        if meter is not None:
            meter.labels(schema, reason).inc(count)


class Faults:
    """Failures inside the SDK, from any thread; told by the sending thread, each kind once.

    Attributes:
        counts: How often, by where it happened.
    """

    def __init__(self, meter: Counts | None = None) -> None:
        """Start at nothing.

        Args:
            meter: Counts along by where.
        """
        self.counts: Counter[str] = Counter()
        self._meter = meter
        self._told: set[str] = set()
        self._news: list[tuple[str, str, str]] = []
        self._metered: Counter[str] = Counter()

    def note(self, where: str, error: BaseException, which: str = "") -> None:
        """Count a failure; the caller goes on as if nothing had happened.

        Args:
            where: Where it happened; a label of a metric, so there are few.
            error: What happened.
            which: Of what, where failures of several things are to be told.
        """
        self.counts[where] += 1
        kind = f"{where} {which} {type(error).__name__}"
        if kind not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(kind)
            self._news.append((where, type(error).__name__, str(error)))

    def tell(self) -> None:
        """Log what is new, and count along; never in the thread of a caller."""
        news, self._news = self._news, []
        for where, kind, reason in news:
            log.warning(
                "inferwatch failed; the service is not affected",
                at=where,
                error=kind,
                reason=reason,
            )
        if self._meter is not None:
            for where, count in list(self.counts.items()):
                if more := count - self._metered[where]:
                    self._metered[where] = count
                    self._meter.labels(where).inc(more)
