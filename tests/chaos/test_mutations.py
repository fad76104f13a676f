"""The suite can fail: with the guarantee taken out, the comparison reports lost or doubled rows."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from arena import Arena
from comparison import compare_emitted, counted, end_offsets
from pipeline import PROGRAM, Worker, wait_until
from storm import Storm
from verdict import DiffersError, Row

from inferwatch_schemas.topics import PUBLISHED

pytestmark = pytest.mark.chaos

STOCK_LEDGER = (sys.executable, str(Path(__file__).with_name("stock_ledger_worker.py")))
KILLS = 2
# What a worker has taken in is durable much later than it may be committed.
SLOW = {
    "aggregation_flush_seconds": "2",
    "sink_flush_seconds": "2",
    "aggregation_commit_seconds": "0.2",
    "sink_commit_seconds": "0.2",
}
QUIET_SECONDS = 5.0
REQUESTS = 6_000
SEED = 1

Resolve = Callable[[Iterable[Row]], Iterable[Row]]


def highest_version(rows: Iterable[Row]) -> Iterable[Row]:
    """As docs/decisions/0013 says."""
    return [max(rows, key=lambda row: (row["version"], -row["first_offset"]))]


def every_row(rows: Iterable[Row]) -> Iterable[Row]:
    """As if each row counted."""
    return rows


def first_to_arrive(rows: Iterable[Row]) -> Iterable[Row]:
    """As if a row never replaced another."""
    return [next(iter(rows))]


def wait_until_quiet(storm: Storm, worker: Worker) -> None:
    """Wait until a worker has read to the ends of the topics, and what is stored stays the same.

    Of a partition whose last record was committed before the worker came, it reads nothing.
    """
    stack = storm.arena.stack
    ends = end_offsets(stack, [topic.name for topic in PUBLISHED])

    def reached() -> bool:
        return all(
            position >= ends.get(at, 0)
            for metric in ("inferwatch_position", "inferwatch_sink_position")
            for at, position in worker.by_partition(metric).items()
        )

    wait_until(reached, bool, worker, seconds=60)
    last, since = counted(stack, storm.tag), time.monotonic()
    while time.monotonic() < since + QUIET_SECONDS:
        if (now := counted(stack, storm.tag)) != last:
            last, since = now, time.monotonic()
        time.sleep(0.5)


def killed_again_and_again(storm: Storm) -> Worker:
    """Publish while one worker after the other is killed, and return the last."""
    log = storm.open_log(batch_num_messages=10)
    storm.start_worker(**SLOW)
    storm.publish(log, storm.events(REQUESTS), seconds=20)
    storm.wait_at_work(*storm.arena.workers)
    for _ in range(KILLS):
        for _ in storm.moments(1, 2):
            storm.arena.kill(storm.arena.workers[0])
        last = storm.start_worker(**SLOW)
        storm.wait_at_work(last)
    storm.finish_publishing()
    return last


@pytest.fixture
def storm(arena: Arena, request: pytest.FixtureRequest) -> Iterator[Storm]:
    """Yield a load of one seed, and kill the worker that it leaves."""
    name = request.function.__name__
    storm = Storm(arena, SEED, f"-{name}")
    yield storm
    storm.end(failed=True)


def test_versions_ignored(storm: Storm) -> None:
    """The rows as published are exact by their highest versions, and by no others."""
    killed_again_and_again(storm)
    storm.settle()
    stack, logs, tag = storm.arena.stack, storm.logs, storm.tag
    compare_emitted(stack, logs, tag, highest_version)
    for resolve, kind in ((every_row, "doubled"), (first_to_arrive, "lost")):
        with pytest.raises(DiffersError) as caught:
            compare_emitted(stack, logs, tag, resolve)
        assert caught.value.kinds == {kind}


def test_stock_ledger(storm: Storm) -> None:
    """Offsets committed past what is durable lose events after a kill, and the suite says so."""
    arena = storm.arena
    assert arena.stack.program == PROGRAM
    arena.stack = replace(arena.stack, program=STOCK_LEDGER)
    try:
        wait_until_quiet(storm, killed_again_and_again(storm))
        with pytest.raises(DiffersError) as caught:
            storm.compare()
    finally:
        arena.stack = replace(arena.stack, program=PROGRAM)
    assert "lost" in caught.value.kinds
    found, due = counted(arena.stack, storm.tag), storm.expected_counts()
    assert found is not None
    assert sum(found) < sum(due)
