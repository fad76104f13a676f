"""The ASGI middleware, around applications that answer, stream, fail, and are left alone."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sdk_recorder import Recorder

import inferwatch_agents
from inferwatch_agents import identify, process
from inferwatch_agents.asgi import Middleware
from inferwatch_agents.metering import Answered
from inferwatch_agents.routes import fold, template

App = Callable[..., Awaitable[None]]
TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Client(Recorder):
    """A recorder with what the middleware keeps in the client."""

    def __init__(self) -> None:
        super().__init__()
        self.connections: set[int] = set()
        self.answered: list[Answered] = []
        self.delivery: Any = None


@pytest.fixture(name="sdk")
def _sdk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    sdk = Client()
    monkeypatch.setattr(process, "_active", sdk)
    yield sdk
    assert (sdk.connections, sdk.open, sdk.faults) == (set(), set(), [])


def scope_of(path: str = "/chat", **more: Any) -> dict[str, Any]:
    """What a server passes for a POST."""
    headers = [(b"host", b"x"), (b"traceparent", TRACEPARENT)]
    return {
        "type": "http", "method": "POST", "path": path, "root_path": "", "headers": headers,
    } | more  # fmt: skip


def serve(app: App, scope: dict[str, Any], *received: dict[str, Any]) -> list[dict[str, Any]]:
    """What the client of a request gets; it sends its messages and then nothing more."""
    sent: list[dict[str, Any]] = []
    messages = iter(received or ({"type": "http.request", "body": b"", "more_body": False},))

    async def receive() -> dict[str, Any]:
        for message in messages:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]  # a coroutine, as middleware is
    return sent


def start(status: int = 200) -> dict[str, Any]:
    """The first message of a response."""
    return {"type": "http.response.start", "status": status, "headers": []}


def body(text: bytes, *, more: bool = False) -> dict[str, Any]:
    """A part of a response."""
    return {"type": "http.response.body", "body": text, "more_body": more}


async def answering(scope: Any, _receive: Any, send: Any) -> None:
    """Route as Starlette does, call a model, and answer."""
    scope["route"] = SimpleNamespace(path="/chat/{room}", path_format="/chat/{room}")
    scope["path_params"] = {"room": "7"}
    identify(user="u1")
    with inferwatch_agents.call(model="m"):
        pass
    await send(start())
    await send(body(b"hello"))


def test_calls_inherit_from_their_request(sdk: Client) -> None:
    """Endpoint, method and trace are the request's, and the request is counted once."""
    sent = serve(Middleware(answering), scope_of("/chat/7"))
    assert sent == [start(), body(b"hello")]
    (call,) = sdk.calls
    assert (call.model, call.endpoint, call.method) == ("m", "/chat/{room}", "POST")
    assert (call.trace_id, call.span_id) == (
        "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331",
    )  # fmt: skip
    assert call.in_request
    assert sdk.answered == [Answered("POST", "/chat/{room}", 200)]


def test_a_request_in_which_a_call_was_made_is_no_second_event(sdk: Client) -> None:
    """Also where the application is named as a model."""
    serve(Middleware(answering, model="app"), scope_of("/chat/7"))
    assert [call.model for call in sdk.calls] == ["m"]


async def streaming(scope: Any, _receive: Any, send: Any) -> None:
    """Be the model itself."""
    scope["route"] = SimpleNamespace(path="/chat")
    identify(user="u1", session="s1")
    await send(start())
    for text in (b"", b"a", b"b"):
        await send(body(text, more=True))
    await send(body(b""))


def test_an_application_that_is_the_model_is_one_call_a_request(sdk: Client) -> None:
    """With status, user, trace, and the time to the first chunk that has something in it."""
    assert len(serve(Middleware(streaming, model="app", provider="vllm"), scope_of())) == 5
    call = sdk.one()
    assert (call.model, call.provider, call.endpoint) == ("app", "vllm", "/chat")
    assert (call.method, call.status_code, call.error_type) == ("POST", 200, None)
    assert (call.user, call.session) == ("u1", "s1")
    assert call.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert call.time_to_first_token_seconds is not None
    assert process.call().user is None
    sdk.open.clear()


def test_an_answer_in_one_piece_is_no_stream(sdk: Client) -> None:
    """There is no first token to speak of."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(503))
        await send(body(b"busy"))

    serve(Middleware(app, model="app"), scope_of())
    call = sdk.one()
    assert (call.time_to_first_token_seconds, call.error_type) == (None, "503")


def test_what_the_application_raises_is_raised(sdk: Client) -> None:
    """Without a response the status is 500, and the exception is the error."""

    async def app(*_: Any) -> None:
        raise KeyError("defect")

    with pytest.raises(KeyError, match="defect"):
        serve(Middleware(app, model="app"), scope_of())
    call = sdk.one()
    assert (call.status_code, call.error_type) == (500, "KeyError")
    assert sdk.answered == [Answered("POST", "/chat", 500)]


DISCONNECT = {"type": "http.disconnect"}


def test_a_client_that_goes_away_is_told_from_a_failure(sdk: Client) -> None:
    """Before a response its status is 499, in the middle the one that was sent."""

    async def before(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()

    async def amid(_scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"a", more=True))
        await receive()

    async def after(_scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"a"))
        await receive()

    for app in (before, amid, after):
        serve(Middleware(app, model="app"), scope_of(), DISCONNECT)
    assert [(call.status_code, call.error_type) for call in sdk.calls] == [
        (499, "client_disconnect"), (200, "client_disconnect"), (200, None),
    ]  # fmt: skip


def test_a_request_that_is_cancelled_is_ended(sdk: Client) -> None:
    """As servers do when a connection is lost."""

    async def app(*_: Any) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        serve(Middleware(app, model="app"), scope_of())
    assert sdk.one().error_type == "asyncio.exceptions.CancelledError"
    assert sdk.answered == [Answered("POST", "/chat", 499)]


def test_what_is_no_request_passes_untouched(sdk: Client) -> None:
    """The application gets the server's own scope and functions."""
    seen: list[Any] = []

    async def app(*given: Any) -> None:
        seen.extend(given)

    given = ({"type": "websocket"}, object(), object())
    asyncio.run(Middleware(app, model="app")(*given))  # type: ignore[arg-type]  # never called
    assert all(one is other for one, other in zip(seen, given, strict=True))
    assert sdk.answered == []


def test_the_end_of_the_application_waits_for_kafka(sdk: Client) -> None:
    """Before the server hears of it: it may end by a signal then, and nothing else would wait."""
    flushed: list[int] = []
    sent: list[dict[str, Any]] = []
    sdk.flush = lambda: flushed.append(len(sent))

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(Middleware(app)({"type": "lifespan"}, lambda: None, send))  # type: ignore[arg-type]  # never called
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete", "lifespan.shutdown.complete",
    ]  # fmt: skip
    assert flushed == [1]


def test_without_init_requests_pass_untouched() -> None:
    """As before."""
    assert process.active() is None
    assert serve(Middleware(answering), scope_of("/chat/7")) == [start(), body(b"hello")]


def test_the_metrics_are_served_where_it_is_said(
    sdk: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application does not see that path."""
    monkeypatch.setattr("inferwatch_agents.exposition.REGISTRY", CollectorRegistry())
    head, text = serve(Middleware(answering, metrics_path="/metrics"), scope_of("/metrics"))
    assert dict(head["headers"])[b"content-type"].startswith(b"text/plain")
    assert b"# HELP" in text["body"]
    assert sdk.answered == []


def test_paths_that_nobody_serves_are_one_endpoint(sdk: Client) -> None:
    """Scanners do not fill the metrics with what they make up."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(404))
        await send(body(b""))

    for path in ("/wp-admin", "/.env"):
        serve(Middleware(app), scope_of(path))
    assert {answered.endpoint for answered in sdk.answered} == {"_OTHER"}


def test_paths_without_routes_are_bounded(sdk: Client) -> None:
    """After so many, all others are one."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b""))

    middleware = Middleware(app)
    for number in range(150):
        serve(middleware, scope_of(f"/{'x' * (number % 7)}{chr(97 + number // 7)}"))
    assert len({answered.endpoint for answered in sdk.answered}) == 101


@pytest.mark.parametrize(
    ("path", "folded"),
    [
        ("/", "/"), ("", ""), ("/v1/chat/completions", "/v1/chat/completions"),
        ("/users/17/files", "/users/{id}/files"),
        ("/u/0af76519-16cd-43dd-8448-eb211c80319c", "/u/{id}"),
        ("/t/0af7651916cd43dd8448eb211c80319c", "/t/{id}"), ("/o/order-2024-11", "/o/{id}"),
        ("/f/" + "x" * 50, "/f/{id}"), ("/a/b/c/d/e/f/g/h", "/a/b/c/d/e/f/..."),
    ],
)  # fmt: skip
def test_a_path_is_folded_to_what_looks_like_its_route(path: str, folded: str) -> None:
    """Ids are left out; words and versions stay."""
    assert fold(path) == folded


ROUTED = [
    # Seen of FastAPI 0.165 and Starlette 1.10: path, root path after, route, parameters.
    ("/v1/items/7", "", "/v1/items/{item}", {"item": "7"}, "/v1/items/{item}"),
    ("/v1/deep/3/x/a/b", "", "/deep/{d}/x/{x}", {"d": "3", "x": "a/b"}, "/v1/deep/{d}/x/{x}"),
    ("/sub/t1/things/9", "/sub/t1", "/things/{t}", {"tenant": "t1", "t": "9"},
     "/sub/{tenant}/things/{t}"),
    ("/m/2/a/3", "/m/2", "/a/{b}", {"n": "2", "b": 3}, "/m/{n}/a/{b}"),
    ("/a/007", "", "/a/{b}", {"b": 7}, "/a/{b}"),
    ("/a/1", "", "/a/{b}", {}, "/a/{b}"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "root", "own", "parameters", "expected"), ROUTED)
def test_a_routes_template_is_whole(
    path: str, root: str, own: str, parameters: dict[str, Any], expected: str
) -> None:
    """Of a router that is mounted or included, too."""
    route = SimpleNamespace(path=own, path_format=own)
    scope = {"path": path, "root_path": root, "route": route, "path_params": parameters}
    assert template(scope, "") == expected
    behind_proxy = scope | {"path": f"/proxy{path}", "root_path": f"/proxy{root}"}
    assert template(behind_proxy, "/proxy") == expected


def test_no_route_is_no_template() -> None:
    """Frameworks without one, and paths that none matched."""
    assert template({"path": "/"}, "") is None
    assert template({"path": "/", "route": object()}, "") is None
