"""Matchers of labels: Alertmanager's operators, as written and as records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_streams.alerts.matcher import OPERATORS, Matcher, all_match
from inferwatch_streams.errors import MatcherError


@pytest.mark.parametrize(
    ("text", "value", "matches"),
    [
        ('service="chat"', "chat", True),
        ("service=chat", "chat", True),
        ("service!=chat", "chat", False),
        ("service=~ch.*", "chat", True),
        ("service=~ha", "chat", False),
        ("service!~a|b", "chat", True),
        ('service=""', "", True),
    ],
)
def test_each_operator_holds_the_whole_value(text: str, value: str, *, matches: bool) -> None:
    """A regular expression matches the whole value or not at all."""
    assert Matcher.parse(text).matches({"service": value}) is matches


def test_an_absent_label_counts_as_empty() -> None:
    """As in Alertmanager."""
    assert Matcher.parse('model=""').matches({})
    assert not Matcher.parse("model=~.+").matches({})
    assert all_match((), {})


@given(name=st.from_regex(r"[a-z_]\w*", fullmatch=True).filter(str.isascii), value=st.text())
def test_what_is_written_is_read_again(name: str, value: str) -> None:
    """Any text may be the value."""
    for operator in OPERATORS[:2]:
        matcher = Matcher(name, operator, value)
        assert Matcher.parse(str(matcher)) == matcher
        assert Matcher.from_record(matcher.to_record()) == matcher


@pytest.mark.parametrize("text", ["", "service", "=chat", "service=~[", "1a=b"])
def test_what_is_no_matcher_is_told(text: str) -> None:
    """Also a regular expression that is none."""
    with pytest.raises(MatcherError):
        Matcher.parse(text)


def test_an_unknown_operator_is_told() -> None:
    """A record may have been written by somebody else."""
    with pytest.raises(MatcherError, match="no operator"):
        Matcher.from_record({"name": "service", "operator": "==", "value": "chat"})
