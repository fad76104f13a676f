"""A place in a trace that headers name, as OpenTelemetry's context has it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.context import attach, detach
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.context import Context

    from inferwatch_agents.trace_context import Trace


def context_of(trace: Trace) -> Context:
    """The current context with the other's span as the parent of new ones."""
    return set_span_in_context(
        NonRecordingSpan(
            SpanContext(
                int(trace.trace_id, 16),
                int(trace.span_id, 16),
                is_remote=True,
                trace_flags=TraceFlags(trace.flags),
                trace_state=TraceState.from_header([trace.state]),
            )
        )
    )


@contextmanager
def attached(trace: Trace) -> Iterator[None]:
    """The other's span is OpenTelemetry's current one in the block."""
    token = attach(context_of(trace))
    try:
        yield
    finally:
        detach(token)
