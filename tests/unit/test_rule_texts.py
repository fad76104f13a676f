"""What rules show of themselves: lengths of time, numbers, and which of them changed."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_streams.configuration.durations import DAY, MINUTE, duration, duration_text
from inferwatch_streams.rules.definition import Function, Threshold
from inferwatch_streams.rules.difference import difference
from inferwatch_streams.rules.finding import Finding
from inferwatch_streams.rules.texts import duration_in_words, rendered


@settings(deadline=None)
@given(st.integers(0, 400 * DAY // 1000).map(lambda milliseconds: milliseconds * 1000))
def test_a_length_of_time_is_read_as_it_is_written(length: int) -> None:
    """To the millisecond."""
    text = duration_text(length)
    assert len(text) > 11 or duration(text) == length


def test_numbers_are_written_in_their_units() -> None:
    """A share as per cent, a time in parts; what is unknown stands as a dash."""
    finding = Finding(
        labels={"service": "{value}"}, value=0.0712, threshold=0.05, samples=30,
        details={"window": 300.0},
    )  # fmt: skip
    rule = Threshold(name="r", severity="low", measure="error_rate", window=1, limit=1, above=True)
    text = "{service}: {value} > {threshold:.2f} of {samples} in {window}, {other}"
    assert rendered(text, finding, rule) == "{value}: 7.12 % > 0.05 of 30 in 5 m, -"
    assert rendered("{value:d}", finding, rule) == "0.0712"
    assert duration_in_words(100_000) == "1 d 3 h"


def test_a_reload_says_which_alerts_begin_anew() -> None:
    """Those whose condition is another; a text or severity changes nothing of it."""
    base: dict[str, Any] = {
        "measure": "error_rate", "window": MINUTE, "limit": 1.0, "above": True, "severity": "low"
    }  # fmt: skip
    old = [Threshold(name=name, **base) for name in "abcd"]
    new = [
        old[0],
        Threshold(name="b", **{**base, "limit": 2.0}),
        Threshold(name="c", **{**base, "severity": "high"}, summary="x", pending=MINUTE),
        Threshold(name="e", **base),
    ]
    found = difference(old, new)
    assert (found.kept, found.changed, found.retold) == (("a",), ("b",), ("c",))
    assert (found.added, found.removed) == (("e",), ("d",))
    assert str(found) == "1 added (e), 1 removed (d), 1 changed (b), 1 retold (c)"
    assert not difference(old, list(reversed(old)))


def test_the_id_of_a_condition_is_stable() -> None:
    """A later version of this program must not resolve all alerts."""
    rule = Function(name="f", severity="low", function="x", parameters={"b": [1], "a": {2: "c"}})
    same = Function(name="f", severity="high", function="x", parameters={"a": {2: "c"}, "b": [1]})
    assert rule.condition_id == same.condition_id
    threshold = Threshold(
        name="a", severity="low", measure="error_rate", window=MINUTE, limit=0.05, above=True
    )
    assert threshold.condition_id == "ac828355438f110c"
