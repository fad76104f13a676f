"""Traces: OpenTelemetry spans of calls and requests, and W3C Trace Context in and out.

``extract``, ``headers`` and ``inject`` need nothing installed. ``SpanExporter``, and spans at all,
need the extra ``otel``; ``inferwatch_agents.init(traces=...)`` switches them on.
"""

from typing import TYPE_CHECKING, Any

from inferwatch_agents.traces.opening import needing_opentelemetry
from inferwatch_agents.traces.propagation import extract, headers, inject

if TYPE_CHECKING:
    from inferwatch_agents.traces.exporter import SpanExporter

__all__ = ["SpanExporter", "extract", "headers", "inject"]


def __getattr__(name: str) -> Any:
    """Import what needs OpenTelemetry when it is first asked for."""
    if name != "SpanExporter":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return needing_opentelemetry("exporter").SpanExporter
