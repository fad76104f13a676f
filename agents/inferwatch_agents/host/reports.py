"""What cannot be measured: told when it begins and when it ends, and not at every sample."""

from __future__ import annotations

import threading
from typing import Final

import structlog

# Something that fails and recovers for ever is told so often; then only the metric has it.
MOST_TOLD: Final = 10

log = structlog.get_logger()


class Reports:
    """Failures by device and by what was to be measured there; any thread may report."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failing: dict[tuple[str, str], str] = {}
        self._told: dict[tuple[str, str], int] = {}

    def failed(self, device: str, what: str, cause: str, *, usual: bool = False) -> None:
        """It could not be measured; told where it was well before, or failed by another cause.

        Args:
            device: Where; empty for what is none's.
            what: What was to be measured.
            cause: Why it could not.
            usual: Whether the device just does not have it, which is no warning.
        """
        with self._lock:
            if self._failing.get((device, what)) == cause:
                return
            self._failing[device, what] = cause
            told = self._telling(device, what)
        if told is not None:
            tell = log.info if usual else log.warning
            tell("not measured", device=device, what=what, reason=cause, **told)

    def well(self, device: str, what: str) -> None:
        """It was measured; told where it had failed."""
        if (device, what) not in self._failing:
            return
        with self._lock:
            if self._failing.pop((device, what), None) is None:
                return
            told = self._telling(device, what)
        if told is not None:
            log.warning("measured again", device=device, what=what, **told)

    def failing(self) -> dict[tuple[str, str], str]:
        """What fails now: the cause by device and what."""
        with self._lock:
            return dict(self._failing)

    def _telling(self, device: str, what: str) -> dict[str, str] | None:
        count = self._told.get((device, what), 0) + 1
        self._told[device, what] = count
        if count > MOST_TOLD:
            return None
        return {"note": "not told again"} if count == MOST_TOLD else {}
