"""``inferwatch topics`` against a broker: creation, idempotence, differences, unreachability."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from time import monotonic

import pytest
from typer.testing import CliRunner, Result

from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch.embedded.kafka import ApacheKafka
from inferwatch.main import app
from inferwatch_schemas.admin import TopicAdmin, topic_ids
from inferwatch_schemas.errors import KafkaRefusedError, KafkaUnavailableError
from inferwatch_schemas.kafka import KafkaSettings, KafkaSettingsError
from inferwatch_schemas.topics import REQUESTS, TOPICS, Topic

NOWHERE = KafkaSettings(bootstrap_servers="127.0.0.1:1")


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def own_broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedBroker | ApacheKafka]:
    """Yield a broker of these tests' own, as the command creates topics of fixed names."""
    folder = tmp_path_factory.mktemp("broker")
    broker: EmbeddedBroker | ApacheKafka = (
        EmbeddedBroker(folder)
        if request.param == "embedded"
        else ApacheKafka(folder / "data", folder)
    )
    with broker:
        yield broker


@pytest.fixture
def kafka(own_broker: EmbeddedBroker | ApacheKafka) -> KafkaSettings:
    """Return how to reach the broker."""
    return KafkaSettings(bootstrap_servers=own_broker.bootstrap_servers)


@pytest.fixture
def topic() -> Topic:
    """Return a topic that nobody else has."""
    return replace(REQUESTS, name=f"test.{uuid.uuid4().hex}", partitions=2)


def run(kafka: KafkaSettings, *arguments: str) -> Result:
    """Run the command against the broker."""
    return CliRunner().invoke(app, ["topics", *arguments], env=kafka.to_environment())


def test_the_catalogue_is_created_once(kafka: KafkaSettings) -> None:
    """The list says what is missing, the first creation creates, the second changes nothing."""
    names = [topic.name for topic in TOPICS]
    before = run(kafka, "list")
    assert before.exit_code == 0
    assert before.stdout.count("missing") == len(TOPICS) + 1
    assert "inferwatch topics create" in before.stdout

    created = run(kafka, "create")
    assert created.exit_code == 0, created.output
    assert created.stdout.splitlines() == [f"created  {name}" for name in names]
    ids = topic_ids(kafka, names)
    again = run(kafka, "create")
    assert again.stdout.splitlines() == [f"exists   {name}" for name in names]
    assert topic_ids(kafka, names) == ids

    lines = run(kafka, "list").stdout.splitlines()[1:]
    assert len(lines) == len(TOPICS)
    for line, topic in zip(lines, TOPICS, strict=True):
        days = topic.retention_ms // 86_400_000
        kept = ["for", "ever"] if topic.cleanup == "compact" else [str(days), "d"]
        assert line.split()[:6] == [
            topic.name, str(topic.partitions), *kept, topic.cleanup, ids[topic.name],
        ]  # fmt: skip
        assert topic.about in line


def test_ids_are_those_of_topics_that_exist(kafka: KafkaSettings, topic: Topic) -> None:
    """A topic's id stays, is its own, and is absent where there is no topic."""
    other = replace(topic, name=f"{topic.name}.other")
    TopicAdmin(kafka).create([topic, other])
    ids = topic_ids(kafka, [topic.name, other.name, "no.such.topic"])
    assert ids.keys() == {topic.name, other.name}
    assert len(set(ids.values())) == 2
    assert topic_ids(kafka, [topic.name]) == {topic.name: ids[topic.name]}
    assert topic_ids(kafka, []) == {}


def test_differences_are_told_and_left(kafka: KafkaSettings, topic: Topic) -> None:
    """A topic that is not as declared is reported and keeps its partitions and settings."""
    admin = TopicAdmin(kafka)
    (created,) = admin.create([topic])
    assert (created.created, created.differences) == (True, ())
    before = admin.states([topic.name])
    (outcome,) = admin.create([replace(topic, partitions=3, retention_ms=1000)])
    assert not outcome.created
    assert outcome.differences == (
        f"{topic.name} has 2 partitions, not 3",
        f"{topic.name} has retention.ms={topic.retention_ms}, not retention.ms=1000",
    )
    assert admin.states([topic.name]) == before


def test_a_factor_multiplies_partitions(kafka: KafkaSettings, topic: Topic) -> None:
    """Topics can be created with a multiple of the declared partitions."""
    admin = TopicAdmin(kafka)
    admin.create([topic], factor=3, replication=1)
    assert admin.states([topic.name])[topic.name].partitions == 6


def test_partitions_are_raised_on_request(
    own_broker: EmbeddedBroker | ApacheKafka, kafka: KafkaSettings, topic: Topic
) -> None:
    """More partitions are made where asked for, never fewer; the embedded broker says it cannot."""
    admin = TopicAdmin(kafka)
    admin.create([topic])
    if isinstance(own_broker, EmbeddedBroker):
        with pytest.raises(KafkaRefusedError, match="CreatePartitions"):
            admin.create([topic], factor=2, raise_partitions=True)
        return
    (outcome,) = admin.create([topic], factor=2, raise_partitions=True)
    assert (outcome.raised, outcome.differences) == (True, ())
    (outcome,) = admin.create([topic], raise_partitions=True)
    assert outcome.differences == (f"{topic.name} has 4 partitions, not 2",)


def test_too_many_replicas_are_refused(
    own_broker: EmbeddedBroker | ApacheKafka, kafka: KafkaSettings, topic: Topic
) -> None:
    """More replicas than brokers is the broker's refusal, in a sentence."""
    if isinstance(own_broker, EmbeddedBroker):
        pytest.skip("the embedded broker takes any number")
    with pytest.raises(KafkaRefusedError, match="replication factor of 3"):
        TopicAdmin(kafka).create([topic], replication=3)


@pytest.mark.parametrize("command", ["create", "list"])
def test_no_broker_is_one_sentence_in_time(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Without a broker the reason is told within ten seconds, and librdkafka logs nothing."""
    start = monotonic()
    result = run(NOWHERE, command)
    assert monotonic() - start < 10
    assert isinstance(result.exception, KafkaUnavailableError)
    assert "Kafka at 127.0.0.1:1 does not answer: " in str(result.exception)
    assert "Connection refused" in str(result.exception)
    assert capfd.readouterr() == ("", "")


def test_settings_that_librdkafka_refuses_are_told(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A certificate that is none is a sentence about the settings."""
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(KafkaSettingsError, match="refuses its settings"):
        TopicAdmin(KafkaSettings("127.0.0.1:1", "SSL", ssl_ca_location=str(file)))
