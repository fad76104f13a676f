"""Spans of calls: what they say, whose children they are, and where they are the current one."""

import asyncio
import contextvars
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from sdk_recorder import Recorder

import inferwatch_agents
from inferwatch_agents import call, monitor, process, traces
from inferwatch_agents.calls import Call
from inferwatch_agents.traces.tracing import Tracing

REMOTE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{}"
ANSWER = {"model": "m-1", "usage": {"prompt_tokens": 10, "completion_tokens": 5}}


class Traced(Recorder):
    """A recorder whose calls have spans, as the client's have."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.memory))
        self.tracer = self.provider.get_tracer("test")
        self.tracing = Tracing(self.provider.get_tracer("inferwatch"))

    def began(self, call: Call) -> None:
        """Begin its span."""
        super().began(call)
        self.tracing.began(call, self.fault)

    def ended(self, call: Call) -> None:
        """End its span."""
        super().ended(call)
        assert call.span is not None
        call.span.end(call)

    def span(self) -> ReadableSpan:
        """The only one that ended; its ids are the only call's."""
        (found,) = self.memory.get_finished_spans()
        assert ids(found) == (self.one().trace_id, self.one().span_id)
        return found


@pytest.fixture(name="sdk")
def _sdk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Traced]:
    sdk = Traced()
    monkeypatch.setattr(process, "_active", sdk)
    yield sdk
    assert not get_current_span().get_span_context().is_valid


def ids(span: ReadableSpan) -> tuple[str, str]:
    """Trace and span id as events have them."""
    assert span.context is not None
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def here() -> int:
    """The span id of OpenTelemetry's current span; 0 without one."""
    return get_current_span().get_span_context().span_id


def test_a_span_says_what_the_event_says(sdk: Traced) -> None:
    """Names are those of the conventions, and what is not known is absent."""

    @monitor(model="m", provider="openai", operation="text_completion")
    def ask() -> dict[str, Any]:
        get_current_span().set_attribute("server.address", "api.example.com")
        return ANSWER

    assert ask() is ANSWER
    span = sdk.span()
    assert (span.name, span.kind) == ("text_completion m", SpanKind.CLIENT)
    assert (span.parent, span.status.status_code) == (None, StatusCode.UNSET)
    assert span.attributes == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m-1",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "server.address": "api.example.com",
    }


def test_what_is_said_in_the_call_is_in_its_span(sdk: Traced) -> None:
    """Also the model, which names the span."""
    with call() as this:
        this.model, this.input_tokens, this.cached_tokens, this.reasoning_tokens = "late", 9, 4, 1
        this.first_token()
    span = sdk.span()
    assert span.name == "chat late"
    found = span.attributes or {}
    assert found["gen_ai.usage.cache_read.input_tokens"] == 4
    assert found["gen_ai.usage.reasoning.output_tokens"] == 1
    assert found["gen_ai.response.time_to_first_chunk"] == this.time_to_first_token_seconds


class OverloadedError(Exception):
    """As clients raise it."""


class Local:
    """What a function has among its variables."""


def test_an_exception_is_recorded_and_not_kept(sdk: Traced) -> None:
    """Class, text and stack trace are in the span; the variables of its frames are let go."""
    local: list[weakref.ref[Local]] = []

    @monitor
    def ask() -> None:
        large = Local()
        local.append(weakref.ref(large))
        raise OverloadedError("full")

    with suppress(OverloadedError):
        ask()
    assert local[0]() is None
    span = sdk.span()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "full")
    assert (span.attributes or {})["error.type"] == f"{__name__}.OverloadedError"
    (event,) = span.events
    told = event.attributes or {}
    assert (event.name, told["exception.message"]) == ("exception", "full")
    assert "in ask" in str(told["exception.stacktrace"])


def test_an_exception_that_is_said_and_raised_is_recorded_once(sdk: Traced) -> None:
    """As where the service tells the call of it and lets it through."""
    with suppress(OverloadedError), call(model="m") as this:
        error = OverloadedError("full")
        this.failed(error)
        raise error
    assert len(sdk.span().events) == 1


def test_a_call_that_waits_for_kafka_keeps_no_span(sdk: Traced) -> None:
    """Only the exporter's queue has it; a block that goes on after the end stays under it."""
    with call(model="m") as this:
        inside, kept = here(), weakref.ref(get_current_span())
        this.end()
        assert here() == inside
        this.failed(OverloadedError("after the end"))
    assert sdk.span().events == ()
    assert kept() is None


def test_an_error_without_an_exception_is_one(sdk: Traced) -> None:
    """Such as one that the service reads from the answer."""
    with call(model="m") as this:
        this.error_type = "content_filter"
    span = sdk.span()
    assert (span.status.status_code, span.events) == (StatusCode.ERROR, ())
    assert (span.attributes or {})["error.type"] == "content_filter"


def test_spans_nest_as_calls_do(sdk: Traced) -> None:
    """Under the service's own span, and its spans under the call's."""

    @monitor(model="m")
    def ask() -> None:
        with sdk.tracer.start_as_current_span("inner"):
            pass

    with sdk.tracer.start_as_current_span("outer") as outer:
        ask()
        assert here() == outer.get_span_context().span_id
    inner, asked, last = sdk.memory.get_finished_spans()
    assert inner.parent == asked.context
    assert asked.parent == last.context
    assert (inner.name, asked.name, last.name) == ("inner", "chat m", "outer")


def test_a_streams_span_is_the_current_one_in_the_stream_only(sdk: Traced) -> None:
    """It begins with the body and ends with it; the reader has its own between the chunks."""
    seen = []

    @monitor(model="m")
    def stream() -> Iterator[str]:
        for word in ("a", "b"):
            seen.append(here())
            yield word
        seen.append(here())

    with sdk.tracer.start_as_current_span("reader") as reader:
        own = reader.get_span_context().span_id
        for _ in stream():
            assert here() == own
            assert not sdk.memory.get_finished_spans()
    streamed, _ = sdk.memory.get_finished_spans()
    assert streamed.context is not None
    assert seen == [streamed.context.span_id] * 3
    assert streamed.parent == reader.get_span_context()


def test_an_asynchronous_stream_likewise(sdk: Traced) -> None:
    """Also where it is given up early, and other tasks run in between."""
    seen = []

    @monitor(model="m")
    async def stream() -> AsyncIterator[str]:
        while True:
            await asyncio.sleep(0)
            seen.append(here())
            yield "x"

    async def read() -> None:
        words = stream()
        async for _ in words:
            assert here() == 0
            if len(seen) > 4:
                break
        await words.aclose()  # type: ignore[attr-defined]  # it is a generator

    async def main() -> None:
        await asyncio.gather(read(), read())

    asyncio.run(main())
    spans = sdk.memory.get_finished_spans()
    assert len(spans) == 2
    assert {span.context.span_id for span in spans if span.context} == set(seen)
    assert [span.status.status_code for span in spans] == [StatusCode.UNSET] * 2


def test_tasks_and_threads_keep_their_own(sdk: Traced) -> None:
    """Calls at the same time do not become each other's parents."""

    @monitor(model="m")
    async def ask(number: int) -> int:
        before = here()
        await asyncio.sleep(0.001 * (3 - number))
        assert here() == before != 0
        return before

    async def main() -> list[int]:
        return await asyncio.gather(*(ask(number) for number in range(3)))

    found = [*asyncio.run(main())]
    thread = threading.Thread(target=lambda: found.append(asyncio.run(ask(0))))
    with sdk.tracer.start_as_current_span("main thread"):
        thread.start()
        thread.join()
    *asked, _ = sdk.memory.get_finished_spans()
    assert len(set(found)) == 4
    assert [span.parent for span in asked] == [None] * 4


def test_a_stream_that_another_context_ends_leaves_that_one_alone(
    sdk: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither an exception nor a word of OpenTelemetry's comes of it."""

    @monitor(model="m")
    def stream() -> Iterator[int]:
        with call(model="inner"):
            yield 1

    made = stream()
    contextvars.copy_context().run(next, made)
    with sdk.tracer.start_as_current_span("other") as other:
        made.close()
        assert here() == other.get_span_context().span_id
    assert len(sdk.memory.get_finished_spans()) == 3
    assert (caplog.records, sdk.faults) == ([], [])


@pytest.mark.parametrize(("flags", "sent"), [("01", 1), ("00", 0)])
def test_sampling_is_the_callers_to_decide(sdk: Traced, flags: str, sent: int) -> None:
    """An unsampled trace has no span, and the event has its ids all the same."""
    with traces.extract([("traceparent", REMOTE.format(flags).encode())]):
        call(model="m").end()
    spans = sdk.memory.get_finished_spans()
    assert len(spans) == sent
    ended = sdk.one()
    assert ended.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert ended.span_id not in (None, "b7ad6b7169203331", "0" * 16)
    assert ended.trace_flags is not None
    assert ended.trace_flags & 1 == sent


class Broken(SpanProcessor):
    """Of a service; it fails where it is told."""

    def __init__(self, at: str) -> None:
        self._at = at

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """A span began."""
        if self._at == "start":
            raise ValueError(span, parent_context)

    def on_end(self, span: Any) -> None:
        """A span ended."""
        if self._at == "end":
            raise ValueError(span)


@pytest.mark.parametrize(("at", "where"), [("start", "beginning a call"), ("end", "ending a span")])
def test_a_broken_processor_costs_the_span_alone(sdk: Traced, at: str, where: str) -> None:
    """The call gets its answer and its event."""
    sdk.provider.add_span_processor(Broken(at))

    @monitor(model="m")
    def ask() -> dict[str, Any]:
        return ANSWER

    if at == "start":
        # The recorder insists on a span; the client does not.
        sdk.ended = super(Traced, sdk).ended  # type: ignore[method-assign]  # as said
    assert ask() is ANSWER
    assert [fault for fault, _ in sdk.faults] == [where]
    assert [ended.response_model for ended in sdk.calls] == ["m-1"]


def test_an_exception_without_a_text_ends_the_call(sdk: Traced) -> None:
    """Its class is known; what its own methods raise is counted."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    @monitor(model="m")
    def ask() -> None:
        raise MuteError

    with pytest.raises(MuteError):
        ask()
    (span,) = sdk.memory.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "MuteError")
    assert [where for where, _ in sdk.faults] == ["recording an exception"]


def test_without_traces_the_current_span_stays_the_services(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call is part of it and makes none."""
    recorder = Recorder()
    monkeypatch.setattr(process, "_active", recorder)
    provider = TracerProvider(shutdown_on_exit=False)
    with provider.get_tracer("t").start_as_current_span("own") as own, inferwatch_agents.call():
        assert get_current_span() is own
    context = own.get_span_context()
    assert recorder.one().span_id == trace.format_span_id(context.span_id)
    assert recorder.one().span is None
