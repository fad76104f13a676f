"""Regular expressions of matchers: whoever sends one, it takes no longer than reading the value."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.errors import MatcherError

PIECES = st.recursive(
    st.sampled_from(["a", "b", "[ab]", ".", r"\w", "-", "[^a]"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,3}", "*?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?=a)b", "invalid perl operator"),
        (r"(a)\1", "invalid escape sequence"),
        ("a{1001}", "invalid repetition size"),
        ("(a{1000}", "missing )"),
        (r"\pL{999}", "too large"),
        ("(" * 500 + "a" + ")" * 499, "missing )"),
        ("a" * 1001, "more than 1000 characters"),
        ("\udcff", "is no text"),
    ],
)
def test_what_cannot_be_bounded_is_refused(pattern: str, why: str) -> None:
    """As a matcher that is none: a command or file with it is refused, and stops no worker."""
    with pytest.raises(MatcherError, match=re.escape(why)) as told:
        Matcher("service", "=~", pattern)
    assert len(str(told.value)) < 300


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b", "(a*)*b", "(a|aa)+b", "(.*a){9}b", ".*a.*a.*a.*a.*a.*b", r"(\w+\s?)*!",
        "(?i)(x[A-Z]+|A+)*b", ".{500}.*b.{90}",
    ],
)  # fmt: skip
def test_a_long_value_takes_no_long_time(pattern: str) -> None:
    """What takes Python's own expressions half a day over forty letters is read once."""
    matcher, value = Matcher("service", "=~", pattern), "a" * 100_000
    began = time.process_time()
    assert not matcher.matches({"service": value})
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("chat.*", "chat-2"), ("(foo|bar)-[0-9]+", "bar-12"), ("low|medium", "medium"),
        (r"gpu-[0-9]+(\.[a-z]+)*", "gpu-7.rack.eu"), ("([a-z]+-)*prod", "a-b-prod"), ("", ""),
        ("(?i)gpt-4(o|\\.1)?(-mini)?", "GPT-4.1-mini"), ("[^-]*-(eu|us)-[0-9]{1,3}", "gw-eu-12"),
        ("caf.", "café"), (r"\d+ms", "20ms"), (".", "\udcff"),
    ],
)  # fmt: skip
def test_what_people_write_matches(pattern: str, value: str) -> None:
    """The whole value, and not with more after it."""
    matcher = Matcher("service", "=~", pattern)
    assert matcher.matches({"service": value})
    assert not matcher.matches({"service": f"{value}\n"})
    assert not Matcher("service", "!~", pattern).matches({"service": value})


@given(PIECES, st.text("ab-", max_size=12))
@settings(max_examples=200)
def test_it_matches_what_pythons_would(pattern: str, value: str) -> None:
    """Where both know an expression, they agree on it."""
    expected = re.fullmatch(pattern, value) is not None
    assert Matcher("service", "=~", pattern).matches({"service": value}) is expected
