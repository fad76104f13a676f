"""Where reading of a partition begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_schemas.columnar.chunk import Assignment
from inferwatch_streams.transport.starting_points import (
    StartingPoint,
    choose_start,
    commit_metadata,
    without_note,
)

ID, OTHER = "id-of-the-topic", "id-of-the-deleted-one"


@pytest.mark.parametrize(
    ("committed", "metadata", "log_start", "log_end", "start", "lost_from"),
    [
        # No commit yet: all that the log holds; what it no longer holds was never this group's.
        (-1, "", 0, 10, 0, 0),
        (-1, "", 4, 10, 4, 4),
        # The usual case, with and without a broker that keeps metadata; at either end of the log.
        (7, f"{ID}@7", 0, 10, 7, 7),
        (7, ID, 0, 10, 7, 7),
        (7, "", 0, 10, 7, 7),
        (0, f"{ID}@0", 0, 10, 0, 0),
        (10, f"{ID}@10", 0, 10, 10, 10),
        (4, f"{ID}@4", 4, 10, 4, 4),
        # Retention removed what was to be read.
        (3, f"{ID}@3", 5, 10, 5, 3),
        (3, f"{ID}@3", 10, 10, 10, 3),
        (3, "", 5, 10, 5, 3),
        # Of an open block that retention caught up with, only what was not yet counted is lost.
        (3, f"{ID}@7", 5, 10, 5, 7),
        (3, f"{ID}@4", 6, 10, 6, 4),
        (3, f"{ID}@2", 6, 10, 6, 3),
        # The topic was deleted and created again.
        (7, f"{OTHER}@7", 0, 10, 0, 0),
        (7, f"{OTHER}@9", 2, 10, 2, 0),
        (11, f"{ID}@11", 0, 10, 0, 0),
        # Without metadata a commit beyond the end is believed: the end may be listed too low.
        (11, "", 0, 10, 11, 11),
        (0, "", 0, 0, 0, 0),
    ],
)
def test_every_case(  # noqa: PLR0913, PLR0917  # columns of the table above
    committed: int, metadata: str, log_start: int, log_end: int, start: int, lost_from: int
) -> None:
    """Reading begins at the commit, unless that is of another log or below this one."""
    point = StartingPoint(committed, metadata, log_start, log_end)
    assert choose_start(point, ID) == Assignment(ID, start, lost_from)


def test_a_commit_to_a_topic_that_was_another() -> None:
    """Without metadata it may be of the log that is gone; with it, it says whose it is."""
    for committed in (-1, 0, 7, 1000):
        point = StartingPoint(committed, "", 2, 10)
        begun = choose_start(point, ID, was_another=True)
        assert (begun.start, begun.lost_from) == (2, 2 if committed < 0 else 0)
    point = StartingPoint(7, f"{ID}@7", 0, 10)
    assert choose_start(point, ID, was_another=True) == Assignment(ID, 7, 7)


@given(
    st.integers(0, 30), st.integers(0, 9),
    st.tuples(st.sampled_from([ID, OTHER]), st.sampled_from(["", "1:5:ops=1", "a@b"])),
    st.integers(0, 20), st.integers(0, 10),
)  # fmt: skip
def test_what_was_committed(
    committed: int, ahead: int, beside: tuple[str, str], log_start: int, length: int
) -> None:
    """Nothing between the commit and the log's end is skipped, nor said lost that was durable."""
    topic_id, note = beside
    durable, log_end = committed + ahead, log_start + length
    metadata = commit_metadata(topic_id, durable, note)
    assert without_note(metadata) == commit_metadata(topic_id, durable)
    chosen = choose_start(StartingPoint(committed, metadata, log_start, log_end), ID)
    assert log_start <= chosen.start <= log_end
    assert chosen.start <= max(committed, log_start)
    lost = range(chosen.lost_from, chosen.start)
    if topic_id == ID and committed <= log_end:
        assert list(lost) == [offset for offset in range(log_start) if offset >= durable]
        assert chosen.note == note
    else:
        assert list(lost) == list(range(log_start))
        # It is of another log.
        assert not chosen.note
