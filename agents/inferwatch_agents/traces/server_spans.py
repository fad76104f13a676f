"""The span of an HTTP request, by OpenTelemetry's conventions for HTTP servers (1.41.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import attach, detach
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

from inferwatch_agents.traces.call_spans import ERROR_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

# Of RFC 9110 and 5789; a client may make up others without end.
METHODS: Final = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
)
OTHER_METHOD: Final = "_OTHER"


class ServerSpan:
    """The span of one request; it is the current one until it ends."""

    def __init__(
        self,
        tracer: Tracer,
        scope: MutableMapping[str, Any],
        parent: Context | None,
        fault: Callable[[str, BaseException], None],
    ) -> None:
        """Begin, and become the current one.

        Args:
            tracer: OpenTelemetry's.
            scope: ASGI's.
            parent: Context with the caller's span; the current one when None.
            fault: Told what failed.
        """
        self._fault = fault
        method = str(scope.get("method", ""))
        # The word that stands for a method in a span's name is HTTP where it is none.
        self._verb = method if method in METHODS else "HTTP"
        self._span = tracer.start_span(
            self._verb, parent, kind=SpanKind.SERVER, attributes=_attributes(scope, method)
        )
        self._token = attach(set_span_in_context(self._span))

    def end(
        self, status: int, route: str | None, why: str | None, error: BaseException | None
    ) -> None:
        """End it; never raises.

        Args:
            status: HTTP status code.
            route: The route's template; None where there is none.
            why: OpenTelemetry error.type; None when it did not fail.
            error: What the application raised.
        """
        detach(self._token)
        try:
            span = self._span
            span.set_attribute("http.response.status_code", status)
            if route is not None:
                span.set_attribute("http.route", route)
                span.update_name(f"{self._verb} {route}")
            if why is not None:
                span.set_attribute(ERROR_TYPE, why)
                span.set_status(StatusCode.ERROR)
            if error is not None:
                span.record_exception(error)
            span.end()
        except Exception as fault:  # noqa: BLE001  # of a span processor of the service; the response has been sent
            self._fault("ending the span of a request", fault)


def _attributes(scope: MutableMapping[str, Any], method: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "http.request.method": method if method in METHODS else OTHER_METHOD,
        "url.scheme": str(scope.get("scheme") or "http"),
        # Without the query, which may have anything in it.
        "url.path": str(scope.get("path", "")),
    }
    if method not in METHODS:
        found["http.request.method_original"] = method
    server = scope.get("server")
    if server:
        found["server.address"] = str(server[0])
        if server[1] is not None:
            found["server.port"] = server[1]
    return found
