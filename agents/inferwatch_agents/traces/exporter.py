"""Spans to ``inferwatch.spans``, by the way that all events of the SDK go."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import export

from inferwatch_agents import process
from inferwatch_agents.traces.span_record import memory_of, span_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

SCHEMA: Final = "span"


@dataclass(frozen=True, slots=True)
class SpanDraft:
    """A finished span, whose record is made by the thread that sends it."""

    span: ReadableSpan
    service: str
    environment: str

    def record(self) -> Mapping[str, Any]:
        """See ``event_queue.Draft``."""
        return span_record(self.span, self.service, self.environment)


class SpanExporter(export.SpanExporter):
    """For a service's own ``TracerProvider``; ``init(traces="kafka")`` adds one by itself.

        provider.add_span_processor(SimpleSpanProcessor(SpanExporter()))

    ``export`` only puts spans into the SDK's queue, so it needs no ``BatchSpanProcessor``. What is
    lost is counted as of any event. Where the SDK does not run, spans are not exported.
    """

    def export(self, spans: Sequence[ReadableSpan]) -> export.SpanExportResult:
        """Take finished spans; they are sent later, or dropped and counted. Never raises."""
        sdk = process.active()
        if sdk is None:
            return export.SpanExportResult.FAILURE
        result = export.SpanExportResult.SUCCESS
        for span in spans:
            try:
                draft = SpanDraft(span, sdk.service, sdk.environment)
                at = (span.end_time or time.time_ns()) // 1000
                sdk.delivery.emit(SCHEMA, draft, memory_of(span), at)
            except Exception as error:  # noqa: BLE001  # the span's end is the service's own code
                sdk.fault("exporting a span", error)
                result = export.SpanExportResult.FAILURE
        return result

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until Kafka has all events so far; False where it has not in this time."""
        return process.flush(timeout_millis / 1000)
