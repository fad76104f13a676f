"""Groups: equal keys share a slot, slots are numbered as they appear, bytes decide equality."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shown_rows import key_of

from inferwatch_streams.blocks import grouping
from inferwatch_streams.blocks.grouping import Groups

Key = tuple[int, tuple[str | None, ...]]


def assign(groups: Groups, keys: list[Key]) -> list[int]:
    """Slots of rows, whose texts lie one after another in one buffer."""
    data = bytearray()
    dimensions = len(keys[0][1]) if keys else 1
    starts = np.zeros((dimensions, len(keys)), np.int64)
    lengths = np.zeros((dimensions, len(keys)), np.int64)
    for row, (_, texts) in enumerate(keys):
        for d, text in enumerate(texts):
            raw = (text or "").encode()
            starts[d, row], lengths[d, row] = len(data), -1 if text is None else len(raw)
            data += raw
    tags = np.array([tag for tag, _ in keys], np.int64)
    found = groups.assign(np.frombuffer(bytes(data), np.uint8), starts, lengths, tags)
    return list(found.tolist())


def numbered(keys: list[Key]) -> list[int]:
    """What the slots must be: numbers in order of appearance, null and empty being the same."""
    slots: dict[Key, int] = {}
    plain = [(tag, tuple(text or "" for text in texts)) for tag, texts in keys]
    return [slots.setdefault(key, len(slots)) for key in plain]


TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["", "\0", "\0\0", "a", "a\0", "aaaaaaaa", "aaaaaaaaa", "é", "🜁"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
KEYS = st.lists(
    st.tuples(st.sampled_from([0, 1, 2**40, 2**62]), st.tuples(TEXTS, TEXTS)), max_size=60
)


@settings(max_examples=150, deadline=None)
@given(KEYS, st.lists(st.integers(0, 60), max_size=4))
def test_slots_are_numbers_in_order_of_appearance(keys: list[Key], cuts: list[int]) -> None:
    """Cut into chunks or not, rows get the slots that a dictionary would give them."""
    groups = Groups()
    bounds = [0, *sorted(cuts), len(keys)]
    found: list[int] = []
    for begin, end in pairwise(bounds):
        if keys[begin:end]:
            found += assign(groups, keys[begin:end])
    expected = numbered(keys)
    assert found == expected
    assert len(groups) == len(set(expected))
    for slot, (tag, texts) in zip(expected, keys, strict=True):
        assert groups.tags[slot] == tag
        assert key_of(groups, slot, len(texts)) == tuple(text or "" for text in texts)


def test_texts_do_not_run_into_each_other() -> None:
    """The same bytes shared out otherwise over the dimensions are another group."""
    keys: list[Key] = [(0, ("ab", "")), (0, ("a", "b")), (0, ("", "ab")), (0, ("a\0", "b"))]
    assert assign(Groups(), keys) == [0, 1, 2, 3]


def test_null_and_empty_are_the_same_group() -> None:
    """A dimension that is null counts as empty."""
    assert assign(Groups(), [(0, (None, "a")), (0, ("", "a"))]) == [0, 0]


@pytest.mark.parametrize("count", [1, 63, 64, 65, 127, 128, 129, 1000, 40_000])
def test_the_table_grows_and_forgets_nothing(count: int) -> None:
    """One more group than the table takes makes room, and all are found again."""
    groups = Groups()
    keys: list[Key] = [(number // 2, (f"service-{number}",)) for number in range(count)]
    assert assign(groups, keys) == list(range(count))
    assert assign(groups, keys[::-1]) == list(range(count))[::-1]
    for slot in {0, count // 2, count - 1}:
        assert (groups.tags[slot], key_of(groups, slot, 1)) == keys[slot]


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 4087, 4088, 4092, 4093, 65_536, 262_144])
def test_the_arena_grows_at_any_length(size: int) -> None:
    """Keys up to and beyond the arena's end are kept whole, and texts that differ late differ."""
    groups = Groups()
    texts = ["x" * size, "x" * size + "y", "x" * size + "z", "x" * (size // 2)]
    keys: list[Key] = [(0, (text,)) for text in texts]
    expected = numbered(keys)
    assert assign(groups, keys) == expected
    assert assign(groups, keys) == expected
    for slot, text in zip(expected, texts, strict=True):
        assert key_of(groups, slot, 1) == (text,)


@pytest.mark.parametrize("boundary", [64, 128])
def test_table_and_arena_may_be_full_at_the_same_row(boundary: int) -> None:
    """Room is made for both."""
    groups = Groups()
    keys: list[Key] = [(0, (f"{number:04d}",)) for number in range(boundary)]
    keys += [(0, ("x" * 100_000,)), (0, ("last",))]
    assert assign(groups, keys) == list(range(boundary + 2))
    assert key_of(groups, boundary, 1) == ("x" * 100_000,)


def test_equal_hashes_do_not_make_groups_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a hash that is always the same, bytes and tags still tell groups apart."""
    source = grouping.assign_slots.py_func  # type: ignore[attr-defined]  # numba's original

    def hash_nothing(data: NDArray[np.uint8], start: int, length: int, state: int) -> np.uint64:
        del data, start, length, state
        return np.uint64(7)

    monkeypatch.setattr(grouping, "_hash_text", hash_nothing)
    monkeypatch.setattr(grouping, "mixed", lambda value: value)
    monkeypatch.setattr(grouping, "assign_slots", source)
    keys: list[Key] = [
        (tag, (one, other)) for tag in (0, 1) for one in ("", "a", "b") for other in ("", "a", "bb")
    ]
    for ordered in (keys, keys[::-1]):
        with np.errstate(over="ignore"):
            assert assign(Groups(), ordered * 2) == [*range(len(keys)), *range(len(keys))]


def test_no_rows_make_no_groups() -> None:
    """An empty chunk is nothing special."""
    groups = Groups()
    assert assign(groups, []) == []
    assert len(groups) == 0
