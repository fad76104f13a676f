"""What the runs of a contender come to."""

import statistics

from tests.benchmarks.measuring import Cost


def summary(costs: list[Cost]) -> dict[str, float]:
    """Medians over the runs."""
    return {
        "events": costs[0].events,
        "cpu_seconds_per_million": statistics.median(c.cpu_seconds_per_million for c in costs),
        "events_per_second": statistics.median(c.events / c.seconds for c in costs),
        "peak_rss_bytes": statistics.median(c.peak_rss_bytes for c in costs),
    }
