"""What lies on the disks of Kafka and ClickHouse after a benchmark."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from inferwatch.embedded.errors import EmbeddedError
from inferwatch.embedded.kafka import ApacheKafka
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import TOPICS, Topic
from tests.benchmarks.brokers import await_coordinator

METADATA_SECONDS = 20.0


@dataclass(frozen=True)
class Table:
    """A table after all merges: its rows, and bytes of its columns as stored and before."""

    rows: int
    compressed_bytes: int
    uncompressed_bytes: int
    parts: int


@contextmanager
def apache_kafka(folder: Path) -> Iterator[tuple[KafkaSettings, Path]]:
    """Run Apache Kafka, and say where its logs are.

    Raises:
        SystemExit: It cannot be run; the embedded broker has nothing on disk to be measured.
    """
    kafka = ApacheKafka(folder / "data", folder)
    try:
        kafka.start()
    except EmbeddedError as error:
        raise SystemExit(f"This benchmark needs Apache Kafka: {error}") from error
    try:
        settings = KafkaSettings(kafka.bootstrap_servers)
        await_coordinator(settings)
        TopicAdmin(settings).create(TOPICS)
        yield settings, folder / "data" / "log"
    finally:
        kafka.stop()


def log_bytes(logs: Path, topic: Topic) -> int:
    """Size of a topic's log segments."""
    return sum(one.stat().st_size for one in logs.glob(f"{topic.name}-[0-9]*/*.log"))


def last_written(logs: Path, topic: Topic) -> float:
    """When a topic was last written to, in seconds since 1970: sooner known than by reading it."""
    return max(one.stat().st_mtime for one in logs.glob(f"{topic.name}-[0-9]*/*.log"))


def log_records(kafka: KafkaSettings, topic: Topic) -> int:
    """Records of a topic from which nothing was removed yet."""
    consumer = Consumer({**kafka.confluent(), "group.id": "bench"}, logger=SILENT)
    with closing(consumer):
        return sum(
            consumer.get_watermark_offsets(
                TopicPartition(topic.name, number), timeout=METADATA_SECONDS
            )[1]
            for number in range(topic.partitions)
        )


def merge(clickhouse: ClickHouse, table: str) -> None:
    """Merge a table to its end."""
    clickhouse.command(f"OPTIMIZE TABLE {table} FINAL")


def weighed(clickhouse: ClickHouse, table: str, unwanted: str) -> Table:
    """Size of a table without some rows, which are removed.

    Args:
        clickhouse: Where it is.
        table: Its name.
        unwanted: Condition of the rows to be removed.
    """
    clickhouse.command(f"ALTER TABLE {table} DELETE WHERE {unwanted} SETTINGS mutations_sync = 1")
    merge(clickhouse, table)
    ((rows, compressed, uncompressed, parts),) = clickhouse.query(
        "SELECT sum(rows), sum(data_compressed_bytes), sum(data_uncompressed_bytes), count() "
        "FROM system.parts "
        "WHERE active AND database = currentDatabase() AND table = {table:String}",
        {"table": table},
    )
    return Table(rows, compressed, uncompressed, parts)
