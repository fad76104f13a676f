"""The Prometheus metrics as text, of this process or, in multiprocess mode, of all."""

from __future__ import annotations

import os
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

MULTIPROCESS: Final = "PROMETHEUS_MULTIPROC_DIR"


def exposition(registry: CollectorRegistry = REGISTRY) -> tuple[str, bytes]:
    """Content type and text of all metrics of a registry.

    With ``PROMETHEUS_MULTIPROC_DIR`` set, it is of all processes that write there. Whoever runs
    them tells of each that ended by ``prometheus_client.multiprocess.mark_process_dead``.

    Args:
        registry: Not used in multiprocess mode, where the files have them all.
    """
    if MULTIPROCESS in os.environ:
        registry = CollectorRegistry()
        # Untyped, as all of this package's constructors are.
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return CONTENT_TYPE_LATEST, generate_latest(registry)
