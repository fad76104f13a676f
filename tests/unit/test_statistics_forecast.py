"""When a level reaches its limit, beside lines whose answer is known."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_streams.statistics.forecast import MOST_POINTS, time_to


@given(
    slope=st.floats(0.01, 100),
    level=st.floats(-100, 100),
    ahead=st.floats(0.1, 1e6),
    n=st.integers(5, 40),
    rising=st.booleans(),
)
def test_a_line_reaches_its_limit_when_it_does(
    *, slope: float, level: float, ahead: float, n: int, rising: bool
) -> None:
    """Rising and falling lines are followed to the second."""
    times = 60.0 * np.arange(n)
    sign = 1 if rising else -1
    values = sign * (level + slope * times)
    limit = sign * (level + slope * (times[-1] + ahead))
    assert time_to(times, values, limit, rising=rising) == pytest.approx(ahead, rel=1e-4, abs=1e-3)
    assert time_to(times, values, limit, rising=not rising) == 0.0 or values[-1] != limit


def test_the_slope_is_the_median_of_all_pairs() -> None:
    """Beside a plain reading of the definition, with unequal steps and outliers."""
    random = np.random.default_rng(1)
    times = np.sort(random.uniform(0, 1000, 30))
    values = 3 + 0.5 * times + random.normal(0, 5, 30)
    values[[4, 17, 22]] += 5000
    slope = statistics.median(
        (values[j] - values[i]) / (times[j] - times[i])
        for i, j in itertools.combinations(range(30), 2)
    )
    level = statistics.median(values - slope * (times - times[-1]))
    assert time_to(times, values, 10_000.0) == pytest.approx((10_000 - level) / slope)
    assert slope == pytest.approx(0.5, rel=0.1)


def test_noise_is_on_its_way_nowhere_more_often_than_stated() -> None:
    """Of levels that only fluctuate, about a twentieth seem to rise."""
    random = np.random.default_rng(2)
    times = np.arange(30.0)
    told = [time_to(times, random.normal(0, 1, 30), 100.0) is not None for _ in range(600)]
    assert 0.02 < np.mean(told) < 0.08


def test_the_trend_of_kendalls_table_is_certain_from_four_points_on() -> None:
    """P(S = 6) is 1/24 for four points, below 5 %; three cannot reach it (Kendall's table)."""
    assert time_to(np.arange(4.0), np.arange(4.0), 10.0) == pytest.approx(7.0)
    assert time_to(np.arange(3.0), np.arange(3.0), 10.0) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([1.0], None),
        ([5.0] * 20, None),
        ([math.nan] * 20, None),
        (list(range(20, 0, -1)), None),
        ([10.0] * 20, 0.0),
        ([12.0], 0.0),
        ([0.0, 0.0, 0.0, 0.0, 1.0], None),
    ],
)
def test_what_stands_falls_or_says_nothing_has_no_time(
    values: list[float], expected: float | None
) -> None:
    """Constant, missing, falling and few points; a level that is there already needs none."""
    assert time_to(np.arange(float(len(values))), np.array(values, np.float64), 10.0) == expected


def test_gaps_and_equal_times_are_borne() -> None:
    """Missing values are left out, and pairs at one time have no slope."""
    times = np.repeat(np.arange(10.0), 2)
    values = times.copy()
    values[3] = math.nan
    assert time_to(times, values, 19.0) == pytest.approx(10.0)


def test_long_pasts_are_thinned_evenly() -> None:
    """Ten thousand points are judged as well as five hundred."""
    times = np.arange(20.0 * MOST_POINTS)
    assert time_to(times, times, times[-1] + 50) == pytest.approx(50.0)
