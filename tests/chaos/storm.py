"""One seed of a scenario: a load under way, faults at random moments, and the comparison."""

import random
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import comparison
from arena import Arena
from load import Event, Log, Publishing
from pipeline import Worker, wait_until
from random_events import make_events

LANDED_SECONDS = 120.0
SLICE_SECONDS = 0.05
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
BATCH_SIZES = (1, 10, 500, 10_000)
REQUESTS = (2_000, 4_000, 8_000)
# One seed in so many is larger.
LARGE_EVERY = 7
LARGE_REQUESTS = 20_000
# A worker's fetches: from a few records in a chunk to all that is there.
FETCH_BYTES = (5_000, 50_000, 1_000_000)
# Fields by which rows belong to a seed: dimensions of the signals, so that each seed has rows of
# its own and can be compared alone.
TAGGED = {
    "request": "service_name",
    "resource": "host_name",
    "exposure": "experiment",
    "conversion": "experiment",
    "log": "service_name",
    "span": "service_name",
    "evaluation": "service_name",
    "device_event": "host_name",
    "producer_end": "service_name",
}


def tagged(events: Iterable[Event], tag: str) -> list[Event]:
    """The events as one seed's own: their producer and one dimension end in its tag."""
    return [
        Event(
            event.schema,
            {
                **event.fields,
                "producer_id": tag,
                TAGGED[event.schema]: f"{event.fields[TAGGED[event.schema]]}{tag}",
            },
        )
        for event in events
    ]


class Storm:
    """A seed's load and faults; the faults themselves are plain methods of workers and servers.

    Attributes:
        arena: What it runs on.
        chance: The seed's random numbers: every choice of a scenario comes from here.
        tag: Marks the seed's events.
        logs: What was acknowledged, by the topics' ids at the time.
    """

    def __init__(self, arena: Arena, seed: int, tag: str) -> None:
        self.arena = arena
        self.chance = random.Random(seed)  # noqa: S311 -- faults, no secret
        self.tag = tag
        self.logs: list[tuple[Log, Mapping[str, str]]] = []
        self._seed = seed
        self._publishing: list[Publishing] = []

    def events(self, requests: int | None = None) -> list[Event]:
        """A load of this seed, out of order and with late events.

        Args:
            requests: How many, and seven tenths as many others; the seed's choice when None.
        """
        if requests is None:
            large = self._seed % LARGE_EVERY == LARGE_EVERY - 1
            requests = LARGE_REQUESTS if large else self.chance.choice(REQUESTS)
        return tagged(make_events(self.chance.getrandbits(32), requests), self.tag)

    def open_log(self, flush_seconds: float = 30, **settings: Any) -> Log:
        """A log to publish to, for the topics as they are now; compared at the end.

        Args:
            flush_seconds: How long the broker may take to acknowledge.
            settings: The producer's in place of the seed's choice, with ``_`` for ``.``.
        """
        chosen = {
            "compression.type": self.chance.choice(CODECS),
            "batch.num.messages": self.chance.choice(BATCH_SIZES),
            "linger.ms": self.chance.choice((0, 5, 50)),
            **{name.replace("_", "."): value for name, value in settings.items()},
        }
        log = Log(self.arena.stack.kafka, chosen, flush_seconds)
        self.logs.append((log, self.arena.stack.topic_ids()))
        return log

    def publish(
        self, log: Log | None = None, events: list[Event] | None = None, seconds: float = 3.0
    ) -> Publishing:
        """Begin to publish a load, from a thread, over so many seconds."""
        log = log or self.open_log()
        slices = max(1, round(seconds / SLICE_SECONDS))
        publishing = Publishing(log, events or self.events(), slices, SLICE_SECONDS)
        self._publishing.append(publishing)
        return publishing

    def moments(self, count: int, seconds: float) -> Iterator[float]:
        """Wait for so many random moments, one after the other, within so many seconds."""
        started = time.monotonic()
        for moment in sorted(self.chance.uniform(0, seconds) for _ in range(count)):
            time.sleep(max(0.0, started + moment - time.monotonic()))
            yield moment

    def start_worker(self, *arguments: str, **variables: str) -> Worker:
        """Start one more worker, whose fetches are of a size of the seed's choice."""
        fetch_bytes = str(self.chance.choice(FETCH_BYTES))
        sizes = {"aggregation_fetch_bytes": fetch_bytes, "sink_fetch_bytes": fetch_bytes}
        return self.arena.start_worker(*arguments, **sizes | variables)

    def ensure_worker(self) -> None:
        """Have at least one worker, and all of them at work: they were given partitions."""
        if not self.arena.workers:
            self.start_worker()
        self.wait_at_work(*self.arena.workers)

    def wait_at_work(self, *workers: Worker, seconds: float = 90) -> None:
        """Wait until each of these counts and lands something."""
        for worker in workers:
            wait_until(
                lambda worker=worker: at_work(worker), bool, *self.arena.workers, seconds=seconds
            )

    def settle(self, seconds: float = LANDED_SECONDS) -> None:
        """Publish the rest, wait until all of it landed, and compare every row of this seed.

        Raises:
            AssertionError: It did not land in time, or a worker ended.
            DiffersError: A row is not the oracle's.
        """
        self.finish_publishing(seconds)
        stack = self.arena.stack
        expected = self.expected_counts()
        wait_until(
            lambda: comparison.counted(stack, self.tag),
            lambda found: found == expected,
            *self.arena.workers,
            seconds=seconds,
        )
        self.compare()
        self.arena.settled |= comparison.fingerprints(stack, self.tag)

    def finish_publishing(self, seconds: float = LANDED_SECONDS) -> None:
        """Publish the rest at once; returns when all is acknowledged."""
        for publishing in self._publishing:
            publishing.finish(seconds)

    def expected_counts(self) -> tuple[int, ...]:
        """What ``comparison.counted`` must come to."""
        return comparison.expected_counts(self.logs, len(self.arena.dead_letters))

    def compare(self) -> None:
        """Compare every row of this seed.

        Raises:
            DiffersError: A row is not the oracle's.
        """
        comparison.compare(self.arena.stack, self.logs, self.tag, self.arena.dead_letters)

    def end(self, *, failed: bool) -> None:
        """Leave nothing under way; after a failure no worker either, and say where the logs are."""
        for publishing in self._publishing:
            publishing.cancel()
        if failed:
            print(f"logs: {self.arena.stack.folder}")  # noqa: T201 -- pytest shows it
            self.arena.clear()


def at_work(worker: Worker) -> bool:
    """Whether a worker was given partitions of both groups."""
    told = worker.metrics()
    return "inferwatch_floor{" in told and "inferwatch_sink_position{" in told
