"""The publisher, against librdkafka's own mock broker and against a producer that misbehaves."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from inferwatch_agents.channel import open_channel
from inferwatch_agents.errors import PublishError
from inferwatch_agents.publisher import KEY_FIELDS, Publisher, PublisherSettings
from inferwatch_schemas import releases
from inferwatch_schemas.errors import EncodeError, UnknownSchemaError
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import PUBLISHED, REQUESTS
from inferwatch_schemas.wire import decode

REQUEST = {
    "service_name": "assistant",
    "deployment_environment_name": "production",
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "openai",
    "endpoint": "/v1/chat",
}
RESOURCE = {"host_name": "gpu-7", "device": "host"}
UNIT = {
    "service_name": "assistant",
    "deployment_environment_name": "production",
    "experiment": "e",
    "variant": "control",
    "user_id": "u1",
}
TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SERVICE = {"service_name": "assistant", "deployment_environment_name": "production"}
UNCOUNTED: dict[str, dict[str, Any]] = {
    "log": SERVICE | {"body": "answered"},
    "span": SERVICE
    | {
        "start_time": 1,
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
        "name": "chat",
        "kind": "client",
        "status_code": "ok",
    },
    "evaluation": SERVICE
    | {
        "kind": "user_feedback",
        "gen_ai_request_model": "gpt-4.1-mini",
        "gen_ai_evaluation_name": "satisfaction",
    },
    "device_event": {
        "host_name": "gpu-7",
        "device": "GPU-0",
        "kind": "xid",
        "code": 79,
        "severity": "critical",
        "text": "GPU has fallen off the bus.",
    },
}
# Listening on the lowest port needs root, and tcpmux is served nowhere.
NOBODY = "127.0.0.1:1"
AT = 1_700_000_000_123_456


@pytest.fixture(scope="module")
def mock_broker() -> Iterator[KafkaSettings]:
    """Yield a broker inside this process that speaks Kafka's protocol and has the topics."""
    owner = AdminClient({"test.mock.num.brokers": 1, "bootstrap.servers": "x:1"}, logger=SILENT)
    broker = next(iter(owner.list_topics(timeout=10).brokers.values()))
    for topic in PUBLISHED:
        # The mock broker creates what it is asked for.
        owner.list_topics(topic.name, timeout=10)
    yield KafkaSettings(f"{broker.host}:{broker.port}")
    owner.list_topics(timeout=10)


def read_all(kafka: KafkaSettings, count: int, producer_id: str) -> list[Message]:
    """The records of one producer, in each partition's order."""
    settings = {"group.id": producer_id, **kafka.confluent()}
    consumer = Consumer(settings, logger=SILENT)
    topics = consumer.list_topics(timeout=10).topics.values()
    consumer.assign(
        [TopicPartition(t.topic, p, OFFSET_BEGINNING) for t in topics for p in t.partitions]
    )
    found: list[Message] = []
    try:
        for _ in range(100):
            found += [
                message
                for message in consumer.consume(500, timeout=0.2)
                if message.error() is None
                and dict(message.headers())["ce_source"].decode().endswith(producer_id)
            ]
            if len(found) >= count:
                return found
    finally:
        consumer.close()
    raise AssertionError(f"{len(found)} of {count} records arrived")


def test_an_event_arrives_with_header_key_and_cloudevents_headers(
    mock_broker: KafkaSettings,
) -> None:
    """What is read back is the record, its event header, its key, and the headers of the spec."""
    publisher = Publisher(mock_broker, PinnedRegistry())
    ids = {"trace_id": "ab" * 16, "span_id": "cd" * 8}
    publisher.publish("request", REQUEST | ids, event_time_micros=AT)
    publisher.flush(10)
    (message,) = read_all(mock_broker, 1, publisher.producer_id)
    record = decode(message.value(), PinnedRegistry())
    assert message.topic() == REQUESTS.name
    assert message.key() == b"assistant"
    assert record.items() >= (REQUEST | ids).items()
    assert (record["producer_id"], record["sequence"]) == (publisher.producer_id, 0)
    assert record["duration_seconds"] is None
    assert dict(message.headers()) == {
        "ce_specversion": b"1.0",
        "ce_id": record["event_id"].encode(),
        "ce_source": f"urn:inferwatch:producer:{publisher.producer_id}".encode(),
        "ce_type": b"inferwatch.request",
        "ce_time": b"2023-11-14T22:13:20.123456Z",
        "content-type": b"application/avro",
        "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01".encode(),
    }


def test_sequences_of_a_topic_have_no_gaps_and_ids_are_unique(mock_broker: KafkaSettings) -> None:
    """Threads that share a publisher leave sequences from 0 without gaps in each topic."""
    publisher = Publisher(mock_broker, PinnedRegistry(), clock=lambda: AT)

    def publish() -> None:
        for _ in range(200):
            publisher.publish("request", REQUEST)
            publisher.publish("resource", RESOURCE)

    threads = [threading.Thread(target=publish) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    publisher.flush(10)
    assert (publisher.delivered, publisher.failed) == (1200, 0)
    messages = read_all(mock_broker, 1200, publisher.producer_id)
    records = [(m.topic(), decode(m.value(), PinnedRegistry())) for m in messages]
    assert len({record["event_id"] for _, record in records}) == 1200
    for topic in ("inferwatch.requests", "inferwatch.resources"):
        assert sorted(r["sequence"] for name, r in records if name == topic) == list(range(600))


def test_keys_are_those_of_the_catalogue(mock_broker: KafkaSettings) -> None:
    """Each topic is keyed by the field it names, and a key that is given wins."""
    publisher = Publisher(mock_broker, PinnedRegistry())
    publisher.publish("resource", RESOURCE)
    publisher.publish("exposure", UNIT)
    publisher.publish("conversion", UNIT | {"metric": "m", "value": 1.0}, key="other")
    for schema, record in UNCOUNTED.items():
        publisher.publish(schema, record)
    publisher.flush(10)
    messages = read_all(mock_broker, 7, publisher.producer_id)
    assert {m.topic(): m.key() for m in messages} == {
        "inferwatch.resources": b"gpu-7",
        "inferwatch.exposures": b"u1",
        "inferwatch.conversions": b"other",
        "inferwatch.logs": b"assistant",
        "inferwatch.spans": TRACE_ID.encode(),
        "inferwatch.evaluations": b"gpt-4.1-mini",
        "inferwatch.device_events": b"gpu-7",
    }
    (headers,) = (dict(m.headers()) for m in messages if m.topic() == "inferwatch.spans")
    assert headers["traceparent"] == f"00-{TRACE_ID}-{SPAN_ID}-01".encode()


@pytest.mark.parametrize(("flags", "header"), [(0, b"00"), (3, b"03"), (None, b"01")])
def test_the_header_of_a_trace_has_its_flags(flags: int | None, header: bytes) -> None:
    """Also of an event whose schema has no place for them; sampled where nobody says."""
    channel = open_channel("request", PinnedRegistry(), "p1", KEY_FIELDS)
    record = {**REQUEST, "trace_id": TRACE_ID, "span_id": SPAN_ID, "trace_flags": flags}
    found = dict(channel.message(record, 0, 1).headers)["traceparent"]
    assert found == b"00-%s-%s-%s" % (TRACE_ID.encode(), SPAN_ID.encode(), header)


def test_every_topic_of_services_has_a_key_field() -> None:
    """What the catalogue says the key is, is a field that each event must have."""
    for topic in PUBLISHED:
        fields = releases.latest(topic.schemas[0]).schema["fields"]
        (kind,) = (field["type"] for field in fields if field["name"] == KEY_FIELDS[topic.key])
        assert kind == "string"


def test_a_producer_has_another_id_at_each_start(mock_broker: KafkaSettings) -> None:
    """Two publishers never share their sequences."""
    one, other = (Publisher(mock_broker, PinnedRegistry()) for _ in range(2))
    assert one.producer_id != other.producer_id


def test_no_broker_is_one_sentence() -> None:
    """A broker that does not answer is named, with what happened and what to do."""
    settings = PublisherSettings(connect_seconds=1.0)
    with pytest.raises(PublishError, match=r"127\.0\.0\.1:1 .*refused.*bootstrap-servers"):
        Publisher(KafkaSettings(NOBODY), PinnedRegistry(), settings=settings)


@dataclass
class FakeProducer:
    """A producer whose queue is full now and then, and whose broker refuses some events."""

    config: dict[str, Any]
    logger: object = None
    full: int = 0
    refuse: Callable[[str], Exception | None] = lambda _topic: None
    verdict: Callable[[], KafkaError | None] = lambda: None
    topics: tuple[str, ...] = tuple(topic.name for topic in PUBLISHED)
    produced: list[tuple[str, bytes]] = field(default_factory=list)
    unacknowledged: list[tuple[str, bytes]] = field(default_factory=list)
    stuck: bool = False
    polls: Counter[float] = field(default_factory=Counter)

    def produce(self, topic: str, value: bytes, _key: str, headers: object) -> None:
        """Take an event, unless the queue is full or the client refuses."""
        assert headers
        if self.full:
            self.full -= 1
            raise BufferError
        if (error := self.refuse(topic)) is not None:
            raise error
        self.produced.append((topic, value))
        self.unacknowledged.append((topic, value))

    def poll(self, timeout: float) -> None:
        """Count how often callers wait."""
        self.polls[timeout] += 1

    def flush(self, _timeout: float) -> int:
        """Report deliveries, if not stuck."""
        if not self.stuck:
            waiting, self.unacknowledged = self.unacknowledged, []
            for topic, _ in waiting:
                self.config["on_delivery"](self.verdict(), FakeMessage(topic))
        return len(self.unacknowledged)

    def list_topics(self, timeout: float) -> "FakeProducer":
        """Answer as the metadata would."""
        assert timeout > 0
        return self


@dataclass
class FakeMessage:
    """What a delivery report carries."""

    name: str

    def topic(self) -> str:
        """Return the topic's name."""
        return self.name


def faked(**behaviour: Any) -> tuple[Publisher, FakeProducer]:
    """Make a publisher over a fake producer."""
    made: list[FakeProducer] = []

    def make(config: dict[str, Any], logger: object) -> FakeProducer:
        made.append(FakeProducer(config, logger, **behaviour))
        return made[0]

    publisher = Publisher(KafkaSettings(), PinnedRegistry(), clock=lambda: AT, make_producer=make)
    return publisher, made[0]


def test_a_full_queue_makes_publish_wait() -> None:
    """An event that finds the queue full is tried again until it is in, with one sequence."""
    publisher, producer = faked(full=3)
    publisher.publish("request", REQUEST)
    publisher.publish("request", REQUEST)
    sequences = [decode(value, PinnedRegistry())["sequence"] for _, value in producer.produced]
    assert sequences == [0, 1]
    assert sum(times for timeout, times in producer.polls.items() if timeout > 0) == 3


def test_an_event_that_is_not_taken_leaves_no_gap() -> None:
    """Neither a record that cannot be encoded nor one that the client refuses uses a sequence."""
    refusals = iter([None, KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT)), None])  # noqa: SLF001  # public, though named so
    publisher, producer = faked(refuse=lambda _topic: next(refusals))
    publisher.publish("request", REQUEST)
    with pytest.raises(EncodeError):
        publisher.publish("request", REQUEST | {"duration_seconds": -1.0})
    with pytest.raises(PublishError, match=r"inferwatch\.requests: .*timed out"):
        publisher.publish("request", REQUEST)
    publisher.publish("request", REQUEST)
    sequences = [decode(value, PinnedRegistry())["sequence"] for _, value in producer.produced]
    assert sequences == [0, 1]


def test_flush_names_topic_count_and_reason_of_failed_deliveries() -> None:
    """Failures are told once, and counted for good."""
    verdicts = iter([None, *[KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)] * 2])
    publisher, _ = faked(verdict=lambda: next(verdicts))
    for _ in range(3):
        publisher.publish("request", REQUEST)
    with pytest.raises(PublishError, match=r"inferwatch\.requests: 2 \(.*authorization"):
        publisher.flush(1)
    assert (publisher.delivered, publisher.failed) == (1, 2)
    publisher.flush(1)


def test_flush_does_not_wait_for_ever() -> None:
    """What the broker has not acknowledged in time is an error that says how much."""
    publisher, _ = faked(stuck=True)
    publisher.publish("request", REQUEST)
    with pytest.raises(PublishError, match=r"1 events of inferwatch\.requests within 0\.01 s"):
        publisher.flush(0.01)


def test_an_event_beyond_the_topics_size_is_refused_here() -> None:
    """An event that the reader would put away as oversized is not sent."""
    publisher, producer = faked()
    with pytest.raises(PublishError, match=r"too large for inferwatch\.requests"):
        publisher.publish("request", REQUEST | {"session_id": "x" * REQUESTS.max_value_bytes})
    assert producer.produced == []


def test_a_missing_topic_is_told_before_a_broker_would_create_it() -> None:
    """Without the topic nothing is produced, and the command that creates it is named."""
    publisher, producer = faked(topics=())
    with pytest.raises(PublishError, match=r"no topic inferwatch\.requests; run: inferwatch topic"):
        publisher.publish("request", REQUEST)
    producer.topics = (REQUESTS.name,)
    publisher.publish("request", REQUEST)
    assert len(producer.produced) == 1


def test_only_source_events_are_published() -> None:
    """Aggregates and unknown names are refused."""
    publisher, _ = faked()
    with pytest.raises(PublishError, match="stream processors"):
        publisher.publish("request_aggregate", {})
    with pytest.raises(UnknownSchemaError):
        publisher.publish("nothing", {})
