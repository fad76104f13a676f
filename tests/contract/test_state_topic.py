"""A role's state topic on a real broker: claimed, fenced, mended, and led by one member."""

import asyncio
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from prometheus_client import REGISTRY

from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.errors import EncodeError
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import ALERTS, Topic
from inferwatch_streams.errors import SupersededError, TakeOverError
from inferwatch_streams.leading.fence import EPOCH_HEADER
from inferwatch_streams.leading.partition_log import epoch_before
from inferwatch_streams.leading.state_topic import StateTopic

MEMBER = Path(__file__).with_name("group_member.py")
SECONDS = 20.0


@pytest.fixture
def kafka(bootstrap_servers: str) -> KafkaSettings:
    """How to reach the broker."""
    return KafkaSettings(bootstrap_servers)


@pytest.fixture
def topic(kafka: KafkaSettings) -> Topic:
    """A state topic with a name of its own."""
    own = replace(ALERTS, name=f"contract.{uuid.uuid4().hex}")
    TopicAdmin(kafka).create([own])
    return own


@pytest.fixture
def leader(kafka: KafkaSettings, topic: Topic) -> Iterator[Callable[..., StateTopic]]:
    """Make leaders of the topic, and close them."""
    made: list[StateTopic] = []

    def make(kafka: KafkaSettings = kafka, seconds: float = SECONDS) -> StateTopic:
        made.append(StateTopic(kafka, PinnedRegistry(), topic, "test", take_over_seconds=seconds))
        return made[-1]

    yield make
    for each in made:
        each.close()


def silence(name: str, reason: str = "") -> dict[str, Any]:
    """Return the record of a silence."""
    return {
        "silence_id": name, "event_time": 1, "matchers": [], "starts_at": 1, "ends_at": 2,
        "actor": "me", "reason": reason, "epoch": 0,
    }  # fmt: skip


async def write(leader: StateTopic, **reasons: str | None) -> None:
    """Write silences, or remove those without a reason."""
    for key, reason in reasons.items():
        leader.append(key, "silence", None if reason is None else silence(key, reason))
    await leader.settle()


async def state(leader: StateTopic) -> dict[str, str]:
    """Take over, and return the reason of each silence, in log order."""
    return {found.key: found.record["reason"] for found in await leader.take_over()}


def fenced(topic: Topic) -> float:
    """Return how many records were left out."""
    labels = {"topic": topic.name}
    return REGISTRY.get_sample_value("inferwatch_fenced_records_total", labels) or 0.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110  # a thread changes it
            await asyncio.sleep(0.02)


Leader = Callable[..., StateTopic]


def test_what_no_record_can_hold_is_refused(leader: Leader) -> None:
    """It is not sent: the broker would refuse it, and the lead be lost for it again and again."""

    async def case() -> None:
        first = leader()
        await state(first)
        with pytest.raises(EncodeError, match="too many for a record"):
            first.append("a", "silence", silence("a", "x" * 1024 * 1024))
        await write(first, b="1", c="x" * 900_000)
        assert await state(leader()) == {"b": "1", "c": "x" * 900_000}

    asyncio.run(case())


def test_the_state_is_what_the_leaders_wrote(leader: Leader) -> None:
    """The newest of each key, in log order, without what was removed; all say their epoch."""

    async def case() -> None:
        first = leader()
        assert await state(first) == {}
        await write(first, a="1", b="1", c="1")
        await write(first, a="2", c=None)
        second = leader()
        records = await second.take_over()
        assert [(each.key, each.schema, each.record["reason"]) for each in records] == [
            ("b", "silence", "1"),
            ("a", "silence", "2"),
        ]
        assert {each.record["epoch"] for each in records} == {0}
        assert second.epoch > records[-1].offset

    asyncio.run(case())


def test_a_replaced_leader_s_records_count_for_nobody_and_are_mended(
    leader: Leader, kafka: KafkaSettings, topic: Topic
) -> None:
    """A zombie's record and its tombstone are left out, and written over as compaction needs it."""

    async def case() -> None:
        zombie, second, third = leader(), leader(), leader()
        await zombie.take_over()
        await write(zombie, a="1", b="1")
        epoch = zombie.epoch
        assert await state(second) == {"a": "1", "b": "1"}
        await write(second, c="2")
        # What a process that slept writes before it hears of its replacement.
        sleeper = Producer({"bootstrap.servers": kafka.bootstrap_servers})
        for key in ("a", "b", "z"):
            sleeper.produce(topic.name, b"x", key, headers=[(EPOCH_HEADER, str(epoch).encode())])
        sleeper.produce(topic.name, None, "b", headers=[(EPOCH_HEADER, str(epoch).encode())])
        sleeper.produce(topic.name, b"nobody's", "c")
        assert sleeper.flush(SECONDS) == 0
        await until(lambda: fenced(topic) == 5)  # as many as the sleeper wrote
        await write(second)
        assert await state(third) == {"a": "1", "b": "1", "c": "2"}

    asyncio.run(case())


def test_a_leader_notices_that_another_has_claimed(leader: Leader) -> None:
    """It writes no more, until it takes over again; then the other one is told."""

    async def case() -> None:
        first, second = leader(), leader()
        await first.take_over()
        await write(first, a="1")
        await second.take_over()
        await until(lambda: not first.leads)
        with pytest.raises(SupersededError, match="claimed by another"):
            first.append("a", "silence", silence("a", "2"))
        with pytest.raises(SupersededError, match="was not taken over"):
            await first.settle()
        assert await state(first) == {"a": "1"}
        await until(lambda: not second.leads)

    asyncio.run(case())


def test_what_is_mended_is_the_last_of_its_key(
    leader: Leader, kafka: KafkaSettings, topic: Topic
) -> None:
    """After the next settlement the key's last record is the one that counts."""

    async def case() -> None:
        first, second = leader(), leader()
        await first.take_over()
        epoch = first.epoch
        await write(first, a="1")
        sleeper = Producer({"bootstrap.servers": kafka.bootstrap_servers})
        await second.take_over()
        sleeper.produce(topic.name, b"x", "a", headers=[(EPOCH_HEADER, str(epoch).encode())])
        assert sleeper.flush(SECONDS) == 0
        # A third one finds it as it reads, and not only as it follows.
        third = leader()
        assert await state(third) == {"a": "1"}
        await write(third)
        fourth = leader()
        (record,) = await fourth.take_over()
        assert record.record["epoch"] == record.offset - 1 > epoch

    asyncio.run(case())


def test_the_epoch_of_a_place_is_found_by_looking_back(
    leader: Leader, kafka: KafkaSettings, topic: Topic
) -> None:
    """A reader that starts in the middle knows whose records count there."""

    async def case() -> None:
        first, second = leader(), leader()
        await first.take_over()
        await write(first, a="1")
        await second.take_over()
        epochs = [epoch_before(kafka, topic.name, offset, SECONDS) for offset in range(4)]
        assert epochs == [-1, 0, 0, second.epoch]

    asyncio.run(case())


def test_a_broker_that_is_away_is_told_in_time(leader: Leader, topic: Topic) -> None:
    """Taking over ends with a sentence; nothing leads."""

    async def case() -> None:
        away = leader(KafkaSettings("127.0.0.1:1"), 1.0)
        started = time.monotonic()
        with pytest.raises(TakeOverError, match=f"{topic.name} was not taken over"):
            await away.take_over()
        assert time.monotonic() - started < SECONDS / 2
        assert not away.leads

    asyncio.run(case())


def test_another_member_takes_over_when_the_leader_is_killed(
    kafka: KafkaSettings, topic: Topic, request: pytest.FixtureRequest
) -> None:
    """One member has all partitions, the next one none; after kill -9 that one has them."""
    session_ms = "2000" if "embedded" in request.node.callspec.id else "6000"
    arguments = [kafka.bootstrap_servers, f"group-{topic.name}", topic.name, session_ms, "one"]

    def member() -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 -- this interpreter and a script beside this one
            [sys.executable, str(MEMBER), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def assignment(process: subprocess.Popen[str]) -> list[int]:
        """Read the next one; the test's time limit bounds it."""
        assert process.stdout is not None
        return list(json.loads(process.stdout.readline()))

    with member() as leader:
        try:
            assert assignment(leader) == [0]
            with member() as other:
                try:
                    assert assignment(other) == []
                    assert assignment(leader) == [0]
                    leader.kill()
                    assert assignment(other) == [0]
                finally:
                    other.kill()
        finally:
            leader.kill()
