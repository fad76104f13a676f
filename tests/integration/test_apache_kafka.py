"""Apache Kafka from its Maven artifacts: crashes, restarts and what can be missing."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from inferwatch.embedded.broker import answers_kafka
from inferwatch.embedded.errors import EmbeddedError, PortInUseError
from inferwatch.embedded.kafka import ApacheKafka

pytestmark = pytest.mark.kafka

SECONDS = 15.0


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[ApacheKafka]:
    """A node of its own, which a test may kill."""
    with ApacheKafka(tmp_path / "data", tmp_path / "logs") as node:
        yield node


def create_topic(servers: str) -> str:
    """Create a topic of one partition."""
    name = f"kafka.{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(SECONDS)
    return name


def end_of(servers: str, topic: str, group: str) -> tuple[int, int]:
    """Return the high watermark and the group's committed offset."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=SECONDS)
        (committed,) = consumer.committed([TopicPartition(topic, 0)], timeout=SECONDS)
        return end, committed.offset
    finally:
        consumer.close()


def test_a_killed_node_comes_back_with_what_it_acknowledged(kafka: ApacheKafka) -> None:
    """After kill -9 and restart: the same port, every acknowledged record and committed offset."""
    servers, pid = kafka.bootstrap_servers, kafka.pid
    topic = create_topic(servers)
    producer = Producer({"bootstrap.servers": servers, "acks": "all"})
    for index in range(1000):
        producer.produce(topic, b"%d" % index)
    assert producer.flush(SECONDS) == 0
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "g"})
    consumer.commit(offsets=[TopicPartition(topic, 0, 500)], asynchronous=False)
    consumer.close()

    kafka.kill()
    assert not psutil.pid_exists(pid)
    assert not answers_kafka(servers)

    kafka.restart()
    assert kafka.bootstrap_servers == servers
    assert kafka.pid != pid
    assert end_of(servers, topic, "g") == (1000, 500)
    # The producer that lived through it goes on.
    producer.produce(topic, b"after")
    assert producer.flush(SECONDS) == 0
    assert end_of(servers, topic, "g") == (1001, 500)


def test_data_is_found_again_on_another_port(tmp_path: Path) -> None:
    """A stopped node's folder can be started again by another object, elsewhere."""
    with ApacheKafka(tmp_path / "data", tmp_path) as first:
        topic = create_topic(first.bootstrap_servers)
    with ApacheKafka(tmp_path / "data", tmp_path) as second:
        assert second.bootstrap_servers != first.bootstrap_servers
        assert (
            topic
            in AdminClient({"bootstrap.servers": second.bootstrap_servers})
            .list_topics(timeout=SECONDS)
            .topics
        )


def test_it_listens_on_loopback_only(apache_kafka: ApacheKafka) -> None:
    """No listener of the node can be reached from another machine."""
    listening = [
        connection.laddr.ip.removeprefix("::ffff:")
        for connection in psutil.Process(apache_kafka.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) == 2
    assert set(listening) == {"127.0.0.1"}


def test_a_misspelt_topic_is_an_error(apache_kafka: ApacheKafka) -> None:
    """No topic is created by producing to it."""
    failed: list[object] = []
    producer = Producer(
        {"bootstrap.servers": apache_kafka.bootstrap_servers, "message.timeout.ms": 2000}
    )
    try:
        producer.produce("misspelt", b"x", on_delivery=lambda error, _: failed.append(error))
    except KafkaException as error:
        failed.append(error)
    producer.flush(SECONDS)
    assert failed[0] is not None


def test_a_port_in_use_is_one_sentence(apache_kafka: ApacheKafka, tmp_path: Path) -> None:
    """The message names the port."""
    port = int(apache_kafka.bootstrap_servers.split(":")[1])
    with pytest.raises(PortInUseError, match=str(port)):
        ApacheKafka(tmp_path, tmp_path, port=port).start()


def test_bad_settings_are_quoted_from_the_log(tmp_path: Path) -> None:
    """A node that ends at once says why."""
    bad = ApacheKafka(tmp_path / "d", tmp_path, settings={"num.partitions": "many"})
    with pytest.raises(EmbeddedError, match=r"Apache Kafka .*num\.partitions"):
        bad.start()


def test_an_unwritable_folder_is_one_sentence(tmp_path: Path) -> None:
    """A data folder that is a file is named."""
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match="cannot write to"):
        ApacheKafka(tmp_path / "file", tmp_path).start()
