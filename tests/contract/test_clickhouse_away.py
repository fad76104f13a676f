"""ClickHouse dies, refuses, hangs and answers into the void: offsets hold, and nothing is lost."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka import Consumer, TopicPartition
from load import Log
from pipeline import BLOCK_LENGTH, Stack, Worker, wait_until
from proxy import Mode, Proxy
from random_events import make_events
from tables import aggregated, assert_aggregates, assert_raw_rows, counted, expected_counts

from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch_clickhouse.migrate import migrate
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import PUBLISHED

PART = 5_000
FLUSH_BYTES = 100_000
FETCH_BYTES = 30_000
# A full load, and the chunk that filled it: compressed to a third at most in this load.
MOST_WAITING_BYTES = FLUSH_BYTES + 10 * FETCH_BYTES


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    """Yield a ClickHouse that these tests may kill."""
    folder = tmp_path_factory.mktemp("mortal")
    with EmbeddedClickHouse(folder / "data", folder) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: EmbeddedClickHouse) -> Iterator[Proxy]:
    """Yield the way to it."""
    with Proxy(server.port) as listening:
        yield listening


@pytest.fixture(scope="module")
def direct(stack: Stack, server: EmbeddedClickHouse) -> Stack:
    """The stack with that ClickHouse, asked without the proxy."""
    database = stack.clickhouse.database
    settings = ClickHouseSettings(url=server.url, database=database)
    migrate(settings)
    return replace(stack, clickhouse=settings)


@pytest.fixture(scope="module")
def worker(direct: Stack, proxy: Proxy) -> Iterator[Worker]:
    """Yield the one worker of this module; no outage may end it."""
    behind = replace(direct.clickhouse, url=f"http://127.0.0.1:{proxy.port}")
    with replace(direct, clickhouse=behind).worker(
        "worker", sink_flush_bytes=str(FLUSH_BYTES), sink_fetch_bytes=str(FETCH_BYTES)
    ) as running:
        yield running


@pytest.fixture(scope="module")
def log(direct: Stack, worker: Worker) -> Log:
    """A log of which the first part has landed before any outage."""
    log = Log(direct.kafka)
    log.publish(make_events(10, PART))
    wait_until_landed(direct, log, worker)
    return log


@pytest.fixture(autouse=True)
def connected(proxy: Proxy) -> None:
    """Begin each test without an outage."""
    proxy.mode = Mode.FORWARD


def wait_until_landed(stack: Stack, log: Log, worker: Worker) -> None:
    """Wait until ClickHouse has the whole log."""
    wait_until(
        lambda: counted(stack), lambda found: found == expected_counts(log), worker, seconds=60
    )


def committed(stack: Stack) -> dict[tuple[str, int], int]:
    """The sink's offsets of the source topics."""
    consumer = Consumer({**stack.kafka.confluent(), "group.id": "inferwatch-sink"}, logger=SILENT)
    asked = [
        TopicPartition(topic.name, partition)
        for topic in PUBLISHED
        for partition in range(topic.partitions)
    ]
    found = consumer.committed(asked, timeout=20)
    consumer.close()
    return {(at.topic, at.partition): max(0, at.offset) for at in found}


def assert_landed(stack: Stack, log: Log) -> None:
    """Everything is there, exactly once."""
    assert_raw_rows(stack, log)
    assert_aggregates(stack, log, BLOCK_LENGTH)


def assert_held(stack: Stack, log: Log, worker: Worker, landed: int) -> None:
    """No offset is committed of what has not landed, and little of it is in memory."""
    for (topic, partition), offset in committed(stack).items():
        below = [
            record.offset for record in log.records[:landed]
            if (record.topic, record.partition) == (topic, partition)
        ]  # fmt: skip
        assert offset <= max(below, default=-1) + 1
    assert worker.metric("inferwatch_sink_waiting_bytes") < MOST_WAITING_BYTES


def failures(worker: Worker) -> float:
    """Inserts that failed so far."""
    return worker.metric("inferwatch_sink_failures_total")


def sink_rows(worker: Worker) -> float:
    """Rows that ClickHouse acknowledged so far."""
    return worker.metric("inferwatch_sink_rows_total")


def test_it_refuses(direct: Stack, proxy: Proxy, worker: Worker, log: Log) -> None:
    """While connections are refused nothing is committed and memory is bounded; then all lands."""
    landed, failed = len(log.records), failures(worker)
    proxy.mode = Mode.REFUSE
    log.publish(make_events(11, PART))
    wait_until(lambda: failures(worker), lambda now: now >= failed + 4, worker, seconds=30)
    assert proxy.refused >= 4
    assert_held(direct, log, worker, landed)
    proxy.mode = Mode.FORWARD
    wait_until_landed(direct, log, worker)
    assert_landed(direct, log)


def test_it_hangs(direct: Stack, proxy: Proxy, worker: Worker, log: Log) -> None:
    """While no answer comes nothing is committed and memory is bounded; then all lands."""
    landed = len(log.records)
    proxy.mode = Mode.HANG
    log.publish(make_events(12, PART))
    wait_until(lambda: proxy.hung, bool, worker, seconds=30)
    # Longer than a session: a worker that waits is slow, not dead, and counts on meanwhile.
    since = time.monotonic()
    wait_until(
        lambda: (worker.metric("inferwatch_events_total"), time.monotonic() - since),
        lambda now: now[0] >= aggregated(log) and now[1] > 1.5 * direct.session_seconds,
        worker,
        seconds=30,
    )
    assert_held(direct, log, worker, landed)
    proxy.mode = Mode.FORWARD
    wait_until_landed(direct, log, worker)
    assert_landed(direct, log)


def test_it_stores_without_answering(direct: Stack, proxy: Proxy, worker: Worker, log: Log) -> None:
    """What was stored unacknowledged is sent again, and still read as once."""
    landed, acknowledged = expected_counts(log), sink_rows(worker)
    proxy.mode = Mode.CUT
    log.publish(make_events(13, PART))
    wait_until(
        lambda: (counted(direct), proxy.cut),
        lambda now: now[0] != landed and now[1] >= 3,
        worker,
        seconds=30,
    )
    assert sink_rows(worker) == acknowledged
    proxy.mode = Mode.FORWARD
    wait_until_landed(direct, log, worker)
    assert_landed(direct, log)


def test_it_is_killed(direct: Stack, server: EmbeddedClickHouse, worker: Worker, log: Log) -> None:
    """Killed with SIGKILL while it takes inserts, it comes back with all that it acknowledged."""
    events = make_events(14, 2 * PART)
    log.publish(events[:PART])
    server.kill()
    landed, failed = len(log.records), failures(worker)
    log.publish(events[PART:])
    wait_until(lambda: failures(worker), lambda now: now >= failed + 2, worker, seconds=30)
    assert_held(direct, log, worker, landed)
    server.restart()
    wait_until_landed(direct, log, worker)
    assert_landed(direct, log)
    worker.stop()
