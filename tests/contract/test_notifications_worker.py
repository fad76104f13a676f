"""The worker of the role notifications, killed while an alert fires: nothing is lost."""

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alert_records import alert, write
from confluent_kafka import Consumer, TopicPartition
from pipeline import Worker, wait_until

from inferwatch import dead_letters
from inferwatch.embedded.kafka import ApacheKafka
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import ALERTS, TOPICS
from inferwatch_streams.leading.state_topic import StateTopic
from inferwatch_streams.notifications.notice import FIRING, RESOLVED

SECONDS = 60.0
RELOADS = "inferwatch_notifications_reloads_total"
FILE = """
channels:
  hook: {type: webhook, url: {env: HOOK}, signing_secret: {env: KEY}}
  wrong: {type: slack, webhook_url: {env: WRONG}}
routes: [{channels: [hook, wrong]}]
"""
OTHER_FILE = """
channels:
  other: {type: webhook, url: {env: HOOK}, signing_secret: {env: KEY}}
routes: [{channels: [other]}]
"""


@contextmanager
def receiver() -> Iterator[tuple[str, list[str]]]:
    """Yield the address of an endpoint that takes /hook alone, and the events it got."""
    events: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.startswith("/hook"):
                event = json.loads(body)
                events.append(f"{event['data']['title']}: {event['type']}")
            self.send_response(200 if self.path.startswith("/hook") else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", events
        server.shutdown()


def committed(kafka: KafkaSettings) -> int:
    """Return the offset of alerts up to which the role has told all."""
    consumer = Consumer({**kafka.confluent(), "group.id": "inferwatch-notifications"})
    try:
        (at,) = consumer.committed([TopicPartition(ALERTS.name, 0)], timeout=10)
        return int(at.offset)
    finally:
        consumer.close()


@pytest.mark.kafka
def test_a_killed_worker_s_successor_tells_the_rest(tmp_path: Path) -> None:
    """What was told and recorded once; what ended meanwhile as such; of the silenced, nothing."""
    (tmp_path / "n.yaml").write_text(FILE, encoding="utf-8")
    with (
        receiver() as (address, events),
        ApacheKafka(tmp_path / "kafka", tmp_path) as broker,
    ):
        kafka = KafkaSettings(broker.bootstrap_servers)
        TopicAdmin(kafka).create(TOPICS)
        leader = StateTopic(kafka, PinnedRegistry(), ALERTS, "test")
        variables = {
            **kafka.to_environment(),
            "PATH": "",
            "HOME": str(tmp_path),
            "HOOK": f"{address}/hook?token=hush",
            "WRONG": f"{address}/hush",
            "KEY": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            "INFERWATCH_NOTIFICATIONS_FILE": str(tmp_path / "n.yaml"),
            "INFERWATCH_NOTIFICATIONS_SESSION_TIMEOUT_SECONDS": "6",
        }

        def start(name: str) -> Worker:
            options = ("--only", "notifications", "--log-level", "debug")
            return Worker(name, tmp_path, variables, options)

        def until(worker: Worker, *expected: str) -> None:
            wait_until(
                lambda: list(events), lambda got: got == [*expected], worker, seconds=SECONDS
            )

        def recorded(worker: Worker, offset: int) -> None:
            wait_until(lambda: committed(kafka), lambda at: at == offset, worker, seconds=SECONDS)

        async def case() -> None:
            await leader.take_over()
            first = start("first")
            await write(leader, alert("a", FIRING), alert("b", FIRING, told=False))
            told = "a is slow: alert.firing"
            await asyncio.to_thread(until, first, told)
            await asyncio.to_thread(recorded, first, 3)
            first.kill()
            await write(leader, alert("a", RESOLVED), alert("b", RESOLVED, told=False))
            second = start("second")
            await asyncio.to_thread(until, second, told, "a is slow: alert.resolved")
            await asyncio.to_thread(recorded, second, 5)
            # Without a restart.
            (tmp_path / "n.yaml").write_text(OTHER_FILE, encoding="utf-8")
            await asyncio.to_thread(
                wait_until, lambda: second.metric(RELOADS, outcome="reloaded"),
                lambda count: count == 1, second, seconds=SECONDS,
            )  # fmt: skip
            await write(leader, alert("c", FIRING))
            await asyncio.to_thread(
                until, second, told, "a is slow: alert.resolved", "c is slow: alert.firing"
            )
            await asyncio.to_thread(recorded, second, 6)
            said = (tmp_path / "first.log").read_text() + second.said
            assert "hush" not in said
            assert "hush" not in second.metrics()
            second.kill()

        asyncio.run(case())
        leader.close()
        letters = list(
            dead_letters.read(kafka, PinnedRegistry(), dead_letters.Choice(), foreign=print)
        )
    assert [(one.offset, one.reason) for one in letters] == [
        (1, "undelivered:wrong:404"), (3, "undelivered:wrong:404"),
    ]  # fmt: skip
    assert letters[0].detail.startswith(
        "Channel wrong was not told that 'a is slow' is firing; after 1 attempt it answered 404."
    )
    assert letters[0].value is not None
    assert all(one.is_order for one in letters)
    assert "hush" not in repr(letters)
