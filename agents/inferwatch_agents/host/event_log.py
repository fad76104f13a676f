"""Counts what happens to GPUs, and sends each as an event of its own."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from inferwatch_agents.host.device_events import XID

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_agents.host.device_events import Record

SCHEMA = "device_event"


class EventLog:
    """Events since the agent started; for any number of threads."""

    def __init__(self, host_name: str, emit: Callable[[str, dict[str, Any]], None]) -> None:
        """Start at nothing.

        Args:
            host_name: OpenTelemetry host.name.
            emit: Takes the name of a schema and a record, at once.
        """
        self._host_name = host_name
        self._emit = emit
        self._lock = threading.Lock()
        self._kinds: Counter[tuple[str, str]] = Counter()
        self._xids: Counter[tuple[str, int]] = Counter()
        self._last_xid: dict[str, int] = {}

    def tell(self, event: Record) -> None:
        """Count and send a record of ``device_events``."""
        device, kind = event["device"], event["kind"]
        with self._lock:
            self._kinds[device, kind] += 1
            if kind == XID:
                self._xids[device, event["code"]] += 1
                self._last_xid[device] = event["code"]
        self._emit(SCHEMA, {"host_name": self._host_name, **event})

    def kinds(self) -> Counter[tuple[str, str]]:
        """Events by device and kind."""
        with self._lock:
            return self._kinds.copy()

    def xids(self) -> Counter[tuple[str, int]]:
        """XID errors by device and code."""
        with self._lock:
            return self._xids.copy()

    def last_xid(self, device: str) -> int:
        """The last XID of a device; 0 where there was none."""
        return self._last_xid.get(device, 0)
