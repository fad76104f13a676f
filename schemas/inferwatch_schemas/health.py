"""Whether a worker is alive and ready, for whoever restarts it or sends it traffic."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

BEAT_SECONDS: Final = 1.0
DEAD_SECONDS: Final = 60.0
# A worker that starts for the first time compiles before its event loop begins, and may have a
# fraction of a CPU to do it with.
STARTING_SECONDS: Final = 600.0


class Watched(Protocol):
    """What knows whether an app is ready."""

    def reasons(self) -> tuple[dict[str, Any], ...]:
        """Why it is not, as JSON objects; empty when it is."""
        ...


class Health:
    """Health of one process; asked from the threads of the web server."""

    def __init__(self, *apps: Watched, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Watch over the apps of the process; monotonic is a clock in seconds."""
        self._apps = apps
        self._monotonic = monotonic
        self._beaten = monotonic()
        self._patience = STARTING_SECONDS

    def beat_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the event loop show about once a second that it answers; it need not run yet."""

        def beat() -> None:
            self._beaten, self._patience = self._monotonic(), DEAD_SECONDS
            loop.call_later(BEAT_SECONDS, beat)

        loop.call_soon(beat)

    def live(self) -> dict[str, Any]:
        """As JSON: whether the event loop answers, and how long ago it last did."""
        silent = self._monotonic() - self._beaten
        return {"live": silent <= self._patience, "loop_silent_seconds": round(silent, 1)}

    def ready(self) -> dict[str, Any]:
        """As JSON: whether every app has its partitions and none is stalled, or each reason."""
        reasons = [reason for app in self._apps for reason in app.reasons()]
        return {"ready": not reasons, "reasons": reasons}
