"""The fence: after a claim, what a replaced leader still writes counts for no reader."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from inferwatch_streams.leading.fence import CLAIM_KEY, NO_EPOCH, Fence


class Entry(NamedTuple):
    """One record of a log."""

    offset: int
    key: str | None
    empty: bool
    epoch: int | None


def accepted(entries: list[Entry], epoch: int = NO_EPOCH) -> list[int]:
    """Return the offsets that count."""
    fence = Fence(epoch)
    return [
        entry.offset
        for entry in entries
        if fence.accepts(entry.key, entry.empty, entry.epoch, entry.offset)
    ]


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Entry], list[int]]:
    """Return a log of leaders that replace each other unknowingly, and what counts of it."""
    entries: list[Entry] = []
    claims: list[int] = []
    right: list[int] = []
    for offset in range(draw(st.integers(1, 40))):
        if not claims or draw(st.integers(0, 5)) == 0:
            claims.append(offset)
            entries.append(Entry(offset, CLAIM_KEY, True, None))
            continue
        epoch = draw(st.sampled_from(claims[-3:]))
        key, empty = draw(st.sampled_from("ab")), draw(st.booleans())
        entries.append(Entry(offset, key, empty, epoch))
        if epoch == claims[-1]:
            right.append(offset)
    return entries, right


@given(logs())
def test_what_counts_is_what_the_newest_claim_s_leader_writes(
    log: tuple[list[Entry], list[int]],
) -> None:
    """Whoever reads from the beginning takes each leader's records up to the next claim."""
    entries, right = log
    assert accepted(entries) == right


@given(logs(), st.data())
def test_a_reader_that_starts_in_the_middle_loses_nothing_that_counts(
    log: tuple[list[Entry], list[int]], data: st.DataObject
) -> None:
    """With the epoch of where it starts it takes the same; without, at most a zombie's too."""
    entries, right = log
    start = data.draw(st.integers(0, len(entries)))
    before = Fence()
    for entry in entries[:start]:
        before.accepts(entry.key, entry.empty, entry.epoch, entry.offset)
    rest = [offset for offset in right if offset >= start]
    assert accepted(entries[start:], before.epoch) == rest
    assert set(rest) <= set(accepted(entries[start:]))


@given(logs())
def test_claims_that_compaction_removed_do_not_matter_once_their_leader_has_written(
    log: tuple[list[Entry], list[int]],
) -> None:
    """Without the claims, a record raises the epoch for all that follow."""
    entries, right = log
    without = [entry for entry in entries if entry.key != CLAIM_KEY]
    newest, known = NO_EPOCH, []
    for entry in without:
        assert entry.epoch is not None
        if entry.epoch >= newest:
            newest = entry.epoch
            known.append(entry.offset)
    assert accepted(without) == known
    assert set(right) <= set(known)


def test_who_says_no_epoch_or_an_impossible_one_does_not_count() -> None:
    """An epoch is a claim's offset: not negative, and below the record's own."""
    fence = Fence()
    for epoch in (None, -1, 7, 8, 2**40):
        assert not fence.accepts("a", False, epoch, 7)
    assert fence.epoch == NO_EPOCH
    assert fence.accepts("a", False, 6, 7)


def test_a_record_of_the_claim_s_key_with_a_value_is_neither() -> None:
    """It claims nothing, and is no state."""
    fence = Fence()
    assert not fence.accepts(CLAIM_KEY, False, 0, 3)
    assert fence.epoch == NO_EPOCH
