"""Records one by one: in order, fenced, begun before they are taken, read again after a loss."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from batches import Record, batch, fetched
from block_builders import Registry

from inferwatch_schemas.columnar.chunk import Assignment, Chunk, TopicPartition
from inferwatch_schemas.columnar.examples import example_values
from inferwatch_schemas.errors import KafkaUnavailableError
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.topics import AGGREGATES, ALERTS, COMMANDS
from inferwatch_streams.errors import LeadingError, SupersededError, TakeOverError
from inferwatch_streams.leading import record_processor as module
from inferwatch_streams.leading.fence import CLAIM_KEY, EPOCH_HEADER
from inferwatch_streams.leading.record_handler import TakenRecord
from inferwatch_streams.leading.record_processor import RecordProcessor

ALERT, SILENCE = example_values(ALERTS, 1)
COMMAND, OTHER = example_values(COMMANDS, 2)
LIMIT_SECONDS = 20


def chunk(records: Sequence[Record], topic: str = COMMANDS.name, start: int = 0) -> Chunk:
    """Return the chunk that a fetch of these records brings."""
    (found,) = fetched(batch(records, base_offset=start), start)
    return replace(found, topic=topic, partition=0)


def ours(epoch: int) -> list[tuple[str, bytes | None]]:
    """Return the headers of a leader's record."""
    return [(EPOCH_HEADER, str(epoch).encode())]


@dataclass
class Handler:
    """Notes what it is given, and fails where it is told to.

    Attributes:
        taken: What it was given.
        begun: How often it began.
        failures: What its next beginnings fail with.
        loses: At which offset it is superseded, once.
    """

    taken: list[TakenRecord] = field(default_factory=list)
    begun: int = 0
    failures: list[Exception] = field(default_factory=list)
    loses: int | None = None
    drained: int = 0

    async def begin(self, assignments: Mapping[TopicPartition, Assignment]) -> None:
        """See ``RecordHandler``."""
        assert assignments
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop()
        self.begun += 1

    async def take(self, taken: TakenRecord) -> None:
        """See ``RecordHandler``."""
        assert self.begun
        if taken.offset == self.loses:
            self.loses = None
            raise SupersededError("another leads")
        self.taken.append(taken)

    async def drain(self) -> None:
        """See ``RecordHandler``."""
        self.drained += 1

    @property
    def offsets(self) -> list[int]:
        """Where the records stood."""
        return [each.offset for each in self.taken]


class Worker:
    """A processor without Kafka."""

    def __init__(self, **options: Any) -> None:
        self.handler = Handler()
        self.registry = Registry()
        self.processor = RecordProcessor(
            KafkaSettings(), self.registry, [COMMANDS.name, ALERTS.name], self.handler,
            fenced=[ALERTS.name], **options,
        )  # fmt: skip

    def begin(self, *topics: str, start: int = 0) -> None:
        """Assign partitions from an offset on."""
        self.processor.assign({(topic, 0): Assignment("id", start, start) for topic in topics})


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A processor whose topics were all claimed at offset 4, and which need not stay calm."""
    monkeypatch.setattr(module, "CALM_SECONDS", 0.0)
    monkeypatch.setattr(module, "FIRST_BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(module, "epoch_before", lambda *_: 4)
    return Worker()


def run(case: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a case, for a bounded time."""
    asyncio.run(asyncio.wait_for(case(), LIMIT_SECONDS))


def test_the_handler_gets_each_record_decoded(worker: Worker) -> None:
    """With topic, offset, key and schema; tombstones say nothing but their key."""

    async def case() -> None:
        worker.begin(COMMANDS.name)
        records = [Record(0, COMMAND, b"a"), Record(1, None, b"b"), Record(2, OTHER)]
        await worker.processor.process(chunk(records))
        first, second, third = worker.handler.taken
        assert (first.topic, first.key, first.schema) == (COMMANDS.name, "a", "command")
        assert first.record is not None
        assert first.record["command_id"] == "command_id 0"
        assert (second.key, second.schema, second.record) == ("b", None, None)
        assert third.key is None
        assert worker.processor.position((COMMANDS.name, 0)) == 3

    run(case)


def test_floors_rise_as_the_handler_says(worker: Worker) -> None:
    """Never back, and not of what is not assigned."""
    at = (COMMANDS.name, 0)
    worker.begin(COMMANDS.name, start=5)
    assert worker.processor.floors() == {at: 5}
    worker.processor.done(at, 8)
    worker.processor.done(at, 7)
    worker.processor.done(("other", 0), 7)
    assert worker.processor.floors() == worker.processor.durable() == {at: 8}


def test_what_cannot_be_read_is_left_out(worker: Worker) -> None:
    """Neighbours are taken; the sink buries it."""

    async def case() -> None:
        worker.begin(COMMANDS.name)
        bad = [b"", b"\x01xxxx", COMMAND[:-1], COMMAND + b"x", b"\0\0\0\xff\xffx"]
        records = [Record(index, value) for index, value in enumerate([*bad, COMMAND])]
        records.append(Record(len(records), COMMAND, b"\xff"))
        await worker.processor.process(chunk(records))
        assert worker.handler.offsets == [len(bad)]

    run(case)


def test_records_of_replaced_leaders_are_left_out(worker: Worker) -> None:
    """Of a state topic, with the epoch in force where reading begins."""

    async def case() -> None:
        worker.begin(ALERTS.name, start=10)
        records = [
            Record(0, ALERT, b"a", headers=ours(3)),
            Record(1, ALERT, b"a", headers=ours(4)),
            Record(2, ALERT, b"a"),
            Record(3, None, CLAIM_KEY.encode()),
            Record(4, ALERT, b"a", headers=ours(4)),
            Record(5, None, b"a", headers=ours(4)),
            Record(6, SILENCE, b"s", headers=ours(13)),
            Record(7, None, b"s", headers=ours(13)),
        ]
        await worker.processor.process(chunk(records, ALERTS.name, 10))
        assert worker.handler.offsets == [11, 16, 17]

    run(case)


def test_nothing_is_taken_before_the_handler_has_begun(worker: Worker) -> None:
    """A beginning that fails is tried again, while chunks wait."""

    async def case() -> None:
        worker.handler.failures = [TakeOverError("hangs"), KafkaUnavailableError("away")]
        worker.begin(COMMANDS.name)
        await worker.processor.process(chunk([Record(0, COMMAND)]))
        assert worker.handler.begun == 1
        assert worker.handler.offsets == [0]

    run(case)


def test_one_without_partitions_does_not_begin(worker: Worker) -> None:
    """It stands by."""

    async def case() -> None:
        worker.begin()
        assert not await worker.processor.ready()
        assert not worker.handler.begun
        worker.begin(COMMANDS.name)
        assert await worker.processor.ready()
        assert await worker.processor.ready()
        assert worker.handler.begun == 1

    run(case)


def test_who_is_superseded_begins_anew_at_its_floors(worker: Worker) -> None:
    """What it held is given again, after the handler has begun again."""

    async def case() -> None:
        worker.handler.loses = 1
        worker.begin(COMMANDS.name)
        one = chunk([Record(0, COMMAND), Record(1, OTHER)])
        await worker.processor.process(one)
        assert worker.processor.read_again
        assert not await worker.processor.ready()
        await worker.processor.process(one)
        worker.begin(COMMANDS.name)
        assert not worker.processor.read_again
        await worker.processor.process(one)
        assert worker.handler.offsets == [0, 0, 1]
        assert worker.handler.begun == 2

    run(case)


def test_chunks_of_other_topics_are_handed_on_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same order, and only when the handler has begun."""
    monkeypatch.setattr(module, "epoch_before", lambda *_: -1)
    seen: list[Chunk] = []

    async def take(found: Chunk) -> None:
        await asyncio.sleep(0)
        seen.append(found)

    async def case() -> None:
        worker = Worker(chunks={AGGREGATES.name: take})
        assert worker.processor.topics == tuple(
            sorted([AGGREGATES.name, ALERTS.name, COMMANDS.name])
        )
        worker.begin(AGGREGATES.name)
        whole = chunk([Record(0, b"x"), Record(1, b"y")], AGGREGATES.name)
        await worker.processor.process(whole)
        assert seen == [whole]
        assert worker.handler.begun == 1
        assert worker.processor.position((AGGREGATES.name, 0)) == 2
        assert worker.processor.floors() == {(AGGREGATES.name, 0): 0}
        assert worker.processor.durable() == {(AGGREGATES.name, 0): 2}, "it does not stand still"

    run(case)


def test_it_waits_for_the_registry(worker: Worker) -> None:
    """A record whose schema cannot be asked for now is taken later."""

    async def case() -> None:
        worker.begin(COMMANDS.name)
        worker.registry.away = True
        taking = asyncio.create_task(worker.processor.process(chunk([Record(0, COMMAND)])))
        while not worker.registry.asked:  # noqa: ASYNC110  # the registry is no coroutine
            await asyncio.sleep(0.001)
        assert worker.processor.waits.seconds()
        worker.registry.away = False
        await taking
        assert worker.handler.offsets == [0]
        assert not worker.processor.waits.seconds()

    run(case)


@pytest.mark.parametrize("error", [None, SupersededError("another leads")])
def test_it_drains_what_was_begun(worker: Worker, error: LeadingError | None) -> None:
    """A handler that leads no more ends it, too."""

    async def drain() -> None:
        await asyncio.sleep(0)
        worker.handler.drained += 1
        if error is not None:
            raise error

    async def case() -> None:
        worker.handler.drain = drain  # type: ignore[method-assign]  # to fail
        worker.begin(COMMANDS.name)
        await worker.processor.drain()
        assert worker.handler.drained == 0
        assert await worker.processor.ready()
        await worker.processor.drain()
        assert worker.handler.drained == 1

    run(case)
