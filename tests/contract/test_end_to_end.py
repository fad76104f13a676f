"""Two workers share the partitions, one is killed half way, and every row comes out exact."""

import threading
from collections.abc import Iterator

import pytest
from conftest import BLOCK_LENGTH
from load import Event, Log, make_events
from pipeline import Stack, wait_until
from tables import (
    assert_aggregates,
    assert_raw_rows,
    assert_windows,
    counted,
    expected_counts,
)

REQUESTS = 24_000
# Published in slices, so that the load goes on while workers join, work and die.
SLICES = 240
SLICE_SECONDS = 0.1


class Publishing:
    """Publishes a load in slices from a thread, until told to send the rest at once."""

    def __init__(self, log: Log, events: list[Event]) -> None:
        self._log = log
        size = len(events) // SLICES + 1
        self._slices = [events[at : at + size] for at in range(0, len(events), size)]
        self._hurry = threading.Event()
        self._failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for part in self._slices:
                self._log.publish(part)
                self._hurry.wait(SLICE_SECONDS)
        except BaseException as error:  # noqa: BLE001 -- raised again where the thread is joined
            self._failed.append(error)

    def finish(self) -> None:
        """Publish the rest without pauses and wait for it."""
        self._hurry.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self._failed:
            raise self._failed[0]


@pytest.fixture(scope="module")
def log(stack: Stack) -> Iterator[Log]:
    """The load, through two workers of which one was killed with SIGKILL half way."""
    log = Log(stack.kafka)
    events = make_events(1, REQUESTS)
    with (
        stack.worker("survivor", "--log-level", "info") as survivor,
        stack.worker("victim") as victim,
    ):
        publishing = Publishing(log, events)
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


def test_nothing_was_buried(stack: Stack, log: Log) -> None:
    """A crash makes no dead letters."""
    assert log.records
    assert stack.one("SELECT count() FROM dead_letters") == 0
