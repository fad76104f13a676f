"""The stack that the end-to-end tests run on: embedded, and on Apache Kafka under its marker."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pipeline import BLOCK_LENGTH, Stack

from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch.embedded.kafka import ApacheKafka
from inferwatch_clickhouse.migrate import migrate
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.topics import TOPICS

# A group's first member waits half a session on the embedded broker; Apache Kafka grants 6 s.
SESSION_SECONDS = {"embedded": 3.0, "kafka": 6.0}


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    """Yield the embedded ClickHouse; databases must have names of their own, nobody kills it."""
    folder = tmp_path_factory.mktemp("clickhouse")
    with EmbeddedClickHouse(folder / "data", folder) as server:
        yield server


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def stack(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    clickhouse_server: EmbeddedClickHouse,
) -> Iterator[Stack]:
    """Yield a broker and a database of this module's own: what is in them is what it put there."""
    folder = tmp_path_factory.mktemp("stack")
    broker: EmbeddedBroker | ApacheKafka = (
        EmbeddedBroker(folder)
        if request.param == "embedded"
        else ApacheKafka(folder / "data", folder)
    )
    database = f"{request.module.__name__.rpartition('.')[2]}_{request.param}"
    clickhouse = replace(ClickHouseSettings(url=clickhouse_server.url), database=database)
    with broker:
        kafka = KafkaSettings(broker.bootstrap_servers)
        TopicAdmin(kafka).create(TOPICS)
        migrate(clickhouse)
        yield Stack(
            kafka,
            clickhouse,
            folder,
            SESSION_SECONDS[request.param],
            {"aggregation_block_length": str(BLOCK_LENGTH)},
            broker_pid=broker.pid,
        )
