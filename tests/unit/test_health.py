"""The health endpoint: 200 or 503, and why, beside the metrics."""

import asyncio
import json
import socket
import urllib.error
import urllib.request
from typing import Any

import pytest

from inferwatch_schemas.health import DEAD_SECONDS, STARTING_SECONDS, Health
from inferwatch_schemas.prometheus import serve_metrics

STALLED = {"reason": "partition stalled", "topic": "requests", "partition": 3}


class App:
    """Ready, or not for these reasons."""

    def __init__(self) -> None:
        self.why: tuple[dict[str, Any], ...] = ()

    def reasons(self) -> tuple[dict[str, Any], ...]:
        """See ``Watched``."""
        return self.why


class Case:
    """A served health with a clock and two apps of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.apps = App(), App()
        self.health = Health(*self.apps, monotonic=lambda: self.now)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        serve_metrics(self._port, self.health)

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        url = f"http://127.0.0.1:{self._port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


@pytest.fixture(scope="module")
def case() -> Case:
    """One served case: servers last as long as the process."""
    return Case()


def test_ready_names_every_reason(case: Case) -> None:
    """One app that is not ready makes the process so."""
    assert case.get("/health/ready") == (200, b'{"ready": true, "reasons": []}\n')
    case.apps[1].why = (STALLED,)
    status, body = case.get("/health/ready")
    assert (status, json.loads(body)) == (503, {"ready": False, "reasons": [STALLED]})
    case.apps[1].why = ()
    assert case.get("/health/ready")[0] == 200


def test_live_is_whoever_has_a_loop_that_answers(case: Case) -> None:
    """A loop that is stuck for a minute makes it 503, and the next beat 200; a start has longer."""

    async def beat() -> None:
        case.health.beat_on(asyncio.get_running_loop())
        await asyncio.sleep(0)

    case.now += DEAD_SECONDS + 1
    assert case.get("/health/live")[0] == 200
    case.now += STARTING_SECONDS
    assert case.get("/health/live")[0] == 503
    asyncio.run(beat())
    case.now += DEAD_SECONDS + 1
    status, body = case.get("/health/live")
    assert (status, json.loads(body)) == (503, {"live": False, "loop_silent_seconds": 61.0})
    asyncio.run(beat())
    assert case.get("/health/live") == (200, b'{"live": true, "loop_silent_seconds": 0.0}\n')


def test_the_metrics_stay_where_they_were(case: Case) -> None:
    """At /metrics and at the root; at no other path of health."""
    assert b"python_info" in case.get("/metrics")[1]
    assert b"python_info" in case.get("/")[1]
