"""What a compacted topic says, record by record, and what a reader makes of a broker's whims."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_agents import compacted_reader
from inferwatch_agents.compacted import Compacted
from inferwatch_agents.compacted_reader import CompactedReader
from inferwatch_agents.errors import UnusableRecordError
from inferwatch_schemas.errors import KafkaUnavailableError, RegistryUnavailableError
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.topics import EXPERIMENTS

TOPIC = replace(EXPERIMENTS, max_value_bytes=100)
NAME = TOPIC.name


def parse(key: str, value: bytes) -> int:
    """A number; ``away`` stands for a registry that does not answer."""
    assert key
    if value == b"away":
        raise RegistryUnavailableError("away")
    return int(value)


def topic() -> tuple[Compacted[int], list[dict[str, int]]]:
    """A topic, and what it told."""
    told: list[dict[str, int]] = []
    return Compacted(TOPIC, parse, lambda values: told.append(dict(values))), told


records = st.lists(
    st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 9), st.just("bad")))
)


@given(records, records)
def test_the_newest_good_record_of_each_key_holds(
    before: list[tuple[str, Any]], after: list[tuple[str, Any]]
) -> None:
    """Before the end of the topic and after it; one without a value removes, a bad one does not."""
    compacted, _ = topic()
    compacted.begin([0])
    expected: dict[str, int] = {}
    for count, (key, value) in enumerate([*before, *after]):
        if count == len(before):
            compacted.ended(0)
        raw = None if value is None else str(value).encode()
        if value == "bad":
            with pytest.raises(ValueError, match="invalid literal"):
                compacted.take(0, key.encode(), raw, count)
        else:
            compacted.take(0, key.encode(), raw, count)
            expected.pop(key, None)
            expected |= {} if value is None else {key: value}
    compacted.ended(0)
    compacted.publish()
    assert compacted.values == expected


def test_what_was_known_holds_until_all_is_read_again() -> None:
    """Nothing old comes back for a moment, and what is gone goes at the end."""
    compacted, told = topic()
    compacted.begin([0])
    for key in (b"a", b"b"):
        compacted.take(0, key, b"2", 0)
    compacted.ended(0)
    compacted.publish()
    compacted.begin([0])
    compacted.take(0, b"a", b"1", 0)
    compacted.publish()
    assert not compacted.loaded
    compacted.take(0, b"a", b"2", 1)
    with pytest.raises(ValueError, match="invalid"):
        compacted.take(0, b"b", b"bad", 2)
    compacted.ended(0)
    compacted.publish()
    assert compacted.loaded
    assert told == [{"a": 2, "b": 2}]
    compacted.begin([0])
    compacted.ended(0)
    compacted.publish()
    assert told[1:] == [{}]


def test_a_key_of_two_partitions_is_its_later_record() -> None:
    """As where partitions were added; a later removal removes it from both."""
    compacted, _ = topic()
    compacted.begin([0, 1])
    compacted.take(1, b"a", b"2", 20)
    compacted.take(0, b"a", b"1", 10)
    compacted.ended(0)
    compacted.ended(1)
    compacted.publish()
    assert compacted.values == {"a": 2}
    compacted.take(0, b"a", None, 30)
    compacted.publish()
    assert compacted.values == {}


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of keys and of bytes; keys that are known may change, and removals make room."""
    monkeypatch.setattr("inferwatch_agents.compacted.MOST_KEYS", 2)
    compacted, _ = topic()
    compacted.begin([0])
    for key in (b"a", b"b"):
        compacted.take(0, key, b"1", 0)
    with pytest.raises(UnusableRecordError, match="more than 2 keys"):
        compacted.take(0, b"c", b"1", 0)
    compacted.take(0, b"a", b"2", 0)
    compacted.take(0, b"b", None, 0)
    compacted.take(0, b"c", b"3", 0)
    with pytest.raises(UnusableRecordError, match="101 bytes"):
        compacted.take(0, b"a", b"1" * 101, 0)
    for key in (None, b"\xff"):
        with pytest.raises(UnusableRecordError):
            compacted.take(0, key, b"1", 0)
    compacted.ended(0)
    compacted.publish()
    assert compacted.values == {"a": 2, "c": 3}


@dataclass
class Message:
    """Stands for ``confluent_kafka.Message``."""

    k: bytes | None = None
    v: bytes | None = None
    code: int | None = None

    def error(self) -> KafkaError | None:
        """Its error."""
        return None if self.code is None else KafkaError(self.code)

    def topic(self) -> str:
        """Its topic."""
        return NAME

    def partition(self) -> int:
        """Its partition."""
        return 0

    def timestamp(self) -> tuple[int, int]:
        """Its kind and time."""
        return (2, 0)

    def key(self) -> bytes | None:
        """Its key."""
        return self.k

    def value(self) -> bytes | None:
        """Its value."""
        return self.v


END = Message(code=KafkaError._PARTITION_EOF)  # noqa: SLF001  # named so, yet public


@dataclass
class Broker:
    """Stands for ``Consumer`` and ``TopicAdmin``, and for the broker behind them.

    Attributes:
        found: What topics it has; None while it is away.
        messages: What it sends next, consume by consume.
    """

    found: dict[str, tuple[str, int]] | None = field(default_factory=lambda: {NAME: ("id", 1)})
    messages: list[list[Message]] = field(default_factory=list)
    now: float = 0.0
    made: int = 0
    closed: int = 0
    notes: list[tuple[str, str]] = field(default_factory=list)

    def consumer(self, config: dict[str, Any], logger: object) -> "Broker":
        """Be made as ``Consumer`` is."""
        assert logger
        assert config["enable.partition.eof"]
        self.made += 1
        return self

    def logs(self, names: object) -> dict[str, tuple[str, int]]:
        """See ``TopicAdmin.logs``."""
        assert names
        if self.found is None:
            raise KafkaUnavailableError("away")
        return dict(self.found)

    def assign(self, partitions: list[Any]) -> None:
        """Be assigned."""
        assert len(partitions) == sum(count for _, count in (self.found or {}).values())

    def consume(self, most: int, seconds: float) -> list[Message]:
        """Send what is next."""
        assert most > 0
        assert seconds > 0
        return self.messages.pop(0) if self.messages else []

    def close(self) -> None:
        """Be closed."""
        self.closed += 1

    def note(self, where: str, error: BaseException, which: str = "") -> None:
        """Keep it."""
        self.notes.append((where, f"{which} {type(error).__name__}"))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacted_reader, "POLL_SECONDS", 0.001)


def reading(broker: Broker) -> tuple[CompactedReader, Compacted[int]]:
    """A reader of one topic of a broker, without a thread."""
    compacted, _ = topic()
    return CompactedReader(
        KafkaSettings(),
        [compacted],
        broker.note,
        make_consumer=broker.consumer,
        make_admin=lambda *_: broker,
        monotonic=lambda: broker.now,
    ), compacted


def steps(reader: CompactedReader, count: int) -> None:
    """Do what the thread does, so many times."""
    for _ in range(count):
        try:
            reader.step()
        except Exception as error:  # noqa: BLE001  # as the thread does
            reader._failed(error)  # noqa: SLF001  # as above


def test_a_bad_record_is_told_and_the_last_good_one_holds() -> None:
    """By its key; the next record is read."""
    broker = Broker(
        messages=[
            [Message(b"a", b"1"), END],
            [Message(b"a", b"bad"), Message(None, b"1"), Message(b"b", b"2")],
        ]
    )
    reader, compacted = reading(broker)
    steps(reader, 2)
    assert compacted.values == {"a": 1, "b": 2}
    assert broker.notes == [
        (f"reading {NAME}", "b'a' ValueError"),
        (f"reading {NAME}", "None UnusableRecordError"),
    ]
    assert broker.made == 1


def test_while_kafka_is_away_what_was_known_holds() -> None:
    """It is looked for again every few seconds, with the client that there is."""
    broker = Broker(found=None)
    reader, compacted = reading(broker)
    steps(reader, 5)
    assert (broker.made, len(broker.notes)) == (0, 1)
    broker.found, broker.messages = {NAME: ("id", 1)}, [[Message(b"a", b"1"), END]]
    broker.now = 3.0
    steps(reader, 1)
    assert compacted.values == {"a": 1}
    broker.found = None
    for _ in range(10):
        broker.now += 30.0
        steps(reader, 3)
    assert compacted.values == {"a": 1}
    assert (broker.made, broker.closed, len(broker.notes)) == (1, 0, 11)


def test_a_missing_topic_is_looked_for_again() -> None:
    """It is no failure, and all that is known is known; once it is there it is read."""
    broker = Broker(found={})
    reader, compacted = reading(broker)
    steps(reader, 3)
    assert reader._ready.is_set()  # noqa: SLF001  # what wait waits for
    assert (broker.made, broker.notes) == (0, [])
    broker.found, broker.messages = {NAME: ("id", 1)}, [[Message(b"a", b"1"), END]]
    broker.now = 30.0
    steps(reader, 1)
    assert compacted.values == {"a": 1}


@pytest.mark.parametrize("found", [("another", 1), ("id", 2)])
def test_a_topic_that_was_created_again_or_grew_is_read_anew(found: tuple[str, int]) -> None:
    """Until its end is reached the old holds."""
    broker = Broker(messages=[[Message(b"a", b"1"), END]])
    reader, compacted = reading(broker)
    steps(reader, 2)
    broker.found, broker.now = {NAME: found}, 30.0
    broker.messages = [[Message(b"b", b"2")], [END]]
    steps(reader, 1)
    assert (compacted.values, broker.made, broker.closed) == ({"a": 1}, 2, 1)
    steps(reader, 1)
    assert compacted.values == {"b": 2}


def test_a_topic_that_goes_leaves_what_it_said() -> None:
    """Nobody ends an experiment by an accident of Kafka."""
    broker = Broker(messages=[[Message(b"a", b"1"), END]])
    reader, compacted = reading(broker)
    steps(reader, 1)
    broker.found, broker.now = {}, 30.0
    steps(reader, 2)
    assert compacted.values == {"a": 1}


@pytest.mark.parametrize(
    "trouble",
    [
        Message(code=KafkaError.UNKNOWN_TOPIC_OR_PART),
        Message(code=KafkaError._AUTO_OFFSET_RESET),  # noqa: SLF001  # named so, yet public
        Message(b"a", b"away"),
    ],
)
def test_trouble_makes_it_read_anew(trouble: Message) -> None:
    """With another client, a few seconds later: a broker's error, or a registry that is away."""
    broker = Broker(messages=[[Message(b"a", b"1"), END], [trouble], [Message(b"a", b"2"), END]])
    reader, compacted = reading(broker)
    steps(reader, 5)
    assert (compacted.values, broker.made, broker.closed) == ({"a": 1}, 1, 1)
    assert [where for where, _ in broker.notes] == ["reading definitions"]
    broker.now = 3.0
    steps(reader, 1)
    assert (compacted.values, broker.made) == ({"a": 2}, 2)


@pytest.fixture
def threads() -> Iterator[Callable[[Broker], tuple[CompactedReader, Compacted[int]]]]:
    """Start readers with their threads, and end them."""
    started: list[CompactedReader] = []

    def start(broker: Broker) -> tuple[CompactedReader, Compacted[int]]:
        reader, compacted = reading(broker)
        started.append(reader)
        return reader, compacted

    yield start
    for reader in started:
        reader.close()


def test_the_thread_reads_until_it_is_closed(
    threads: Callable[[Broker], tuple[CompactedReader, Compacted[int]]],
) -> None:
    """Waiting starts it; it outlives any error, and closing closes Kafka's client."""
    broker = Broker(messages=[[Message(b"a", b"1"), END]])
    reader, compacted = threads(broker)
    assert not reader.running
    assert reader.wait(10)
    assert (reader.running, compacted.values) == (True, {"a": 1})

    def fail(*_: object) -> list[Message]:
        broker.consume = lambda *_: []  # type: ignore[method-assign]  # once
        raise KafkaException(KafkaError(KafkaError._FATAL))  # noqa: SLF001  # named so, yet public

    broker.consume = fail  # type: ignore[method-assign]  # to fail
    deadline = time.monotonic() + 10
    while not broker.notes and time.monotonic() < deadline:
        time.sleep(0.001)
    reader.close()
    assert broker.notes == [("reading definitions", " KafkaException")]
    assert broker.closed == broker.made == 1
    reader.start()
    assert compacted.values == {"a": 1}


def test_waiting_ends_with_its_time(
    threads: Callable[[Broker], tuple[CompactedReader, Compacted[int]]],
) -> None:
    """While Kafka is away nobody waits for longer than was said."""
    reader, _ = threads(Broker(found=None))
    assert not reader.wait(0.01)
