"""The emitter counts what is outstanding, and says what the broker does not have."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from inferwatch_schemas import emitter as module
from inferwatch_schemas.emitter import Emitter
from inferwatch_schemas.errors import EmitError
from inferwatch_schemas.kafka import KafkaSettings

NOBODY = KafkaSettings(bootstrap_servers="127.0.0.1:1")


class FakeProducer:
    """librdkafka's producer, with room for some records, and a broker that answers when told."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.room = 10**6
        self.waiting: list[tuple[Any, ...]] = []
        self.produced: list[tuple[Any, ...]] = []
        self.answers: list[str | None] = []
        self.refuses = False
        self.polls = 0

    def produce(self, *record: Any, headers: Any, on_delivery: Any) -> None:
        """Take a record, or refuse it."""
        if self.refuses:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        if len(self.waiting) >= self.room:
            raise BufferError("queue full")
        self.produced.append((*record, headers))
        self.waiting.append((on_delivery, *record))

    def poll(self, _timeout: float) -> int:
        """Report the delivery of one record, by the next answer or as delivered."""
        self.polls += 1
        if not self.waiting:
            return 0
        on_delivery, *_ = self.waiting.pop(0)
        answer = self.answers.pop(0) if self.answers else None
        error = None if answer is None else KafkaError(KafkaError._MSG_TIMED_OUT, answer)  # noqa: SLF001  # the client's name for it
        on_delivery(error, None)
        return 1


@pytest.fixture
def _fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Producer", FakeProducer)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.0)


def made() -> tuple[Emitter, FakeProducer]:
    """Return an emitter and the producer it holds."""
    emitter = Emitter(NOBODY, "test")
    return emitter, emitter._producer  # type: ignore[return-value]  # noqa: SLF001  # replaced above


def send(emitter: Emitter, count: int = 1) -> None:
    """Send records."""
    for index in range(count):
        emitter.send("topic", b"key", b"%d" % index, [("name", b"value")])


@pytest.mark.usefixtures("_fake")
def test_settle_waits_for_all() -> None:
    """Settling returns when every record was reported, and at once when there is none."""
    emitter, producer = made()
    asyncio.run(emitter.settle())
    assert producer.polls == 0
    send(emitter, 3)
    asyncio.run(emitter.settle())
    assert producer.waiting == []
    assert producer.produced[0] == ("topic", b"0", b"key", [("name", b"value")])


@pytest.mark.usefixtures("_fake")
def test_failures_are_said_once() -> None:
    """What failed is counted and the first reason given; the next settling knows nothing of it."""
    emitter, producer = made()
    producer.answers = [None, "first", "second"]
    send(emitter, 4)
    with pytest.raises(EmitError, match=r"2 records were not acknowledged: .*first"):
        asyncio.run(emitter.settle())
    assert producer.waiting == []
    asyncio.run(emitter.settle())
    send(emitter)
    asyncio.run(emitter.settle())


@pytest.mark.usefixtures("_fake")
def test_a_full_queue() -> None:
    """Sending waits for room, and loses and doubles nothing."""
    emitter, producer = made()
    producer.room = 2
    send(emitter, 7)
    asyncio.run(emitter.settle())
    assert [record[1] for record in producer.produced] == [b"%d" % n for n in range(7)]


@pytest.mark.usefixtures("_fake")
def test_a_record_that_is_refused() -> None:
    """What the client does not take raises, and is not waited for."""
    emitter, producer = made()
    producer.refuses = True
    with pytest.raises(EmitError, match="A record for topic was refused"):
        send(emitter)
    asyncio.run(emitter.settle())


@pytest.mark.usefixtures("_fake")
def test_close_waits_no_longer_than_told() -> None:
    """Closing polls until all is reported, or until its time is over."""
    emitter, producer = made()
    send(emitter, 3)
    emitter.close(60)
    assert producer.waiting == []
    send(emitter)
    producer.poll = lambda _timeout: 0  # type: ignore[method-assign]  # a broker that is silent
    started = time.monotonic()
    emitter.close(0.05)
    assert 0.05 <= time.monotonic() - started < 5


@pytest.mark.usefixtures("_fake")
def test_settings() -> None:
    """All replicas acknowledge, and no broker can fence the client; settings reach it."""
    _, producer = made()
    assert producer.settings["enable.idempotence"] is False
    assert producer.settings["acks"] == "all"
    assert producer.settings["bootstrap.servers"] == "127.0.0.1:1"


@pytest.fixture
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DELIVERY_TIMEOUT_MS", 300)


@pytest.mark.usefixtures("_no_broker")
def test_no_broker() -> None:
    """With the real client and nobody there, settling ends with what was not acknowledged."""
    emitter = Emitter(NOBODY, "test")
    send(emitter, 2)
    with pytest.raises(EmitError, match="2 records were not acknowledged"):
        asyncio.run(asyncio.wait_for(emitter.settle(), 20))


def test_librdkafka_mock_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real client and librdkafka's own broker, records are acknowledged."""
    monkeypatch.setattr(
        module, "Producer", lambda settings: Producer({**settings, "test.mock.num.brokers": 1})
    )
    emitter = Emitter(NOBODY, "test")
    send(emitter, 100)
    asyncio.run(asyncio.wait_for(emitter.settle(), 20))
    emitter.close(1)
    with pytest.raises(EmitError, match="refused"):
        emitter.send("topic", b"k", b"\0" * (module.MAX_MESSAGE_BYTES + 1), [])


@pytest.mark.usefixtures("_fake")
def test_room_waits_for_the_broker_and_lets_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is sent, the client's queue does not fill up and the loop goes on."""
    monkeypatch.setattr(module, "MAX_OUTSTANDING", 10)
    emitter, producer = made()
    for _ in range(20):
        emitter.send("topic", b"key", b"value", [])
    others = []

    async def case() -> None:
        other = asyncio.create_task(asyncio.sleep(0))
        other.add_done_callback(lambda _: others.append(len(producer.waiting)))
        await emitter.room()

    asyncio.run(case())
    assert len(producer.waiting) == 10
    assert others[0] > 10
