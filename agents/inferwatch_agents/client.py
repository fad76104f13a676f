"""The SDK in this process: ``init`` starts it, ``call`` begins a call, ``shutdown`` ends it.

Before ``init`` and after ``shutdown`` calls are made as ever and nobody hears of them.
"""

from __future__ import annotations

import atexit
import os
from collections import deque
from multiprocessing import util as multiprocessing_util
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import REGISTRY

from inferwatch_agents.calls import SCHEMA, Call
from inferwatch_agents.delivery import Delivery
from inferwatch_agents.errors import ConfigurationError, PublishError
from inferwatch_agents.experiments.exposures import Remembered
from inferwatch_agents.following import Following
from inferwatch_agents.metering import Metering
from inferwatch_agents.metrics import metrics_of
from inferwatch_agents.outcomes import Faults, Outcomes
from inferwatch_agents.prices import load_prices
from inferwatch_agents.sender import Sender
from inferwatch_agents.spool import open_spool
from inferwatch_agents.traces.opening import open_tracing
from inferwatch_agents.variables import PREFIX, delivery_settings, kafka_settings
from inferwatch_schemas.errors import SchemasError
from inferwatch_schemas.instants import now_micros
from inferwatch_schemas.registry import open_registry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from inferwatch_agents.delivery import DeliverySettings
    from inferwatch_agents.event_queue import Event
    from inferwatch_agents.metering import Answered
    from inferwatch_agents.metrics import Metrics
    from inferwatch_agents.prices import PriceTable
    from inferwatch_agents.spool import Spool
    from inferwatch_agents.traces.tracing import Tracing
    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.registry import Registry

UNKNOWN_ENVIRONMENT: Final = "unknown"
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


_active: Client | None = None


def active() -> Client | None:
    """The SDK of this process; None before ``init`` and after ``shutdown``."""
    return _active


def init(  # noqa: PLR0913  # each has a variable, and all but the first a default
    service: str | None = None,
    *,
    environment: str | None = None,
    kafka: str | KafkaSettings | None = None,
    registry_url: str | None = None,
    prices: str | Path | None = None,
    delivery: DeliverySettings | None = None,
    traces: str | None = None,
    metrics: CollectorRegistry = REGISTRY,
    variables: Mapping[str, str] | None = None,
) -> None:
    """Start the SDK; it does not wait for Kafka, and goes on while there is none.

    What is None is read from its variable. ``INFERWATCH_QUEUE_EVENTS``, ``_QUEUE_BYTES`` and
    ``_FLUSH_SECONDS`` stand for ``delivery``. ``INFERWATCH_STATE_DIR`` is the folder in which
    numbers outlive a killed process, or ``off``.

    Args:
        service: OpenTelemetry service.name; ``INFERWATCH_SERVICE``.
        environment: OpenTelemetry deployment.environment.name; ``INFERWATCH_ENVIRONMENT``, else
            ``unknown``.
        kafka: ``host:port``, several separated by commas, or all settings;
            ``INFERWATCH_KAFKA_BOOTSTRAP_SERVERS`` and the like, else 127.0.0.1:9092.
        registry_url: Schema registry; ``INFERWATCH_REGISTRY_URL``, else the pinned ids.
        prices: File with a price table; ``INFERWATCH_PRICES``, else the one that is shipped.
        delivery: What may wait for Kafka.
        traces: Where OpenTelemetry's spans go: ``kafka``, ``otlp``, or ``kafka,otlp``; ``provider``
            where the service's own TracerProvider sends them; ``INFERWATCH_TRACES``, else there
            are none. Needs the extra ``otel``.
        metrics: Where the Prometheus metrics are registered.
        variables: In place of the process's environment variables.

    Raises:
        ConfigurationError: A setting is missing or cannot be, or the SDK runs already.
    """
    global _active  # noqa: PLW0603  # one SDK a process, as one logging a process
    if _active is not None:
        raise ConfigurationError(
            "inferwatch_agents.init was called before; call it once, or shutdown() between."
        )
    found = os.environ if variables is None else variables
    service = service or found.get(f"{PREFIX}_SERVICE")
    if not service:
        raise ConfigurationError(
            f"The service has no name; give init(service=...) or set {PREFIX}_SERVICE."
        )
    environment = environment or found.get(f"{PREFIX}_ENVIRONMENT")
    traces = traces or found.get(f"{PREFIX}_TRACES")
    try:
        kafka = kafka_settings(kafka, found)
        client = Client(
            open_spool(
                found.get(f"{PREFIX}_STATE_DIR"),
                service,
                environment or UNKNOWN_ENVIRONMENT,
                kafka.bootstrap_servers,
            ),
            kafka=kafka,
            registry=open_registry(registry_url or found.get(f"{PREFIX}_REGISTRY_URL")),
            prices=load_prices(prices or found.get(f"{PREFIX}_PRICES")),
            settings=delivery_settings(delivery, found),
            metrics=metrics_of(metrics),
            traces=open_tracing(traces, service, environment) if traces else None,
        )
    except (SchemasError, PublishError) as error:
        raise ConfigurationError(str(error)) from error
    client.delivery.start()
    _active = client
    atexit.register(shutdown)
    # Children of multiprocessing end without atexit.
    multiprocessing_util.register_after_fork(client, _end_with_child)


def shutdown() -> None:
    """Send what waits, for ``flush_seconds`` at most, and stop; the end of the process does it."""
    global _active  # as in init
    client, _active = _active, None
    if client is not None:
        atexit.unregister(shutdown)
        # Both may have to wait for a broker that does not answer, and do so at once.
        client.following.stop()
        client.delivery.close()
        client.following.close()


def flush(seconds: float = 5.0) -> bool:
    """Wait until Kafka has all events so far; False where it has not within so many seconds."""
    return _active is None or _active.delivery.flush(seconds)


def follow(seconds: float = 0.0) -> bool:
    """Read experiments and controls from now on, and wait until all of them are known.

    Without it, reading begins with the first question, which is answered by what is known then.

    Args:
        seconds: How long to wait at most.

    Returns:
        Whether all are known; False before ``init``, and where time ran out.
    """
    return _active is not None and _active.following.wait(seconds)


def call(
    *,
    model: str | None = None,
    provider: str | None = None,
    operation: str = "chat",
    endpoint: str | None = None,
    experiments: Mapping[str, str] | None = None,
) -> Call:
    """Begin a call, for ``with``: its end, or what it raises, ends the call.

    Args:
        model: As requested.
        provider: OpenTelemetry gen_ai.provider.name; the price table's for the model when None.
        operation: OpenTelemetry gen_ai.operation.name: chat, text_completion, embeddings, ...
        endpoint: Route of the service; that of the HTTP request it runs in when None.
        experiments: Variant by experiment.
    """
    begun = Call(_active, model, provider, operation, endpoint)
    if experiments:
        begun.experiments += tuple(experiments.items())
    return begun


def _end_with_child(_client: Client) -> None:
    multiprocessing_util.Finalize(None, _end_of_child, exitpriority=0)


def _end_of_child() -> None:
    ending = _active
    shutdown()
    if ending is not None:
        ending.flush_spans()


def _after_fork_in_child() -> None:
    if _active is not None:
        _active.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
