"""The worker of the role notifications, killed while one channel hangs: no other hears again."""

import asyncio
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from alert_records import alert, write
from pipeline import Worker, wait_until

from inferwatch.embedded.kafka import ApacheKafka
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import ALERTS, TOPICS
from inferwatch_streams.leading.state_topic import StateTopic
from inferwatch_streams.notifications.notice import FIRING, RESOLVED
from inferwatch_streams.notifications.told_note import ToldNote

SECONDS = 60.0
# Of the log: a claim and three alerts.
END = 4
FILE = """
channels:
  fine: {type: webhook, url: {env: FINE}, signing_secret: {env: KEY}}
  hung: {type: webhook, url: {env: HUNG}, signing_secret: {env: KEY}, timeout: 5m}
routes: [{channels: [fine, hung]}]
"""
COPIES = "inferwatch_notifications_copies_possible_total"


@dataclass
class Receiver:
    """An endpoint whose /hung answers when it is let, and whose /fine always does.

    Attributes:
        port: Where it listens.
        asked: By path, what it was asked to take.
        free: Whether /hung answers.
    """

    port: int = 0
    asked: dict[str, list[str]] = field(default_factory=lambda: {"/fine": [], "/hung": []})
    free: threading.Event = field(default_factory=threading.Event)


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Yield one that runs."""
    found = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.asked[self.path].append(f"{event['data']['title']}: {event['type']}")
            if self.path == "/hung":
                found.free.wait(SECONDS)
            # Who asked may have been killed.
            with suppress(OSError):
                self.send_response(200)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        found.port = server.server_port
        yield found
        found.free.set()
        server.shutdown()


async def recorded(kafka: KafkaSettings) -> tuple[int, list[int], list[int]]:
    """Return the committed offset of alerts, and those beyond that /fine and /hung need no more."""
    # confluent_kafka reads metadata beyond its end.
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets("inferwatch-notifications")
    finally:
        await admin.close()
    at = found.get(TopicPartition(ALERTS.name, 0))
    if at is None:
        return -1, [], []
    note = ToldNote.read("@".join(at.metadata.split("@")[2:]), END)
    fine, hung = ([n for n in range(END) if note.told(name, n)] for name in ("fine", "hung"))
    return at.offset, fine, hung


async def until(worker: Worker, ask: Callable[[], object], expected: object) -> None:
    """Wait until the answer is the expected one."""
    await asyncio.to_thread(wait_until, ask, lambda got: got == expected, worker, seconds=SECONDS)


@pytest.mark.kafka
def test_who_was_told_while_another_hung_is_told_nothing_again(tmp_path: Path) -> None:
    """And the one that hung is told all, when it answers: of what was on its way, a copy."""
    (tmp_path / "n.yaml").write_text(FILE, encoding="utf-8")
    with (
        receiver() as endpoint,
        ApacheKafka(tmp_path / "kafka", tmp_path) as broker,
    ):
        kafka = KafkaSettings(broker.bootstrap_servers)
        TopicAdmin(kafka).create(TOPICS)
        leader = StateTopic(kafka, PinnedRegistry(), ALERTS, "test")
        variables = {
            **kafka.to_environment(),
            "PATH": "",
            "HOME": str(tmp_path),
            "FINE": f"http://127.0.0.1:{endpoint.port}/fine",
            "HUNG": f"http://127.0.0.1:{endpoint.port}/hung",
            "KEY": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            "INFERWATCH_NOTIFICATIONS_FILE": str(tmp_path / "n.yaml"),
            "INFERWATCH_NOTIFICATIONS_SESSION_TIMEOUT_SECONDS": "6",
        }
        firing, resolved, other = (
            "a is slow: alert.firing", "a is slow: alert.resolved", "b is slow: alert.firing",
        )  # fmt: skip

        def start(name: str) -> Worker:
            return Worker(name, tmp_path, variables, ("--only", "notifications"))

        async def case() -> None:
            await leader.take_over()
            first = start("first")
            said: list[str] = []
            for change, event in (
                (alert("a", FIRING), firing), (alert("a", RESOLVED), resolved),
                (alert("b", FIRING), other),
            ):  # fmt: skip
                await write(leader, change)
                said.append(event)
                await until(first, lambda: endpoint.asked["/fine"], said)
            # What the hanging one is asked meanwhile.
            await until(first, lambda: endpoint.asked["/hung"], [firing, other])
            # Offset 0 is the leader's claim.
            await until(first, lambda: asyncio.run(recorded(kafka)), (1, [1, 2, 3], []))
            first.kill()
            endpoint.free.set()
            second = start("second")
            await until(second, lambda: asyncio.run(recorded(kafka)), (4, [], []))
            assert endpoint.asked["/fine"] == said
            told = endpoint.asked["/hung"][2:]
            assert sorted(told) == sorted(said)
            assert told.index(firing) < told.index(resolved)
            assert second.metric(COPIES, channel="fine") == 0
            assert second.metric(COPIES, channel="hung") == 3
            second.kill()

        asyncio.run(case())
        leader.close()
