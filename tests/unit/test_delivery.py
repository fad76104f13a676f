"""Delivery by a thread: it never waits for Kafka, forks cleanly, and flushes at the end."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from fake_kafka import FakeKafka

from inferwatch_agents.delivery import Delivery, DeliverySettings
from inferwatch_agents.event_queue import Event
from inferwatch_agents.outcomes import Faults, Outcomes
from inferwatch_agents.sender import Sender
from inferwatch_agents.spool import Spool
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import decode

REQUEST = {
    "service_name": "assistant",
    "deployment_environment_name": "production",
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "openai",
    "endpoint": "",
}
PATIENCE_SECONDS = 20.0


class Running:
    """A delivery over a fake Kafka client."""

    def __init__(self, kafka: FakeKafka, settings: DeliverySettings) -> None:
        self.kafka = kafka
        self.seen: list[Event] = []
        outcomes, faults = Outcomes(), Faults()
        self.delivery = Delivery(
            settings,
            lambda producer_id: Sender(
                KafkaSettings(), PinnedRegistry(), producer_id, settings.room(),
                outcomes=outcomes, faults=faults, make_producer=kafka.make,
            ),
            outcomes,
            faults,
            lambda events, _now: self.seen.extend(events),
            spool=Spool(None, "assistant", "production", ""),
        )  # fmt: skip
        self.delivery.start()

    def emit(self, count: int) -> None:
        """Make events."""
        for _ in range(count):
            self.delivery.emit("request", REQUEST, 100)

    def records(self) -> list[dict[str, Any]]:
        """What Kafka's client was given."""
        return [decode(value, PinnedRegistry()) for _, value, _ in self.kafka.produced]


@contextmanager
def running(kafka: FakeKafka, **settings: Any) -> Iterator[Running]:
    """Run a delivery, and end it."""
    found = Running(kafka, DeliverySettings(**({"flush_seconds": 0.2} | settings)))
    try:
        yield found
    finally:
        found.delivery.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, not for time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_events_are_sent_by_the_thread() -> None:
    """A flush waits for all of them, and each is shown to the meters once."""
    with running(FakeKafka()) as it:
        it.emit(2500)
        assert it.delivery.flush(PATIENCE_SECONDS)
        assert it.delivery.outcomes.sent == {"request": 2500}
    assert [record["sequence"] for record in it.records()] == list(range(2500))
    assert [event.sequence for event in it.seen] == list(range(2500))


def test_while_kafka_is_away_memory_is_bounded_and_loss_is_counted() -> None:
    """The backlog fills up, the newest are dropped, all are metered, and gaps tell how many."""
    with running(FakeKafka(away=True), queue_events=100) as it:
        for _ in range(10):
            it.emit(50)
            seen = len(it.seen)
            wait_until(lambda seen=seen: len(it.seen) >= seen + 50 or len(it.seen) % 50 == 0)  # type: ignore[misc]  # lambda default
        wait_until(lambda: sum(it.delivery.outcomes.dropped.values()) == 400)
        assert it.delivery.outcomes.dropped == {("request", "queue_full"): 400}
        assert not it.delivery.flush(0.2)
        it.kafka.away = False
        # The sender looks for the broker again by itself.
        assert it.delivery.flush(PATIENCE_SECONDS)
        it.emit(1)
        assert it.delivery.flush(PATIENCE_SECONDS)
    *requests, end = it.records()
    assert [record["sequence"] for record in requests] == [*range(100), 500]
    assert (end["ended_topic"], end["events_made"]) == ("inferwatch.requests", 501)


def test_emit_does_not_wait_for_a_kafka_that_is_away() -> None:
    """A hundred thousand events that nobody takes cost a caller no more than others do."""
    with running(FakeKafka(away=True), queue_events=100) as it:
        began = time.monotonic()
        it.emit(100_000)
        assert time.monotonic() - began < PATIENCE_SECONDS
        wait_until(lambda: sum(it.delivery.outcomes.dropped.values()) == 99_900)


def test_the_end_is_bounded_and_says_what_was_lost() -> None:
    """With no Kafka, close gives up after its seconds and counts what was not sent."""
    with running(FakeKafka(away=True)) as it:
        it.emit(3)
        began = time.monotonic()
        it.delivery.close()
        assert time.monotonic() - began < PATIENCE_SECONDS
    assert it.delivery.outcomes.dropped == {("request", "unsent_at_exit"): 3}


def test_a_defect_does_not_end_the_thread() -> None:
    """What fails in the thread is counted, and the next event is sent."""
    with running(FakeKafka()) as it:
        failures = iter([RuntimeError("a defect")])

        def fail() -> None:
            with suppress(StopIteration):
                raise next(failures)

        it.kafka.refuse = fail
        it.emit(1)
        wait_until(lambda: it.delivery.faults.counts["delivery _send"] == 1)
        it.emit(1)
        assert it.delivery.flush(PATIENCE_SECONDS)
        assert it.delivery.outcomes.sent == {"request": 2}


def test_meters_and_logs_that_fail_do_not_hold_up_events() -> None:
    """What is counted or told is no condition for what is sent."""
    with running(FakeKafka()) as it:

        def fail(*_: Any, **__: Any) -> None:
            raise OSError("standard output is closed")

        it.delivery._observe = fail  # noqa: SLF001  # a defect
        it.delivery.faults.tell = fail  # type: ignore[method-assign]  # as above
        it.emit(3)
        assert it.delivery.flush(PATIENCE_SECONDS)
        assert it.delivery.outcomes.sent == {"request": 3}
        assert {"delivery _take", "delivery _tell"} <= it.delivery.faults.counts.keys()


def in_child(report: Callable[[], Any]) -> Any:
    """What a function says in a forked child, which ends without anything else."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps(report()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    assert os.waitpid(child, 0)[1] == 0
    return json.loads(text)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_sends_its_own_events_only() -> None:
    """The child has another producer id, numbers from 0 and its own client; the parent goes on."""
    with running(FakeKafka(full=-1)) as it:
        it.emit(5)
        wait_until(lambda: len(it.seen) == 5)
        parent = it.delivery.producer_id

        def child() -> Any:
            it.kafka.full = 0
            it.emit(2)
            sent = it.delivery.flush(PATIENCE_SECONDS)
            records = [(r["producer_id"], r["sequence"]) for r in it.records()]
            return [sent, it.delivery.producer_id, records, it.kafka.made]

        sent, producer_id, records, made = in_child(child)
        assert sent
        assert producer_id != parent
        assert records == [[producer_id, 0], [producer_id, 1]]
        assert made == 2
        it.kafka.full = 0
        assert it.delivery.flush(PATIENCE_SECONDS)
        assert it.delivery.producer_id == parent
    assert [record["sequence"] for record in it.records()] == [0, 1, 2, 3, 4]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forks_under_load_find_no_lock_held() -> None:
    """Whatever the thread is doing when a child is made, the child can send."""
    with running(FakeKafka()) as it:
        for _ in range(20):
            it.emit(200)

            def child() -> bool:
                it.emit(1)
                return it.delivery.flush(PATIENCE_SECONDS)

            assert in_child(child)


ENDS = """
import os, sys
import inferwatch_agents
inferwatch_agents.init("ends", kafka=sys.argv[1])
with inferwatch_agents.call(model="m"):
    pass
if sys.argv[2] == "fork" and os.fork() == 0:
    with inferwatch_agents.call(model="m"):
        pass
    sys.exit(0)
"""


@pytest.mark.parametrize("how", ["plain", "fork"])
def test_a_process_ends_in_bounded_time_without_kafka(how: str) -> None:
    """Neither the exit of a process nor that of its forked child waits for a broker for ever."""
    environment = os.environ | {"INFERWATCH_FLUSH_SECONDS": "0.5"}
    ended = subprocess.run(  # noqa: S603  # our own program, no shell
        # Python 3.12 and newer warn of any fork beside threads.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", ENDS, "127.0.0.1:1", how],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "127.0.0.1:1 does not answer" in ended.stdout
    assert ended.stdout.count("unsent") == (2 if how == "fork" else 1)


def test_two_threads_may_fork_at_once() -> None:
    """The one that gives up waiting for the other leaves it what it holds, and nothing is held."""
    with running(FakeKafka()) as it:

        def fork() -> None:
            it.delivery.before_fork()
            it.delivery.after_fork_in_parent()

        it.delivery.before_fork()
        other = threading.Thread(target=fork)
        other.start()
        other.join()
        it.delivery.after_fork_in_parent()
        it.emit(1)
        assert it.delivery.flush(PATIENCE_SECONDS)
