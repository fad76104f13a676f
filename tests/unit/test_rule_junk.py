"""Whatever a file of rules says: it is refused with a line, or can be evaluated."""

import copy
import json
from typing import Any

import pytest
import yaml
from dictionary_windows import NOW, DictionaryWindows
from hypothesis import given, settings
from hypothesis import strategies as st
from written_rules import ONE_OF_EACH

from inferwatch_streams.configuration.durations import MINUTE, SECOND
from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.rules.burn_rate import SLIS
from inferwatch_streams.rules.completeness import Gap
from inferwatch_streams.rules.evaluation import Evaluator
from inferwatch_streams.rules.measure import SIGNALS
from inferwatch_streams.rules.measures import MEASURES
from inferwatch_streams.rules.reading import read_rules, schema

_KINDS = schema()["$defs"]["rule"]["allOf"]
_SENSE = {
    "measure": MEASURES, "sli": SLIS, "signal": SIGNALS, "where": [["service=a"], ["host!=x"]],
    "by": [["service"], ["service", "model"], ["host", "device"], ["topic"]],
    "window": ["10s", "10m", "1h", "1d", "3d"], "against": ["before", "yesterday", "last_week"],
    "min_samples": [1, 5], "above": [-1, 0], "limit": [-1, 0], "decrease": [0.5], "score": [0.1],
    "season": ["1h", "1d"], "history": ["10h", "2d"], "summary": ["{value} {threshold:.1f}"],
}  # fmt: skip
_PARSED = yaml.safe_load(ONE_OF_EACH)
_LETTERS = st.text("az{:} é", max_size=8)
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), _LETTERS,
    st.sampled_from(["0s", "10s", "999999999d", "1h", "{", "{value!r}", "service=a", "before"]),
    st.lists(_LETTERS, max_size=2), st.dictionaries(_LETTERS, st.integers(), max_size=2),
)  # fmt: skip


@st.composite
def drawn_rules(draw: st.DrawFn) -> dict[str, Any]:
    """A rule of some kind, two fields of which say anything."""
    rule: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(_PARSED["rules"])))
    (allowed,) = (
        sorted(each["then"]["properties"])
        for each in _KINDS
        if each["if"]["properties"]["kind"]["const"] == rule["kind"]
    )
    for field in draw(st.lists(st.sampled_from(allowed), max_size=2)):
        rule[field] = draw(st.one_of(JUNK, st.sampled_from(list(_SENSE.get(field, [None])))))
    return rule


@settings(max_examples=150, deadline=None)
@given(rule=drawn_rules())
def test_whatever_a_file_says_is_refused_or_can_be_evaluated(
    tmp_path_factory: pytest.TempPathFactory, rule: dict[str, Any]
) -> None:
    """By the one error that tells of it; a rule that is taken does not fail."""
    path = tmp_path_factory.getbasetemp() / "drawn.yaml"
    path.write_text(json.dumps({"rules": [rule]}), encoding="utf-8")
    try:
        rules = read_rules(path)
    except ConfigurationError:
        return
    found = Evaluator(_NoGaps()).tick(rules, _BUSY, NOW)
    assert found.failures == {}
    for each in found.findings[rule["name"]]:
        assert all(isinstance(text, str) for text in rules[0].render(each))


class _NoGaps:
    def gaps(self, start: int, end: int) -> list[Gap]:
        assert start < end
        return [Gap("t", "s", "p", 10, 5)]


def _busy() -> DictionaryWindows:
    windows = DictionaryWindows()
    for minute in (0, 1, 2, 30, 60, 1440, 10_080):
        for model in ("m", "n"):
            at = NOW - minute * MINUTE - SECOND
            windows.calls({"service": "a", "model": model}, at, 9, errors=minute % 7, usd=minute)
            windows.samples({"host": "h", "device": "d", "metric": "disk_used_bytes"}, at, minute)
            windows.samples({"host": "h", "device": "d", "metric": "disk_total_bytes"}, at, 100)
    return windows


_BUSY = _busy()
