"""A partition is stalled when it stands still with more in the log, or is not fetched at all."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_schemas.columnar.stalls import Cause, Observation, Watch, cause_of_stall, look

LIMIT = 30.0
STEP = 1.0

Looks = list[tuple[int | None, int | None, bool]]


def watched(looks: Looks, *, pending: bool = False) -> Watch:
    """What is known after looks of position, log end, and whether a fetch was answered since."""
    watch, answered = None, 0
    for position, log_end, answers in looks:
        answered += answers
        seen = Observation("log", position, log_end, answered, pending)
        watch = look(watch, seen, STEP)
    assert watch is not None
    return watch


def cause(looks: Looks) -> Cause | None:
    """Whether the partition is stalled after these looks."""
    return cause_of_stall(watched(looks), LIMIT)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([(5, 9, True)] * 30, None),
        ([(5, 9, True)] * 31, Cause.STILL),
        ([(5, 9, True)] * 31 + [(6, 9, True)], None),
        ([(5, 9, True)] * 31 + [(6, 9, True)] * 31, Cause.STILL),
        ([(5, 5, True)] * 90, None),
        ([(5, 5, True)] * 90 + [(5, 6, True)] * 29, None),
        ([(5, 5, True)] * 90 + [(5, 6, True)] * 30, Cause.STILL),
        ([(5, 5, False)] * 31, Cause.SILENT),
        ([(5, 9, False)] * 31, Cause.SILENT),
        ([(5, 5, False)] * 31 + [(5, 5, True)], None),
        ([(None, None, True)] * 31, Cause.STILL),
        ([(None, 0, True)] * 20 + [(0, 0, True)] * 20, None),
        ([(5, None, True)] * 90, None),
    ],
    ids=[
        "not yet", "still", "moves again", "still again", "at the end", "news after a long rest",
        "news that nobody takes", "not fetched", "not fetched and behind", "fetched again",
        "never begun", "begun", "log end unknown",
    ],
)  # fmt: skip
def test_a_partition_is_stalled(looks: Looks, expected: Cause | None) -> None:
    """From the thirtieth second on, and not because it had rested before."""
    assert cause(looks) is expected


def test_reading_the_same_again_and_again_is_no_progress() -> None:
    """A partition that falls back to its floor each time moves, and gets nowhere."""
    assert cause([(5, 9, True), (3, 9, True), (4, 9, True), (5, 9, True)] * 9) is Cause.STILL


def test_another_log_begins_anew() -> None:
    """A topic created again has lower positions, which are progress in it."""
    old = watched([(500, 900, True)] * 31)
    new = look(old, Observation("other", 2, 7, 1), STEP)
    assert cause_of_stall(new, LIMIT) is None
    assert new.lag == 5


def test_what_waits_in_the_worker_is_not_the_brokers_silence() -> None:
    """While an answer waits to be taken in, no other is asked for."""
    assert cause_of_stall(watched([(5, 9, False)] * 31, pending=True), LIMIT) is Cause.STILL


def test_a_log_that_ends_in_control_records_is_read_to_its_end() -> None:
    """Their offsets are passed like others: the position comes to the log's end."""
    watch = watched([(5, 7, True), *[(7, 7, True)] * 90])
    assert (watch.lag, cause_of_stall(watch, LIMIT)) == (0, None)


looks = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 20)), st.one_of(st.none(), st.integers(0, 20)),
        st.booleans(),
    ),
    min_size=1, max_size=60,
)  # fmt: skip


@given(looks)
def test_progress_ends_every_stall(before: Looks) -> None:
    """Whatever was, a position above all that were seen is no stall."""
    watch = watched(before)
    seen = replace(watch.seen, position=(watch.reached or 0) + 1)
    assert cause_of_stall(look(watch, seen, STEP), LIMIT) is None


@given(looks)
def test_no_stall_is_told_before_its_time(before: Looks) -> None:
    """Nothing counts for longer than it was watched."""
    watch = watched(before)
    assert watch.still_seconds <= STEP * (len(before) - 1)
    assert watch.silent_seconds <= STEP * (len(before) - 1)


@given(looks)
def test_what_is_behind_and_never_moves_is_always_told(before: Looks) -> None:
    """However it was before: after the limit without any progress it is a stall."""
    watch = watched(before)
    for turn in range(int(LIMIT / STEP)):
        seen = Observation("log", watch.reached, (watch.reached or 0) + 1, -turn)
        watch = look(watch, seen, STEP)
    assert cause_of_stall(watch, LIMIT) is not None
