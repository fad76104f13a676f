"""What Inferwatch needs of a broker: the same on the embedded one and on Apache Kafka.

Where the two differ, tests/integration/test_embedded_broker.py says how.
"""

import asyncio
import itertools
import json
import os
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
)
from confluent_kafka import TopicPartition as Offset
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec

from inferwatch_streams.transport.fetch_limits import fetch_limits

MEMBER = Path(__file__).with_name("group_member.py")
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
SECONDS = 15.0

Topic = Callable[..., str]


@pytest.fixture
def admin(bootstrap_servers: str) -> AdminClient:
    """An administrator of the broker."""
    return AdminClient({"bootstrap.servers": bootstrap_servers})


@pytest.fixture
def topic(admin: AdminClient) -> Topic:
    """Create a topic with a name of its own and wait until the broker knows it."""

    def create(partitions: int = 1, **config: str) -> str:
        name = f"contract.{uuid.uuid4().hex}"
        settings = {key.replace("_", "."): value for key, value in config.items()}
        created = admin.create_topics([NewTopic(name, partitions, 1, config=settings)])
        created[name].result(SECONDS)
        topic_id(admin, name)
        return name

    return create


@pytest.fixture
def session_timeout_ms(request: pytest.FixtureRequest) -> int:
    """The shortest session: Apache Kafka grants no less than 6 s."""
    return 2000 if "embedded" in request.node.callspec.id else 6000


def produce(servers: str, topic: str, values: list[bytes | None], **config: Any) -> list[int]:
    """Produce to partition 0 and return the acknowledged offsets."""
    offsets: list[int] = []

    def acknowledged(error: KafkaError | None, message: Any) -> None:
        assert error is None, error
        offsets.append(message.offset())

    producer = Producer({"bootstrap.servers": servers, "linger.ms": 100, **config})
    for index, value in enumerate(values):
        producer.produce(
            topic,
            value,
            key=b"%d" % index,
            partition=0,
            headers={"index": b"%d" % index, "none": None},
            timestamp=1_700_000_000_000 + index,
            on_delivery=acknowledged,
        )
    assert producer.flush(SECONDS) == 0
    return offsets


def fetch(servers: str, topic: str, count: int, **config: Any) -> list[Any]:
    """Read the first records of partition 0 with aiokafka, as the worker does."""

    async def read() -> list[Any]:
        consumer = AIOKafkaConsumer(bootstrap_servers=servers, **config)
        await consumer.start()
        try:
            partition = TopicPartition(topic, 0)
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            records: list[Any] = []
            deadline = time.monotonic() + SECONDS
            while len(records) < count and time.monotonic() < deadline:
                for found in (await consumer.getmany(timeout_ms=500)).values():
                    records += found
            return records
        finally:
            await consumer.stop()

    return asyncio.run(read())


@pytest.fixture
def responses(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Collect the bytes of each partition's share of a fetch response."""
    seen: list[bytes] = []
    plain = fetcher.MemoryRecords

    def record(content: bytes) -> Any:
        seen.append(content)
        return plain(content)

    monkeypatch.setattr(fetcher, "MemoryRecords", record)
    return seen


def batches(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield base offset, last offset, magic and codec of each whole record batch (KIP-98)."""
    position = 0
    while position + 61 <= len(content):
        base, length, magic, attributes, last = struct.unpack_from(">qi4xb4xhi", content, position)
        if position + 12 + length > len(content):
            return
        yield base, base + last, magic, attributes & 7
        position += 12 + length


def topic_id(admin: AdminClient, name: str) -> str:
    """Return the id that the broker gave a topic, which it may know a moment after it made it."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            described = admin.describe_topics(TopicCollection([name]))[name].result(SECONDS)
            return str(described.topic_id)
        except KafkaException as error:
            unknown = error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
            if not unknown or time.monotonic() > deadline:
                raise


def test_a_topic_created_again_has_another_id(admin: AdminClient, topic: Topic) -> None:
    """The id tells a log from the one that had its name before."""
    name = topic()
    first = topic_id(admin, name)
    assert topic_id(admin, name) == first
    with pytest.raises(KafkaException, match="TOPIC_ALREADY_EXISTS"):
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(SECONDS)
    admin.delete_topics([name])[name].result(SECONDS)
    deadline = time.monotonic() + SECONDS
    while name in admin.list_topics(timeout=5).topics:
        assert time.monotonic() < deadline
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(SECONDS)
    assert topic_id(admin, name) != first


def test_a_topic_keeps_its_settings(admin: AdminClient, topic: Topic) -> None:
    """Partitions, cleanup policy and retention are as asked for."""
    name = topic(3, cleanup_policy="compact", retention_ms="12345")
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    settings = admin.describe_configs([resource])[resource].result(SECONDS)
    assert settings["cleanup.policy"].value == "compact"
    assert settings["retention.ms"].value == "12345"
    assert len(admin.list_topics(timeout=5).topics[name].partitions) == 3


@pytest.mark.parametrize("codec", CODECS)
def test_batches_come_back_as_they_were_produced(
    bootstrap_servers: str, topic: Topic, responses: list[bytes], codec: str
) -> None:
    """Every codec, in whole batches of format 2 whose offsets join; nothing lost or reordered."""
    name = topic()
    values: list[bytes | None] = [b"%d " % index * 20 for index in range(500)]
    config = {"compression.type": codec, "batch.num.messages": 100}
    assert produce(bootstrap_servers, name, values, **config) == list(range(500))
    records = fetch(bootstrap_servers, name, 500)
    assert [record.value for record in records] == values
    assert [record.offset for record in records] == list(range(500))
    assert [record.key for record in records] == [b"%d" % index for index in range(500)]
    assert records[7].headers == (("index", b"7"), ("none", None))
    assert [record.timestamp for record in records[:2]] == [1_700_000_000_000, 1_700_000_000_001]
    found = [batch for content in responses for batch in batches(content)]
    assert {(magic, kind) for _, _, magic, kind in found} == {(2, CODECS[codec])}
    assert found[0][0] == 0
    assert found[-1][1] == 499
    assert all(next_[0] == last[1] + 1 for last, next_ in itertools.pairwise(found))


def test_unusual_records_come_back(bootstrap_servers: str, topic: Topic) -> None:
    """An empty value, a tombstone and a value of 900 kB are kept apart and whole."""
    name = topic()
    large = os.urandom(900_000)
    produce(bootstrap_servers, name, [b"", None, large, b"after"])
    values = [record.value for record in fetch(bootstrap_servers, name, 4)]
    assert values == [b"", None, large, b"after"]


def test_a_response_is_bounded_to_a_batch_above_its_limit(
    bootstrap_servers: str, topic: Topic, responses: list[bytes]
) -> None:
    """`fetch_max_bytes` bounds a consumer's memory, except that whole batches are sent."""
    name = topic()
    values: list[bytes | None] = [os.urandom(100) for _ in range(3000)]
    produce(bootstrap_servers, name, values, **{"batch.num.messages": 100})
    assert len(fetch(bootstrap_servers, name, 3000, fetch_max_bytes=40_000)) == 3000
    batch = 100 * 150
    assert max(map(len, responses)) <= 40_000 + batch
    assert len(responses) >= 3000 * 100 / (40_000 + batch)


@pytest.mark.parametrize("partition_bytes", [1, 1000, 5000, 100_000])
def test_small_fetches_go_on(bootstrap_servers: str, topic: Topic, partition_bytes: int) -> None:
    """However little a fetch may bring, batches larger than that arrive, with a worker's limits."""
    name = topic()
    values: list[bytes | None] = [os.urandom(200) for _ in range(500)]
    produce(bootstrap_servers, name, values, **{"batch.num.messages": 100})
    limits = fetch_limits(partition_bytes)
    assert len(fetch(bootstrap_servers, name, 500, **limits)) == 500


def test_an_idempotent_producer_leaves_no_gap(bootstrap_servers: str, topic: Topic) -> None:
    """Offsets are consecutive with idempotence, across two producers."""
    name = topic()
    config = {"enable.idempotence": True, "acks": "all"}
    assert produce(bootstrap_servers, name, [b"a"] * 50, **config) == list(range(50))
    assert produce(bootstrap_servers, name, [b"b"] * 50, **config) == list(range(50, 100))


def test_the_end_of_a_log_is_known_after_a_fetch(
    bootstrap_servers: str, topic: Topic, admin: AdminClient
) -> None:
    """Reading from a little before the listed end gives the true end, empty logs included."""
    name = topic()
    for expected in (0, 100, 130):
        listed = admin.list_offsets({Offset(name, 0): OffsetSpec.latest()})
        start = max(0, next(iter(listed.values())).result(SECONDS).offset - 1)
        consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": name,
                "enable.partition.eof": True,
            }
        )
        consumer.assign([Offset(name, 0, start)])
        deadline = time.monotonic() + SECONDS
        end = None
        while end is None and time.monotonic() < deadline:
            message = consumer.poll(1)
            # The type checker's stubs lack the private code of "end of partition".
            if message is not None and message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF  # noqa: SLF001
                end = message.offset()
        assert end == expected
        if expected:
            assert consumer.get_watermark_offsets(Offset(name, 0), cached=True) == (0, expected)
        consumer.close()
        produce(bootstrap_servers, name, [b"x"] * (100 if expected == 0 else 30))


def test_the_start_of_a_log_is_listed(bootstrap_servers: str, topic: Topic) -> None:
    """The low watermark is 0 before and after records came."""
    name = topic()
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": name})
    for _ in range(2):
        assert consumer.get_watermark_offsets(Offset(name, 0), timeout=5)[0] == 0
        produce(bootstrap_servers, name, [b"x"])
    consumer.close()


def test_committed_offsets_are_kept_listed_and_rewound(
    bootstrap_servers: str, topic: Topic, admin: AdminClient
) -> None:
    """A commit outlives its consumer, its group is listed, and an operator can move it."""
    name = topic()
    produce(bootstrap_servers, name, [b"x"] * 10)
    settings = {"bootstrap.servers": bootstrap_servers, "group.id": name}
    consumer = Consumer(settings)
    consumer.commit(offsets=[Offset(name, 0, 7)], asynchronous=False)
    consumer.close()
    groups = admin.list_consumer_groups(request_timeout=5).result(SECONDS).valid
    assert name in {group.group_id for group in groups}
    moved = admin.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(name, [Offset(name, 0, 3)])]
    )
    moved[name].result(SECONDS)
    again = Consumer(settings)
    assert [each.offset for each in again.committed([Offset(name, 0)], timeout=5)] == [3]
    again.close()


def test_a_confluent_group_reads_everything(
    bootstrap_servers: str, topic: Topic, session_timeout_ms: int
) -> None:
    """A subscribed consumer gets its partitions and every record."""
    name = topic(4)
    produce(bootstrap_servers, name, [b"x"] * 5000)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": name,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": session_timeout_ms,
            "heartbeat.interval.ms": session_timeout_ms // 4,
        }
    )
    consumer.subscribe([name])
    offsets: list[int] = []
    deadline = time.monotonic() + SECONDS
    while len(offsets) < 5000 and time.monotonic() < deadline:
        for message in consumer.consume(1000, timeout=0.5):
            assert message.error() is None
            offsets.append(message.offset())
    consumer.close()
    assert offsets == list(range(5000))


def test_a_killed_member_is_replaced(
    bootstrap_servers: str, topic: Topic, session_timeout_ms: int
) -> None:
    """Two members share four partitions; after kill -9 of one the other has all four."""
    name = topic(4)
    arguments = [bootstrap_servers, name, name, str(session_timeout_ms)]

    def member() -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 -- this interpreter and a script beside this one
            [sys.executable, str(MEMBER), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def next_assignment(process: subprocess.Popen[str], size: int) -> list[int]:
        """Read assignments until one has the given size; the test's time limit bounds it."""
        assert process.stdout is not None
        for line in process.stdout:
            partitions: list[int] = json.loads(line)
            if len(partitions) == size:
                return partitions
        pytest.fail("the member ended")

    with member() as survivor:
        try:
            assert next_assignment(survivor, 4) == [0, 1, 2, 3]
            with member() as victim:
                try:
                    halves = next_assignment(survivor, 2), next_assignment(victim, 2)
                    assert sorted(itertools.chain(*halves)) == [0, 1, 2, 3]
                finally:
                    victim.kill()
            assert next_assignment(survivor, 4) == [0, 1, 2, 3]
        finally:
            survivor.kill()


def test_a_waiting_consumer_gets_a_record_at_once(bootstrap_servers: str, topic: Topic) -> None:
    """A record that comes while a fetch waits is delivered within the fetch's longest wait."""
    name = topic()

    async def measure() -> list[float]:
        consumer = AIOKafkaConsumer(
            name,
            bootstrap_servers=bootstrap_servers,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=400,
        )
        await consumer.start()
        try:
            delays = []
            for _ in range(5):
                # The fetch waits at the broker before the record is there.
                waiting = asyncio.create_task(consumer.getone())
                await asyncio.sleep(0.2)
                await asyncio.to_thread(
                    produce, bootstrap_servers, name, [b"x"], **{"linger.ms": 0}
                )
                acknowledged = time.monotonic()
                await asyncio.wait_for(waiting, SECONDS)
                delays.append(time.monotonic() - acknowledged)
            return delays
        finally:
            await consumer.stop()

    assert max(asyncio.run(measure())) < 1
