"""Two workers share the partitions, one is killed half way, and every row comes out exact."""

from collections import Counter
from collections.abc import Iterator

import pytest
from load import Log, Publishing
from pipeline import BLOCK_LENGTH, Stack, wait_until
from random_events import make_events
from tables import (
    assert_aggregates,
    assert_evaluation_windows,
    assert_raw_rows,
    assert_windows,
    counted,
    expected_counts,
)

REQUESTS = 24_000
# Published in slices, so that the load goes on while workers join, work and die.
SLICES = 240
SLICE_SECONDS = 0.1


@pytest.fixture(scope="module")
def log(stack: Stack) -> Iterator[Log]:
    """The load, through two workers of which one was killed with SIGKILL half way."""
    log = Log(stack.kafka)
    events = make_events(1, REQUESTS)
    with (
        stack.worker("survivor", "--log-level", "info") as survivor,
        stack.worker("victim") as victim,
    ):
        publishing = Publishing(log, events, SLICES, SLICE_SECONDS)
        for worker in (survivor, victim):
            wait_until(
                lambda worker=worker: (
                    worker.metric("inferwatch_events_total"),
                    worker.metric("inferwatch_sink_rows_total", table="requests"),
                ),
                lambda counted: min(counted) > 0,
                survivor, victim, seconds=60,
            )  # fmt: skip
        assert len(log.records) < len(events)
        victim.kill()
        publishing.finish()
        wait_until(
            lambda: counted(stack),
            lambda found: found == expected_counts(log),
            survivor,
            seconds=60,
        )
        survivor.stop()
    return log


def test_every_raw_row_is_there_once(stack: Stack, log: Log) -> None:
    """The raw tables hold exactly what the broker acknowledged."""
    assert_raw_rows(stack, log)


def test_every_aggregate_row_is_exact(stack: Stack, log: Log) -> None:
    """Each block's share of each window is the oracle's, in every measure."""
    assert_aggregates(stack, log, BLOCK_LENGTH)


@pytest.mark.parametrize("seconds", [10, 60, 3600])
def test_every_window_is_exact(stack: Stack, log: Log, seconds: int) -> None:
    """The views sum windows up over blocks and partitions, late events included."""
    assert_windows(stack, log, seconds, "requests")


@pytest.mark.parametrize("seconds", [10, 60, 3600])
def test_every_window_of_evaluations_is_exact(stack: Stack, log: Log, seconds: int) -> None:
    """Scores that are missing count nowhere, and sums, means and rates are the oracle's."""
    assert_evaluation_windows(stack, log, seconds)


def test_no_event_is_missing(stack: Stack, log: Log) -> None:
    """What was published is what the views of loss say was made, and all of it landed."""
    found = stack.query(
        "SELECT topic, sum(made), sum(landed), sum(missing), sum(resent) FROM producer_gaps "
        "WHERE producer_id NOT IN (SELECT ended_producer_id FROM producer_ends) GROUP BY topic"
    )
    published = Counter(record.topic for record in log.records)
    assert sorted(found) == sorted((name, n, n, 0, 0) for name, n in published.items())


def test_what_ended_producers_had_made_is_missing(stack: Stack, log: Log) -> None:
    """The ends in the load are of producers of which nothing landed."""
    found = stack.query(
        "SELECT topic, sum(made), sum(landed), sum(missing) FROM producer_gaps "
        "WHERE producer_id IN (SELECT ended_producer_id FROM producer_ends) GROUP BY topic"
    )
    made = Counter[str]()
    for record in log.of("producer_end"):
        made[record.fields["ended_topic"]] += record.fields["events_made"]
    assert sorted(found) == sorted((name, n, 0, n) for name, n in made.items())


def test_nothing_was_buried(stack: Stack, log: Log) -> None:
    """A crash makes no dead letters."""
    assert log.records
    assert stack.one("SELECT count() FROM dead_letters") == 0
