"""Kafka goes away under a monitored service and comes back: each loss is counted, at both ends."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from prometheus_client import CollectorRegistry

import inferwatch_agents
from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch_agents import DeliverySettings, process
from inferwatch_agents.delivery import Delivery
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import REQUESTS
from inferwatch_schemas.wire import decode

PATIENCE_SECONDS = 60.0
# Of each store between the caller and Kafka.
ROOM = 100


def start(broker: EmbeddedBroker) -> Delivery:
    """Start the SDK on a broker with its topic."""
    TopicAdmin(KafkaSettings(broker.bootstrap_servers)).create([REQUESTS])
    inferwatch_agents.init(
        "outage",
        kafka=broker.bootstrap_servers,
        delivery=DeliverySettings(queue_events=ROOM),
        metrics=CollectorRegistry(),
    )
    found = process.active()
    assert found is not None
    return found.delivery


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    yield
    inferwatch_agents.shutdown()


def call(count: int) -> None:
    """Make calls, no faster than the thread takes them."""
    for number in range(count):
        with inferwatch_agents.call(model="m"):
            pass
        if number % (ROOM // 2) == 0:
            inferwatch_agents.flush(0.2)


def landed(broker: EmbeddedBroker) -> list[int]:
    """Numbers of the events that a broker has."""
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "g"}, logger=SILENT
    )
    partitions = [TopicPartition(REQUESTS.name, p) for p in range(REQUESTS.partitions)]
    ends = {p.partition: consumer.get_watermark_offsets(p, timeout=10)[1] for p in partitions}
    consumer.assign(
        [TopicPartition(REQUESTS.name, p, OFFSET_BEGINNING) for p, end in ends.items() if end]
    )
    found: list[int] = []
    try:
        while batch := consumer.consume(1000, timeout=2):
            found += [
                decode(message.value(), PinnedRegistry())["sequence"]
                for message in batch
                if message.error() is None
            ]
    finally:
        consumer.close()
    return found


def test_a_broker_that_stops_for_a_while_costs_nothing(tmp_path: Path) -> None:
    """What was made meanwhile, within the room, arrives in order when it goes on."""
    with EmbeddedBroker(tmp_path) as broker:
        delivery = start(broker)
        call(50)
        assert inferwatch_agents.flush(PATIENCE_SECONDS)
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            call(100)
            assert not inferwatch_agents.flush(1)
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        assert inferwatch_agents.flush(PATIENCE_SECONDS)
        assert landed(broker) == list(range(150))
    assert (delivery.outcomes.dropped, delivery.outcomes.failed) == ({}, {})


def test_a_broker_that_comes_back_with_nothing_is_served_again(tmp_path: Path) -> None:
    """Beyond the room the newest are dropped; every event is acknowledged or counted as lost."""
    with EmbeddedBroker(tmp_path) as broker:
        delivery = start(broker)
        call(50)
        assert inferwatch_agents.flush(PATIENCE_SECONDS)
        port = int(broker.bootstrap_servers.rpartition(":")[2])
    call(500)
    outcomes = delivery.outcomes
    assert outcomes.dropped["request", "queue_full"] > 0
    with EmbeddedBroker(tmp_path, port=port) as broker:
        TopicAdmin(KafkaSettings(broker.bootstrap_servers)).create([REQUESTS])
        assert inferwatch_agents.flush(PATIENCE_SECONDS)
        call(50)
        assert inferwatch_agents.flush(PATIENCE_SECONDS)
        there = landed(broker)
    lost = outcomes.dropped.total() + outcomes.failed.total()
    assert len(there) == len(set(there)) == outcomes.sent["request"] - 50
    assert outcomes.sent["request"] + lost == 600
    assert sorted(there)[-50:] == list(range(550, 600))
