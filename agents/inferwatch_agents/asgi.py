"""ASGI middleware: what requests of a FastAPI, Starlette or any other ASGI application were.

    from inferwatch_agents.asgi import Middleware
    app.add_middleware(Middleware)

Calls made in a request inherit its endpoint, method and trace. Each request is counted in the
Prometheus metrics. Where the application itself is the model, name it (``model=``), and each
request in which no call was monitored is a ``request`` event.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents import process
from inferwatch_agents.context import BELONGING, in_request
from inferwatch_agents.error_types import class_name
from inferwatch_agents.exposition import exposition
from inferwatch_agents.metering import OTHER, SERVER_ERROR, Answered, Bounded
from inferwatch_agents.routes import fold, template
from inferwatch_agents.trace_context import parse_traceparent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from inferwatch_agents.calls import Call
    from inferwatch_agents.client import Client
    from inferwatch_agents.trace_context import Trace

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

# nginx's status for a client that went away before there was one.
CLIENT_CLOSED: Final = 499
DISCONNECTED: Final = "client_disconnect"
# Statuses of paths that nobody serves: scanners make them up without end.
UNSERVED: Final = (404, 405)


class Middleware:
    """Wraps an ASGI application; passes on every message as it is.

    When the application has shut down, it waits for Kafka, and for the collector of spans, as the
    end of a process does: uvicorn ends by the signal that it was told to end with, and then no such
    end comes.
    """

    def __init__(
        self,
        app: App,
        *,
        model: str | None = None,
        provider: str | None = None,
        operation: str = "chat",
        metrics_path: str | None = None,
    ) -> None:
        """Wrap.

        Args:
            app: The application.
            model: What the application itself is, for events of its requests; none when None.
            provider: OpenTelemetry gen_ai.provider.name of that model.
            operation: OpenTelemetry gen_ai.operation.name of that model.
            metrics_path: Where the Prometheus metrics are served, ``/metrics`` for one; nowhere
                when None.
        """
        self._app = app
        self._model = model
        self._provider = provider
        self._operation = operation
        self._metrics_path = metrics_path
        self._paths = Bounded()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as the application does; what is no HTTP request passes untouched."""
        sdk = process.active()
        if scope["type"] == "lifespan":
            await self._app(scope, receive, _flushing(send))
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._metrics_path is not None and scope["path"] == self._metrics_path:
            await _send_metrics(send)
        elif sdk is None:
            await self._app(scope, receive, send)
        else:
            await self._watch(sdk, scope, receive, send)

    async def _watch(self, sdk: Client, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, self._paths)
        span = None if sdk.traces is None else sdk.traces.serve(scope, exchange.trace, sdk.fault)
        if self._model is not None:
            exchange.call = process.call(
                model=self._model, provider=self._provider, operation=self._operation
            )

        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect" and not exchange.complete:
                exchange.disconnected = True
            return message

        async def sending(message: Message) -> None:
            exchange.sent(message)
            await send(message)

        sdk.connections.add(id(exchange))
        failure: BaseException | None = None
        with in_request(exchange):
            try:
                await self._app(scope, receiving, sending)
            except BaseException as error:
                failure = error
                raise
            finally:
                sdk.connections.discard(id(exchange))
                try:
                    exchange.settle(sdk, failure)
                except Exception as error:  # noqa: BLE001  # the response has been sent, and is not to fail for this
                    sdk.fault("ending a request", error)
                if span is not None:
                    span.end(exchange.status, exchange.route, exchange.why, failure)


class Exchange:
    """One HTTP request and its response; see ``context.Request``.

    Attributes:
        method: HTTP method.
        trace: The caller's span, from the traceparent header.
        call: The event of the request itself, where the application is the model.
        complete: Whether the whole response was sent.
        disconnected: Whether the client went away before.
        status: HTTP status; what stands for one until ``settle``.
        route: The route's template; None where there is none, and until ``settle``.
        why: OpenTelemetry error.type, from ``settle`` on; None when it did not fail.
    """

    def __init__(self, scope: Scope, paths: Bounded) -> None:
        self.method = str(scope.get("method", ""))
        self.trace = _trace(scope)
        self.call: Call | None = None
        self.complete = False
        self.disconnected = False
        self.status = SERVER_ERROR
        self.route: str | None = None
        self.why: str | None = None
        self._scope = scope
        self._root_path = str(scope.get("root_path", ""))
        self._paths = paths
        self._status: int | None = None
        self._chunks = 0
        self._calls = 0

    def endpoint(self) -> str:
        """The route's template; without one, the path with its ids left out."""
        found = template(self._scope, self._root_path)
        return self._paths(fold(str(self._scope.get("path", "")))) if found is None else found

    def called(self) -> None:
        """A monitored call was made in it, and is the event in its place."""
        self._calls += 1

    def sent(self, message: Message) -> None:
        """A message of the response."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif message["type"] == "http.response.body":
            more = message.get("more_body", False)
            # One chunk that is all is no stream.
            if self.call is not None and message.get("body") and (more or self._chunks):
                self.call.first_token()
            self._chunks += 1
            self.complete = not more

    def settle(self, sdk: Client, error: BaseException | None) -> None:
        """Count the request, and end its own call.

        Args:
            sdk: Who counts.
            error: What the application raised.
        """
        gone = not self.complete and (
            self.disconnected or isinstance(error, asyncio.CancelledError)
        )
        self.status = status = self._status or (CLIENT_CLOSED if gone else SERVER_ERROR)
        self.route = template(self._scope, self._root_path)
        if error is not None:
            self.why = class_name(type(error))
        elif gone:
            self.why = DISCONNECTED
        elif status >= SERVER_ERROR:
            self.why = str(status)
        endpoint = OTHER if status in UNSERVED and self.route is None else self.endpoint()
        sdk.answered.append(Answered(self.method, endpoint, status))
        call = self.call
        if call is None:
            return
        if self._calls:
            sdk.forget(call)
            return
        belonging = BELONGING.get()
        call.user, call.session = belonging.user, belonging.session
        call.experiments = belonging.experiments
        call.in_request = True
        call.endpoint, call.method, call.status_code = endpoint, self.method, status
        if call.trace_id is None:
            call.place(self.trace)
        if error is None:
            call.error_type = self.why
        call.end(error)


def _flushing(send: Send) -> Send:
    async def sending(message: Message) -> None:
        sdk = process.active()
        if sdk is not None and message["type"].startswith("lifespan.shutdown."):
            # Nothing else is to run any more, so that it may hold up the loop, of whatever kind.
            sdk.flush()
        await send(message)

    return sending


def _trace(scope: Scope) -> Trace | None:
    parent, states = "", []
    for name, value in scope.get("headers", ()):
        if name == b"traceparent":
            parent = value.decode("latin-1")
        elif name == b"tracestate":
            states.append(value.decode("latin-1"))
    return parse_traceparent(parent, ",".join(states))


async def _send_metrics(send: Send) -> None:
    kind, text = exposition()
    headers = [(b"content-type", kind.encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})
