"""The topic catalogue agrees with the schemas, and differences from it are told."""

from dataclasses import replace

import pytest

from inferwatch_schemas import releases
from inferwatch_schemas.admin import TopicState, differences
from inferwatch_schemas.topics import (
    AGGREGATED,
    AGGREGATES,
    ALERTS,
    BY_NAME,
    CONTROLS,
    DEAD_LETTERS,
    EXPERIMENTS,
    INCIDENTS,
    PUBLISHED,
    TOPICS,
    TOTALS,
    Topic,
    topic_of,
)


def as_declared(topic: Topic) -> TopicState:
    """Return the topic as a broker has it that was given its declaration."""
    return TopicState(topic.name, "id", topic.partitions, topic.config())


def test_every_schema_is_carried_by_one_topic() -> None:
    """No schema is without a topic or in two, and no topic carries an unknown one."""
    carried = [schema for topic in TOPICS for schema in topic.schemas]
    assert sorted(carried) == list(releases.current_names())
    for name in carried:
        assert name in topic_of(name).schemas


def test_names_and_subjects_are_unique() -> None:
    """No two topics share a name, no two schemas a registry subject."""
    subjects = [topic.subject(schema) for topic in TOPICS for schema in topic.schemas]
    assert len(set(subjects)) == len(subjects)
    assert len(BY_NAME) == len(TOPICS)


def test_published_topics_carry_what_identifies_an_event() -> None:
    """Each topic of services has one schema, with the fields by which loss can be counted."""
    for topic in PUBLISHED:
        (name,) = topic.schemas
        fields = {field["name"] for field in releases.latest(name).schema["fields"]}
        assert {"event_id", "producer_id", "sequence", "event_time"} <= fields


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_dead_letter_has_room_for_any_value(topic: Topic) -> None:
    """A broker takes more than an event may have, so that what is too large can be told."""
    assert int(topic.config()["max.message.bytes"]) >= 2 * topic.max_value_bytes


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_producers_clock_decides_nothing_in_kafka(topic: Topic) -> None:
    """Neither whether a record is taken nor how long it is kept."""
    assert topic.config()["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_as_declared_does_not_differ(topic: Topic) -> None:
    """A topic that is as declared has no differences, whatever else its broker tells."""
    state = as_declared(topic)
    assert differences(topic, state) == ()
    assert differences(topic, replace(state, config={**state.config, "other": "x"})) == ()


def test_each_difference_is_told() -> None:
    """Partitions and settings that differ or lack are one sentence each."""
    topic = TOPICS[0]
    state = as_declared(topic)
    assert differences(topic, state, factor=2) == ("inferwatch.requests has 4 partitions, not 8",)
    other = replace(state, config={**state.config, "retention.ms": "1"})
    assert differences(topic, other) == (
        "inferwatch.requests has retention.ms=1, not retention.ms=604800000",
    )
    bare = replace(state, partitions=1, config={})
    told = differences(topic, bare)
    assert len(told) == 1 + len(topic.config())
    assert "does not have cleanup.policy=delete" in told[1]


def test_what_is_counted_is_published() -> None:
    """The aggregation counts events of services, never what the stream processors write."""
    assert set(AGGREGATED) <= set(PUBLISHED)
    assert not any(topic.published for topic in (AGGREGATES, DEAD_LETTERS))


def test_every_change_of_an_alert_and_an_incident_stays_for_a_week() -> None:
    """Whoever notifies may be away for that long, and still hears of what came and went."""
    for topic in (ALERTS, INCIDENTS):
        assert topic.config()["min.compaction.lag.ms"] == str(7 * 24 * 3600 * 1000)
    assert "min.compaction.lag.ms" not in CONTROLS.config()


def test_compacted_topics_keep_the_newest_for_ever() -> None:
    """What services are told is kept by key, in one partition, and no service writes it."""
    compacted = {topic for topic in TOPICS if topic.cleanup == "compact"}
    assert compacted == {EXPERIMENTS, CONTROLS, ALERTS, INCIDENTS, TOTALS}
    for topic in compacted:
        assert topic.config()["retention.ms"] == "-1"
        assert (topic.partitions, topic.published, topic.aggregated) == (1, False, False)
