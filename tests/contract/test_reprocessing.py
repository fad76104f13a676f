"""Reading the same log again changes nothing: not by other groups, offsets or sizes of fetches."""

import operator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from load import Log
from pipeline import BLOCK_LENGTH, Stack, Worker, wait_until
from random_events import make_events
from tables import (
    COUNTS,
    VIEWS,
    aggregated,
    assert_aggregates,
    assert_raw_rows,
    counted,
    expected_counts,
)

from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import REQUESTS, TOPICS

# Both brokers' there, because `make test` has no minute left for it.
pytestmark = pytest.mark.kafka

EVENTS = 6_000
GARBAGE = 5
# Where a row came to lie, and when, may differ; what it says may not.
PLACE = ("kafka_topic_id", "kafka_partition", "kafka_offset")
TABLES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(COUNTS, PLACE),
    **dict.fromkeys(VIEWS.values(), ()),
    "dead_letters": (*PLACE, "reader", "found_at"),
}


def contents(stack: Stack) -> dict[str, tuple[int, str]]:
    """Count and hash of every table's resolved rows, in an order of their own."""
    found = {}
    for table, differs in TABLES.items():
        left_out = ", ".join(["inserted_at", *differs])
        ((count, digest),) = stack.query(
            "SELECT count(), hex(SHA256(arrayStringConcat(groupArray(line)))) FROM ("  # noqa: S608 -- names of this file
            f"SELECT DISTINCT formatRow('JSONEachRow', * EXCEPT ({left_out})) AS line "
            f"FROM {table} ORDER BY line)"
        )
        found[table] = (count, digest)
    return found


@pytest.fixture(scope="module")
def log(stack: Stack) -> Log:
    """A log with garbage in it, read once by the default groups."""
    log = Log(stack.kafka)
    log.publish(make_events(4, EVENTS))
    producer = Producer(stack.kafka.confluent(), logger=SILENT)
    for number in range(GARBAGE):
        producer.produce(REQUESTS.name, b"garbage %d" % number, partition=number % 4)
    assert producer.flush(20) == 0
    with stack.worker("first") as worker:
        wait_until(
            lambda: (counted(stack), stack.one("SELECT count() FROM dead_letters")),
            lambda found: found == (expected_counts(log), GARBAGE),
            worker,
            seconds=60,
        )
        worker.stop()
    return log


@pytest.fixture(scope="module")
def before(stack: Stack, log: Log) -> dict[str, tuple[int, str]]:
    """What the tables held after the first reading."""
    assert_raw_rows(stack, log)
    assert_aggregates(stack, log, BLOCK_LENGTH)
    return contents(stack)


def read_all(worker: Worker, log: Log) -> None:
    """Wait until a worker has counted and landed the whole log by itself, then stop it."""
    due = (aggregated(log), len(log.records), GARBAGE)

    def progress() -> tuple[float, float, float]:
        return (
            worker.metric("inferwatch_events_total"),
            sum(
                worker.metric("inferwatch_sink_rows_total", table=table) for table in VIEWS.values()
            ),
            worker.metric("inferwatch_sink_rows_total", table="dead_letters"),
        )

    wait_until(
        progress,
        lambda found: all(map(operator.ge, found, due)),
        worker,
        seconds=60,
    )
    worker.stop()


def rewind(stack: Stack, group: str) -> None:
    """Commit the start of every partition, as a member: the embedded broker takes no other's."""
    session = round(1000 * stack.session_seconds)
    settings = {"group.id": group, "enable.auto.commit": False, "session.timeout.ms": session}
    consumer = Consumer({**stack.kafka.confluent(), **settings}, logger=SILENT)
    starts = [
        TopicPartition(topic.name, partition, 0)
        for topic in TOPICS
        for partition in range(topic.partitions)
    ]
    consumer.subscribe([topic.name for topic in TOPICS])

    def assigned() -> int:
        consumer.poll(0.1)
        return len(consumer.assignment())

    wait_until(assigned, lambda found: found == len(starts), seconds=30)
    consumer.commit(offsets=starts, asynchronous=False)
    consumer.close()


def test_other_groups_in_small_bites(
    stack: Stack, log: Log, before: dict[str, tuple[int, str]]
) -> None:
    """New groups read from the start in small fetches, and send what changed more often."""
    with stack.worker(
        "other",
        aggregation_group="other-aggregation",
        aggregation_fetch_bytes="20000",
        aggregation_flush_seconds="0.2",
        sink_group="other-sink",
        sink_fetch_bytes="20000",
        sink_flush_bytes="50000",
        sink_flush_seconds="0.2",
    ) as worker:
        read_all(worker, log)
    assert contents(stack) == before


def test_rewound_offsets(stack: Stack, log: Log, before: dict[str, tuple[int, str]]) -> None:
    """The same groups begin again at the start."""
    for group in ("inferwatch-aggregation", "inferwatch-sink"):
        rewind(stack, group)
    with stack.worker("rewound", aggregation_fetch_bytes="300000") as worker:
        read_all(worker, log)
    assert contents(stack) == before
