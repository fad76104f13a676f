"""Begins the spans of calls and requests, under the span that is the current one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import get_current_span

from inferwatch_agents.context import BELONGING
from inferwatch_agents.traces.call_spans import CallSpan
from inferwatch_agents.traces.remote_spans import context_of
from inferwatch_agents.traces.server_spans import ServerSpan

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Tracer

    from inferwatch_agents.calls import Call
    from inferwatch_agents.trace_context import Trace


class Tracing:
    """What the SDK asks for spans where traces are on."""

    def __init__(self, tracer: Tracer, processors: Sequence[SpanProcessor] = ()) -> None:
        """Begin.

        Args:
            tracer: OpenTelemetry's.
            processors: The SDK's own, in which spans may wait.
        """
        self._tracer = tracer
        self._processors = processors

    def flush(self, seconds: float) -> None:
        """Wait, so long at most, until the spans that wait in the SDK's own processors are gone."""

        def run() -> None:
            for processor in self._processors:
                processor.force_flush()

        # In a thread, because a collector that does not answer is waited for with each batch.
        thread = threading.Thread(target=run, name="inferwatch-spans", daemon=True)
        thread.start()
        thread.join(seconds)

    def began(self, call: Call, fault: Callable[[str, BaseException], None]) -> None:
        """Begin a call's span; ``call.span`` ends it."""
        call.span = CallSpan(call, self._tracer, _parent(BELONGING.get().trace), fault)

    def serve(
        self,
        scope: MutableMapping[str, Any],
        trace: Trace | None,
        fault: Callable[[str, BaseException], None],
    ) -> ServerSpan | None:
        """Begin a request's span; never raises.

        Args:
            scope: ASGI's.
            trace: The caller's span.
            fault: Told what failed.

        Returns:
            None where another instrumentation has begun one.
        """
        try:
            if get_current_span().get_span_context().is_valid:
                return None
            return ServerSpan(self._tracer, scope, _parent(trace), fault)
        except Exception as error:  # noqa: BLE001  # of a sampler or processor of the service; the request goes on
            fault("beginning the span of a request", error)
            return None


def _parent(trace: Trace | None) -> Context | None:
    """The caller's span, where OpenTelemetry has no current one; None: the current context."""
    if trace is None or get_current_span().get_span_context().is_valid:
        return None
    return context_of(trace)
