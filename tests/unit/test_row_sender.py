"""The sender of rows: what the broker did not acknowledge is told, and the next try is fresh."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, RequestTimedOutError
from aiokafka.record.memory_records import MemoryRecords
from block_builders import blocks_of, chunk_of, encode, read
from shown_rows import FORMATS

from inferwatch_schemas.errors import EmitError
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.topics import AGGREGATES, topic_of
from inferwatch_streams.rows import sender as module
from inferwatch_streams.rows.batch import OutgoingBatch
from inferwatch_streams.rows.row_format import Records
from inferwatch_streams.rows.sender import RowSender

LIMIT_SECONDS = 20


class Broker:
    """What stands behind every producer: fails as it is told.

    Attributes:
        partitions: Of the topic.
        away: Whether connecting fails.
        silent: Whether metadata never come.
        refuses: Whether no batch is taken.
        failures: How many of the next batches are not acknowledged.
        held: Whether batches are acknowledged only by ``release``.
        batches: Partition and bytes of each batch that was sent.
        started: Producers that connected.
        stopped: Producers that were stopped.
    """

    def __init__(self) -> None:
        self.partitions = 3
        self.away = self.silent = self.refuses = self.held = False
        self.failures = self.started = self.stopped = 0
        self.batches: list[tuple[int, bytes]] = []
        self.futures: list[asyncio.Future[Any]] = []

    def release(self) -> None:
        """Acknowledge what was held."""
        for future in self.futures:
            future.set_result(None)

    def values(self) -> set[bytes]:
        """Values of the records that were sent."""
        return {
            record.value for _, raw in self.batches for record in MemoryRecords(raw).next_batch()
        }


class FakeProducer:
    """In place of ``AIOKafkaProducer``."""

    broker: Broker

    def __init__(self, **settings: Any) -> None:
        assert settings["acks"] == "all"

    async def start(self) -> None:
        """Connect."""
        if self.broker.away:
            raise KafkaConnectionError("nobody answers")
        self.broker.started += 1

    async def stop(self) -> None:
        """Disconnect."""
        self.broker.stopped += 1

    async def partitions_for(self, topic: str) -> set[int]:
        """Metadata."""
        assert topic == AGGREGATES.name
        if self.broker.silent:
            await asyncio.Event().wait()
        return set(range(self.broker.partitions))

    async def send_batch(
        self, batch: OutgoingBatch, topic: str, *, partition: int
    ) -> "asyncio.Future[Any]":
        """Take a batch."""
        assert topic == AGGREGATES.name
        if self.broker.refuses:
            raise KafkaTimeoutError
        future = asyncio.get_running_loop().create_future()
        raw = batch._build()  # noqa: SLF001  # as aiokafka calls it
        if self.broker.failures:
            self.broker.failures -= 1
            future.set_exception(RequestTimedOutError())
        else:
            self.broker.batches.append((partition, raw))
            if self.broker.held:
                self.broker.futures.append(future)
            else:
                future.set_result(None)
        return future


Case = Callable[[Broker, RowSender], Awaitable[None]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Case], None]:
    """Runs a case on a sender and its broker, within a limit."""
    monkeypatch.setattr(module, "AIOKafkaProducer", FakeProducer)
    monkeypatch.setattr(module, "METADATA_SECONDS", 0.05)

    def started(case: Case) -> None:
        async def limited() -> None:
            broker = Broker()
            monkeypatch.setattr(FakeProducer, "broker", broker, raising=False)
            sender = RowSender(KafkaSettings(), "test", AGGREGATES.name, lambda: 1.0)
            async with asyncio.timeout(LIMIT_SECONDS):
                await case(broker, sender)
                await sender.close()
            assert broker.stopped >= broker.started

        asyncio.run(limited())

    return started


def rows(services: int = 50) -> Records:
    """Rows of so many services."""
    values = [
        (number, encode("request", {"service_name": f"s{number}"})) for number in range(services)
    ]
    chunk = chunk_of(topic_of("request").name, values, 0, services)
    parts, bad = read("request", chunk)
    assert not bad
    blocks = blocks_of("request", 0, services)
    blocks.add(chunk, parts)
    ((signal, place, columns),) = blocks.take_changed()
    return FORMATS[signal].encode(place, columns)


def test_rows_reach_every_partition_whole(run: Callable[[Case], None]) -> None:
    """Each row is sent once, all rows of a key to one partition, in one batch a partition."""

    async def case(broker: Broker, sender: RowSender) -> None:
        sent = rows()
        await sender.send(sent)
        assert broker.batches == []
        await sender.settle()
        assert sorted(partition for partition, _ in broker.batches) == [0, 1, 2]
        assert broker.values() == {sent.values.row(number) for number in range(len(sent))}
        await sender.settle()
        assert len(broker.batches) == 3

    run(case)


def test_a_batch_that_fails_is_told(run: Callable[[Case], None]) -> None:
    """One batch of three is not acknowledged: told once, and forgotten."""

    async def case(broker: Broker, sender: RowSender) -> None:
        broker.failures = 1
        await sender.send(rows())
        with pytest.raises(EmitError, match=r"^1 batches of rows were not acknowledged"):
            await sender.settle()
        await sender.settle()
        await sender.send(rows())
        await sender.settle()
        assert len(broker.batches) == 2 + 3

    run(case)


def test_what_is_forgotten_is_not_sent(run: Callable[[Case], None]) -> None:
    """Rows that wait for their batch to fill are dropped when their flush failed."""

    async def case(broker: Broker, sender: RowSender) -> None:
        await sender.send(rows())
        sender.forget()
        await sender.settle()
        assert broker.batches == []

    run(case)


def test_a_settlement_that_is_cancelled_leaves_its_batches_to_the_next(
    run: Callable[[Case], None],
) -> None:
    """Nothing counts as acknowledged before the broker has said so."""

    async def case(broker: Broker, sender: RowSender) -> None:
        broker.held = True
        await sender.send(rows())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await sender.settle()
        settled = asyncio.ensure_future(sender.settle())
        await asyncio.sleep(0)
        assert not settled.done()
        broker.release()
        await settled

    run(case)


@pytest.mark.parametrize("fault", ["away", "silent"])
def test_a_broker_that_cannot_be_reached_is_told(run: Callable[[Case], None], fault: str) -> None:
    """Connecting or learning the partitions fails: one error, and the next call tries anew."""

    async def case(broker: Broker, sender: RowSender) -> None:
        setattr(broker, fault, True)
        for _ in range(2):
            with pytest.raises(EmitError, match=r"Kafka cannot be reached|cannot be learnt"):
                await sender.send(rows())
        setattr(broker, fault, False)
        await sender.send(rows())
        await sender.settle()
        assert len(broker.batches) == 3

    run(case)


def test_a_client_that_takes_no_batch_is_replaced(run: Callable[[Case], None]) -> None:
    """A producer whose own task has ended takes nothing any more: another one is made."""

    async def case(broker: Broker, sender: RowSender) -> None:
        broker.refuses = True
        await sender.send(rows())
        with pytest.raises(EmitError, match="Rows cannot be sent: KafkaTimeoutError"):
            await sender.settle()
        assert (broker.started, broker.stopped) == (1, 1)
        broker.refuses = False
        await sender.send(rows())
        await sender.settle()
        assert (broker.started, len(broker.batches)) == (2, 3)

    run(case)


def test_what_was_on_its_way_when_the_client_is_replaced_is_not_waited_for(
    run: Callable[[Case], None],
) -> None:
    """The client that would have told of it is gone."""

    async def case(broker: Broker, sender: RowSender) -> None:
        broker.held = True
        await sender.send(rows())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await sender.settle()
        broker.refuses, broker.held = True, False
        await sender.send(rows())
        with pytest.raises(EmitError):
            await sender.settle()
        await sender.settle()
        assert all(future.cancelled() for future in broker.futures)

    run(case)


def test_a_settlement_during_which_the_client_is_closed_fails(
    run: Callable[[Case], None],
) -> None:
    """What was given up was not acknowledged."""

    async def case(broker: Broker, sender: RowSender) -> None:
        broker.held = True
        await sender.send(rows())
        settling = asyncio.ensure_future(sender.settle())
        while len(broker.futures) < 3:  # noqa: ASYNC110  # the fake has no event for it
            await asyncio.sleep(0)
        await sender.close()
        with pytest.raises(EmitError, match="3 batches of rows were not acknowledged: given up"):
            await settling

    run(case)


def test_partitions_added_later_are_used(run: Callable[[Case], None]) -> None:
    """The topic may be given more partitions while the sender runs."""

    async def case(broker: Broker, sender: RowSender) -> None:
        await sender.send(rows())
        await sender.settle()
        broker.partitions = 7
        await sender.send(rows())
        await sender.settle()
        assert {partition for partition, _ in broker.batches} == set(range(7))

    run(case)
