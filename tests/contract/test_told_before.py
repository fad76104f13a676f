"""The role notifications on a real log: what was told before it begins, and what is told again."""

import asyncio
import uuid
from dataclasses import replace

import pytest
from alert_records import alert, write

from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.columnar.chunk import Assignment
from inferwatch_schemas.emitter import Emitter
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import ALERTS, Topic
from inferwatch_schemas.wire import Encoder
from inferwatch_streams.leading.fence import EPOCH_HEADER
from inferwatch_streams.leading.state_topic import StateTopic
from inferwatch_streams.notifications.history import read_before
from inferwatch_streams.notifications.notice import FIRING, RESOLVED, Notice

SECONDS = 20.0


@pytest.fixture
def kafka(bootstrap_servers: str) -> KafkaSettings:
    """How to reach the broker."""
    return KafkaSettings(bootstrap_servers)


@pytest.fixture
def topic(kafka: KafkaSettings) -> Topic:
    """A topic of alerts with a name of its own."""
    own = replace(ALERTS, name=f"contract.{uuid.uuid4().hex}")
    TopicAdmin(kafka).create([own])
    return own


def shown(found: list[Notice]) -> list[tuple[str, str, bool]]:
    """Return what notices say, short."""
    return [(one.title, one.state, one.muted) for one in found]


def test_what_was_told_before_is_read_through_the_fence(kafka: KafkaSettings, topic: Topic) -> None:
    """Up to where this worker begins, without a replaced leader's records; and the log's end."""

    async def case() -> None:
        leader = StateTopic(kafka, PinnedRegistry(), topic, "test", take_over_seconds=SECONDS)
        await leader.take_over()
        await write(
            leader, alert("a", FIRING), alert("b", FIRING, told=False), alert("c", "pending"),
            alert("a", RESOLVED),
        )  # fmt: skip
        await write(leader, alert("c", FIRING))
        leader.append(alert("c", FIRING).fingerprint, "alert", None)
        await leader.settle()
        second = StateTopic(kafka, PinnedRegistry(), topic, "test", take_over_seconds=SECONDS)
        await second.take_over()
        emitter = Emitter(kafka, "zombie")
        value = Encoder("alert", PinnedRegistry()).encode(
            {**alert("z", FIRING).to_record(), "epoch": 0}
        )
        emitter.send(topic.name, b"z", value, [(EPOCH_HEADER, b"0")])
        await emitter.settle()
        await write(second, alert("d", FIRING), alert("e", FIRING))

        def read(start: int) -> tuple[list[Notice], int]:
            return read_before(
                kafka, PinnedRegistry(), topic.name, Assignment("id", start, start), SECONDS
            )

        found, end = await asyncio.to_thread(read, 10)
        assert shown(found) == [
            ("b is slow", FIRING, True),
            ("d is slow", FIRING, False),
        ]
        assert end == 11
        first = found[0]
        assert first.origin is not None
        assert (first.origin.offset, first.origin.topic_id) == (2, "id")
        assert await asyncio.to_thread(read, 0) == ([], 11)
        for one in (leader, second):
            one.close()

    asyncio.run(case())
