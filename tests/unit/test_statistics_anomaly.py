"""How unusual a value is beside its past, beside a plain reading of the definition."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_streams.statistics.anomaly import (
    LARGEST_SCORE,
    LEAST_ERRORS,
    robust_seasonal,
    robust_seasonals,
)

LEVELS = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda level: round(level, 3))
PASTS = st.lists(st.one_of(LEVELS, st.just(math.nan)), max_size=40)


def plain(history: list[float], now: float, period: int | None) -> tuple[float, float]:
    """The definition, value by value: expectation, and score."""

    def expected_at(i: int, known: list[float]) -> float:
        seen = known if period is None else [known[j] for j in range(i - period, -1, -period)]
        seen = [value for value in seen if not math.isnan(value)]
        return statistics.median(seen) if seen else math.nan

    expected = expected_at(len(history), history)
    errors = [
        abs(history[i] - (expected if period is None else expected_at(i, history[:i])))
        for i in range(len(history))
    ]
    errors = [error for error in errors if not math.isnan(error)]
    if len(errors) < LEAST_ERRORS or math.isnan(expected):
        return expected, math.nan
    usual = max(1.4826 * statistics.median(errors), 0.01 * abs(expected))
    if usual == 0:
        score = math.copysign(math.inf, now - expected) if now != expected else 0.0
    else:
        score = (now - expected) / usual
    return expected, max(-LARGEST_SCORE, min(LARGEST_SCORE, score))


@given(history=PASTS, now=LEVELS, period=st.one_of(st.none(), st.integers(1, 12)))
def test_scores_are_those_of_the_definition(
    history: list[float], now: float, period: int | None
) -> None:
    """With gaps, constants and short pasts, with and without a season."""
    found = robust_seasonal(np.array(history, np.float64), now, period=period)
    expected, score = plain(history, now, period)
    assert found.expected == pytest.approx(expected, nan_ok=True)
    assert found.score == pytest.approx(score, nan_ok=True)
    if not math.isnan(score):
        assert (abs(found.score) > 3.5 + 1e-9) <= (not found.lower <= now <= found.upper)


@given(
    pasts=st.integers(0, 20).flatmap(
        lambda n: st.lists(
            st.lists(st.one_of(LEVELS, st.just(math.nan)), min_size=n, max_size=n),
            min_size=1,
            max_size=3,
        )
    ),
    period=st.one_of(st.none(), st.integers(1, 12)),
)
def test_many_groups_are_judged_as_one_alone(pasts: list[list[float]], period: int | None) -> None:
    """A group's score does not depend on its neighbours."""
    now = np.arange(len(pasts), dtype=np.float64)
    together = robust_seasonals(np.array(pasts, np.float64), now, period=period)
    for i, past in enumerate(pasts):
        alone = robust_seasonal(np.array(past, np.float64), now[i], period=period)
        assert together.score[i] == pytest.approx(alone.score, nan_ok=True)


def test_a_day_that_repeats_is_expected_and_its_absence_is_not() -> None:
    """A daily peak is no anomaly at its hour, and one at another hour."""
    hours = np.arange(7 * 24)
    noise = np.random.default_rng(3).normal(0, 1, 7 * 24)
    history = 100 + 50 * (hours % 24 == 0) + noise
    assert abs(robust_seasonal(history, 150.0, period=24).score) < 3.5
    assert robust_seasonal(history, 100.0, period=24).score < -20
    assert robust_seasonal(history[:-1], 150.0, period=24).score > 20


def test_outages_in_the_past_do_not_hide_the_next() -> None:
    """With a third of the past broken, a broken value is still far out; three sigma are blind."""
    history = np.tile([1.0, 1.1, 0.9, 1.05, 0.95, 1.0, 50.0, 60.0, 70.0], 10)
    assert robust_seasonal(history, 60.0, period=None).score > 100
    assert history.mean() + 3 * history.std() > 60.0


def test_normal_noise_scores_beyond_three_and_a_half_once_in_two_thousand() -> None:
    """The score is a standard deviation where errors are normal."""
    random = np.random.default_rng(9)
    found = robust_seasonals(
        random.normal(0, 1, (4000, 500)), random.normal(0, 1, 4000), period=None
    )
    assert np.mean(np.abs(found.score) > 2) == pytest.approx(0.0455, abs=0.01)


def test_a_past_that_never_moved_is_left_by_what_counts_only() -> None:
    """One percent of a constant is no change; from zero anything is, with a number."""
    constant = np.full(20, 5.0)
    assert abs(robust_seasonal(constant, 5.05, period=None).score) <= 1.0 + 1e-9
    assert robust_seasonal(constant, 6.0, period=None).score == pytest.approx(20)
    assert robust_seasonal(np.zeros(20), 0.0, period=None).score == 0
    assert robust_seasonal(np.zeros(20), 0.1, period=None).score == LARGEST_SCORE


@pytest.mark.parametrize("now", [math.nan, math.inf])
def test_what_is_missing_or_infinite_is_not_judged_below_the_largest(now: float) -> None:
    """A missing value has no score; an infinite one the largest."""
    score = robust_seasonal(np.arange(20.0), now, period=None).score
    assert math.isnan(score) if math.isnan(now) else score == LARGEST_SCORE
