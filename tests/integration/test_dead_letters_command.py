"""``inferwatch dead-letters`` against a broker: what is listed, what is published again."""

import secrets
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from typer.testing import CliRunner, Result

from inferwatch import dead_letters
from inferwatch.dead_letters import Choice
from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch.embedded.kafka import ApacheKafka
from inferwatch.main import app
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.errors import KafkaRefusedError, KafkaUnavailableError
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import CONTROLS, CONVERSIONS, DEAD_LETTERS, REQUESTS, TOPICS
from inferwatch_schemas.wire import Encoder

NOW_MICROS = 1_700_000_000_000_000
RAW = b"\x00\x00\x00\x01\x99"


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaSettings]:
    """Yield a broker of these tests' own with the catalogue, whose topics have fixed names."""
    folder = tmp_path_factory.mktemp("broker")
    broker: EmbeddedBroker | ApacheKafka = (
        EmbeddedBroker(folder)
        if request.param == "embedded"
        else ApacheKafka(folder / "data", folder)
    )
    with broker:
        settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        TopicAdmin(settings).create(TOPICS)
        yield settings


@dataclass(frozen=True)
class Letters:
    """Writes the dead letters of one test, which share a reason and a range of offsets."""

    kafka: KafkaSettings
    first: int
    reason: str

    def letter(self, number: int, **other: Any) -> dict[str, Any]:
        """Return a dead letter as the workers write it."""
        return {
            "source_topic": REQUESTS.name,
            "topic_id": "an-id",
            "partition": 2,
            "offset": self.first + number,
            "record_time": 1_700_000_000_000,
            "reason": self.reason,
            "detail": f"schema id 409 at {number} is unknown",
            "schema_id": 409,
            "key": b"chat",
            "value": RAW,
            "headers": [{"key": "ce_id", "value": b"e1"}, {"key": "empty", "value": None}],
            "reader": "inferwatch",
            "found_at": NOW_MICROS,
            **other,
        }

    def write(self, *letters: dict[str, Any] | bytes) -> None:
        """Write dead letters, or bytes that are none, in one batch."""
        encoder = Encoder("dead_letter", PinnedRegistry())
        producer = Producer({**self.kafka.confluent(), "linger.ms": 100})
        for one in letters:
            value = one if isinstance(one, bytes) else encoder.encode(one)
            producer.produce(DEAD_LETTERS.name, value=value)
        assert producer.flush(20) == 0

    def place(self, number: int, partition: int = 2) -> bytes:
        """Return where the record of a letter stood."""
        return f"{REQUESTS.name}/{partition}/{self.first + number}".encode()

    def published(self, count: int, partition: int = 2) -> list[tuple[bytes, Message]]:
        """Return what was published again with its origin, waiting until there are as many."""
        consumer = Consumer({**self.kafka.confluent(), "group.id": uuid.uuid4().hex})
        consumer.assign([TopicPartition(REQUESTS.name, partition, 0)])
        found: list[tuple[bytes, Message]] = []
        deadline = monotonic() + 20
        more = True
        # One empty look after the last that is expected: nothing may follow.
        while (more or len(found) < count) and monotonic() < deadline:
            batch = consumer.consume(1000, timeout=0.3)
            more = bool(batch)
            for message in batch:
                headers = message.headers()
                assert isinstance(headers, list)
                name, origin = headers[-1]
                assert name == "inferwatch_replayed_from"
                assert isinstance(origin, bytes)
                if self.first <= int(origin.split(b"/")[2]) < self.first + 1000:
                    found.append((origin, message))
        consumer.close()
        return found


@pytest.fixture
def letters(kafka: KafkaSettings) -> Letters:
    """Return the letters of this test alone."""
    first = 1000 * secrets.randbelow(2**40)
    return Letters(kafka, first, f"reason-{first}")


@pytest.fixture
def run(kafka: KafkaSettings) -> Callable[..., Result]:
    """Return a function that runs the command against the broker."""

    def call(*arguments: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(
            app, ["dead-letters", *arguments], input=answer, env=kafka.to_environment()
        )

    return call


def test_without_letters_there_is_nothing_to_do(
    letters: Letters, run: Callable[..., Result]
) -> None:
    """Where nothing matches, both commands say so and succeed without asking."""
    listed = run("list", "--reason", letters.reason)
    assert (listed.exit_code, listed.stdout) == (0, "No dead letters.\n")
    replayed = run("replay", "--reason", letters.reason)
    assert (replayed.exit_code, replayed.stdout) == (0, "No dead letters to publish.\n")


def test_letters_are_listed_with_place_and_reason(
    letters: Letters, run: Callable[..., Result]
) -> None:
    """Each letter is a line, once however often it was written; filters and --value apply."""
    letters.write(
        letters.letter(7),
        letters.letter(7),
        b"\x00junk",
        letters.letter(9, source_topic=CONVERSIONS.name),
        *(letters.letter(100 + i) for i in range(700)),
    )
    listed = run("list", "--limit", "1000", "--reason", letters.reason)
    assert listed.exit_code == 0, listed.output
    lines = listed.stdout.splitlines()[1:]
    assert len(lines) == 702
    assert lines[0].split()[:6] == [
        REQUESTS.name, "2", str(letters.first + 7), letters.reason, "2023-11-14", "22:13:20Z",
    ]  # fmt: skip
    assert "schema id 409 at 7 is unknown" in lines[0]
    assert RAW.hex() not in listed.stdout
    assert "is no dead letter" in listed.stderr

    mine = ("list", "--reason", letters.reason)
    (conversions,) = run(*mine, "--topic", CONVERSIONS.name, "--value").stdout.splitlines()[1:]
    assert conversions.split()[2] == str(letters.first + 9)
    assert conversions.split()[-1] == RAW.hex()
    newest = run(*mine, "--limit", "2")
    assert [int(line.split()[2]) - letters.first for line in newest.stdout.splitlines()[1:]] == [
        798,
        799,
    ]
    assert "702 in all" in newest.stderr


def test_replay_publishes_the_record_as_it_was(
    letters: Letters, run: Callable[..., Result]
) -> None:
    """Key, value, headers and partition are the original ones, and its origin is added."""
    letters.write(
        letters.letter(7),
        letters.letter(8, key=None, headers=[]),
        letters.letter(7),
        letters.letter(9, reason="empty"),
    )
    result = run("replay", "--reason", letters.reason, "--yes")
    assert result.exit_code == 0, result.output
    assert "Published 2 records again." in result.stdout
    (origin, first), (other, second) = letters.published(2)
    assert (origin, other) == (letters.place(7), letters.place(8))
    assert (first.key(), first.value()) == (b"chat", RAW)
    assert first.headers() == [
        ("ce_id", b"e1"),
        ("empty", None),
        ("inferwatch_replayed_from", origin),
    ]
    assert (second.key(), second.value()) == (None, RAW)


def test_replay_chooses_by_place(letters: Letters, run: Callable[..., Result]) -> None:
    """Partition and offsets choose, and only those are published."""
    letters.write(*(letters.letter(i) for i in range(5)), letters.letter(3, partition=1))
    wanted = [f"--offset={letters.first + i}" for i in (1, 3)]
    result = run("replay", *wanted, "--partition", "2", "--yes")
    assert result.exit_code == 0, result.output
    assert [origin for origin, _ in letters.published(2)] == [letters.place(1), letters.place(3)]
    assert letters.published(0, partition=1) == []


def test_replay_leaves_out_what_services_obey(letters: Letters, run: Callable[..., Result]) -> None:
    """An old control would replace the one that holds now."""
    letters.write(letters.letter(7, source_topic=CONTROLS.name, partition=0), letters.letter(8))
    done = run("replay", "--reason", letters.reason, "--yes")
    assert done.exit_code == 0, done.output
    assert "1 are of compacted topics" in done.stdout
    assert "Published 1 records again." in done.stdout


def test_replay_asks_first(letters: Letters, run: Callable[..., Result]) -> None:
    """Without --yes a no publishes nothing; --dry-run says how many and publishes nothing."""
    letters.write(letters.letter(7), letters.letter(8, value=None))
    mine = ("replay", "--reason", letters.reason)
    refused = run(*mine, answer="n\n")
    assert refused.exit_code == 1
    assert "Publish 1 records again? Those replayed before will count twice." in refused.stdout
    dry = run(*mine, "--dry-run")
    assert dry.exit_code == 0
    assert "Would publish 1 records" in dry.stdout
    assert "1 hold no whole record" in dry.stdout
    assert letters.published(0) == []
    assert run(*mine, answer="y\n").exit_code == 0
    assert len(letters.published(1)) == 1


@pytest.mark.parametrize("place", [{"source_topic": "gone"}, {"partition": 99}])
def test_a_place_that_is_gone_is_told(letters: Letters, place: dict[str, Any]) -> None:
    """A topic or partition that no longer exists ends the replay with the count and the reason."""
    letters.write(letters.letter(6), letters.letter(7, **place))
    mine = dead_letters.read(
        letters.kafka, PinnedRegistry(), Choice(reason=letters.reason), foreign=lambda _: None
    )
    with pytest.raises(KafkaRefusedError, match="took 1 records and then no more: "):
        dead_letters.replay(letters.kafka, mine)


def test_a_missing_topic_is_told(kafka: KafkaSettings) -> None:
    """A broker without the topic is answered with what to run."""
    missing = dead_letters.read(
        kafka, PinnedRegistry(), Choice(), foreign=pytest.fail, topic="nothing"
    )
    with pytest.raises(KafkaRefusedError, match=r"has no topic nothing.*topics create"):
        list(missing)


def test_no_broker_is_told_in_time() -> None:
    """Without a broker the error says so within ten seconds."""
    nowhere = KafkaSettings(bootstrap_servers="127.0.0.1:1")
    start = monotonic()
    with pytest.raises(KafkaUnavailableError, match="Connection refused"):
        list(dead_letters.read(nowhere, PinnedRegistry(), Choice(), foreign=pytest.fail))
    assert monotonic() - start < 10
