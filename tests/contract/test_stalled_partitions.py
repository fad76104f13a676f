"""A partition that stalls is told by topic and number, and the worker is unready until it moves."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer
from load import Log
from pipeline import Stack, Worker, wait_until
from proxy import Mode, Proxy
from random_events import make_events
from tables import counted, expected_counts

from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import REQUESTS

STALL_SECONDS = 4
LIMITS = {
    "aggregation_stall_seconds": str(STALL_SECONDS), "sink_stall_seconds": str(STALL_SECONDS),
}  # fmt: skip
PART = 1_000
DEAF_PARTITION = 2
BEGAN, ENDED = "partition stalled ", "partition no longer stalled "
AGGREGATION, SINK = "inferwatch-aggregation", "inferwatch-sink"


@pytest.fixture(scope="module")
def log(stack: Stack) -> Log:
    """All that this module publishes."""
    return Log(stack.kafka)


def start(stack: Stack, log: Log, seed: int, name: str) -> Worker:
    """A worker that is ready, and has landed all there is: what it compiles is compiled."""
    log.publish(make_events(seed, PART))
    worker = stack.worker(name, "--log-level", "info", **LIMITS)
    wait_until_landed(stack, log, worker)
    wait_until_ready(worker)
    return worker


def wait_until_ready(worker: Worker) -> None:
    """Wait until nothing is the matter."""
    wait_until(
        lambda: worker.health("ready"),
        lambda found: found == (200, {"ready": True, "reasons": []}),
        worker,
        seconds=60,
    )


def wait_until_landed(stack: Stack, log: Log, worker: Worker) -> None:
    """Wait until ClickHouse has the whole log."""
    wait_until(
        lambda: counted(stack), lambda found: found == expected_counts(log), worker, seconds=60
    )


def wait_until_stalled(worker: Worker, app: str, partition: int) -> list[dict[str, Any]]:
    """Wait until health tells that a partition of requests is stalled.

    Returns:
        What it says of the topic's partitions, that one first.
    """

    def stalled() -> list[dict[str, Any]]:
        status, found = worker.health("ready")
        told = [
            reason for reason in found.get("reasons", ())
            if (reason["app"], reason.get("topic")) == (app, REQUESTS.name)
        ]  # fmt: skip
        assert not told or status == 503
        return sorted(told, key=lambda stall: bool(stall["partition"] != partition))

    return wait_until(
        stalled,
        lambda found: bool(found) and found[0]["partition"] == partition,
        worker,
        seconds=60,
    )


def told(worker: Worker, event: str, app: str, partition: int) -> int:
    """How many lines of its log say this of a partition of requests."""
    parts = (event, f"app={app} ", f"topic={REQUESTS.name} ", f"partition={partition} ")
    return sum(all(part in f"{line} " for part in parts) for line in worker.said.splitlines())


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that is stopped with SIGSTOP meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_clickhouse_hangs(stack: Stack, log: Log) -> None:
    """The sink's partitions stall, and what they wait for is named; the aggregation's do not."""
    at = {"topic": REQUESTS.name, "partition": "0"}
    with Proxy(int(stack.clickhouse.url.rpartition(":")[2])) as proxy:
        behind = replace(stack.clickhouse, url=f"http://127.0.0.1:{proxy.port}")
        with start(replace(stack, clickhouse=behind), log, 1, "hanging") as worker:
            before = [told(worker, event, SINK, 0) for event in (BEGAN, ENDED)]
            repairs = worker.metric("inferwatch_sink_stall_repairs_total")
            proxy.mode = Mode.HANG
            log.publish(make_events(2, PART))
            stall, *_ = wait_until_stalled(worker, SINK, 0)
            assert stall["waits_for"] == ["ClickHouse to take rows"]
            assert stall["log_end"] > stall["position"] > 0
            assert worker.health("live")[0] == 200
            assert worker.metric("inferwatch_sink_stalled_partitions", **at) == 1
            assert worker.metric("inferwatch_sink_lag_records", **at) > 0
            assert worker.metric("inferwatch_stalled_partitions") == 0
            proxy.mode = Mode.FORWARD
            wait_until_ready(worker)
            wait_until_landed(stack, log, worker)
            after = [told(worker, event, SINK, 0) for event in (BEGAN, ENDED)]
            assert after == [count + 1 for count in before]
            assert worker.metric("inferwatch_sink_stalled_partitions") == 0
            assert worker.metric("inferwatch_sink_stall_repairs_total") == repairs
            worker.stop()


def test_a_partition_is_lost_within_the_worker(stack: Stack, log: Log, tmp_path: Path) -> None:
    """That partition alone stalls, nothing is waited for, and it is read again; then it moves."""
    deaf = tmp_path / "deaf"
    os.environ |= {
        "DEAF_FILE": str(deaf), "DEAF_TOPIC": REQUESTS.name, "DEAF_PARTITION": str(DEAF_PARTITION),
    }  # fmt: skip
    program = (sys.executable, str(Path(__file__).with_name("deaf_worker.py")))
    with start(replace(stack, program=program), log, 3, "deaf") as worker:
        before = told(worker, BEGAN, AGGREGATION, DEAF_PARTITION)
        repairs = worker.metric("inferwatch_stall_repairs_total")
        deaf.touch()
        log.publish(make_events(4, PART))
        (stall,) = wait_until_stalled(worker, AGGREGATION, DEAF_PARTITION)
        assert stall["waits_for"] == ["nothing known"]
        assert stall["log_end"] > stall["position"] > 0
        wait_until(
            lambda: worker.metric("inferwatch_stall_repairs_total"),
            lambda found: found == repairs + 1,
            worker,
            seconds=30,
        )
        deaf.unlink()
        wait_until_ready(worker)
        wait_until_landed(stack, log, worker)
        assert told(worker, BEGAN, AGGREGATION, DEAF_PARTITION) == before + 1
        assert told(worker, ENDED, AGGREGATION, DEAF_PARTITION) == before + 1
        assert worker.metric("inferwatch_stall_repairs_total") == repairs + 1
        worker.stop()


def test_the_broker_is_silent(stack: Stack, log: Log) -> None:
    """Partitions that nobody can fetch are told, also at a log's end; then all is well."""
    assert stack.broker_pid is not None
    with start(stack, log, 5, "cut-off") as worker:
        with stopped(stack.broker_pid):
            for app in (AGGREGATION, SINK):
                stall, *_ = wait_until_stalled(worker, app, 0)
                assert stall["cause"] == "no fetch of it is answered"
                assert "Kafka to answer a fetch" in stall["waits_for"]
            assert worker.health("live")[0] == 200
        log.publish(make_events(6, PART))
        wait_until_ready(worker)
        wait_until_landed(stack, log, worker)
        worker.stop()


def test_a_log_that_ends_in_a_transactions_mark_is_no_stall(stack: Stack, log: Log) -> None:
    """The mark has an offset and is no record: the position passes it, after an abort, too."""
    with start(stack, log, 7, "transactions") as worker:
        producer = Producer({**stack.kafka.confluent(), "transactional.id": "any"}, logger=SILENT)
        try:
            producer.init_transactions(30)
        except KafkaException as error:
            pytest.skip(f"the broker has no transactions: {error}")
        for end in (producer.commit_transaction, producer.abort_transaction):
            producer.begin_transaction()
            producer.produce(REQUESTS.name, b"no event", partition=0)
            producer.flush(30)
            end(30)
        at = {"topic": REQUESTS.name, "partition": "0"}
        stalls = worker.said.count(BEGAN)
        before = worker.metric("inferwatch_sink_position", **at)
        # A mark after the record, and an aborted record with its mark.
        wait_until(
            lambda: worker.metric("inferwatch_sink_position", **at),
            lambda found: found >= before + 1,
            worker,
            seconds=30,
        )
        looks = iter(range(10 * 2 * STALL_SECONDS))
        wait_until(
            lambda: (worker.health("ready")[0], next(looks, None)),
            lambda found: found[0] == 503 or found[1] is None,
            worker,
            seconds=30,
        )
        assert worker.health("ready") == (200, {"ready": True, "reasons": []})
        for app in ("", "sink_"):
            assert worker.metric(f"inferwatch_{app}lag_records", **at) == 0
        assert worker.said.count(BEGAN) == stalls
        worker.stop()
