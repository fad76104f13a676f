"""The span of a call, by OpenTelemetry's semantic conventions for generative AI (1.41.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import attach, detach
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

from inferwatch_agents.trace_context import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from inferwatch_agents.calls import Call

ERROR_TYPE: Final = "error.type"
# By the convention's name, the attribute of the call; a sampler sees the first three.
REQUEST: Final = {
    "gen_ai.operation.name": "operation",
    "gen_ai.provider.name": "provider",
    "gen_ai.request.model": "model",
}
RESPONSE: Final = {
    "gen_ai.response.model": "response_model",
    "gen_ai.response.time_to_first_chunk": "time_to_first_token_seconds",
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cached_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
    ERROR_TYPE: "error_type",
}


class CallSpan:
    """The span of one call; it is the current one while the call's code runs."""

    __slots__ = ("_fault", "_given", "_message", "_span", "_token")

    def __init__(
        self,
        call: Call,
        tracer: Tracer,
        parent: Context | None,
        fault: Callable[[str, BaseException], None],
    ) -> None:
        """Begin, and give the call its ids, also where the trace is not sampled.

        Args:
            call: It has begun.
            tracer: OpenTelemetry's.
            parent: Context with the parent; the current one when None.
            fault: Told what failed.
        """
        self._fault = fault
        self._given = _attributes(call, REQUEST)
        span = tracer.start_span(_name(call), parent, kind=SpanKind.CLIENT, attributes=self._given)
        # None once it has ended: the call is kept until it is sent, and its span need not be.
        self._span: Span | None = span
        context = span.get_span_context()
        if context.is_valid:
            ids = f"{context.trace_id:032x}", f"{context.span_id:016x}"
            call.place(Trace(*ids, int(context.trace_flags)))
        self._message: str | None = None
        self._token: Token[Context] | None = None

    def enter(self) -> None:
        """Make it OpenTelemetry's current span, in the context that is the current one now."""
        if self._span is not None:
            self._token = attach(set_span_in_context(self._span))

    def leave(self) -> None:
        """Make the one before it the current one again; only where ``enter`` was called."""
        token, self._token = self._token, None
        if token is not None:
            detach(token)

    def failed(self, error: BaseException) -> None:
        """Record an exception, once; keep nothing of it but its text."""
        if self._span is not None and self._message is None:
            self._message = type(error).__name__
            try:
                self._message = str(error)
                self._span.record_exception(error)
            except Exception as fault:  # noqa: BLE001  # an exception's own text may fail; the call has its class
                self._fault("recording an exception", fault)

    def end(self, call: Call) -> None:
        """End it with what is known of the call; the second time does nothing."""
        span, self._span = self._span, None
        if span is None:
            return
        try:
            if span.is_recording():
                # Each attribute that is set is checked by OpenTelemetry, which takes its time.
                now = _attributes(call, REQUEST)
                if now != self._given:
                    span.set_attributes(now)
                    span.update_name(_name(call))
                span.set_attributes(_attributes(call, RESPONSE))
                if call.error_type is not None:
                    span.set_status(StatusCode.ERROR, self._message)
            span.end()
        except Exception as fault:  # noqa: BLE001  # of a span processor of the service; the call has ended well
            self._fault("ending a span", fault)


def _name(call: Call) -> str:
    return f"{call.operation} {call.model}" if call.model else str(call.operation)


def _attributes(call: Call, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: value for name, field in names.items() if (value := getattr(call, field)) is not None
    }
