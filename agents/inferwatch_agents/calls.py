"""One call of a model, from its beginning to the ``request`` event."""

from __future__ import annotations

import time
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final, Self

from inferwatch_agents.context import BELONGING
from inferwatch_agents.error_types import class_name
from inferwatch_agents.request_record import UNKNOWN, request_record
from inferwatch_agents.trace_context import current_trace
from inferwatch_agents.usage import NOTHING, Usage, is_token, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
    from types import TracebackType

    from inferwatch_agents.owner import Owner
    from inferwatch_agents.prices import PriceTable
    from inferwatch_agents.trace_context import Trace
    from inferwatch_agents.traces.call_spans import CallSpan

SCHEMA: Final = "request"
# What a call takes in memory besides its texts, measured.
CALL_BYTES: Final = 1000

CURRENT: Final[ContextVar[Call | None]] = ContextVar("inferwatch_call", default=None)


class Call:
    """What is known of one call. Set what the SDK cannot know; never raises for its own sake.

    Attributes:
        model: As requested; None when not known.
        response_model: As the response names it.
        provider: OpenTelemetry gen_ai.provider.name.
        operation: OpenTelemetry gen_ai.operation.name.
        endpoint: Route of the service that makes the call; empty when there is none.
        method: HTTP method of that route.
        status_code: HTTP status of the call.
        error_type: Why it failed; None when it did not. This alone decides.
        input_tokens: All input tokens, cached ones included.
        output_tokens: All output tokens, reasoning ones included.
        cached_tokens: Those input tokens that a provider's cache served.
        reasoning_tokens: Those output tokens that were spent on reasoning.
        cost_usd_micros: Price in millionths of a US dollar; by the price table where None.
        user: Pseudonymous id.
        session: Id.
        experiments: Pairs of experiment and variant.
        trace_id: W3C trace id.
        span_id: W3C span id.
        trace_flags: W3C trace flags; 1 is sampled, None where there is no trace.
        span: OpenTelemetry's span of it; None where traces are off.
        in_request: Whether it was made in an HTTP request that the middleware sees.
        duration_seconds: None until it ended.
        time_to_first_token_seconds: None until there was one.
    """

    __slots__ = (
        "_began",
        "_owner",
        "_token",
        "_usage",
        "cached_tokens",
        "cost_usd_micros",
        "duration_seconds",
        "endpoint",
        "error_type",
        "experiments",
        "in_request",
        "input_tokens",
        "method",
        "model",
        "operation",
        "output_tokens",
        "provider",
        "reasoning_tokens",
        "response_model",
        "session",
        "span",
        "span_id",
        "status_code",
        "time_to_first_token_seconds",
        "trace_flags",
        "trace_id",
        "user",
    )

    def __init__(
        self,
        owner: Owner | None,
        model: str | None,
        provider: str | None,
        operation: str,
        endpoint: str | None,
    ) -> None:
        """Begin.

        Args:
            owner: Gets the event; nobody when None.
            model: As requested.
            provider: OpenTelemetry gen_ai.provider.name.
            operation: OpenTelemetry gen_ai.operation.name.
            endpoint: Route of the service; that of the HTTP request when None.
        """
        self._owner = owner
        self._token: Token[Call | None] | None = None
        self._usage = NOTHING
        self.model = model
        self.provider = provider
        self.operation = operation
        self.endpoint = endpoint or ""
        self.method: str | None = None
        self.status_code: int | None = None
        self.response_model: str | None = None
        self.error_type: str | None = None
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.cached_tokens: int | None = None
        self.reasoning_tokens: int | None = None
        self.cost_usd_micros: int | None = None
        self.user: str | None = None
        self.session: str | None = None
        self.experiments: tuple[tuple[str, str], ...] = ()
        self.trace_id: str | None = None
        self.span_id: str | None = None
        self.trace_flags: int | None = None
        self.span: CallSpan | None = None
        self.in_request = False
        self.duration_seconds: float | None = None
        self.time_to_first_token_seconds: float | None = None
        if owner is not None:
            try:
                self._inherit()
                owner.began(self)
            except Exception as error:  # noqa: BLE001  # OpenTelemetry's or a framework's, no concern of the caller
                owner.fault("beginning a call", error)
        self._began = time.perf_counter()

    def _inherit(self) -> None:
        belonging = BELONGING.get()
        self.user, self.session = belonging.user, belonging.session
        self.experiments = belonging.experiments
        request = belonging.request
        if request is not None:
            self.in_request = True
            self.method = request.method
            self.endpoint = self.endpoint or request.endpoint()
            request.called()
        self.place(current_trace() or belonging.trace)

    def place(self, trace: Trace | None) -> None:
        """Put it into a trace; without one it stays where it is."""
        if trace is not None:
            self.trace_id, self.span_id, self.trace_flags, _ = trace

    def first_token(self) -> None:
        """The first token is here; later ones change nothing."""
        if self.time_to_first_token_seconds is None:
            self.time_to_first_token_seconds = time.perf_counter() - self._began

    def response(self, response: Any) -> None:
        """Read tokens, model and failure from what a client returned, or a chunk of a stream."""
        try:
            self._usage = read(response, self._usage)
        except Exception as error:  # noqa: BLE001  # a foreign object may raise anything when asked
            self._fault("reading a response", error)

    def item(self, item: Any) -> None:
        """Take note of an item of a stream: the first token, and what ``response`` reads."""
        try:
            if self.time_to_first_token_seconds is None and is_token(item):
                self.first_token()
            self._usage = read(item, self._usage)
        except Exception as error:  # noqa: BLE001  # as in response
            self._fault("reading an item", error)

    def stream(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items of a client's stream, each taken note of as it passes."""
        for item in items:
            self.item(item)
            yield item

    async def astream(self, items: AsyncIterable[Any]) -> AsyncIterator[Any]:
        """As ``stream``, of an asynchronous one."""
        async for item in items:
            self.item(item)
            yield item

    def failed(self, error: BaseException) -> None:
        """The call failed with this exception; ``end`` does so too."""
        if self.error_type is None:
            self.error_type = class_name(type(error))
            status = getattr(error, "status_code", None)
            if self.status_code is None and type(status) is int:
                self.status_code = status
        if self.span is not None:
            self.span.failed(error)

    def end(self, error: BaseException | None = None) -> None:
        """The call has ended; the second time does nothing.

        Args:
            error: What it raised, if anything.
        """
        if self.duration_seconds is not None:
            return
        self.duration_seconds = time.perf_counter() - self._began
        owner = self._owner
        if owner is None:
            return
        try:
            if error is not None:
                self.failed(error)
            owner.ended(self)
        except Exception as fault:  # noqa: BLE001  # whatever it is, the call of the caller has ended well
            owner.fault("ending a call", fault)

    def complete(self, prices: PriceTable, at: int) -> None:
        """Fill in what was read and what follows from it, outside of the caller's time.

        Args:
            prices: For the cost.
            at: When it ended, in microseconds since 1970 (UTC).
        """
        used = self._usage
        self.response_model = self.response_model or used.model
        self.error_type = self.error_type or used.error_type
        if self.input_tokens is None:
            self.input_tokens = used.input_tokens
        if self.output_tokens is None:
            self.output_tokens = used.output_tokens
        if self.cached_tokens is None:
            self.cached_tokens = used.cached_tokens
        if self.reasoning_tokens is None:
            self.reasoning_tokens = used.reasoning_tokens
        names = (self.response_model, self.model)
        if self.cost_usd_micros is None:
            self.cost_usd_micros = prices.cost(names, self.provider, self.tokens(), at)
        if self.provider is None:
            known = prices.model(self.response_model) or prices.model(self.model)
            self.provider = UNKNOWN if known is None else known.provider

    def tokens(self) -> Usage:
        """Its tokens, as the price table takes them."""
        return Usage(
            self.input_tokens,
            self.output_tokens,
            self.cached_tokens,
            self.reasoning_tokens,
            self._usage.cache_write_tokens,
        )

    def record(self) -> Mapping[str, Any]:
        """The ``request`` event without its header."""
        return request_record(self, self._owner)

    def size(self) -> int:
        """Bytes that it takes in memory, roughly."""
        texts = (self.user, self.session, self.model, self.endpoint, self.error_type)
        return CALL_BYTES + sum([len(text) for text in texts if isinstance(text, str)])

    def __enter__(self) -> Self:
        """Be the current call of the block."""
        self._token = enter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End with the block, and let through what it raised."""
        if self._token is not None:
            leave(self, self._token)
        # A generator that is closed while its block waits at a yield has not failed.
        self.end(None if isinstance(error, GeneratorExit) else error)

    def _fault(self, where: str, error: BaseException) -> None:
        if self._owner is not None:
            self._owner.fault(where, error)


def enter(call: Call) -> Token[Call | None]:
    """Make a call the current one, and its span OpenTelemetry's."""
    token = CURRENT.set(call)
    if call.span is not None:
        call.span.enter()
    return token


def leave(call: Call, token: Token[Call | None]) -> None:
    """Make the call and the span before this one the current ones again."""
    try:
        CURRENT.reset(token)
    except ValueError:
        # In another context, as where a task ends another's generator, it never was the current
        # one, and neither was its span.
        return
    if call.span is not None:
        call.span.leave()


def current_call() -> Call:
    """The monitored call that this code runs in; outside of one, a call that nobody gets."""
    return CURRENT.get() or Call(None, None, None, "", None)
