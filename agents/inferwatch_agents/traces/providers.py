"""OpenTelemetry's ``TracerProvider``: the service's own, or one made here; and where spans go."""

from __future__ import annotations

import os
import socket
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)

from inferwatch_agents import process
from inferwatch_agents.errors import ConfigurationError
from inferwatch_agents.traces import exporter
from inferwatch_agents.traces.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

KAFKA: Final = "kafka"
OTLP: Final = "otlp"
# Spans go where the service's own provider sends them, and nowhere else.
PROVIDER: Final = "provider"
SCOPE: Final = "inferwatch"
# By OpenTelemetry's name of a protocol, the package of its exporter.
PROTOCOLS: Final = {"http/protobuf": "http", "grpc": "grpc"}


class CountedExporter(SpanExporter):
    """Another exporter, whose failures are counted."""

    def __init__(self, other: SpanExporter) -> None:
        self._other = other

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """As the other does; never raises."""
        try:
            result = self._other.export(spans)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is counted, and the next batch may go
            _fault(error)
            return SpanExportResult.FAILURE
        if result is not SpanExportResult.SUCCESS:
            _fault(ConnectionError(f"{len(spans)} spans were not taken"))
        return result

    def shutdown(self) -> None:
        """As the other does."""
        self._other.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """As the other does."""
        return self._other.force_flush(timeout_millis)


def open_tracing(asked: str, service: str, environment: str | None) -> Tracing:
    """See ``opening.open_tracing``."""
    names = {name.strip() for name in asked.split(",")}
    if names == {PROVIDER}:
        # The provider may be set later than this.
        return Tracing(trace.get_tracer(SCOPE, metadata.version(SCOPE)))
    if not names <= _PROCESSORS.keys():
        raise ConfigurationError(
            f"traces is {asked!r}; give {KAFKA}, {OTLP}, {KAFKA},{OTLP} or {PROVIDER}."
        )
    provider: Any = trace.get_tracer_provider()
    none = isinstance(provider, trace.ProxyTracerProvider)
    if not none and not hasattr(provider, "add_span_processor"):
        raise ConfigurationError(
            f"The service's {type(provider).__name__} takes no span processor; give "
            f"traces={PROVIDER!r}, and let it send spans where they are to go."
        )
    there = {} if none else _added.get(provider, {})
    processors = {name: _PROCESSORS[name]() for name in sorted(names - there.keys())}
    if none:
        provider = TracerProvider(resource=_resource(service, environment))
        trace.set_tracer_provider(provider)
    for name, processor in processors.items():
        provider.add_span_processor(processor)
        _added.setdefault(provider, {})[name] = processor
    own = tuple(_added.get(provider, {}).values())
    return Tracing(provider.get_tracer(SCOPE, metadata.version(SCOPE)), own)


# What was added to a provider: it gives none back, and a second one would send all spans twice.
_added: WeakKeyDictionary[Any, dict[str, SpanProcessor]] = WeakKeyDictionary()


def _resource(service: str, environment: str | None) -> Resource:
    named = {"service.name": service}
    if environment is not None:
        named["deployment.environment.name"] = environment
    # OTEL_RESOURCE_ATTRIBUTES may name another host, and nothing but the SDK names the service.
    return Resource({"host.name": socket.gethostname()}).merge(Resource.create(named))


def _to_kafka() -> SpanProcessor:
    # Its export only puts spans into the SDK's queue, which numbers them and counts what it drops:
    # docs/decisions/0028.
    return SimpleSpanProcessor(exporter.SpanExporter())


def _to_otlp() -> SpanProcessor:
    variable = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
    if not os.environ.get(variable):
        variable = "OTEL_EXPORTER_OTLP_PROTOCOL"
    protocol = os.environ.get(variable) or "http/protobuf"
    if protocol not in PROTOCOLS:
        raise ConfigurationError(f"{variable} is {protocol}; set http/protobuf or grpc.")
    package = f"opentelemetry.exporter.otlp.proto.{PROTOCOLS[protocol]}"
    try:
        module = import_module(f"{package}.trace_exporter")
    except ModuleNotFoundError as error:
        missing = f"opentelemetry-exporter-otlp-proto-{PROTOCOLS[protocol]}"
        raise ConfigurationError(f"{variable} is {protocol}; install {missing}.") from error
    try:
        return BatchSpanProcessor(CountedExporter(module.OTLPSpanExporter()))
    except Exception as error:
        # Whatever OpenTelemetry's variables made it stumble over.
        why = str(error).rstrip(".")
        raise ConfigurationError(
            f"OpenTelemetry's OTLP exporter refuses its settings, check OTEL_*: {why}."
        ) from error


_PROCESSORS: Final[dict[str, Callable[[], SpanProcessor]]] = {KAFKA: _to_kafka, OTLP: _to_otlp}


def _fault(error: Exception) -> None:
    sdk = process.active()
    if sdk is not None:
        sdk.fault("exporting spans by OTLP", error)
