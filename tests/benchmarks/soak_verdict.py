"""What a soak must show, from its samples. Pure."""

import statistics
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from tests.benchmarks.claims import Claim
from tests.benchmarks.soak_samples import Sample

MIB = 2**20
# Growth of a worker's memory over the second half, and over everything after warm-up.
MAX_MIB_PER_HOUR = 16.0
MAX_GROWTH = 0.10
# A trend of a few minutes says nothing about an hour.
TREND_SECONDS = 20 * 60.0
LAG_P99_SECONDS = 5.0
LAG_MAX_SECONDS = 15.0
MAX_COST_GROWTH = 0.15
# Samples whose median is the memory at a time, and most points a slope is made from.
LEVEL_SAMPLES = 12
SLOPE_POINTS = 300


def warm_up_seconds(seconds: float) -> float:
    """How much of a soak's beginning is left out: a fifth, five minutes at most."""
    return min(300.0, seconds / 5)


def theil_sen(points: Sequence[tuple[float, float]]) -> float:
    """Median of the slopes between all pairs of points: a few outliers do not move it.

    Args:
        points: At least two, of different abscissas; of very many, every n-th is taken.
    """
    some = points[:: max(1, len(points) // SLOPE_POINTS)]
    return statistics.median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(some, 2))


def cpu_seconds_per_million(samples: Sequence[Sample]) -> float:
    """CPU seconds that all workers used for a million events between the first and last sample."""
    first, last = samples[0], samples[-1]
    return (last.worker_cpu_seconds - first.worker_cpu_seconds) / (
        (last.produced - first.produced) / 1e6
    )


def halves(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """The samples before and after the middle of their time."""
    middle = (samples[0].at + samples[-1].at) / 2
    later = next(number for number, sample in enumerate(samples) if sample.at > middle)
    return samples[:later], samples[later:]


def verdict(samples: Sequence[Sample], seconds: float) -> list[Claim]:
    """Claims on memory, lag and cost.

    Args:
        samples: All of them, in order.
        seconds: How long the soak was to be, from which the warm-up follows.
    """
    warm = [sample for sample in samples if sample.at >= warm_up_seconds(seconds)]
    if len(warm) < 2 * LEVEL_SAMPLES:
        return [Claim(f"only {len(warm)} samples after warm-up: too few to judge", holds=False)]
    return [*_memory(warm), *_lag(warm), _cost(warm)]


def _memory(warm: Sequence[Sample]) -> list[Claim]:
    claims = []
    for number in range(len(warm[0].workers)):
        points = [(s.at / 3600, s.workers[number].rss_bytes / MIB) for s in warm]
        first = statistics.median(y for _, y in points[:LEVEL_SAMPLES])
        last = statistics.median(y for _, y in points[-LEVEL_SAMPLES:])
        growth = last / first - 1
        claims.append(
            Claim(
                f"memory of worker {number + 1}: {first:.0f} MiB after warm-up, {last:.0f} MiB at "
                f"the end, {growth:+.1%} (at most {MAX_GROWTH:+.0%})",
                growth <= MAX_GROWTH,
            )
        )
        if warm[-1].at - warm[0].at >= TREND_SECONDS:
            slope = theil_sen(points[len(points) // 2 :])
            claims.append(
                Claim(
                    f"memory of worker {number + 1}, second half: {slope:+.1f} MiB an hour "
                    f"(at most {MAX_MIB_PER_HOUR:+g})",
                    slope <= MAX_MIB_PER_HOUR,
                )
            )
    return claims


def _lag(warm: Sequence[Sample]) -> list[Claim]:
    claims = []
    for role in warm[0].lag:
        seconds = [sample.lag[role].seconds for sample in warm]
        p99, most = float(np.quantile(seconds, 0.99)), max(seconds)
        claims.append(
            Claim(
                f"lag of the {role}, worst partition: median {statistics.median(seconds):.2f} s, "
                f"p99 {p99:.2f} s (at most {LAG_P99_SECONDS:g} s), "
                f"max {most:.2f} s (at most {LAG_MAX_SECONDS:g} s)",
                p99 <= LAG_P99_SECONDS and most <= LAG_MAX_SECONDS,
            )
        )
    return claims


def _cost(warm: Sequence[Sample]) -> Claim:
    first, second = (cpu_seconds_per_million(half) for half in halves(warm))
    growth = second / first - 1
    return Claim(
        f"CPU of the workers: {first:.1f} s a million events in the first half, {second:.1f} s in "
        f"the second, {growth:+.1%} (at most {MAX_COST_GROWTH:+.0%})",
        growth <= MAX_COST_GROWTH,
    )
