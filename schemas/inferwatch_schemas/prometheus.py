"""The Prometheus endpoint of a worker: one a process, on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import start_http_server

from inferwatch_schemas.environment import converted
from inferwatch_schemas.errors import SchemasError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "INFERWATCH"


class MetricsPortError(SchemasError):
    """Metrics cannot be served on a port; the message says what to change."""


def serve_metrics(port: int) -> None:
    """Serve this process's metrics on a loopback port, from a thread, until the process ends.

    Raises:
        MetricsPortError: The port is none, or in use.
    """
    try:
        start_http_server(port, addr="127.0.0.1")
    except (OSError, OverflowError) as error:
        raise MetricsPortError(
            f"Metrics cannot be served on 127.0.0.1:{port} ({error}); stop what uses the port or "
            f"choose another with --metrics-port or {PREFIX}_METRICS_PORT."
        ) from error


def serve_metrics_from(environment: Mapping[str, str]) -> None:
    """Serve metrics where ``INFERWATCH_METRICS_PORT`` says; nowhere when it is not set.

    Raises:
        MetricsPortError: The port is none, or in use.
    """
    found = converted(environment, PREFIX, {"metrics_port": int}, MetricsPortError)
    if found:
        serve_metrics(found["metrics_port"])
