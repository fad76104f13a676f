"""Thresholds, burn rates and absence, each evaluated on windows that are kept in plain lists."""

from typing import Any

import pytest
from dictionary_windows import NOW, SECOND, SLOT, DictionaryWindows
from evaluated_rules import (
    BASE,
    BY,
    began_before,
    evaluated,
    in_plain_words,
    loads,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.configuration.durations import DAY, HOUR, MINUTE
from inferwatch_streams.rules.definition import (
    Absence,
    BurnRate,
    Threshold,
)
from inferwatch_streams.statistics.burn_rate import PAGE, BurnPair


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
