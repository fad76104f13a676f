"""The servers that suites share: each is started once a session, when a test first asks for it."""

from collections.abc import Iterator

import pytest

from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch.embedded.kafka import ApacheKafka


@pytest.fixture(scope="session")
def embedded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """Yield the embedded broker; topics must have names of their own."""
    with EmbeddedBroker(tmp_path_factory.mktemp("embedded-broker")) as broker:
        yield broker


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """Yield Apache Kafka; topics must have names of their own, and nobody kills this one."""
    folder = tmp_path_factory.mktemp("apache-kafka")
    with ApacheKafka(folder / "data", folder) as kafka:
        yield kafka


@pytest.fixture(
    scope="session", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)]
)
def bootstrap_servers(request: pytest.FixtureRequest) -> str:
    """Return where clients connect: each test runs on the embedded broker and on Apache Kafka."""
    name = "embedded_broker" if request.param == "embedded" else "apache_kafka"
    broker: EmbeddedBroker | ApacheKafka = request.getfixturevalue(name)
    return broker.bootstrap_servers
