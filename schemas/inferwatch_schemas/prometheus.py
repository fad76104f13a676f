"""The HTTP endpoint of a worker or agent, one a process: Prometheus metrics and health."""

from __future__ import annotations

import json
import threading
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from inferwatch_schemas.environment import converted
from inferwatch_schemas.errors import SchemasError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from inferwatch_schemas.health import Health

PREFIX: Final = "INFERWATCH"
LIVE_PATH: Final = "/health/live"
READY_PATH: Final = "/health/ready"


class MetricsPortError(SchemasError):
    """Metrics cannot be served on a port; the message says what to change."""


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a request: one that waits for a slow reader does not hold the others."""

    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's signature
        """Log nothing: a scrape every few seconds is no news."""


def serve_metrics(port: int, health: Health) -> None:
    """Serve this process's metrics and health on a loopback port, from a thread, until its end.

    Raises:
        MetricsPortError: The port is none, or in use.
    """
    serve(_endpoint(health), "127.0.0.1", port, f"{PREFIX}_METRICS_PORT")


def serve(answer: WSGIApplication, address: str, port: int, variable: str) -> int:
    """Serve an application from a thread, until the process ends.

    Args:
        answer: The application.
        address: Where to listen.
        port: Likewise; 0 for any that is free.
        variable: What names the port, for the error.

    Returns:
        The port.

    Raises:
        MetricsPortError: The address or port is none of this host's, or in use.
    """
    try:
        server = make_server(address, port, answer, _Server, _QuietHandler)
    except (OSError, OverflowError) as error:
        raise MetricsPortError(
            f"Metrics cannot be served on {address}:{port} ({error}); stop what uses the port or "
            f"choose another with --metrics-port or {variable}."
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server.server_port


def serve_metrics_from(environment: Mapping[str, str], health: Health) -> None:
    """Serve where ``INFERWATCH_METRICS_PORT`` says; nowhere when it is not set.

    Raises:
        MetricsPortError: The port is none, or in use.
    """
    found = converted(environment, PREFIX, {"metrics_port": int}, MetricsPortError)
    if found:
        serve_metrics(found["metrics_port"], health)


def _endpoint(health: Health) -> WSGIApplication:
    metrics: WSGIApplication = make_wsgi_app()

    def answer(environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environment["PATH_INFO"]
        if path == LIVE_PATH:
            told = health.live()
            return _json(told, start, well=told["live"])
        if path == READY_PATH:
            told = health.ready()
            return _json(told, start, well=told["ready"])
        return metrics(environment, start)

    return answer


def _json(told: Mapping[str, Any], start: StartResponse, *, well: bool) -> Iterable[bytes]:
    status = "200 OK" if well else "503 Service Unavailable"
    start(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
    return [json.dumps(told).encode() + b"\n"]
