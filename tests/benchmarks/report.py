"""What the runs of the contenders come to: medians, a table, JSON and a closing line."""

import os
import platform
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import Cost

Summary = dict[str, Any]
CLOSING_GROUPS = 20
OURS, PLAIN, QUIX, LOOP = "inferwatch", "plain Faust", "Quix Streams", "the per-record loop"


def summary(costs: list[Cost]) -> Summary:
    """Medians over the runs, and the figure of each."""
    per_million = [cost.cpu_seconds_per_million for cost in costs]
    return {
        "events": costs[0].events,
        "cpu_seconds_per_million": statistics.median(per_million),
        "events_per_second": statistics.median(c.events / c.seconds for c in costs),
        "peak_rss_bytes": statistics.median(c.peak_rss_bytes for c in costs),
        "runs": per_million,
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    lines = Path("/proc/cpuinfo")
    models = [
        line.partition(":")[2].strip()
        for line in (lines.read_text().splitlines() if lines.exists() else ())
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def table(results: Mapping[int, Mapping[str, Summary]]) -> str:
    """The medians in Markdown: a row a contender and size, with its growth from the smallest.

    Args:
        results: By number of groups, then by contender.
    """
    lines = [
        "| contender | groups | events | CPU-s/M | events/s | peak MiB | growth |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    smallest = min(results)
    for name in results[smallest]:
        base = results[smallest][name]["cpu_seconds_per_million"]
        for groups, contenders in sorted(results.items()):
            one = contenders[name]
            cost = one["cpu_seconds_per_million"]
            growth = "" if groups == smallest else f"{cost / base:.2f}"
            lines.append(
                f"| {name} | {groups:,} | {one['events']:,} | {cost:.2f} | "
                f"{one['events_per_second']:,.0f} | {one['peak_rss_bytes'] / 2**20:.0f} | "
                f"{growth} |"
            )
    return "\n".join(lines)


def closing_line(results: Mapping[int, Mapping[str, Summary]]) -> str | None:
    """Our cost and its ratios, of the contenders that ran; None where ours was not measured."""
    costs = {
        name: one["cpu_seconds_per_million"]
        for name, one in results.get(CLOSING_GROUPS, {}).items()
    }
    if OURS not in costs:
        return None
    ours = costs[OURS]
    parts = [f"inferwatch: {ours:.2f} CPU-s/M"]
    parts += [f"{costs[name] / ours:.2f} x {name}" for name in (PLAIN, QUIX) if name in costs]
    parts += [f"{ours / costs[name]:.2f} x {name}" for name in (LOOP,) if name in costs]
    return ", ".join(parts)
