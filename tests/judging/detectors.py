"""Three ways to tell that a service is unwell, on the same rows: ours, three sigma, a threshold."""

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from petshop import HISTORY, ROW, Floats, Scenario, scenarios

from inferwatch_streams.backtest.episode import Episode
from inferwatch_streams.backtest.scoring import Score, score
from inferwatch_streams.statistics.anomaly import robust_seasonals
from inferwatch_streams.statistics.shares import share_scores

METRICS = ("latency", "availability")
EVER = 0
"""As a past: all rows since the first."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What makes one metric's alert.

    Attributes:
        kind: Key of ``SCORES``.
        limit: The score from which on the condition holds.
        rows: Rows whose sum is judged; for errors only.
        held: Rows in a row for which it has to hold.
        past: Rows that the score looks back to.
        least_spread: For latencies of ours: see ``robust_seasonals``.
    """

    kind: str
    limit: float
    rows: int = 1
    held: int = 1
    past: int = HISTORY
    least_spread: float = 0.01


Detector = tuple[Limit, Limit]
"""Of latency, and of errors."""


def options(name: str, past: int = HISTORY) -> Iterator[Detector]:
    """All that a detector may be tuned to."""
    helds, rows = (1, 2), (1, 2)
    for held, held_errors, summed in itertools.product(helds, helds, rows):
        if name == "threshold":
            latencies = (0.1, 0.11, 0.12, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)
            shares = (0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
            for latency, share in itertools.product(latencies, shares):
                yield (
                    Limit("mean", latency, held=held),
                    Limit("share", share, summed, held_errors),
                )
        elif name == "three sigma":
            yield (
                Limit("sigmas of mean", 3.0, held=held, past=past),
                Limit("sigmas of share", 3.0, summed, held_errors, past),
            )
        else:
            for latency, least, errors in itertools.product(
                (3.5, 5.0), (0.05, 0.1), (3.5, 4, 5, 6)
            ):
                yield (
                    Limit("anomaly", latency, held=held, past=past, least_spread=least),
                    Limit("unusual share", errors, summed, held_errors, past),
                )


def judged(detector: Detector, part: str) -> Score:
    """A detector's score on the rows and incidents of a part.

    An incident is found by an alert of its metric on the front or on the service that is its cause.
    An alert is true if it fires while any incident lasts: neighbours of the cause suffer, too.
    """
    total = Score(true_episodes=0, false_episodes=0, delays={}, missed=())
    for scenario in scenarios():
        episodes = [
            episode
            for metric, limit in zip(METRICS, detector, strict=True)
            for episode in _episodes(scenario, metric, limit, part)
        ]
        found = score(episodes, scenario.incidents[part])
        alerts = score(episodes, scenario.troubled[part])
        total += Score(
            true_episodes=alerts.true_episodes,
            false_episodes=alerts.false_episodes,
            delays=found.delays,
            missed=found.missed,
        )
    return total


def best(name: str, part: str, past: int = HISTORY) -> Detector:
    """The options with the best F1 on a part; of equal ones the one that is soonest."""
    return max(options(name, past), key=lambda each: _rank(judged(each, part)))


def _rank(found: Score) -> tuple[float, float]:
    delay = found.median_delay
    return round(found.f1, 3), -(math.inf if delay is None else delay)


def _episodes(scenario: Scenario, metric: str, limit: Limit, part: str) -> list[Episode]:
    with np.errstate(invalid="ignore"):
        holds = _scores(scenario, limit) >= limit.limit
    since = _run_lengths(holds, scenario.adjacent)
    services, rows = np.nonzero((since == limit.held) & (scenario.parts == part))
    fired = ((scenario.times[rows] + ROW) * 1e6).astype(np.int64).tolist()
    return [
        Episode(
            rule=metric,
            severity="high",
            labels={"service": scenario.services[service]},
            started_at=at - (limit.held - 1) * ROW * 1_000_000,
            fired_at=at,
        )
        for service, at in zip(services.tolist(), fired, strict=True)
    ]


def _run_lengths(holds: NDArray[np.bool_], adjacent: NDArray[np.bool_]) -> NDArray[np.int64]:
    lengths = np.zeros(holds.shape, np.int64)
    for row in range(holds.shape[1]):
        before = lengths[:, row - 1] if adjacent[row] else 0
        lengths[:, row] = np.where(holds[:, row], before + 1, 0)
    return lengths


def _scores(scenario: Scenario, limit: Limit) -> Floats:
    return _scored(scenario, limit.kind, limit.rows, limit.past, limit.least_spread)


@cache
def _scored(scenario: Scenario, kind: str, rows: int, past: int, least_spread: float) -> Floats:
    errors, requests = scenario.errors, scenario.requests
    if rows > 1:
        errors, requests = (
            _with_row_before(each, scenario.adjacent) for each in (errors, requests)
        )
    share = np.divide(errors, requests, out=np.full(errors.shape, np.nan), where=requests > 0)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # Of services that nobody called there is no mean.
        warnings.simplefilter("ignore", RuntimeWarning)
        match kind:
            case "mean":
                return scenario.latency
            case "share":
                return share
            case "sigmas of mean":
                return _by_past(lambda p, n: _sigmas(p[0], n[0]), [scenario.latency], past)
            case "sigmas of share":
                return _by_past(lambda p, n: _sigmas(p[0], n[0]), [share], past)
            case "anomaly":
                return _by_past(
                    lambda p, n: (
                        robust_seasonals(p[0], n[0], period=None, least_spread=least_spread).score
                    ),
                    [scenario.latency],
                    past,
                )
            case "unusual share":
                return _by_past(
                    lambda p, n: share_scores(p[0], p[1], n[0], n[1]),
                    [errors, requests],
                    past,
                )
    raise ValueError(kind)


def _sigmas(past: Floats, now: Floats) -> Floats:
    """Standard deviations from the mean. A past that never moved is left by any other value."""
    away = now - np.nanmean(past, axis=1)
    deviations: Floats = away / np.nanstd(past, axis=1)
    return np.where(away == 0, 0.0, deviations)


def _by_past(
    judge: Callable[[list[Floats], list[Floats]], Floats], tables: list[Floats], past: int
) -> Floats:
    """Scores of each row beside the rows before it."""
    count = tables[0].shape[1]
    scores = np.full(tables[0].shape, np.nan)
    for row in range(1, count):
        begin = 0 if past == EVER else max(0, row - past)
        scores[:, row] = judge(
            [table[:, begin:row] for table in tables], [table[:, row] for table in tables]
        )
    return scores


def _with_row_before(table: Floats, adjacent: NDArray[np.bool_]) -> Floats:
    before = np.roll(table, 1, axis=1)
    return table + np.where(adjacent, before, 0.0)
