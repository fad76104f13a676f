"""How a soak judges its samples: lag, trends of memory, growth of cost."""

import pytest

from tests.benchmarks.deployment import Usage
from tests.benchmarks.soak_samples import Lag, Sample, seconds_behind
from tests.benchmarks.soak_verdict import MIB, theil_sen, verdict

HOUR = 3600.0


def samples(*, mib_per_hour: float = 0.0, lag: float = 0.5, late_cost: float = 1.0) -> list[Sample]:
    """An hour of samples, a minute apart: 1,000 events and 0.1 CPU seconds each second."""
    found = []
    cpu = 0.0
    for minute in range(61):
        at = minute * 60.0
        cpu += 6.0 * (late_cost if at > HOUR / 2 else 1.0)
        worker = Usage(cpu, round((200 + mib_per_hour * at / HOUR) * MIB))
        lags = {role: Lag(lag, 1, "requests/0") for role in ("aggregation", "sink")}
        found.append(Sample(at, minute * 60_000, (worker,), Usage(0, 0), Usage(0, 0), lags))
    return found


def test_an_even_soak_holds() -> None:
    """Flat memory, short lag and even cost hold."""
    assert all(claim.holds for claim in verdict(samples(), HOUR))


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (samples(mib_per_hour=60.0), "memory"),
        (samples(mib_per_hour=18.0), "an hour"),
        (samples(lag=20.0), "lag"),
        (samples(late_cost=1.5), "CPU"),
    ],
)
def test_what_grows_does_not_hold(found: list[Sample], what: str) -> None:
    """Growing memory, long lag and growing cost are each told, and nothing else."""
    wrong = [claim.text for claim in verdict(found, HOUR) if not claim.holds]
    assert wrong
    assert all(what in text for text in wrong)


def test_too_few_samples_do_not_hold() -> None:
    """A soak that was interrupted early proves nothing."""
    assert [claim.holds for claim in verdict(samples()[:20], HOUR)] == [False]


def test_the_slope_ignores_outliers() -> None:
    """A few wild points do not move the slope of the others."""
    points = [(float(x), 3.0 * x) for x in range(30)]
    points[4], points[20] = (4.0, 1e6), (20.0, -1e6)
    assert theil_sen(points) == pytest.approx(3.0)


HISTORY = [(10.0, 100), (20.0, 200), (30.0, 200), (40.0, 300)]


@pytest.mark.parametrize(
    ("position", "seconds"),
    [(300, 0.0), (350, 0.0), (250, 5.0), (200, 10.0), (150, 25.0), (50, 30.0)],
)
def test_lag_is_the_age_of_the_first_missing_event(position: int, seconds: float) -> None:
    """A position is as old as the time at which the log grew beyond it."""
    assert seconds_behind(HISTORY, position, 40.0) == pytest.approx(seconds)
