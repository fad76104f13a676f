"""The sender, on a Kafka client that is away, full, without topics, or refuses."""

import json
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from fake_kafka import FakeKafka

from inferwatch_agents.errors import PublishError
from inferwatch_agents.event_queue import Backlog, Event, Room
from inferwatch_agents.outcomes import Faults, Outcomes
from inferwatch_agents.sender import AGAIN_SECONDS, MISSING_AGAIN_SECONDS, Sender
from inferwatch_schemas.errors import RegistryUnavailableError, UnknownSchemaError
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import decode

REQUEST: dict[str, Any] = {
    "service_name": "assistant",
    "deployment_environment_name": "production",
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "openai",
    "endpoint": "/v1/chat",
}
RESOURCE: dict[str, Any] = {"host_name": "gpu-7", "device": "host"}
ROOM = Room(1000, 1_000_000)


class Bench:
    """A sender with a clock that stands, a backlog, and what became of events."""

    def __init__(self, kafka: FakeKafka, registry: Any = None) -> None:
        self.kafka = kafka
        self.now = 100.0
        self.outcomes = Outcomes()
        self.faults = Faults()
        self.backlog = Backlog(ROOM)
        self.sequence = 0
        self.sender = Sender(
            KafkaSettings(), registry or PinnedRegistry(), "p1", ROOM,
            outcomes=self.outcomes, faults=self.faults,
            make_producer=kafka.make, monotonic=lambda: self.now,
        )  # fmt: skip

    def make(self, count: int = 1, schema: str = "request", **fields: Any) -> None:
        """Make events."""
        record = {"request": REQUEST, "resource": RESOURCE}[schema] | fields
        for _ in range(count):
            assert self.backlog.add(
                Event(schema, record, 100, self.sequence, 1_700_000_000_000_000)
            )
            self.sequence += 1

    def rounds(self) -> None:
        """Do what the thread does until nothing more is to be done now."""
        for _ in range(3):
            self.sender.look()
            while self.sender.send(self.backlog):
                pass

    def sequences(self) -> list[int]:
        """Numbers of the events that the client was given."""
        return [decode(v, PinnedRegistry())["sequence"] for _, v, _ in self.kafka.produced]


def test_events_arrive_under_their_own_numbers() -> None:
    """What the client gets has the number, the producer and the key of the event."""
    bench = Bench(FakeKafka())
    bench.sequence = 7
    bench.make(3)
    bench.rounds()
    assert bench.sequences() == [7, 8, 9]
    assert {key for _, _, key in bench.kafka.produced} == {"assistant"}
    assert (bench.outcomes.sent, len(bench.backlog)) == ({"request": 3}, 0)
    record = decode(bench.kafka.produced[0][1], PinnedRegistry())
    assert (record["producer_id"], record["event_id"]) == ("p1", "p1-request-7")


def test_the_client_is_idempotent_and_waits_for_ever() -> None:
    """What the client was given is not given up while there is no broker."""
    bench = Bench(FakeKafka())
    bench.sender.open()
    config = bench.kafka.config
    assert (config["enable.idempotence"], config["acks"]) == (True, "all")
    assert (config["compression.type"], config["delivery.timeout.ms"]) == ("zstd", 0)
    assert config["queue.buffering.max.messages"] == ROOM.events
    assert config["queue.buffering.max.kbytes"] == ROOM.size // 1024


def test_events_wait_until_kafka_is_there() -> None:
    """The client gets nothing before; the broker is looked for now and then, and told of once."""
    bench = Bench(FakeKafka(away=True))
    bench.make(2)
    for _ in range(3):
        bench.rounds()
    assert (len(bench.backlog), bench.kafka.asked, bench.kafka.produced) == (2, 1, [])
    bench.now += AGAIN_SECONDS
    bench.rounds()
    assert bench.kafka.asked == 2
    assert len(bench.sender._news) == 1  # noqa: SLF001  # what tell would log
    bench.kafka.away = False
    bench.now += AGAIN_SECONDS
    bench.rounds()
    assert bench.sequences() == [0, 1]


def test_what_the_client_has_no_room_for_stays_in_order() -> None:
    """A full client leaves the rest in the backlog, to be given later."""
    bench = Bench(FakeKafka())
    bench.make(1)
    bench.rounds()
    bench.kafka.full = -1
    bench.make(3)
    bench.rounds()
    assert len(bench.backlog) == 3
    bench.kafka.full = 0
    bench.rounds()
    assert bench.sequences() == [0, 1, 2, 3]


def test_a_missing_topic_costs_its_own_events_only() -> None:
    """They are dropped and counted, and go on when the topic was created."""
    bench = Bench(FakeKafka(topics=("inferwatch.requests",)))
    bench.make(2, "resource")
    bench.make(2)
    bench.rounds()
    assert bench.outcomes.dropped == {("resource", "topic_missing"): 2}
    assert bench.outcomes.sent == {"request": 2}
    assert "no topic inferwatch.resources" in bench.sender._news[0]  # noqa: SLF001  # as above
    asked = bench.kafka.asked
    bench.make(1, "resource")
    bench.rounds()
    assert bench.kafka.asked == asked
    bench.kafka.topics += ("inferwatch.resources",)
    bench.now += MISSING_AGAIN_SECONDS
    bench.make(1, "resource")
    bench.rounds()
    assert bench.outcomes.sent == {"request": 2, "resource": 1}


def test_a_topic_that_was_deleted_is_looked_for_again() -> None:
    """The broker's word that it knows no such topic is taken for it being missing."""
    bench = Bench(FakeKafka())

    def deleted() -> KafkaError:
        bench.kafka.topics = ()
        return KafkaError(KafkaError._UNKNOWN_TOPIC)  # noqa: SLF001  # public, though named so

    bench.kafka.verdict = deleted
    bench.make(1)
    bench.rounds()
    bench.make(1)
    bench.rounds()
    assert bench.outcomes.failed == {("request", "not_delivered"): 1}
    assert bench.outcomes.dropped == {("request", "topic_missing"): 1}


def test_an_event_that_cannot_be_encoded_does_not_stop_the_others() -> None:
    """It is counted, told, and leaves a gap in the numbers."""
    bench = Bench(FakeKafka())
    bench.make(1)
    bench.make(1, duration_seconds=-1.0)
    bench.make(1, session_id="x" * 300_000)
    bench.make(1)
    bench.rounds()
    assert bench.sequences() == [0, 3]
    assert bench.outcomes.failed == {("request", "not_encoded"): 2}
    assert bench.faults.counts == {"encoding request": 2}


def test_a_client_that_died_is_replaced() -> None:
    """After a fatal error a new client sends what comes, and what the old one held is counted."""
    fatal = KafkaException(KafkaError(KafkaError._FATAL, "fenced", True))  # noqa: SLF001  # as above
    refusals = iter([None, fatal])
    kafka = FakeKafka(refuse=lambda: next(refusals, None))
    bench = Bench(kafka)
    bench.make(1)
    bench.sender.look()
    bench.sender.send(bench.backlog)
    bench.sender.look()
    kafka.away = True
    bench.sender.send(bench.backlog)
    bench.make(1)
    bench.sender.send(bench.backlog)
    kafka.away = False
    assert bench.outcomes.failed == {("request", "not_delivered"): 1}
    bench.now += AGAIN_SECONDS
    bench.rounds()
    assert (kafka.made, bench.sequences(), bench.outcomes.sent) == (2, [0, 1], {"request": 1})


def test_a_client_that_the_broker_refuses_without_end_is_replaced() -> None:
    """Epoch after epoch and no delivery: what it held is counted, and a new one sends the rest."""
    kafka = FakeKafka()
    bench = Bench(kafka)
    bench.make(1)
    bench.rounds()

    def state(epoch: int) -> None:
        kafka.config["stats_cb"](json.dumps({"eos": {"producer_epoch": epoch}}))

    kafka.away = True
    bench.make(1)
    bench.rounds()
    state(1)
    state(9)
    bench.rounds()
    assert kafka.made == 1
    state(40)
    bench.make(1)
    bench.rounds()
    kafka.away = False
    bench.now += AGAIN_SECONDS
    bench.rounds()
    assert (kafka.made, bench.faults.counts["kafka"]) == (2, 1)
    assert bench.outcomes.failed == {("request", "not_delivered"): 1}
    assert bench.outcomes.sent == {"request": 2}


class Registry(PinnedRegistry):
    """A registry that fails as it is told."""

    error: Exception | None = None

    def id_of(self, name: str) -> int:
        """Fail, or answer."""
        if self.error is not None:
            raise self.error
        return super().id_of(name)


def test_events_wait_for_a_registry_that_is_away() -> None:
    """They are sent when it answers again."""
    registry = Registry()
    registry.error = RegistryUnavailableError("The registry does not answer.")
    bench = Bench(FakeKafka(), registry)
    bench.make(2)
    bench.rounds()
    assert len(bench.backlog) == 2
    registry.error = None
    bench.now += AGAIN_SECONDS
    bench.rounds()
    assert bench.outcomes.sent == {"request": 2}


def test_events_of_a_schema_that_the_registry_lacks_are_dropped() -> None:
    """They would wait for ever, and hold up the others."""
    registry = Registry()
    registry.error = UnknownSchemaError("The registry does not know it.")
    bench = Bench(FakeKafka(), registry)
    bench.make(2)
    bench.rounds()
    assert bench.outcomes.dropped == {("request", "schema_unknown"): 2}


def test_refused_settings_are_one_sentence() -> None:
    """What Kafka's client says to its settings is passed on."""

    def refuse(*_: object, **__: object) -> None:
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG, "no such thing"))  # noqa: SLF001  # as above

    sender = Sender(
        KafkaSettings(), PinnedRegistry(), "p1", ROOM,
        outcomes=Outcomes(), faults=Faults(), make_producer=refuse,
    )  # fmt: skip
    with pytest.raises(PublishError, match=r"refuses its settings: .*no such thing"):
        sender.open()
