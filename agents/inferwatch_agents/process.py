"""The SDK in this process: ``init`` starts it, ``call`` begins a call, ``shutdown`` ends it.

Before ``init`` and after ``shutdown`` calls are made as ever and nobody hears of them.
"""

from __future__ import annotations

import atexit
import os
from multiprocessing import util as multiprocessing_util
from typing import TYPE_CHECKING, Final

from prometheus_client import REGISTRY

from inferwatch_agents.calls import Call
from inferwatch_agents.client import Client
from inferwatch_agents.errors import ConfigurationError, PublishError
from inferwatch_agents.metrics import metrics_of
from inferwatch_agents.prices import load_prices
from inferwatch_agents.spool import open_spool
from inferwatch_agents.traces.opening import open_tracing
from inferwatch_agents.variables import PREFIX, delivery_settings, kafka_settings
from inferwatch_schemas.errors import SchemasError
from inferwatch_schemas.registry import open_registry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from inferwatch_agents.delivery import DeliverySettings
    from inferwatch_schemas.kafka import KafkaSettings

UNKNOWN_ENVIRONMENT: Final = "unknown"

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
