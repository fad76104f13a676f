"""Kinds of rules, each evaluated on windows that are kept in plain lists."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from dictionary_windows import NOW, SECOND, SLOT, DictionaryWindows
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from inferwatch_streams.alerts.matcher import OPERATORS, Matcher, all_match
from inferwatch_streams.blocks.histogram import quantile
from inferwatch_streams.configuration.durations import DAY, HOUR, MINUTE
from inferwatch_streams.errors import RuleFailedError
from inferwatch_streams.rules.completeness import Gap
from inferwatch_streams.rules.definition import (
    Absence,
    Against,
    Anomaly,
    BurnRate,
    Change,
    Completeness,
    Forecast,
    Threshold,
)
from inferwatch_streams.rules.evaluation import Evaluator, evaluate
from inferwatch_streams.rules.finding import Finding
from inferwatch_streams.rules.selections import Selections
from inferwatch_streams.rules.spans import past_span, slot_at, span_until, whole_spans
from inferwatch_streams.rules.texts import DETAILS
from inferwatch_streams.statistics.burn_rate import PAGE, BurnPair

SERVICES = ("a", "b", "c")
BY = ("service", "model")
BASE: dict[str, Any] = {"name": "r", "severity": "low"}


def evaluated(
    rule: Any, windows: DictionaryWindows, at: int, gaps: Any = None
) -> Sequence[Finding]:
    """What a rule finds; each finding has the details that texts may name, and JSON can hold."""
    found = evaluate(rule, windows, at, gaps)
    for each in found:
        assert each.details.keys() == DETAILS[rule.kind].keys()
        json.dumps([each.details, each.value, each.threshold, each.samples], allow_nan=False)
    return found


def labels(findings: Any) -> list[dict[str, str]]:
    """Labels of findings, sorted."""
    return sorted((dict(each.labels) for each in findings), key=str)


@st.composite
def loads(draw: st.DrawFn) -> DictionaryWindows:
    """Calls of a few services and models over two hours."""
    windows = DictionaryWindows()
    for _ in range(draw(st.integers(0, 12))):
        count = draw(st.integers(1, 20))
        blocked = draw(st.integers(0, count))
        errors = draw(st.integers(0, count - blocked))
        windows.calls(
            {"service": draw(st.sampled_from(SERVICES)), "model": draw(st.sampled_from("xy"))},
            NOW - draw(st.integers(1, 7200)) * SECOND,
            count,
            errors,
            blocked,
            draw(st.sampled_from([0.0, 0.5, 1.0, 4.0, 60.0])),
            draw(st.sampled_from([0.0, 0.01])),
        )
    return windows


def in_plain_words(windows: DictionaryWindows, measure: str, window: int, group: Any) -> Any:
    """Value and samples of a measure, computed from the rows one by one."""
    start = span_until(NOW, window).start
    rows = [
        row
        for row in windows.rows["requests.v1"]
        if row.start >= start and (row.group["service"], row.group["model"]) == group
    ]
    calls = sum(row.fields["requests"] for row in rows)
    blocked = sum(row.fields["error_types:circuit_open"] for row in rows)
    if measure == "error_rate":
        made = calls - blocked
        errors = sum(row.fields["errors"] for row in rows) - blocked
        return (errors / made if made else math.nan), made
    if measure == "request_rate":
        return calls / ((NOW - start) / SECOND), calls
    if measure == "cost_usd_per_hour":
        usd = sum(row.fields["cost_usd_micros"] for row in rows) / 1e6
        return usd / ((NOW - start) / HOUR), calls
    bins = [pair for row in rows for pair in row.bins["duration_bin_counts"].items()]
    found = quantile(0.95, bins)
    return (math.nan if found is None else found), calls


def began_before(windows: DictionaryWindows, window: int, group: Any) -> bool:
    """Whether a group had calls before a window."""
    start = span_until(NOW, window).start
    return any(
        row.start < start and (row.group["service"], row.group["model"]) == group
        for row in windows.rows["requests.v1"]
    )


@settings(max_examples=50, deadline=None)
@given(
    windows=loads(),
    measure=st.sampled_from(["error_rate", "request_rate", "cost_usd_per_hour", "latency_p95"]),
    window=st.sampled_from([10 * SECOND, MINUTE, 5 * MINUTE, HOUR]),
    limit=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    above=st.booleans(),
    min_samples=st.integers(0, 5),
    where=st.sampled_from([(), (Matcher("service", "!=", "a"),)]),
)
def test_a_threshold_finds_what_a_plain_loop_finds(  # noqa: PLR0913, PLR0917  # drawn one by one
    windows: DictionaryWindows,
    measure: str,
    window: int,
    limit: float,
    above: bool,  # noqa: FBT001  # hypothesis draws it
    min_samples: int,
    where: tuple[Matcher, ...],
) -> None:
    """With the same values and samples."""
    rule = Threshold(
        **BASE, measure=measure, window=window, limit=limit, above=above, by=BY,
        min_samples=min_samples, where=where,
    )  # fmt: skip
    found = {tuple(f.labels.values()): (f.value, f.samples) for f in evaluated(rule, windows, NOW)}
    expected = {}
    for group in windows.last_seen("requests.v1", BY):
        value, samples = in_plain_words(windows, measure, window, group)
        holds = value > limit if above else value < limit
        if not above and measure in {"request_rate", "cost_usd_per_hour"}:
            # Of what is new, there is less than there will be.
            holds = holds and began_before(windows, window, group)
        if holds and samples >= min_samples and (not where or group[0] != "a"):
            expected[group] = (pytest.approx(value), samples)
    assert found == expected


def test_a_condition_on_what_groups_are_not_told_apart_by_is_asked_of_windows() -> None:
    """Other events of the same group do not count."""
    windows = DictionaryWindows()
    windows.calls({"service": "a", "model": "x"}, NOW - SECOND, 10, errors=10)
    windows.calls({"service": "a", "model": "y"}, NOW - SECOND, 10)
    rule = Threshold(
        **BASE, measure="error_rate", window=MINUTE, limit=0.6, above=True, by=("service",),
        where=(Matcher("model", "=", "x"),), labels=(("team", "search"),),
    )  # fmt: skip
    (found,) = evaluated(rule, windows, NOW)
    assert (found.labels, found.value) == ({"service": "a", "team": "search"}, 1.0)


def test_resources_have_means_extremes_increases_and_ratios() -> None:
    """Each by host and device; a ratio is of two metrics, and NaN where one is missing."""
    windows = DictionaryWindows()
    for metric, value in (
        ("disk_used_bytes", 90.0),
        ("disk_total_bytes", 100.0),
        ("gpu_ecc_uncorrected_errors", 3.0),
        ("gpu_ecc_uncorrected_errors", 5.0),
    ):
        windows.samples({"host": "h", "device": "d", "metric": metric}, NOW - SECOND, value)
    windows.samples({"host": "i", "device": "d", "metric": "disk_used_bytes"}, NOW - SECOND, 1.0)

    def value(measure: str) -> list[float | None]:
        rule = Threshold(
            **BASE, measure=measure, window=MINUTE, limit=0, above=True, by=("host", "device")
        )
        return [each.value for each in evaluated(rule, windows, NOW)]

    assert value("disk_used_ratio") == [0.9]
    assert value("avg(gpu_ecc_uncorrected_errors)") == [4.0]
    assert value("min(gpu_ecc_uncorrected_errors)") == [3.0]
    assert value("max(gpu_ecc_uncorrected_errors)") == [5.0]
    assert value("increase(gpu_ecc_uncorrected_errors)") == [2.0]


def test_evaluations_and_conversions_are_measured() -> None:
    """Accuracy is of its metric alone, feedback of users alone; conversions are over exposures."""
    windows = DictionaryWindows()
    for metric, kind, passed in (("accuracy", "test_set", 3), ("style", "user_feedback", 1)):
        group = {"service": "a", "metric": metric, "kind": kind}
        windows.add("evaluations", group, NOW - SECOND, evaluations=4, judged=4, passed=passed,
                    scored=4, score_micros=2e6)  # fmt: skip
    shown = {"experiment": "e", "variant": "v"}
    windows.add("exposures", shown, NOW - SECOND, exposures=50)
    windows.add("conversions", {**shown, "metric": "buy"}, NOW - SECOND, conversions=5, value_sum=9)

    def value(measure: str, *by: str, where: tuple[Matcher, ...] = ()) -> float | None:
        rule = Threshold(
            **BASE, measure=measure, window=MINUTE, limit=0, above=True, by=by, where=where
        )
        (found,) = evaluated(rule, windows, NOW)
        return found.value

    assert value("accuracy", "service") == 0.75
    assert value("positive_feedback", "service") == 0.25
    assert value("pass_rate", "service") == 0.5
    assert value("quality_score") == 0.5
    assert value("conversion_rate", "variant", where=(Matcher("metric", "=", "buy"),)) == 0.1
    assert value("conversion_value") == 1.8


@settings(max_examples=30, deadline=None)
@given(windows=loads(), objective=st.sampled_from([0.5, 0.9]), min_samples=st.integers(0, 5))
def test_a_burn_rate_holds_over_both_windows(
    windows: DictionaryWindows, objective: float, min_samples: int
) -> None:
    """As a plain loop over pairs and groups finds."""
    pairs = (BurnPair(HOUR, 5 * MINUTE, 1.5), BurnPair(30 * MINUTE, MINUTE, 3.0))
    rule = BurnRate(
        **BASE, sli="availability", objective=objective, pairs=pairs, by=BY, min_samples=min_samples
    )
    found = {tuple(f.labels.values()) for f in evaluated(rule, windows, NOW)}
    expected = set()
    for group in windows.last_seen("requests.v1", BY):
        for pair in pairs:
            long, samples = in_plain_words(windows, "error_rate", pair.long, group)
            short, _ = in_plain_words(windows, "error_rate", pair.short, group)
            burns = [share / (1 - objective) > pair.factor for share in (long, short)]
            if all(burns) and samples >= min_samples:
                expected.add(group)
    assert found == expected


def test_the_workbooks_pairs_fire_at_their_factors() -> None:
    """14.4 times the budget of 0.1 % over an hour and five minutes: 1.44 % of calls."""
    rule = BurnRate(**BASE, sli="availability", objective=0.999, pairs=PAGE[:1], by=("service",))
    for errors, fires in ((14, False), (15, True)):
        windows = DictionaryWindows()
        for minute in range(60):
            windows.calls({"service": "a"}, NOW - minute * MINUTE - SECOND, 1000, errors)
        assert bool(evaluated(rule, windows, NOW)) is fires
    (found,) = evaluated(rule, windows, NOW)
    assert found.value == pytest.approx(15.0)
    assert found.details["long"] == 3600


def test_latency_quality_and_money_burn() -> None:
    """Shares beyond a bound, shares that do not pass, and spending against a budget."""
    windows = DictionaryWindows()
    windows.calls({"service": "slow"}, NOW - SECOND, 10, seconds=3.0, usd=2.0)
    windows.calls({"service": "fast"}, NOW - SECOND, 10, seconds=1.0)
    group = {"service": "bad", "metric": "accuracy"}
    windows.add("evaluations", group, NOW - SECOND, evaluations=4, judged=4, passed=2, scored=4,
                score_micros=1e6)  # fmt: skip
    pairs = (BurnPair(HOUR, 5 * MINUTE, 2.0),)

    def burning(sli: str, **fields: Any) -> dict[str, float | None]:
        rule = BurnRate(**BASE, sli=sli, pairs=pairs, by=("service",), **fields)
        return {f.labels["service"]: f.value for f in evaluated(rule, windows, NOW)}

    assert burning("latency", bound=2 * SECOND, objective=0.9) == {"slow": pytest.approx(10.0)}
    assert burning("latency", bound=4 * SECOND, objective=0.9) == {}
    assert burning("quality", objective=0.9) == {"bad": pytest.approx(5.0)}
    assert burning("quality_score", objective=0.75) == {"bad": pytest.approx(3.0)}
    assert burning("money", budget_usd=24.0, period=DAY) == {}
    assert burning("money", budget_usd=12.0, period=DAY) == {"slow": pytest.approx(4.0)}


def with_latencies(past: int, factor: float) -> DictionaryWindows:
    """A service that answered in about a second so long ago, and in a multiple of it now."""
    windows = DictionaryWindows()
    for number in range(60):
        spread = [1.0 + 0.01 * (number * 7 % 60)] * 5
        windows.add("requests", {"service": "a", "model": "new"}, NOW - SLOT * number - SECOND,
                    durations=[factor * each for each in spread], requests=5)  # fmt: skip
        windows.add("requests", {"service": "a", "model": "old"},
                    NOW - past - SLOT * number - SECOND, durations=spread, requests=5)  # fmt: skip
    return windows


@pytest.mark.parametrize("past", [10 * MINUTE, DAY, 7 * DAY])
def test_a_change_against_its_own_past_is_found(past: int) -> None:
    """Where it is as large as the rule says, and sure."""
    rule = Change(
        **BASE, measure="latency_p95", window=10 * MINUTE, against=Against(past=past),
        increase=1.5, by=("service",), min_samples=100,
    )  # fmt: skip
    (found,) = evaluated(rule, with_latencies(past, 1.8), NOW)
    assert found.labels == {"service": "a"}
    assert found.details["factor"] == pytest.approx(1.8, rel=0.05)
    assert found.details["p_value"] < 0.001
    assert found.value == pytest.approx(found.details["before"] * found.details["factor"])
    assert evaluated(rule, with_latencies(past, 1.2), NOW) == []
    assert evaluated(rule, with_latencies(past + HOUR * 3, 1.8), NOW) == []


def test_few_events_do_not_make_a_change() -> None:
    """However large it looks."""
    windows = DictionaryWindows()
    for at, seconds in ((NOW - SECOND, 9.0), (NOW - 10 * MINUTE - SECOND, 1.0)):
        windows.calls({"service": "a"}, at, 2, seconds=seconds)
    rule = Change(
        **BASE, measure="latency_p95", window=10 * MINUTE, against=Against(past=10 * MINUTE),
        increase=1.5, by=("service",),
    )  # fmt: skip
    assert evaluated(rule, windows, NOW) == []


def test_a_version_is_held_against_the_one_it_replaced() -> None:
    """The one that was there a day ago, where this one was not; or one that is named."""
    windows = with_latencies(DAY, 1.8)
    against = Against(past=DAY, dimension="model")
    rule = Change(
        **BASE, measure="latency_p50", window=10 * MINUTE, against=against, increase=1.5, by=BY
    )
    (found,) = evaluated(rule, windows, NOW)
    assert (found.labels["model"], found.details["other"]) == ("new", "old")
    beside = with_latencies(DAY, 1.8)
    beside.calls({"service": "a", "model": "old"}, NOW - SECOND, 1000)
    assert evaluated(rule, beside, NOW) == []
    named = Change(
        **BASE, measure="latency_p50", window=10 * MINUTE, increase=1.5, by=BY,
        against=Against(dimension="model", value="old"),
    )  # fmt: skip
    assert evaluated(named, windows, NOW) == []
    (found,) = evaluated(named, with_latencies(0, 1.8), NOW)
    assert (found.labels["model"], found.details["other"]) == ("new", "old")


def test_shares_change_too() -> None:
    """A share is a histogram of two bins; from nothing, any number of times."""
    windows = DictionaryWindows()
    windows.calls({"service": "a"}, NOW - SECOND, 500, errors=50)
    windows.calls({"service": "a"}, NOW - 10 * MINUTE - SECOND, 500, errors=0)
    rule = Change(
        **BASE, measure="error_rate", window=10 * MINUTE, against=Against(past=10 * MINUTE),
        increase=2.0, at_least=0.05, by=("service",),
    )  # fmt: skip
    (found,) = evaluated(rule, windows, NOW)
    assert (found.value, found.details["factor"], found.details["before"]) == (0.1, None, 0.0)
    windows.calls({"service": "a"}, NOW - 2 * SECOND, 1000)
    assert evaluated(rule, windows, NOW) == []


@settings(max_examples=50, deadline=None)
@given(ages=st.lists(st.integers(0, 4000), max_size=5), min_samples=st.integers(0, 3))
def test_absence_finds_the_silent_that_are_not_given_up(ages: list[int], min_samples: int) -> None:
    """A group, by the age of its newest window."""
    windows = DictionaryWindows()
    for number, age in enumerate(ages):
        windows.calls({"service": str(number)}, NOW - age * SECOND, number)
    rule = Absence(
        **BASE, signal="requests", silent_for=5 * MINUTE, past=HOUR, by=("service",),
        min_samples=min_samples,
    )  # fmt: skip
    expected = set()
    for number, age in enumerate(ages):
        silent = NOW - ((NOW - age * SECOND) // SLOT * SLOT) - SLOT
        enough = number if silent + SLOT <= HOUR + MINUTE else 0
        if 5 * MINUTE <= silent <= HOUR and enough >= min_samples:
            expected.add(str(number))
    assert {f.labels["service"] for f in evaluated(rule, windows, NOW)} == expected


def test_a_group_that_is_named_is_missed_also_when_it_never_came() -> None:
    """And is never given up."""
    where = (Matcher("service", "=", "a"),)
    rule = Absence(
        **BASE, signal="requests", silent_for=MINUTE, past=HOUR, by=("service",), where=where
    )
    windows = DictionaryWindows()
    assert evaluated(rule, windows, NOW) == [], "of a new pipeline nothing is missing yet"
    windows.samples({"host": "h", "metric": "queue_size"}, NOW - 30 * SECOND, 1)
    assert evaluated(rule, windows, NOW) == [], "it may still come"
    windows.samples({"host": "h", "metric": "queue_size"}, NOW - 2 * MINUTE, 1)
    (found,) = evaluated(rule, windows, NOW)
    assert (found.labels, found.value) == ({"service": "a"}, None)
    windows.calls({"service": "a"}, NOW - DAY, 1)
    (found,) = evaluated(rule, windows, NOW)
    assert found.value == pytest.approx(86_400, abs=20)
    windows.calls({"service": "a"}, NOW - SECOND, 1)
    assert evaluated(rule, windows, NOW) == []


@pytest.mark.parametrize("by", [(), ("service",)])
def test_a_rate_is_too_low_only_where_its_window_is_full(by: tuple[str, ...]) -> None:
    """A service, or pipeline, of a minute ago has had no five minutes to make its calls in."""
    windows = DictionaryWindows()
    rule = Threshold(**BASE, measure="request_rate", window=5 * MINUTE, limit=1, above=False, by=by)
    for age in (1, 11, 61):
        windows.calls({"service": "new"}, NOW - age * SECOND, 20)
        assert evaluated(rule, windows, NOW) == []
    windows.calls({"service": "new"}, NOW - 400 * SECOND, 20)
    (found,) = evaluated(rule, windows, NOW)
    assert found.value == pytest.approx(0.2)
    (found,) = evaluated(rule, windows, NOW + HOUR)
    assert found.value == 0, "and goes on being so where it stops"


def test_a_disk_that_fills_is_foreseen() -> None:
    """One that only fluctuates is not, nor one that has time."""
    windows = DictionaryWindows()
    for minute in range(120):
        at = NOW - minute * MINUTE - SECOND
        for host, used in (
            ("fills", 90 - minute * 0.1),
            ("waits", 50 - minute * 0.01),
            ("still", 90 + minute * 37 % 3),
            ("over", 99.0),
        ):
            group = {"host": host, "device": "host"}
            windows.samples({**group, "metric": "disk_used_bytes"}, at, used)
            windows.samples({**group, "metric": "disk_total_bytes"}, at, 100.0)
    rule = Forecast(
        **BASE, measure="disk_used_ratio", window=2 * HOUR, limit=0.98, within=3 * HOUR,
        by=("host",),
    )  # fmt: skip
    found = {each.labels["host"]: each for each in evaluated(rule, windows, NOW)}
    assert found.keys() == {"fills", "over"}
    assert found["fills"].details["left"] == pytest.approx(80 * 60, rel=0.1)
    assert found["over"].details["left"] == 0.0
    free = Forecast(
        **BASE, measure="avg(disk_used_bytes)", window=2 * HOUR, limit=1.0, within=3 * HOUR,
        rising=False, by=("host",),
    )  # fmt: skip
    assert evaluated(free, windows, NOW) == []


def test_an_unusual_hour_is_found_beside_the_same_hour_of_other_days() -> None:
    """A daily rise is usual; five times as much is not, nor is silence."""
    windows = DictionaryWindows()
    for hour in range(24 * 6):
        at = NOW // HOUR * HOUR - hour * HOUR - MINUTE
        usual = 100 + (60 if hour % 24 < 6 else 0) + hour * 7 % 5
        for service, now in (("spike", 5 * usual), ("calm", usual), ("mute", 0)):
            windows.calls({"service": service}, at, usual if hour else now)
    windows.calls({"service": "new"}, NOW // HOUR * HOUR - MINUTE, 500)
    rules = {
        direction: Anomaly(
            **BASE, measure="request_rate", window=HOUR, history=5 * DAY, season=DAY,
            direction=direction, by=("service",), min_samples=50,
        )
        for direction in ("both", "above", "below")
    }  # fmt: skip
    found = {name: labels(evaluated(rule, windows, NOW)) for name, rule in rules.items()}
    assert evaluated(replace(rules["above"], at_least=1.0), windows, NOW) == []
    assert found == {
        "both": [{"service": "mute"}, {"service": "spike"}],
        "above": [{"service": "spike"}],
        "below": [{"service": "mute"}],
    }


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
