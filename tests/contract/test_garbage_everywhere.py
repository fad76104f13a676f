"""Every topic that services publish to buries what is no event, by whoever is first to read it."""

import struct

import pytest
from confluent_kafka import Producer
from garbage import GARBAGE
from load import SCHEMA_IDS, Event, Log, encode
from pipeline import Stack, wait_until
from random_events import make_events
from tables import assert_raw_rows

from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import AGGREGATED, PUBLISHED, Topic

EVENTS = [event for event in make_events(8, 400) if event.schema != "request"]
# What is bad in any topic; the others are bad as requests only.
ANYWHERE = ("cut within its prefix", "unknown schema id", "not Confluent's", "JSON", "tombstone")


def good(topic: Topic) -> Event:
    """An event of a topic."""
    return next(event for event in make_events(9, 20) if event.schema in topic.schemas)


def bad_values(topic: Topic) -> dict[str, bytes | None]:
    """Values that are no event of a topic, by the reason that must be told."""
    value = encode(good(topic))
    others = next(other for other in PUBLISHED if other != topic)
    outside = Event(topic.schemas[0], {**good(topic).fields, "event_time": -1})
    return {
        **{GARBAGE[name].reason: GARBAGE[name].value for name in ANYWHERE},
        "truncated": value[:-1],
        "trailing_bytes": value + b"\0",
        "wrong_schema": encode(good(others)),
        "out_of_range": encode(outside),
        "oversized": struct.pack(">bI", 0, SCHEMA_IDS[topic.schemas[0]]) + b"\0" * 300_000,
    }


@pytest.fixture(scope="module")
def log(stack: Stack) -> Log:
    """Good events with garbage of every kind among them, read by a worker that then stopped."""
    log = Log(stack.kafka)
    log.publish(EVENTS[::2])
    producer = Producer(stack.kafka.confluent(), logger=SILENT)
    letters = 0
    for topic in PUBLISHED:
        for reason, value in bad_values(topic).items():
            producer.produce(topic.name, value, key=reason.encode(), partition=0)
            letters += 1
    assert producer.flush(20) == 0
    log.publish(EVENTS[1::2])
    with stack.worker("worker") as worker:
        wait_until(
            lambda: (
                stack.one("SELECT count() FROM dead_letters"),
                stack.one("SELECT count() FROM device_events"),
                stack.one("SELECT count() FROM producer_ends"),
                stack.one("SELECT count() FROM spans"),
                stack.one("SELECT count() FROM logs"),
                stack.one("SELECT count() FROM evaluations"),
            ),
            lambda found: found == (letters, 40, 40, 40, 40, 40),
            worker,
            seconds=60,
        )
        worker.stop()
    return log


@pytest.mark.parametrize("topic", PUBLISHED, ids=lambda topic: topic.name)
def test_each_is_buried_once_with_its_reason(stack: Stack, log: Log, topic: Topic) -> None:
    """A counted topic's bad records are the aggregation's to bury, any other's the sink's."""
    assert log.records
    reader = "inferwatch-aggregation" if topic in AGGREGATED else "inferwatch-sink"
    found = stack.query(
        "SELECT key, reason, topic_id, reader, hex(value) FROM dead_letters "
        "WHERE source_topic = {topic:String}",
        topic=topic.name,
    )
    topic_id = stack.topic_ids()[topic.name]
    assert sorted(found) == sorted(
        (reason, reason, topic_id, reader, None if value is None else value.hex().upper())
        for reason, value in bad_values(topic).items()
    )


def test_their_neighbours_landed(stack: Stack, log: Log) -> None:
    """Every good event around them is stored, exactly."""
    assert_raw_rows(stack, log)
