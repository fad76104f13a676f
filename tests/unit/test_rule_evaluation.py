"""What many rules have in common: spans, conditions, what is asked once, and what fails alone."""

from typing import Any

import pytest
from dictionary_windows import NOW, SECOND, SLOT, DictionaryWindows
from evaluated_rules import BASE, BY, evaluated, with_latencies
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from inferwatch_streams.alerts.matcher import OPERATORS, Matcher, all_match
from inferwatch_streams.configuration.durations import DAY, HOUR, MINUTE
from inferwatch_streams.errors import RuleFailedError
from inferwatch_streams.rules.completeness import Gap
from inferwatch_streams.rules.definition import (
    Against,
    Change,
    Completeness,
    Threshold,
)
from inferwatch_streams.rules.evaluation import Evaluator
from inferwatch_streams.rules.selections import Selections
from inferwatch_streams.rules.spans import past_span, slot_at, span_until, whole_spans


class _Gaps:
    def gaps(self, start: int, end: int) -> list[Gap]:
        assert end - start == HOUR
        return [
            Gap("inferwatch.requests", "a", "p1", made=100, missing=1),
            Gap("inferwatch.requests", "a", "p2", made=100, missing=5),
            Gap("inferwatch.requests", "b", "p3", made=100, missing=0),
        ]


def test_events_that_never_came_are_counted_by_who_made_them() -> None:
    """Where somebody knows of them; elsewhere the rule fails, and says why."""
    rule = Completeness(**BASE, window=HOUR, above=0.02, by=("source",))
    (found,) = evaluated(rule, DictionaryWindows(), NOW, _Gaps())
    assert (found.labels, found.value, found.samples) == ({"source": "a"}, 0.03, 200)
    with pytest.raises(RuleFailedError, match="ClickHouse"):
        evaluated(rule, DictionaryWindows(), NOW)


def test_an_evaluator_asks_once_for_what_many_rules_read() -> None:
    """And finds what each rule finds alone; what one minute found holds until the next."""
    windows = with_latencies(DAY, 1.8)
    rules = [
        Threshold(
            **{**BASE, "name": f"t{n}"}, measure="latency_p95", window=5 * MINUTE, limit=n / 10,
            above=True, by=("service",), where=(Matcher("service", "=", "a"),) if n % 2 else (),
        )
        for n in range(30)
    ]  # fmt: skip
    slow = Change(
        **{**BASE, "name": "slow"}, measure="latency_p95", window=10 * MINUTE,
        against=Against(past=DAY), increase=1.5, by=("service",),
    )  # fmt: skip
    evaluator = Evaluator()
    first = evaluator.tick([*rules, slow], windows, NOW)
    assert windows.asked == 3
    for rule in (*rules, slow):
        assert list(first.findings[rule.name]) == list(evaluated(rule, windows, NOW))
    windows.asked = 0
    second = evaluator.tick([slow], windows, NOW + SECOND)
    assert second.findings["slow"] is first.findings["slow"]
    assert windows.asked == 0


@settings(max_examples=50, deadline=None)
@given(at=st.integers(NOW, NOW + DAY), window=st.integers(1, 3 * DAY // SLOT))
def test_spans_lie_on_slots_and_are_long_enough(at: int, window: int) -> None:
    """And no longer than a slot more, and one before does not reach into the present one."""
    length = window * SLOT
    now = span_until(at, length)
    assert now.end == at
    assert now.start % slot_at(length) == 0
    assert length <= at - now.start < length + slot_at(length)
    for past in (length, DAY, 7 * DAY):
        earlier = past_span(at, past, length)
        assert earlier.end <= now.start
        assert earlier.start % slot_at(at - earlier.start) == 0 or slot_at(length) < HOUR
        assert earlier.end - earlier.start >= length
    spans = whole_spans(at, length, 3)
    assert [span.end - span.start for span in spans] == [length] * 3
    assert spans[0].end == spans[1].start
    assert at - length < spans[-1].end <= at


@settings(max_examples=50, deadline=None)
@given(
    groups=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), unique=True),
    operator=st.sampled_from(OPERATORS),
    value=st.sampled_from(["a", "b|c", "z", ""]),
)
def test_conditions_choose_the_groups_that_they_match(
    groups: list[tuple[str, str]], operator: str, value: str
) -> None:
    """As each of them asked alone; also again, and of other groups at the same address."""
    selections = Selections()
    where = (Matcher("service", operator, value), Matcher("model", "!=", "y"))
    expected = [k for k, g in enumerate(groups) if all_match(where, dict(zip(BY, g, strict=True)))]
    for _ in range(3):
        chosen = selections.chosen(BY, tuple(groups), where)
        assert chosen.tolist() == expected
        selections.turn()
        assert selections.chosen(BY, (), where).tolist() == []


def test_a_defect_of_one_kind_is_told_once_and_stops_no_other() -> None:
    """With its traceback, as it is ours to repair."""
    fields: dict[str, Any] = {"window": MINUTE, "limit": 0, "above": True, "severity": "low"}
    broken = Threshold(name="broken", measure="no such measure", **fields)
    sound = Threshold(name="sound", measure="request_rate", **fields)
    windows = DictionaryWindows()
    windows.calls({}, NOW - SECOND, 1)
    evaluator = Evaluator()
    with capture_logs() as logs:
        for tick in range(3):
            found = evaluator.tick([broken, sound], windows, NOW + tick)
    assert len(found.findings["sound"]) == 1
    assert found.failures.keys() == {"broken"}
    (log,) = logs
    assert isinstance(log["exc_info"], KeyError)
