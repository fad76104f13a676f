"""A topic is deleted and created again under load: said by name, and the new log counts beside."""

import time

import pytest
from arena import Arena
from confluent_kafka.admin import AdminClient
from load import Event
from pipeline import wait_until
from storm import Storm

from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.errors import KafkaRefusedError
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import AGGREGATED, Topic, topic_of

pytestmark = pytest.mark.chaos

LOAD_SECONDS = 3.0


def recreate(arena: Arena, topic: Topic, absent_seconds: float) -> None:
    """Delete a topic and create it again, with another id; returns when it is there."""
    kafka = arena.stack.kafka
    before = arena.stack.topic_ids()[topic.name]
    admin = AdminClient(kafka.confluent(), logger=SILENT)
    admin.delete_topics([topic.name])[topic.name].result(10)
    time.sleep(absent_seconds)
    wait_until(
        lambda: _created(arena, topic), lambda found: found not in (None, before), seconds=30
    )


def _created(arena: Arena, topic: Topic) -> str | None:
    admin = TopicAdmin(arena.stack.kafka)
    try:
        admin.create([topic])
    except KafkaRefusedError:
        return None
    return admin.ids([topic.name]).get(topic.name)


def of_topics(events: list[Event], topics: list[Topic], *, among: bool) -> list[Event]:
    """The events of these topics, or of the others."""
    return [event for event in events if (topic_of(event.schema) in topics) is among]


def test_recreated(storm: Storm) -> None:
    """One topic or two, while the others go on; the new log is written as soon as it exists."""
    arena = storm.arena
    topics = storm.chance.sample(AGGREGATED, storm.chance.randint(1, 2))
    # What was written but not read when its topic was deleted is gone with it.
    storm.publish(seconds=1)
    storm.ensure_worker()
    (worker,) = arena.workers
    storm.settle()
    said = len(worker.said)
    storm.publish(events=of_topics(storm.events(), topics, among=False), seconds=LOAD_SECONDS)
    for number, _ in enumerate(storm.moments(len(topics), LOAD_SECONDS)):
        recreate(arena, topics[number], storm.chance.choice((0, 0, 1)))
        storm.publish(
            storm.open_log(), of_topics(storm.events(), topics[number : number + 1], among=True)
        )
    storm.settle()
    since = worker.said[said:]
    for topic in topics:
        for metric in (
            "inferwatch_topics_recreated_total",
            "inferwatch_sink_topics_recreated_total",
        ):
            assert worker.metric(metric, topic=topic.name) >= 1
        assert any("created again" in line and topic.name in line for line in since.splitlines()), (
            since
        )
