"""Regular expressions of matchers: those that would never end are refused, whoever sends them."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.alerts.patterns import why_not
from inferwatch_streams.errors import MatcherError

PIECES = st.recursive(
    st.sampled_from(["a", "b", "[ab]", ".", r"\w", "-"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,9}", "*?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b", "(a*)*", "(a{1,30}){1,30}", "(|a)*b", r"(\w+\s?)*", "(?i)(x[A-Z]+)*",
        "(?=(a+)+b)", "(ab|a|b)*c", "(-(aa|a))*", "(-a*a*)*", ".*.*.*.*.*x",
        "a{99999999999999}", "(" * 5000 + ")" * 5000, "a" * 1001,
    ],
)  # fmt: skip
def test_what_might_never_end_is_refused(pattern: str) -> None:
    """As a matcher that is none: a command or file with it is refused, and stops no worker."""
    with pytest.raises(MatcherError):
        Matcher("service", "=~", pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "chat.*", "(foo|bar)-[0-9]+", r"gpu-[0-9]+(\.[a-z]+)*", "([a-z]+-)*prod", "a.b.*", "",
        "(?i)gpt-4(o|\\.1)?(-mini)?", "[^-]*-(eu|us)-[0-9]{1,3}", "(?>a+)b", "low|medium",
    ],
)  # fmt: skip
def test_what_people_write_is_not(pattern: str) -> None:
    """Repetitions that have a character of their own around them are clear."""
    assert why_not(pattern) is None


@given(PIECES, st.sampled_from(["a", "b", "ab", "a-", "aab"]))
def test_what_is_let_through_ends_soon(pattern: str, text: str) -> None:
    """Also where it does not match, which is what takes long."""
    if why_not(pattern) is None:
        compiled = re.compile(pattern)
        began = time.process_time()
        compiled.fullmatch((text * 40)[:40] + "!")
        assert time.process_time() - began < 1
