"""While an alert fires, its leader is killed, frozen, or shared with others, or all is read again.

Each seed is an episode of one service: its calls fail and then succeed again, and something breaks
in between, or just before or after. The topic must hold one firing and one resolved transition of
it among the records that count, whoever wrote them; and a service that was silenced before goes
through the same without anybody being told.
"""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from alert_log import AlertLog
from arena import Arena
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient
from counted_calls import CountedCalls
from pipeline import Worker, wait_until

from inferwatch_schemas.emitter import Emitter
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES, COMMANDS
from inferwatch_schemas.wire import Encoder, cloudevents_headers

pytestmark = pytest.mark.chaos

SECONDS = 60.0
GROUP = "inferwatch-rules"
WORKERS = 2
RULES = """
rules:
  - name: failing
    kind: threshold
    severity: high
    measure: error_rate
    by: [service]
    window: 1m
    above: 0.05
    min_samples: 5
    runbook: https://example.com/failing
"""
ONCE = ["firing", "resolved"]


class Scene:
    """Workers of the rules over all seeds, and what they are told and say."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.kafka = arena.stack.kafka
        self.file = arena.stack.folder / "rules.yaml"
        self.file.write_text(RULES)
        self.calls = CountedCalls(self.kafka)
        self.alerts = AlertLog(self.kafka)
        self.episodes: list[str] = []
        self._emitter = Emitter(self.kafka, "test")
        self._encoder = Encoder("command", PinnedRegistry())

    def ensure_workers(self) -> None:
        """Have as many as a scene begins with."""
        while len(self.arena.workers) < WORKERS:
            self.start()

    def start(self) -> Worker:
        """Start one more."""
        return self.arena.start_worker(
            "--only", "rules", rules_file=str(self.file), rules_settle_seconds="0.5",
            rules_tick_seconds="0.3", rules_checkpoint_seconds="1", rules_commit_seconds="0.5",
        )  # fmt: skip

    def leader(self, *but: Worker) -> Worker:
        """Wait for a leader, and return it."""
        asked = [worker for worker in self.arena.workers if worker not in but]
        found = wait_until(
            lambda: [each for each in asked if each.metric("inferwatch_leads") == 1],
            bool,
            *asked,
            seconds=SECONDS,
        )
        return found[0]

    def silence(self, service: str) -> None:
        """Silence a service, and wait until that is known."""
        now = int(time.time() * 1_000_000)
        command: dict[str, Any] = {
            "command_id": f"silence-{service}", "event_time": now, "actor": "test",
            "action": "silence", "target": f"of-{service}", "text": "quiet", "assignee": None,
            "response_action": None, "starts_at": None, "ends_at": now + 3_600_000_000,
            "matchers": [{"name": "service", "operator": "=", "value": service}],
        }  # fmt: skip
        self._emitter.send(
            COMMANDS.name, command["target"].encode(), self._encoder.encode(command),
            cloudevents_headers("command", command["command_id"], "test"),
        )  # fmt: skip
        self._emitter.close(SECONDS)
        self.until(lambda: f"of-{service}" in self.alerts.read().silences)

    def until(self, right: Callable[[], bool], workers: Sequence[Worker] | None = None) -> None:
        """Wait until something is so; no worker may end meanwhile."""
        asked = self.arena.workers if workers is None else workers
        wait_until(right, bool, *asked, seconds=SECONDS)

    def gone_through(
        self, service: str, statuses: list[str], workers: Sequence[Worker] | None = None
    ) -> None:
        """Wait until a service's alert has gone through these, and maybe more."""

        def through() -> bool:
            return self.alerts.read().transitions(service=service)[: len(statuses)] == statuses

        self.until(through, workers)


@pytest.fixture(scope="module")
def scene(arena: Arena) -> Iterator[Scene]:
    """Yield the workers' scene, kept over all seeds of a broker."""
    scene = Scene(arena)
    yield scene
    scene.alerts.close()


def killed(scene: Scene, chance: random.Random, service: str) -> None:
    """The leader is killed with SIGKILL."""
    del chance, service
    scene.arena.kill(scene.leader())


def frozen(scene: Scene, chance: random.Random, service: str) -> None:
    """The leader sleeps until it was replaced, and goes on where it was.

    In some seeds its alert has been resolved by then, which it learns from the same rows: what it
    writes of that before it notices must count for nobody.
    """
    zombie = scene.leader()
    zombie.freeze()
    try:
        others = [each for each in scene.arena.workers if each is not zombie]
        scene.leader(zombie)
        if chance.random() < 0.5:
            scene.gone_through(service, ["firing"], others)
            recover(scene, service)
            scene.gone_through(service, ONCE, others)
        else:
            time.sleep(chance.uniform(0, 0.5))
    finally:
        zombie.thaw()


def joined(scene: Scene, chance: random.Random, service: str) -> None:
    """Another worker joins; then one that is not the newest leaves in order."""
    del service
    newest = scene.start()
    scene.until(lambda: "Setting newly assigned partitions" in newest.said)
    leaving = chance.choice([each for each in scene.arena.workers if each is not newest])
    scene.arena.stop(leaving)


def counted_again(scene: Scene, chance: random.Random, service: str) -> None:
    """The aggregation sends its rows again."""
    for _ in range(chance.randint(1, 3)):
        scene.calls.repeat(service)


def read_again(scene: Scene, chance: random.Random, service: str) -> None:
    """All workers are killed, and the next ones read the rows from the beginning."""
    del chance, service
    scene.arena.clear()
    client = AdminClient(scene.kafka.confluent())
    beginning = [TopicPartition(AGGREGATES.name, number, 0) for number in range(4)]

    def rewound() -> bool:
        """Whether the group let it happen: it does once its members are given up."""
        asked = client.alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(GROUP, beginning)]
        )
        return asked[GROUP].exception(SECONDS) is None

    wait_until(rewound, bool, seconds=SECONDS)
    scene.ensure_workers()


FAULTS = (killed, frozen, joined, counted_again, read_again)


def test_one_firing_and_one_resolved_transition(arena: Arena, scene: Scene, seed: int) -> None:
    """Whatever breaks, and whenever; and of the silenced service nobody hears."""
    chance = random.Random(seed)  # noqa: S311  # what breaks, no secret
    service, quiet = f"seed-{seed}", f"quiet-{seed}"
    scene.ensure_workers()
    try:
        scene.silence(quiet)
        for name in (service, quiet):
            scene.calls.tell(name, requests=10, errors=chance.randint(2, 10))
        # What recovers at once may never have fired.
        late = chance.random() < 0.3
        if late or chance.random() < 0.7:
            scene.gone_through(service, ["firing"])
        time.sleep(chance.uniform(0, 1))
        if late:
            for name in (service, quiet):
                scene.gone_through(name, ["firing"])
            recover(scene, service, quiet)
            time.sleep(chance.uniform(0, 1))
        FAULTS[seed % len(FAULTS)](scene, chance, service)
        if not late:
            scene.gone_through(service, ["firing"])
            recover(scene, service, quiet)
        scene.ensure_workers()
        for name in (service, quiet):
            scene.gone_through(name, ONCE)
    except BaseException:
        arena.clear()
        raise
    scene.episodes.append(service)
    assert_once(scene, service, quiet)


def recover(scene: Scene, *services: str) -> None:
    """Let so many calls succeed that the failed ones are few."""
    for name in services:
        scene.calls.tell(name, requests=2000, errors=0)


def assert_once(scene: Scene, service: str, quiet: str) -> None:
    """What a notifier makes of the records that count."""
    assert scene.alerts.read().transitions(service=service) == ONCE
    told = [_notification(each) for each in scene.alerts.records(service=service)]
    assert len({each for each in told if each is not None}) == len(ONCE)
    silenced = scene.alerts.records(service=quiet)
    said = [(each["status"], each["event_time"], each["silence_id"]) for each in silenced]
    assert {_notification(each) for each in silenced} == {None}, said
    kept_by = {each["silence_id"] for each in silenced if each["status"] == "firing"}
    assert kept_by == {f"of-{quiet}"}, said


def _notification(record: dict[str, Any]) -> str | None:
    found: str | None = json.loads(record["details"])["alerting"].get("notification_id")
    return found


def test_nothing_changes_later(scene: Scene) -> None:
    """After all seeds, each one's alert has gone through what it had, and no more."""
    assert scene.episodes
    for service in scene.episodes:
        assert_once(scene, service, service.replace("seed", "quiet"))
