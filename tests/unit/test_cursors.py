"""Which chunk may be processed next, and when partitions must be read again."""

import numpy as np
import pytest

from inferwatch_schemas.columnar.chunk import Assignment, Chunk
from inferwatch_schemas.columnar.cursors import GRACE_SECONDS, Cursors

AT = ("t", 0)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at zero."""
    return Clock()


@pytest.fixture
def cursors(clock: Clock) -> Cursors:
    """Cursors of one partition at offset 100, just assigned."""
    made = Cursors(clock)
    made.assign({AT: Assignment("id", 100, 100)})
    return made


def chunk(start: int, end: int) -> Chunk:
    """A chunk without records."""
    none = np.empty(0, np.int64)
    return Chunk(*AT, start, end, np.empty(0, np.uint8), none, none, none, none, none)


def test_chunks_follow_one_another(cursors: Cursors) -> None:
    """Only the chunk at the position is taken; what was taken already is not taken twice."""
    assert cursors.accepts(chunk(100, 110))
    cursors.advance(chunk(100, 110))
    assert not cursors.accepts(chunk(100, 110))
    assert cursors.accepts(chunk(110, 120))
    assert not cursors.read_again


def test_a_chunk_of_another_partition_is_not_taken(cursors: Cursors) -> None:
    """What is not assigned is nobody's hole."""
    other = Chunk("other", 0, *(getattr(chunk(0, 9), name) for name in Chunk.__slots__[2:]))
    assert not cursors.accepts(other)
    assert not cursors.read_again


def test_a_hole_is_read_again(cursors: Cursors, clock: Clock) -> None:
    """A later chunk than the next one means that one was lost, once the assignment is old."""
    clock.now = GRACE_SECONDS + 1
    assert not cursors.accepts(chunk(110, 120))
    assert cursors.read_again
    assert cursors.gaps == 1
    cursors.assign({AT: Assignment("id", 100, 100)})
    assert not cursors.read_again


def test_chunks_of_before_an_assignment_make_no_hole(cursors: Cursors, clock: Clock) -> None:
    """A later chunk just after the assignment may be a stale one: the next in order proves it."""
    assert not cursors.accepts(chunk(500, 510))
    assert not cursors.read_again
    cursors.advance(chunk(100, 110))
    clock.now = GRACE_SECONDS + 1
    assert not cursors.read_again


def test_a_hole_just_after_an_assignment_is_read_again_too(cursors: Cursors, clock: Clock) -> None:
    """Where nothing fills it, it need not wait for a chunk that may never come."""
    assert not cursors.accepts(chunk(110, 120))
    clock.now = GRACE_SECONDS + 1
    assert cursors.read_again
    assert cursors.gaps == 1
