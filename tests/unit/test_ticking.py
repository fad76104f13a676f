"""When rules look: not before the rows are read, in steps after an outage, and never twice."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_streams.rules_worker.ticking import (
    LULL,
    MOST_ENDS,
    MOST_MISSED,
    SECOND,
    STEP,
    Held,
    Tick,
    Ticking,
)

AT = ("aggregates", 0)
START = 1_700_000_000 * SECOND
SETTLE, SILENCE = 2 * SECOND, 60 * SECOND


class Log:
    """A partition, its reader, and the ticking that is told of both once a second."""

    def __init__(self, evaluated_until: int | None = None) -> None:
        self.now = START + 123_456
        self.end = self.position = 1
        self.ticking = Ticking(SETTLE, SILENCE)
        self.ticking.begin(evaluated_until, self.now, None)

    def second(self, rows: int = 1, read: int | None = None, behind: int = 0) -> Tick | None:
        """Let a second pass in which rows, of so long ago, come and are read: all unless given."""
        self.now += SECOND
        self.end += rows
        self.position = min(self.end, self.position + (rows if read is None else read))
        if rows:
            self.ticking.came(self.now, self.now + 5 * SECOND - behind)
        self.ticking.see(self.now, {AT: self.end}, {AT: self.position})
        return self.ticking.due(self.now)

    def done(self, tick: Tick | None) -> int:
        """Carry a tick out, and return its time."""
        assert tick is not None
        assert tick.held is None
        self.ticking.evaluated_until = tick.at
        return tick.at


def test_ticks_follow_the_present_at_the_settling_delay() -> None:
    """Each second, on whole seconds, two seconds ago."""
    log = Log()
    ticks = [log.done(log.second()) for _ in range(5)]
    assert ticks == [START + each * SECOND for each in range(-1, 4)]
    assert log.ticking.due(log.now) is None


def test_nothing_is_looked_at_before_the_log_was_read_to_its_end() -> None:
    """After a start the rows that were there are read first."""
    log = Log()
    log.position = 0
    log.end = 5
    assert log.second(1, read=2) == Tick(START - SECOND, Held.BEHIND)
    assert log.second(1, read=2) == Tick(START, Held.BEHIND)
    assert log.done(log.second(1, read=2)) == START, "up to the ends of two seconds ago"


def test_a_reader_that_is_steadily_late_delays_ticks_and_stops_none() -> None:
    """A tick looks as far as rows are read, while new ones always come."""
    log = Log()
    log.end += 3
    times = []
    for _ in range(10):
        tick = log.second(1)
        if tick is not None and tick.held is None:
            times.append(log.done(tick))
    assert [now - before for before, now in itertools.pairwise(times)] == [SECOND] * (
        len(times) - 1
    )
    assert times[-1] == log.now // SECOND * SECOND - 4 * SECOND


def test_missed_time_is_looked_at_in_steps() -> None:
    """After a minute's absence there are six ticks at once, and then the present."""
    log = Log(START - 60 * SECOND)
    log.second()
    times = []
    while (tick := log.ticking.due(log.now)) is not None:
        times.append(log.done(tick))
    assert times[0] == START - 50 * SECOND
    assert times[-1] == START - SECOND
    assert {now - before for before, now in itertools.pairwise(times)} <= {STEP, 9 * SECOND}


def test_after_a_long_outage_what_is_older_than_windows_are_kept_is_skipped() -> None:
    """It is said how much."""
    log = Log(START - 3600 * SECOND)
    tick = log.second()
    assert tick == Tick(START - SECOND - MOST_MISSED, skipped=3599 * SECOND - MOST_MISSED)
    log.done(tick)
    later = log.ticking.due(log.now)
    assert later == Tick(START - SECOND - MOST_MISSED + STEP)


def test_silence_is_told_after_a_minute_and_ends_with_the_next_row() -> None:
    """What was not looked at meanwhile is looked at then."""
    log = Log()
    before = log.done(log.second())
    quiet = [log.second(0) for _ in range(70)]
    held = [tick for tick in quiet if tick is not None and tick.held is Held.SILENT]
    assert len(held) == 11
    # Until then it is not known to be more than a lull.
    assert log.done(log.second()) == before + STEP


def test_rules_look_no_further_than_rows_tell() -> None:
    """While the aggregation is replaced nothing is resolved for want of rows."""
    log = Log()
    log.done(log.second())
    last = log.now
    times = []
    for _ in range(40):
        tick = log.second(0)
        if tick is not None and tick.held is None:
            times.append(log.done(tick))
    assert times[-1] == (last + LULL) // SECOND * SECOND
    assert log.done(log.second()) == times[-1] + STEP


def test_a_restart_in_a_silent_pipeline_knows_that_it_is_silent() -> None:
    """The rows that are read again are old: no rule may take services for gone, or for healthy."""
    log = Log(START - 600 * SECOND)
    log.ticking.begin(START - 600 * SECOND, log.now, START - 700 * SECOND)
    first = log.second(1, read=0, behind=660 * SECOND)
    assert first is not None
    assert first.held is Held.BEHIND, "what it has still to read may be of the present"
    log.position = log.end
    ticks = [log.second(0) for _ in range(3)]
    assert [None if tick is None else tick.held for tick in ticks] == [Held.SILENT] * 3
    assert log.ticking.silent_since < START - 600 * SECOND
    assert log.done(log.second()) == START - 590 * SECOND


def test_an_aggregation_that_is_far_behind_tells_nothing_of_the_present() -> None:
    """Its rows come all the time; what was not looked at is looked at when it has caught up."""
    log = Log()
    before = log.done(log.second())
    held = [log.second(1, behind=(600 - each) * SECOND) for each in range(530)]
    assert {None if tick is None else tick.held for tick in held} == {Held.SILENT}
    assert log.done(log.second(1, behind=20 * SECOND)) == before + STEP


def test_a_clock_that_was_set_back_stops_nothing() -> None:
    """Ticks go on with the clock as it is now."""
    log = Log()
    log.now += 3600 * SECOND
    ahead = log.done(log.second())
    log.now -= 3600 * SECOND
    times = [log.done(log.second()) for _ in range(3)]
    assert times[0] < ahead - 3590 * SECOND
    assert [now - before for before, now in itertools.pairwise(times)] == [SECOND, SECOND]


def test_rows_that_are_there_and_not_read_are_no_silence() -> None:
    """A reader that hangs is behind, for as long as it hangs."""
    log = Log()
    log.done(log.second())
    log.end += 1
    log.done(log.second(0, read=0))
    ticks = [log.second(0, read=0) for _ in range(200)]
    assert Held.SILENT not in {tick.held for tick in ticks if tick is not None}
    assert ticks[-1] is not None
    assert ticks[-1].held is Held.BEHIND


def test_a_pipeline_through_which_nothing_ever_came_is_not_silent() -> None:
    """A new one waits for its first services."""
    log = Log()
    log.end = log.position = 0
    ticks = [log.second(0) for _ in range(200)]
    assert not [tick for tick in ticks if tick is not None and tick.held is Held.SILENT]


def test_a_reader_that_hangs_holds_the_rules() -> None:
    """And what is waited for stays bounded."""
    log = Log()
    log.done(log.second())
    log.done(log.second(1, read=0))
    ticks = [log.second(1, read=0) for _ in range(2 * MOST_ENDS)]
    assert ticks[-1] is not None
    assert ticks[-1].held is Held.BEHIND
    log.position = log.end
    assert log.ticking.evaluated_until is not None
    assert log.second() == Tick(log.ticking.evaluated_until + STEP)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=60),
    st.sampled_from([None, 5, 100, 2000]),
)
def test_time_goes_forward_and_never_past_what_was_read(
    seconds: list[tuple[int, int]], missed: int | None
) -> None:
    """Each tick is after the last, at least the settling delay ago, and within the rows read."""
    log = Log(None if missed is None else START - missed * SECOND)
    ends: list[tuple[int, int]] = []
    last = log.ticking.evaluated_until
    for rows, read in seconds:
        tick = log.second(rows, read)
        ends.append((log.now, log.end))
        while tick is not None and tick.held is None:
            assert last is None or tick.at > last
            assert tick.at <= log.now - SETTLE
            # All that was in the log a second after the tick's time is read, as far as was seen.
            known = [end for seen, end in ends if seen <= tick.at + SETTLE // 2]
            assert not known or log.position >= known[-1]
            last = log.done(tick)
            tick = log.ticking.due(log.now)


@pytest.mark.parametrize("settle", [1, 5])
def test_the_delay_is_what_was_set(settle: int) -> None:
    """In microseconds."""
    ticking = Ticking(settle * SECOND, SILENCE)
    ticking.begin(None, START, None)
    ticking.see(START, {AT: 0}, {AT: 0})
    assert ticking.due(START + settle * SECOND) == Tick(
        min(START, START - settle * SECOND // 2 // SECOND * SECOND - (settle % 2) * SECOND)
    )
