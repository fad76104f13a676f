"""Spans of HTTP requests, around ASGI applications that answer, fail, and are left alone."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from sdk_recorder import Recorder

from inferwatch_agents import call, process
from inferwatch_agents.asgi import Middleware
from inferwatch_agents.calls import Call
from inferwatch_agents.metering import Answered
from inferwatch_agents.traces.tracing import Tracing

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SCOPE = {
    "type": "http", "method": "POST", "path": "/users/17/chat", "root_path": "", "scheme": "https",
    "query_string": b"secret=1", "server": ("api.example.com", 443),
    "headers": [(b"host", b"x"), (b"traceparent", PARENT), (b"tracestate", b"a=1"),
                (b"tracestate", b"b=2")],
}  # fmt: skip


class Client(Recorder):
    """A recorder with what the middleware keeps in the client, and with traces."""

    def __init__(self) -> None:
        super().__init__()
        self.connections: set[int] = set()
        self.answered: list[Answered] = []
        self.memory = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.memory))
        self.tracer = provider.get_tracer("test")
        self.tracing = Tracing(self.tracer)
        self.traces = self.tracing  # type: ignore[assignment]  # the other recorder has none

    def began(self, call: Call) -> None:
        """Begin its span."""
        super().began(call)
        self.tracing.began(call, self.fault)

    def ended(self, call: Call) -> None:
        """End its span."""
        super().ended(call)
        assert call.span is not None
        call.span.end(call)


@pytest.fixture(name="sdk")
def _sdk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    sdk = Client()
    monkeypatch.setattr(process, "_active", sdk)
    yield sdk
    assert (sdk.connections, sdk.faults) == (set(), [])
    assert not get_current_span().get_span_context().is_valid


async def respond(scope: Any, _receive: Any, send: Any, status: int = 200) -> None:
    """An application with a route, that asks a model."""
    scope["route"] = SimpleNamespace(path="/users/{user}/chat", path_format="/users/{user}/chat")
    scope["path_params"] = {"user": "17"}
    with call(model="m"):
        pass
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


def serve(app: Any, scope: dict[str, Any] | None = None, **options: Any) -> None:
    """One request."""

    async def nothing(*_: Any) -> dict[str, Any]:
        return {"type": "http.disconnect"}

    asyncio.run(Middleware(app, **options)(dict(scope or SCOPE), nothing, nothing))  # type: ignore[arg-type]  # sends and receives


def spans(sdk: Client) -> list[ReadableSpan]:
    """Those that ended, in that order."""
    return list(sdk.memory.get_finished_spans())


def test_a_request_is_a_span_between_the_caller_and_the_calls(sdk: Client) -> None:
    """It says method, route and status, and nothing of the query."""
    serve(respond)
    asked, request = spans(sdk)
    assert (request.name, request.kind) == ("POST /users/{user}/chat", SpanKind.SERVER)
    assert request.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/users/{user}/chat",
        "server.address": "api.example.com",
        "server.port": 443,
        "url.path": "/users/17/chat",
        "url.scheme": "https",
    }
    assert request.status.status_code is StatusCode.UNSET
    assert (request.parent, request.context) != (None, None)
    assert request.parent is not None
    assert request.parent.is_remote
    assert f"{request.parent.span_id:016x}" == "b7ad6b7169203331"
    assert request.parent.trace_state.to_header() == "a=1,b=2"
    assert asked.parent == request.context
    assert sdk.one().trace_id == "0af7651916cd43dd8448eb211c80319c"


def test_another_instrumentations_span_is_enough(sdk: Client) -> None:
    """Where OpenTelemetry's own middleware stands before this one, none is made here."""

    async def instrumented(*request: Any) -> None:
        with sdk.tracer.start_as_current_span("theirs", kind=SpanKind.SERVER):
            await Middleware(respond)(*request)

    async def nothing(*_: Any) -> dict[str, Any]:
        return {"type": "http.disconnect"}

    asyncio.run(instrumented(dict(SCOPE), nothing, nothing))
    asked, theirs = spans(sdk)
    assert (theirs.name, asked.parent) == ("theirs", theirs.context)


def test_an_application_that_is_the_model_has_both(sdk: Client) -> None:
    """The call's span stands under the request's."""

    async def model(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    serve(model, model="llama", provider="vllm")
    asked, request = spans(sdk)
    assert (asked.name, request.name) == ("chat llama", "POST")
    assert asked.parent == request.context


def test_a_call_in_it_is_the_one_that_counts(sdk: Client) -> None:
    """The application's own span is not sent beside it."""
    serve(respond, model="llama", provider="vllm")
    assert [span.name for span in spans(sdk)] == ["chat m", "POST /users/{user}/chat"]


@pytest.mark.parametrize(
    ("status", "code", "why"),
    [(404, StatusCode.UNSET, None), (503, StatusCode.ERROR, "503")],
)
def test_a_servers_error_is_one(
    sdk: Client, status: int, code: StatusCode, why: str | None
) -> None:
    """A client's is none."""

    async def failing(*request: Any) -> None:
        await respond(*request, status)

    serve(failing)
    request = spans(sdk)[-1]
    found = request.attributes or {}
    assert found["http.response.status_code"] == status
    assert (request.status.status_code, found.get("error.type")) == (code, why)


def test_what_the_application_raises_is_recorded(sdk: Client) -> None:
    """Under its class; the server answers 500."""

    async def failing(*_: Any) -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError):
        serve(failing)
    (request,) = spans(sdk)
    found = request.attributes or {}
    assert (found["error.type"], found["http.response.status_code"]) == ("LookupError", 500)
    assert [event.name for event in request.events] == ["exception"]


def test_a_client_that_went_away_is_an_error_of_its_own(sdk: Client) -> None:
    """As of the event of a request."""

    async def waiting(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()

    serve(waiting)
    (request,) = spans(sdk)
    assert (request.attributes or {})["error.type"] == "client_disconnect"
    assert (request.attributes or {})["http.response.status_code"] == 499


def test_a_method_that_is_none_is_no_name(sdk: Client) -> None:
    """A client can make up as many as it likes."""
    serve(respond, SCOPE | {"method": "PURGE-17", "headers": [], "server": None})
    request = spans(sdk)[-1]
    assert (request.name, request.parent) == ("HTTP /users/{user}/chat", None)
    found = request.attributes or {}
    assert found["http.request.method"] == "_OTHER"
    assert found["http.request.method_original"] == "PURGE-17"


def test_a_broken_tracer_costs_the_span_alone(sdk: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is answered and counted."""

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError

    monkeypatch.setattr(sdk.tracer, "start_span", fail)
    sdk.ended = super(Client, sdk).ended  # type: ignore[method-assign]  # without a span
    serve(respond)
    assert [where for where, _ in sdk.faults] == [
        "beginning the span of a request",
        "beginning a call",
    ]
    assert [answered.status for answered in sdk.answered] == [200]
    sdk.faults.clear()
