"""The host agent and Kafka: samples and events arrive under their numbers, or are counted."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch_agents.delivery import DeliverySettings
from inferwatch_agents.host import device_events
from inferwatch_agents.host.event_log import EventLog
from inferwatch_agents.host.gpu_sample import Identity
from inferwatch_agents.host.shipping import Shipping
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import DEVICE_EVENTS, RESOURCES, Topic
from inferwatch_schemas.wire import decode

GPU = Identity("gpu:0", "GPU-a", 0, "NVIDIA A100", "00000000:07:00.0")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    """A broker with the agent's topics."""
    with EmbeddedBroker(tmp_path_factory.mktemp("broker")) as broker:
        settings = KafkaSettings(broker.bootstrap_servers)
        TopicAdmin(settings).create([RESOURCES, DEVICE_EVENTS])
        yield settings


def landed(kafka: KafkaSettings, topic: Topic, host: str, count: int) -> list[dict[str, Any]]:
    """At least so many records of a host, by their numbers."""
    consumer = Consumer({**kafka.confluent(), "group.id": host}, logger=SILENT)
    consumer.assign(
        [TopicPartition(topic.name, p, OFFSET_BEGINNING) for p in range(topic.partitions)]
    )
    found: list[dict[str, Any]] = []
    try:
        deadline = time.monotonic() + 20
        while len(found) < count and time.monotonic() < deadline:
            found += [
                decode(message.value(), PinnedRegistry())
                for message in consumer.consume(100, timeout=0.2)
                if message.error() is None and message.key() == host.encode()
            ]
    finally:
        consumer.close()
    return sorted(found, key=lambda record: int(record["sequence"]))


def test_samples_of_a_host_arrive_without_a_gap(kafka: KafkaSettings) -> None:
    """The command ends by itself, with all of its samples in Kafka."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("INFERWATCH_")}
    subprocess.run(  # noqa: S603  # our own program
        [
            sys.executable, "-m", "inferwatch", "agent", "--interval", "0.1", "--seconds", "0.7",
            "--host-name", "sampled", "--processes", "inferwatch", "--metrics-port", "0",
            "--bootstrap-servers", kafka.bootstrap_servers,
        ],
        env=own, check=True, timeout=60,
    )  # fmt: skip
    records = landed(kafka, RESOURCES, "sampled", 8)
    assert [record["sequence"] for record in records] == list(range(len(records)))
    assert len(records) >= 8
    assert {record["device"] for record in records} == {"host", "process:inferwatch"}
    assert len({record["producer_id"] for record in records}) == 1
    assert records[2]["memory_total_bytes"] > 0


def test_identical_events_are_two(kafka: KafkaSettings) -> None:
    """Each has a number and an id of its own, and is there after the agent's end."""
    shipping = Shipping(kafka, PinnedRegistry())
    events = EventLog("eventful", shipping.emit)
    shipping.start()
    for _ in range(2):
        events.tell(device_events.xid(GPU, 79))
    shipping.close()
    first, second = landed(kafka, DEVICE_EVENTS, "eventful", 2)
    assert (first["sequence"], second["sequence"]) == (0, 1)
    assert first["event_id"] != second["event_id"]
    assert (first["code"], first["severity"], first["device"]) == (79, "critical", "GPU-a")
    assert shipping.outcomes.sent == {"device_event": 2}


def test_without_kafka_nothing_waits_and_what_is_lost_is_counted() -> None:
    """Memory is that of the settings; the rest is dropped, and the end takes little longer."""
    # Port 9 (discard) is privileged, and nobody listens there.
    nowhere = KafkaSettings("127.0.0.1:9")
    room = DeliverySettings(queue_events=10, flush_seconds=0.2)
    shipping = Shipping(nowhere, PinnedRegistry(), room)
    shipping.start()
    began = time.monotonic()
    for _ in range(500):
        shipping.emit("resource", {"host_name": "away", "device": "host"})
    assert time.monotonic() - began < 1
    shipping.close()
    assert time.monotonic() - began < 5
    assert shipping.outcomes.dropped.total() == 500
    assert shipping.outcomes.sent.total() == 0
