"""The role incidents as a process: alerts in, an incident out, and killed during an action."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from incident_alerts import alert, command
from pipeline import Stack, wait_until

from inferwatch import compacted_topics
from inferwatch.incident_log import incidents_now
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import ALERTS, COMMANDS
from inferwatch_schemas.wire import decode
from inferwatch_streams.alerts.alert import Alert
from inferwatch_streams.incidents.incident import Incident
from inferwatch_streams.leading.partition_log import PartitionLog
from inferwatch_streams.leading.state_topic import StateTopic

SECONDS = 40.0
POLICY = """
quiet: 1s
escalation:
  levels: [{targets: [on-call]}]
actions:
  scale_up:
    with: {url_env: SCALER}
    dry_run: false
    timeout: 30s
  notify_team:
    with: {targets: [team]}
sets:
  all: [notify_team, scale_up]
"""


class Scaler(ThreadingHTTPServer):
    """Takes requests and never answers; counts them."""

    daemon_threads = True

    def __init__(self) -> None:
        self.keys: list[str | None] = []
        self.over = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server.keys.append(self.headers["Idempotency-Key"])
                server.over.wait()

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def scaler() -> Iterator[Scaler]:
    """Yield a server that hangs."""
    with Scaler() as server:
        yield server
        server.over.set()
        server.shutdown()


class Alerts:
    """What the role rules would write."""

    def __init__(self, stack: Stack) -> None:
        self._topic = StateTopic(stack.kafka, PinnedRegistry(), ALERTS, "test")

    def write(self, *alerts: Alert) -> None:
        """Lead, and write alerts in order."""

        async def lead() -> None:
            await self._topic.take_over()
            for each in alerts:
                self._topic.append(each.fingerprint, "alert", each.to_record())
                await self._topic.settle()

        asyncio.run(lead())
        self._topic.close()


def only(stack: Stack) -> Incident | None:
    """The one incident, as everybody sees it."""
    found = [*incidents_now(stack.kafka, PinnedRegistry()).values()]
    assert len(found) <= 1
    return found[0] if found else None


def action(incident: Incident | None, name: str) -> Any:
    """What became of an action; an empty text before it is there."""
    found = None if incident is None else incident.action(name)
    return "" if found is None else found.status


def written(stack: Stack) -> list[Incident]:
    """All states in the log."""
    with PartitionLog(stack.kafka, "inferwatch.incidents", 10) as log:
        log.start(log.bounds()[0])
        ended, states = False, []
        while not ended:
            entries, ended = log.read(0.2)
            states += [
                Incident.from_record(decode(entry.value, PinnedRegistry()))
                for entry in entries
                if entry.value is not None
            ]
    return states


def test_killed_during_an_action(
    stack: Stack, scaler: Scaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while an action runs, the next worker goes on: nothing is done or told twice."""
    policy = tmp_path / "incidents.yaml"
    policy.write_text(POLICY)
    variables = {
        "incidents_file": str(policy),
        "incidents_tick_seconds": "0.2",
        "incidents_session_timeout_seconds": str(stack.session_seconds),
    }
    monkeypatch.setenv("SCALER", f"http://127.0.0.1:{scaler.server_port}/scale")
    alerts, first = Alerts(stack), alert()
    alerts.write(first)
    with stack.worker("incidents-1", "--only", "incidents", **variables) as worker:
        wait_until(lambda: len(scaler.keys), lambda asked: asked == 1, worker, seconds=SECONDS)
        opened = only(stack)
        assert action(opened, "notify_team") == "succeeded"
        assert action(opened, "scale_up") == "running"
        worker.kill()
    alerts.write(alert("latency", 5))
    assert opened is not None
    given = command("acknowledge", opened.incident_id)
    compacted_topics.publish(
        stack.kafka, COMMANDS, PinnedRegistry(), {given.target: given.to_record()}
    )
    with stack.worker("incidents-2", "--only", "incidents", **variables) as worker:
        wait_until(
            lambda: action(only(stack), "scale_up"),
            lambda status: status == "failed",
            worker,
            seconds=SECONDS,
        )
        alerts.write(
            alert(seconds=9, fired=0, status="resolved"),
            alert("latency", 9, "resolved", fired=5),
        )
        over = wait_until(
            lambda: only(stack),
            lambda incident: incident is not None and incident.status == "resolved",
            worker,
            seconds=SECONDS,
        )
        worker.stop()
    assert over is not None
    assert scaler.keys == [f"{over.incident_id}/scale_up"]
    assert [member.rule for member in over.alerts] == ["error_rate", "latency"]
    assert (over.acknowledged_by, over.resolved_by) == ("ann", None)
    states = written(stack)
    changes = {each.transition_id: each.transition for each in states}
    told = [each.transition_id for each in states if each.targets]
    assert sorted(changes.values()).count("opened") == 1
    assert [*changes.values()][-1] == "resolved"
    assert len(told) == len({*told})
    assert "notify_team succeeded: told team." in [line.text for line in over.timeline]
