"""One process's SDK: its parts, put together, and what calls tell it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.calls import SCHEMA, Call
from inferwatch_agents.delivery import Delivery
from inferwatch_agents.experiments.exposures import Remembered
from inferwatch_agents.following import Following
from inferwatch_agents.metering import Metering
from inferwatch_agents.outcomes import Faults, Outcomes
from inferwatch_agents.sender import Sender
from inferwatch_schemas.instants import now_micros

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_agents.delivery import DeliverySettings
    from inferwatch_agents.event_queue import Event
    from inferwatch_agents.metering import Answered
    from inferwatch_agents.metrics import Metrics
    from inferwatch_agents.prices import PriceTable
    from inferwatch_agents.spool import Spool
    from inferwatch_agents.traces.tracing import Tracing
    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.registry import Registry

# What a record takes in memory besides its texts, roughly.
RECORD_BYTES: Final = 1000
# HTTP requests that may end between two looks of the thread; more are not counted.
MAX_ANSWERED: Final = 100_000
MAX_SCORED: Final = 1000


class Client:
    """One process's SDK.

    Attributes:
        service: OpenTelemetry service.name.
        environment: OpenTelemetry deployment.environment.name.
        delivery: The way to Kafka.
        following: The way from Kafka: experiments and controls.
        connections: Ids of the HTTP requests in progress.
        answered: HTTP requests that ended and are not counted yet.
        traces: Begins spans; None where traces are off.
        scored: Models with their measured accuracy that the gauge does not show yet.
        exposed: Who was told of as exposed.
    """

    def __init__(  # noqa: PLR0913  # the parts it is made of
        self,
        spool: Spool,
        *,
        kafka: KafkaSettings,
        registry: Registry,
        prices: PriceTable,
        settings: DeliverySettings,
        metrics: Metrics,
        traces: Tracing | None = None,
    ) -> None:
        """Put it together; ``delivery.start`` starts it.

        Raises:
            PublishError: Kafka's client refuses its settings.
        """
        self.service = spool.service
        self.environment = spool.environment
        self.connections: set[int] = set()
        self.answered: deque[Answered] = deque(maxlen=MAX_ANSWERED)
        self.traces = traces
        self.scored: deque[tuple[str, float]] = deque(maxlen=MAX_SCORED)
        self.exposed = Remembered()
        self._calls: set[int] = set()
        self._prices = prices
        self._metering = Metering(metrics, self.fault)
        outcomes = Outcomes(metrics.events_sent, metrics.events_dropped, metrics.events_failed)
        faults = Faults(metrics.faults)
        self.delivery = Delivery(
            settings,
            lambda producer_id: Sender(
                kafka, registry, producer_id, settings.room(), outcomes=outcomes, faults=faults
            ),
            outcomes,
            faults,
            self._observe,
            spool=spool,
        )
        self.following = Following(
            kafka, registry, self.service, self.environment, note=faults.note
        )

    def began(self, call: Call) -> None:
        """See ``owner.Owner``."""
        self._calls.add(id(call))
        if self.traces is not None:
            self.traces.began(call, self.fault)

    def ended(self, call: Call) -> None:
        """See ``owner.Owner``."""
        self._calls.discard(id(call))
        if call.span is not None:
            # The span has to know now what the event is to be told later.
            self._complete(call, now_micros())
            call.span.end(call)
        self.delivery.emit(SCHEMA, call, call.size())

    def forget(self, call: Call) -> None:
        """A call that has begun is none after all."""
        self._calls.discard(id(call))

    def fault(self, where: str, error: BaseException) -> None:
        """See ``owner.Owner``."""
        self.delivery.faults.note(where, error)

    def flush(self) -> None:
        """Wait for what waits to be sent, events and spans, where no end of the process does."""
        self.delivery.flush(self.delivery.settings.flush_seconds)
        self.flush_spans()

    def flush_spans(self) -> None:
        """Wait for spans that wait for a collector, as long as for Kafka. Never raises."""
        if self.traces is None:
            return
        try:
            self.traces.flush(self.delivery.settings.flush_seconds)
        except Exception as error:  # noqa: BLE001  # as a system without a thread left; the caller ends well
            self.fault("flushing spans", error)

    def after_fork_in_child(self) -> None:
        """What was under way, and what was not counted yet, is the parent's."""
        self.connections.clear()
        self._calls.clear()
        self.answered.clear()
        self.scored.clear()

    def emit(self, schema: str, record: Mapping[str, Any], at: int | None = None) -> None:
        """Take any other event; it is sent later, or dropped and counted. Never raises.

        Args:
            schema: Name of its schema.
            record: All fields but event_id, producer_id, sequence and event_time.
            at: Microseconds since 1970 (UTC); now when None.
        """
        try:
            texts = [len(value) for value in record.values() if isinstance(value, str | bytes)]
            self.delivery.emit(schema, record, RECORD_BYTES + sum(texts), at)
        except Exception as error:  # noqa: BLE001  # the caller's work is not to end for its monitoring
            self.fault(f"emitting {schema}", error)

    def _observe(self, events: list[Event], now: float) -> None:
        calls = [
            event.content
            for event in events
            if isinstance(event.content, Call) and self._complete(event.content, event.at)
        ]
        answered = [self.answered.popleft() for _ in range(len(self.answered))]
        while self.scored:
            self._metering.scored(*self.scored.popleft())
        self._metering.count(calls, answered, now, len(self.connections), len(self._calls))

    def _complete(self, call: Call, at: int) -> bool:
        try:
            call.complete(self._prices, at)
        except Exception as error:  # noqa: BLE001  # what a caller set may be of any type; the next call is sound
            self.fault("completing a call", error)
            return False
        return True
