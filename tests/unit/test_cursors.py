"""Chunks are taken in order, once, whatever a rebalance drops, repeats or delivers late."""

from __future__ import annotations

from dataclasses import replace

import chunks
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from structlog.testing import capture_logs

from inferwatch_schemas.columnar.chunk import Assignment, Chunk
from inferwatch_schemas.columnar.cursors import ARRIVAL_SECONDS, GRACE_SECONDS, Cursors

TOPIC = "test.topic"


EMPTY = chunks.chunk([])


def chunk(start: int, end: int, partition: int = 0) -> Chunk:
    """Return a chunk from start to end."""
    return replace(EMPTY, start=start, end=end, partition=partition)


def assignment(start: int, lost_from: int | None = None) -> Assignment:
    """Return where a partition begins."""
    return Assignment("id", start, start if lost_from is None else lost_from)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def settled(**starts: int) -> tuple[Cursors, Clock]:
    """Return cursors of one partition, past the grace period."""
    clock = Clock()
    cursors = Cursors(clock)
    cursors.assign({(TOPIC, 0): assignment(starts.get("start", 5))})
    clock.now += GRACE_SECONDS + 0.1
    return cursors, clock


def test_in_order() -> None:
    """A chunk is taken where the one before it ended, and only after that was processed."""
    cursors, _ = settled()
    first, second = chunk(5, 8), chunk(8, 9)
    assert cursors.accepts(first)
    assert cursors.accepts(first), "not processed yet, it may be offered again"
    cursors.advance(first)
    assert not cursors.accepts(first)
    assert cursors.accepts(second)
    assert (cursors.read_again, cursors.gaps) == (False, 0)


def test_chunks_of_before() -> None:
    """What lies below the position is left out without a word, also where it reaches beyond."""
    cursors, _ = settled()
    for late in (chunk(0, 5), chunk(4, 5), chunk(3, 9)):
        assert not cursors.accepts(late)
    assert (cursors.read_again, cursors.gaps) == (False, 0)


def test_chunks_of_others() -> None:
    """A partition that is not held gives nothing, and no reason to read anything again."""
    cursors, _ = settled()
    assert not cursors.accepts(chunk(5, 8, partition=1))
    cursors.assign({(TOPIC, 1): assignment(0)})
    assert not cursors.accepts(chunk(5, 8))
    assert (cursors.read_again, cursors.gaps) == (False, 0)


def test_a_hole() -> None:
    """A hole is said once, and its partition not read on until it was begun anew."""
    cursors, clock = settled()
    with capture_logs() as logs:
        assert not cursors.accepts(chunk(6, 8))
        assert not cursors.accepts(chunk(8, 9))
    assert (cursors.read_again, cursors.gaps) == (True, 1)
    assert [(log["expected"], log["found"]) for log in logs] == [(5, 6)]
    cursors.assign({(TOPIC, 0): assignment(5)})
    assert not cursors.read_again
    clock.now += GRACE_SECONDS + 0.1
    assert cursors.accepts(chunk(5, 8))
    assert not cursors.accepts(chunk(6, 8))
    assert cursors.gaps == 2


def test_grace() -> None:
    """Right after an assignment, chunks of before are no holes; at its end they are."""
    clock = Clock()
    cursors = Cursors(clock)
    cursors.assign({(TOPIC, 0): assignment(5)})
    for waited, read_again in ((0.0, False), (GRACE_SECONDS, False), (GRACE_SECONDS + 0.1, True)):
        clock.now = 1000.0 + waited
        assert not cursors.accepts(chunk(9, 12))
        assert cursors.read_again is read_again
    assert cursors.gaps == 1


def test_a_hole_within_grace_without_another_chunk() -> None:
    """The chunk behind a hole may be the log's last: the hole counts once nothing has filled it."""
    clock = Clock()
    cursors = Cursors(clock)
    cursors.assign({(TOPIC, 0): assignment(5)})
    clock.now += 1
    assert not cursors.accepts(chunk(9, 12))
    clock.now += GRACE_SECONDS
    assert not cursors.read_again, "not so long since the hole was found"
    clock.now += 0.1
    assert cursors.read_again
    assert cursors.read_again
    assert cursors.gaps == 1


def test_a_hole_that_is_filled() -> None:
    """A chunk of before, ahead of the next one, is forgotten when that comes."""
    clock = Clock()
    cursors = Cursors(clock)
    cursors.assign({(TOPIC, 0): assignment(5)})
    assert not cursors.accepts(chunk(9, 12))
    cursors.advance(chunk(5, 9))
    clock.now += 3 * GRACE_SECONDS
    assert (cursors.read_again, cursors.gaps) == (False, 0)


def test_asked_to_read_again() -> None:
    """Whoever could not make its results durable asks; the next assignment has it done."""
    cursors, _ = settled()
    cursors.read_again = True
    assert cursors.read_again
    assert cursors.gaps == 0
    cursors.assign({(TOPIC, 0): assignment(5)})
    assert not cursors.read_again


def test_lost_offsets() -> None:
    """What retention removed before it was read is said, with its first and last offset."""
    cursors = Cursors(Clock())
    with capture_logs() as logs:
        cursors.assign({(TOPIC, 0): assignment(5), (TOPIC, 1): assignment(9, lost_from=2)})
    assert [(log["partition"], log["first"], log["last"]) for log in logs] == [(1, 2, 8)]
    assert cursors.accepts(chunk(9, 10, partition=1))


class Deliveries(RuleBasedStateMachine):
    """Two partitions, whose chunks come late, twice or never, and are begun anew at times."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.cursors = Cursors(self.clock)
        self.counted: dict[int, list[int]] = {}
        self.starts: dict[int, int] = {}
        self.holes: dict[int, float] = {}
        self.reported = False
        self.quiet_until = 0.0

    @rule(starts=st.dictionaries(st.integers(0, 1), st.integers(0, 20), min_size=1))
    def assign(self, starts: dict[int, int]) -> None:
        """Begin these partitions."""
        self.cursors.assign({(TOPIC, p): assignment(start) for p, start in starts.items()})
        self.starts = starts
        self.counted = {partition: [] for partition in starts}
        self.holes = {}
        self.reported = False
        self.quiet_until = self.clock.now + GRACE_SECONDS

    @rule(seconds=st.floats(0, 2 * GRACE_SECONDS))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds

    @rule(partition=st.integers(0, 1), start=st.integers(0, 30), length=st.integers(1, 9))
    def deliver(self, partition: int, start: int, length: int) -> None:
        """Deliver any chunk."""
        self._deliver(chunk(start, start + length, partition))

    @precondition(lambda self: self.starts)
    @rule(data=st.data(), length=st.integers(1, 9))
    def deliver_next(self, data: st.DataObject, length: int) -> None:
        """Deliver the chunk that is next."""
        partition = data.draw(st.sampled_from(sorted(self.starts)))
        start = self._position(partition)
        assert self._deliver(chunk(start, start + length, partition))

    def _position(self, partition: int) -> int:
        return self.starts[partition] + len(self.counted[partition])

    def _deliver(self, delivered: Chunk) -> bool:
        partition = delivered.partition
        taken = self.cursors.accepts(delivered)
        if taken:
            self.cursors.advance(delivered)
            self.counted[partition] += range(delivered.start, delivered.end)
            self.holes.pop(partition, None)
        elif partition in self.starts and delivered.start > self._position(partition):
            self.holes.setdefault(partition, self.clock.now)
            self.reported |= self.clock.now > self.quiet_until
        return taken

    @invariant()
    def holes_are_reported_after_the_grace_period(self) -> None:
        """Every hole that is old enough, and none before, asks for reading again."""
        self.reported |= any(
            self.clock.now > max(self.quiet_until, since + GRACE_SECONDS)
            for since in self.holes.values()
        )
        assert self.cursors.read_again == self.reported

    @invariant()
    def everything_is_counted_once_in_order(self) -> None:
        """What was counted of a partition is a run of offsets from its start."""
        for partition, offsets in self.counted.items():
            start = self.starts[partition]
            assert offsets == list(range(start, start + len(offsets)))


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


def test_what_was_fetched_and_never_came_is_read_again() -> None:
    """A lost chunk that was the log's last shows by the fetched position alone."""
    now = [0.0]
    cursors = Cursors(lambda: now[0])
    cursors.assign({("topic", 0): Assignment("id", 10, 10)})
    cursors.fetched({("topic", 0): 15})
    assert not cursors.read_again
    now[0] = ARRIVAL_SECONDS + 1
    cursors.fetched({("topic", 0): 15})
    assert cursors.read_again
    assert cursors.gaps == 1


def test_what_waits_behind_a_chunk_under_way_is_not_lost() -> None:
    """While a chunk is being processed, however long, others may wait for it."""
    now = [0.0]
    cursors = Cursors(lambda: now[0])
    cursors.assign({("topic", 0): Assignment("id", 10, 10)})
    cursors.fetched({("topic", 0): 15})
    with cursors.at_work():
        for now[0] in range(1, 60):
            cursors.fetched({("topic", 0): 15})
            assert not cursors.read_again
    # Idle again, the wait begins anew.
    cursors.fetched({("topic", 0): 15})
    assert not cursors.read_again


def test_what_is_always_on_its_way_is_not_lost() -> None:
    """A busy worker has fetched more at every look, and its position moves all the same."""
    now = [0.0]
    cursors = Cursors(lambda: now[0])
    cursors.assign({(TOPIC, 0): Assignment("id", 10, 10)})
    for start in range(10, 100, 10):
        cursors.fetched({(TOPIC, 0): start + 10})
        now[0] += ARRIVAL_SECONDS
        assert not cursors.read_again
        cursors.advance(chunk(start, start + 10))
    cursors.fetched({(TOPIC, 0): 110})
    now[0] += ARRIVAL_SECONDS + 1
    cursors.fetched({(TOPIC, 0): 110})
    assert cursors.read_again
