"""GrowthBook's hash and bucket ranges, by its published vectors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_agents.experiments.hashing import (
    bucket,
    bucket_ranges,
    fnv1a_32,
    namespace_bucket,
)


@pytest.mark.parametrize(
    ("data", "hashed"),
    [(b"", 0x811C9DC5), (b"a", 0xE40C292C), (b"foobar", 0xBF9CF968)],
)
def test_fnv_is_fnv(data: bytes, hashed: int) -> None:
    """By the vectors of its authors."""
    assert fnv1a_32(data) == hashed


@pytest.mark.parametrize(
    ("seed", "user", "at"),
    [
        ("seed", "a", 0.0505),
        ("seed", "b", 0.2696),
        ("foo", "ab", 0.2575),
        ("90850943850283058242805", "123", 0.7516),
    ],
)
def test_the_hash_is_growthbooks_second(seed: str, user: str, at: float) -> None:
    """By the vectors that all its SDKs are tested with."""
    assert bucket(seed, user) == at


@pytest.mark.parametrize("namespace", ["namespace1", "namespace2"])
@pytest.mark.parametrize("user", ["1", "2", "3", "4"])
def test_namespaces_are_growthbooks(namespace: str, user: str) -> None:
    """Of its vectors' users only 3 and 4 are in the first 40 % of a namespace, the second."""
    inside = namespace_bucket(namespace, user) < 0.4
    assert inside == (namespace == "namespace2" and user in "34")


@pytest.mark.parametrize(
    ("weights", "coverage", "ranges"),
    [
        ([0.5, 0.5], 1, [(0, 0.5), (0.5, 1)]),
        ([0.5, 0.5], 0.5, [(0, 0.25), (0.5, 0.75)]),
        ([0.5, 0.5], 0, [(0, 0), (0.5, 0.5)]),
        ([0.4, 0.6], 1, [(0, 0.4), (0.4, 1)]),
        ([0.2, 0.3, 0.5], 0.2, [(0, 0.04), (0.2, 0.26), (0.5, 0.6)]),
    ],
)
def test_ranges_are_growthbooks(
    weights: list[float], coverage: float, ranges: list[tuple[float, float]]
) -> None:
    """By its vectors: each begins where the weights before it end, whatever the coverage."""
    assert [pytest.approx(each) for each in ranges] == bucket_ranges(weights, coverage)


def test_text_is_hashed_as_utf_8() -> None:
    """Beyond ASCII other SDKs differ: the same text as UTF-16 code units is another bucket."""
    units = 0x811C9DC5
    for unit in ("s", "é"):
        units = ((units ^ ord(unit)) * 0x01000193) & 0xFFFFFFFF
    assert fnv1a_32("sé".encode()) != units
    assert bucket("s", "é") == fnv1a_32(str(fnv1a_32(b"s\xc3\xa9")).encode()) % 10_000 / 10_000


@given(st.text(), st.text(st.characters()))
def test_any_text_has_a_bucket(seed: str, user: str) -> None:
    """Whatever an id is made of, half a surrogate pair too."""
    assert 0 <= bucket(seed, user) < 1
    assert 0 <= bucket(seed, user + "\ud800") < 1
