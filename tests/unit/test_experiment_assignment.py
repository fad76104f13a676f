"""Who gets which variant: shares, stickiness, status, dates, forced users and namespaces."""

import math
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_agents.experiments.assignment import assigned
from inferwatch_agents.experiments.definition import Experiment, Namespace

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PROMPT = Experiment("prompt", {"short": 0.5, "long": 0.5})
USERS = [f"user-{number}" for number in range(2000)]

weights = st.lists(st.integers(1, 20), min_size=2, max_size=4).map(
    lambda parts: {f"v{index}": part / sum(parts) for index, part in enumerate(parts)}
)
experiments = st.builds(Experiment, st.text(min_size=1), weights, coverage=st.floats(0, 1))
BUCKET = 1e-4


def variant(experiment: Experiment, user: str, now: datetime = NOW) -> str | None:
    """The variant alone."""
    found = assigned(experiment, user, now)
    return found and found.variant


@settings(max_examples=20, deadline=None)
@given(experiments)
def test_shares_are_the_weights(experiment: Experiment) -> None:
    """Of many users each variant gets its weight times the coverage, within six deviations."""
    found = [variant(experiment, user) for user in USERS]
    for name, weight in experiment.variants.items():
        share = weight * experiment.coverage
        # A bucket is 1/10,000 wide, and is in whole or not at all.
        deviation = math.sqrt(max(share * (1 - share), BUCKET) / len(USERS))
        assert abs(found.count(name) / len(USERS) - share) <= 6 * deviation + BUCKET


@given(experiments, st.floats(0, 1), st.text(min_size=1))
def test_more_coverage_moves_nobody(experiment: Experiment, coverage: float, user: str) -> None:
    """Who was in stays in, with the same variant."""
    before, after = sorted([experiment.coverage, coverage])
    was = variant(replace(experiment, coverage=before), user)
    if was is not None:
        assert variant(replace(experiment, coverage=after), user) == was


@given(experiments, st.text(min_size=1))
def test_nothing_else_moves_anybody(experiment: Experiment, user: str) -> None:
    """A user keeps a variant while weights, seed and coverage stay, whatever else changes."""
    other = replace(experiment, metrics=("m",), description="d", ends_at=NOW + HOUR)
    later = NOW + timedelta(minutes=59)
    assert variant(experiment, user) == variant(other, user, later)
    assert variant(replace(experiment, seed=experiment.key), user) == variant(experiment, user)


def test_another_process_says_the_same() -> None:
    """Nothing depends on Python's own hash, which differs from process to process."""
    program = (
        "from datetime import UTC, datetime\n"
        "from inferwatch_agents.experiments.assignment import assigned\n"
        "from inferwatch_agents.experiments.definition import Experiment\n"
        "prompt = Experiment('prompt', {'short': 0.5, 'long': 0.5})\n"
        "now = datetime(2026, 1, 31, 12, tzinfo=UTC)\n"
        "print([assigned(prompt, f'user-{n}', now).variant for n in range(50)])"
    )
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.strip() == repr([variant(PROMPT, user) for user in USERS[:50]])


@pytest.mark.parametrize("status", ["draft", "paused", "stopped"])
def test_nobody_is_assigned_but_while_it_runs(status: str) -> None:
    """Forced users neither."""
    other = replace(PROMPT, status=status, forced={"user-1": "long"})
    assert {assigned(other, user, NOW) for user in USERS[:50]} == {None}


def test_a_winner_is_for_everybody_and_not_counted() -> None:
    """Once it is stopped, whatever the dates, the coverage and the user."""
    over = replace(PROMPT, status="stopped", winner="long", coverage=0, ends_at=NOW - HOUR)
    assert {assigned(over, user, NOW) for user in ["", *USERS[:50]]} == {("long", False)}


def test_dates_are_honoured() -> None:
    """The start is in, the end is out."""
    dated = replace(PROMPT, starts_at=NOW, ends_at=NOW + HOUR)
    times = [NOW - timedelta(microseconds=1), NOW, NOW + HOUR - timedelta(microseconds=1)]
    found = [variant(dated, "user-1", time) is not None for time in [*times, NOW + HOUR]]
    assert found == [False, True, True, False]


def test_forced_users_get_theirs_and_are_not_counted() -> None:
    """Whatever the hash and the coverage say; others are dealt a variant."""
    forced = replace(PROMPT, forced={"user-1": "long", "user-2": "short"})
    nobody = replace(forced, coverage=0)
    for experiment in (forced, nobody):
        assert assigned(experiment, "user-1", NOW) == ("long", False)
        assert assigned(experiment, "user-2", NOW) == ("short", False)
    assert assigned(forced, "user-3", NOW) == (variant(PROMPT, "user-3"), True)


def test_namespaces_keep_experiments_apart() -> None:
    """Two with ranges that do not overlap share nobody, and have everybody between them."""
    parts = [
        replace(PROMPT, key=key, namespace=Namespace(name="n", start=start, end=end))
        for key, start, end in (("one", 0.0, 0.3), ("two", 0.3, 1.0))
    ]
    found = [[variant(part, user) is not None for part in parts] for user in USERS]
    assert all(sum(pair) == 1 for pair in found)
    assert abs(sum(pair[0] for pair in found) / len(USERS) - 0.3) < 0.05


def test_the_empty_user_is_nobody() -> None:
    """A service that does not know its user must not put all of them into one variant."""
    assert assigned(PROMPT, "", NOW) is None
