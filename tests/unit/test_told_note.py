"""What is committed beside the offset: read as it was written, within a broker's bounds."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_streams.notifications.told_note import MAX_CHARACTERS, ToldNote, digest, written

BASE = 1000
OFFSETS = st.sets(st.integers(0, 60).map(lambda number: BASE + number))


@given(st.dictionaries(st.sampled_from(["ops", "on-call", "büro"]), OFFSETS), st.integers(0, 60))
def test_a_note_says_of_each_channel_what_it_needs_no_more(
    unsettled: dict[str, set[int]], length: int
) -> None:
    """From the base until where it ends, and of nobody and nothing else."""
    until = BASE + length
    text, reach = written(unsettled, BASE, until)
    note = ToldNote.read(text, until)
    assert reach == until
    for offset in range(BASE - 5, until + 65):
        for channel in ("ops", "on-call", "büro", "new"):
            settled = channel in unsettled and offset not in unsettled[channel]
            assert note.told(channel, offset) == (settled and BASE <= offset < until)


@given(
    st.dictionaries(st.sampled_from(["ops", "on-call"]), OFFSETS, min_size=1),
    st.integers(0, 60), st.integers(20, 60),
)  # fmt: skip
def test_what_does_not_fit_is_the_newest(
    unsettled: dict[str, set[int]], length: int, most: int
) -> None:
    """It never says more than is so, and all of it up to where it says that it reaches."""
    until = BASE + length
    text, reach = written(unsettled, BASE, until, most)
    assert len(text) <= most
    note = ToldNote.read(text, until)
    for offset in range(BASE, until):
        for channel, of in unsettled.items():
            assert note.told(channel, offset) == (offset not in of and offset < reach)
    if reach < until:
        assert len(written(unsettled, BASE, reach + 1)[0]) > most


def test_a_storm_while_one_hangs_is_short_and_soon_written() -> None:
    """Ten minutes of a hundred changes a second; and the worst, where every second one waits."""
    until = BASE + 60_000
    hung: dict[str, set[int]] = {"hung": set(range(BASE, until)), "ops": set(), "on-call": set()}
    assert written(hung, BASE, until) == (
        f"1:3e8:{digest('ops')}=ea60:{digest('on-call')}=ea60", until,
    )  # fmt: skip
    odd = set(range(BASE, until, 2))
    started = time.process_time()
    text, reach = written({f"channel-{number}": odd for number in range(10)}, BASE, until)
    assert time.process_time() - started < 5.0
    assert len(text) > MAX_CHARACTERS - 50
    assert reach > BASE + 150


@pytest.mark.parametrize(
    "text", ["0", "2:3e8", "1:", "1:x", "1:3e8:ops", "1:3e8:ops=1.-1", "1:3e8:ops=1..2"]
)
def test_what_is_none_of_ours_is_no_note(text: str) -> None:
    """Of another version, or somebody else's."""
    with pytest.raises(ValueError, match=r"is no number|invalid literal|is not known"):
        ToldNote.read(text, 2000)


def test_what_is_said_beyond_the_log_s_end_does_not_count() -> None:
    """The log was cut: other records will stand there."""
    text, _ = written({"ops": set()}, BASE, BASE + 10)
    note = ToldNote.read(text, BASE + 4)
    assert [note.told("ops", BASE + at) for at in (0, 3, 4, 9)] == [True, True, False, False]
    assert note.until == BASE + 4
