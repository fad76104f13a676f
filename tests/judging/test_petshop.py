"""Our detector on real incidents, beside three sigma and a fixed threshold."""

import pytest
from detectors import Detector, Limit, judged
from petshop import ARCHIVE, HISTORY, PARTS, scenarios

from inferwatch_streams.backtest.scoring import Score

pytestmark = pytest.mark.skipif(
    not ARCHIVE.exists(),
    reason="petshop.tar.gz is absent: set INFERWATCH_PUBLIC_TRACES to the folder of public traces",
)
# By the part that report.py tunes them on; all have the same five hours of past.
OURS = {
    "train": (Limit("anomaly", 5.0, held=2, least_spread=0.05), Limit("unusual share", 6.0)),
    "test": (
        Limit("anomaly", 5.0, held=2, least_spread=0.1),
        Limit("unusual share", 5.0, rows=2),
    ),
}
THREE_SIGMA = {
    "train": (Limit("sigmas of mean", 3.0, held=2), Limit("sigmas of share", 3.0, held=2)),
    "test": (Limit("sigmas of mean", 3.0, held=2), Limit("sigmas of share", 3.0, rows=2)),
}
THRESHOLD = {
    "train": (Limit("mean", 0.11, held=2), Limit("share", 0.01, held=2)),
    "test": (Limit("mean", 0.3, held=2), Limit("share", 0.005, held=2)),
}


def on_the_other_part(tuned: dict[str, Detector]) -> Score:
    """The score on all incidents, each judged by what was tuned without it."""
    return judged(tuned["train"], "test") + judged(tuned["test"], "train")


def test_the_data_are_what_they_are_said_to_be() -> None:
    """Of 68 incidents 36 are of latency; healthy days have 589 rows."""
    found = [
        incident for each in scenarios() for part in PARTS for incident in each.incidents[part]
    ]
    assert len(found) == len({incident.name for incident in found}) == 68
    assert sum(incident.matchers[0].value == "latency" for incident in found) == 36
    assert sum((each.parts == "").sum() for each in scenarios()) == 2 * HISTORY + 2 * 589


@pytest.mark.parametrize("other", [THREE_SIGMA, THRESHOLD], ids=["three sigma", "threshold"])
def test_ours_finds_more_of_68_incidents_and_sooner(other: dict[str, Detector]) -> None:
    """With a better precision; docs/backtesting.md has all numbers."""
    ours, theirs = on_the_other_part(OURS), on_the_other_part(other)
    assert len(ours.delays) + len(ours.missed) == 68
    assert ours.recall > 0.9 > theirs.recall
    assert ours.precision > theirs.precision
    assert ours.median_delay is not None
    assert theirs.median_delay is not None
    assert ours.median_delay < theirs.median_delay
