"""The agent's HTTP endpoint: a page of metrics a path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, make_wsgi_app

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

METRICS_PATH: Final = "/metrics"
# Apart, because Prometheus's linter objects to DCGM's names, and who runs dcgm-exporter has them.
DCGM_PATH: Final = "/metrics/dcgm"


def endpoint(registries: Mapping[str, CollectorRegistry]) -> WSGIApplication:
    """An application that shows registries by their paths."""
    pages: dict[str, WSGIApplication] = {
        path: make_wsgi_app(registry) for path, registry in registries.items()
    }

    def answer(environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        page = pages.get(environment["PATH_INFO"])
        if page is not None:
            return page(environment, start)
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [f"The metrics are at {' and '.join(pages)}.\n".encode()]

    return answer
