"""How unusual a share is beside its past, beside the exact binomial distribution."""

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_streams.statistics.anomaly import LEAST_ERRORS, Anomaly
from inferwatch_streams.statistics.shares import share_scores, unusual_shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOWS = st.lists(
    st.integers(0, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), max_size=14
)


def judged(past: list[tuple[int, int]], now: int, total: int) -> Anomaly:
    """One group's verdict."""
    array: NDArray[np.float64] = np.array(past, np.float64).reshape(-1, 2)
    told = (array[np.newaxis, :, 0], array[np.newaxis, :, 1], np.array([now]), np.array([total]))
    found = unusual_shares(*told)
    np.testing.assert_array_equal(found.score, share_scores(*told))
    return Anomaly(
        float(found.score[0]),
        float(found.expected[0]),
        float(found.lower[0]),
        float(found.upper[0]),
    )


@pytest.mark.parametrize(("n", "p"), [(50, 0.02), (135, 0.01), (480, 0.002), (1000, 0.3)])
def test_scores_are_the_normal_deviates_of_the_binomial_tail(n: int, p: float) -> None:
    """Far out too: the tail that a score stands for is the exact one (half its own count)."""
    past = [(round(p * 100_000), 100_000)] * 20
    for k in range(math.ceil(n * p + 1), min(n, math.ceil(n * p + 40)), 4):
        terms = [math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1)]
        exact = sum(terms) - terms[0] / 2
        score = judged(past, k, n).score
        told = math.erfc(score / math.sqrt(2)) / 2
        if exact > 1e-200:
            assert abs(math.log(told) - math.log(exact)) < 0.35 + 0.06 * score, (k, told, exact)


def test_a_service_that_never_fails_raises_alarm_at_three_failures_of_a_hundred() -> None:
    """Not at one; nor does one that fluctuates between one and two percent at three."""
    faultless = [(0, 130)] * 72
    assert judged(faultless, 1, 130).score < 3.5 < judged(faultless, 3, 130).score
    wavering = [(1, 100), (2, 100)] * 36
    assert judged(wavering, 3, 100).score < 1


def test_a_fifth_of_the_past_in_outage_hides_nothing() -> None:
    """The band is of quartiles."""
    past = [(60, 100)] * 14 + [(1, 100)] * 58
    assert judged(past, 12, 100).score > 3.5


def test_a_pass_rate_that_falls_scores_below_zero() -> None:
    """Both sides are judged, and alike."""
    past, mirrored = [(95, 100), (97, 100)] * 20, [(5, 100), (3, 100)] * 20
    assert judged(past, 70, 100).score < -3.5
    assert judged(past, 70, 100).score == pytest.approx(-judged(mirrored, 30, 100).score)


@settings(max_examples=50)
@given(
    past=WINDOWS,
    now=st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
)
def test_bounds_are_where_the_score_reaches_the_threshold(
    past: list[tuple[int, int]], now: tuple[int, int]
) -> None:
    """And what is missing, or has no past, has no score."""
    found = judged(past, *now)
    known = sum(total > 0 for _, total in past) >= LEAST_ERRORS
    assert math.isnan(found.score) == (not known or not now[1])
    if not math.isnan(found.score):
        share = now[0] / now[1]
        assert 0 <= found.lower <= found.expected + 1e-9
        assert found.upper <= 1
        if abs(abs(found.score) - 3.5) > 1e-6:
            assert (abs(found.score) > 3.5) == (
                not found.lower - 1e-9 <= share <= found.upper + 1e-9
            )
