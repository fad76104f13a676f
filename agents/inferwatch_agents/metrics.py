"""The SDK's Prometheus metrics: the one list of their names, labels and buckets.

Three families: ``ai_...`` are those of the guide that dashboards of AI services are built from,
``gen_ai_...`` those of OpenTelemetry's semantic conventions for generative AI, with underscores for
dots and the unit at the end, and ``inferwatch_sdk_...`` tell what became of events.

In multiprocess mode (``PROMETHEUS_MULTIPROC_DIR``) gauges are of the processes that live: numbers
of things are added up, of the error rate the worst process counts. The accuracy is the latest, of
any process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

# Those that OpenTelemetry's conventions advise.
DURATION_BUCKETS: Final = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
FIRST_TOKEN_BUCKETS: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
TOKEN_BUCKETS: Final = tuple(float(4**power) for power in range(14))

ERROR_RATE_SECONDS: Final = 60
OPERATION: Final = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")


@dataclass(frozen=True, slots=True)
class Metrics:
    """All metrics of one registry; each field's help text is its documentation."""

    requests: Counter
    duration: Histogram
    active_connections: Gauge
    model_info: Gauge
    tokens: Counter
    queue_size: Gauge
    error_rate: Gauge
    model_accuracy: Gauge
    operation_duration: Histogram
    token_usage: Histogram
    first_token: Histogram
    events_sent: Counter
    events_dropped: Counter
    events_failed: Counter
    faults: Counter
    calls_blocked: Counter


_made: WeakKeyDictionary[CollectorRegistry, Metrics] = WeakKeyDictionary()


def metrics_of(registry: CollectorRegistry = REGISTRY) -> Metrics:
    """The metrics of a registry, made when first asked for: a name can be registered only once."""
    if registry not in _made:
        _made[registry] = _make(registry)
    return _made[registry]


def _make(registry: CollectorRegistry) -> Metrics:
    return Metrics(
        requests=Counter(
            "ai_requests",
            "Requests by HTTP status; ok or error where there is none.",
            ["method", "endpoint", "status"],
            registry=registry,
        ),
        duration=Histogram(
            "ai_request_duration_seconds",
            "Duration of calls of a model.",
            ["endpoint", "model"],
            buckets=DURATION_BUCKETS,
            registry=registry,
        ),
        active_connections=Gauge(
            "ai_active_connections",
            "HTTP requests in progress.",
            multiprocess_mode="livesum",
            registry=registry,
        ),
        model_info=Gauge(
            "ai_model_info",
            "1 for each model that was called.",
            ["model", "provider"],
            multiprocess_mode="livemax",
            registry=registry,
        ),
        tokens=Counter(
            "ai_tokens_processed",
            "Tokens of calls, input and output together.",
            ["model", "operation"],
            registry=registry,
        ),
        queue_size=Gauge(
            "ai_request_queue_size",
            "Calls that wait for their model: begun and not ended.",
            multiprocess_mode="livesum",
            registry=registry,
        ),
        error_rate=Gauge(
            "ai_error_rate",
            f"Share of the requests of the last {ERROR_RATE_SECONDS} seconds that failed.",
            multiprocess_mode="livemax",
            registry=registry,
        ),
        model_accuracy=Gauge(
            "ai_model_accuracy_score",
            "Share of its answers that passed in the model's latest evaluation.",
            ["model"],
            multiprocess_mode="mostrecent",
            registry=registry,
        ),
        operation_duration=Histogram(
            "gen_ai_client_operation_duration_seconds",
            "Duration of calls of a model.",
            [*OPERATION, "error_type"],
            buckets=DURATION_BUCKETS,
            registry=registry,
        ),
        token_usage=Histogram(
            "gen_ai_client_token_usage",
            "Tokens of a call.",
            [*OPERATION, "gen_ai_token_type"],
            buckets=TOKEN_BUCKETS,
            registry=registry,
        ),
        first_token=Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "From sending a call to its first token.",
            OPERATION,
            buckets=FIRST_TOKEN_BUCKETS,
            registry=registry,
        ),
        events_sent=Counter(
            "inferwatch_sdk_events_sent",
            "Events that Kafka acknowledged.",
            ["event"],
            registry=registry,
        ),
        events_dropped=Counter(
            "inferwatch_sdk_events_dropped",
            "Events that were not given to Kafka's client.",
            ["event", "reason"],
            registry=registry,
        ),
        events_failed=Counter(
            "inferwatch_sdk_events_failed",
            "Events that could not be encoded, or that Kafka refused.",
            ["event", "reason"],
            registry=registry,
        ),
        faults=Counter(
            "inferwatch_sdk_faults",
            "Failures inside the SDK, which did not reach the service.",
            ["where"],
            registry=registry,
        ),
        calls_blocked=Counter(
            "inferwatch_sdk_calls_blocked",
            "Calls that were not made, because a control said so.",
            ["model", "reason"],
            registry=registry,
        ),
    )
