"""One worker that counts load after load: its cost and memory must not grow with its age."""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import statistics
import sys
import tempfile
from pathlib import Path

from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.topics import REQUESTS, TOPICS
from tests.benchmarks.brokers import broker
from tests.benchmarks.claims import Claim, Finding
from tests.benchmarks.cost_per_event import WARM_UP, WARM_UP_START_MICROS
from tests.benchmarks.measuring import SESSION_SECONDS, WARM_UP_SECONDS, Cost, started
from tests.benchmarks.request_load import SPREAD_SECONDS, START_MICROS, make_load, publish
from tests.benchmarks.rows import Rows
from tests.benchmarks.totals import check

GROUPS = 20
LOADS = 9
MAX_GROWTH = 0.10
MIB = 2**20
# Windows of one load are not those of the next.
STEP_MICROS = 2 * SPREAD_SECONDS * 1_000_000


def run(events: int, loads: int = LOADS) -> Finding:
    """Cost of each load, all counted by one process.

    Args:
        events: In each load.
        loads: How many.
    """
    with (
        tempfile.TemporaryDirectory(prefix="inferwatch-bench-") as folder,
        broker(Path(folder)) as (kafka, which),
    ):
        TopicAdmin(kafka).create(TOPICS)
        rows = Rows(kafka)
        costs: list[Cost] = []
        with started(
            [sys.executable, "-m", "inferwatch", "worker", "--only", "aggregation"],
            Path(folder),
            INFERWATCH_AGGREGATION_SESSION_TIMEOUT_SECONDS=SESSION_SECONDS,
            **kafka.to_environment(),
        ) as worker:
            load = make_load(1, WARM_UP, GROUPS, WARM_UP_START_MICROS)
            totals, counted = load.totals, WARM_UP
            publish(kafka, REQUESTS.name, load.values)
            worker.wait(lambda: rows.reach(WARM_UP), WARM_UP_SECONDS)
            for number in range(loads):
                worker.pause()
                load = make_load(3 + number, events, GROUPS, START_MICROS + number * STEP_MICROS)
                publish(kafka, REQUESTS.name, load.values)
                totals = totals | load.totals
                counted += events
                costs.append(
                    worker.cost_until(
                        lambda counted=counted: rows.reach(counted), events, 60 + events / 10_000
                    )
                )
                print(
                    f"age, load {number + 1} of {loads} on {which}: "
                    f"{costs[-1].cpu_seconds_per_million:.2f} CPU-s/M, peak RSS so far "
                    f"{costs[-1].peak_rss_bytes / MIB:.0f} MiB, {counted:,} events counted",
                    flush=True,
                )
        found = rows.totals()
        rows.close()
    check("inferwatch", found, totals)
    return judge(costs)


def judge(costs: list[Cost]) -> Finding:
    """The last third of the loads beside the first."""
    third = max(1, len(costs) // 3)
    per_million = [cost.cpu_seconds_per_million for cost in costs]
    first, last = (statistics.median(part) for part in (per_million[:third], per_million[-third:]))
    growth = last / first - 1
    young, old = costs[third - 1].peak_rss_bytes, costs[-1].peak_rss_bytes
    swelling = old / young - 1
    return Finding(
        {
            "cpu_seconds_per_million": per_million,
            "peak_rss_bytes": [cost.peak_rss_bytes for cost in costs],
        },
        [
            Claim(
                f"cost with age: {first:.2f} CPU-s/M in the first third of {len(costs)} loads of "
                f"{costs[0].events:,} events, {last:.2f} in the last, {growth:+.0%} "
                f"(at most {MAX_GROWTH:+.0%})",
                growth <= MAX_GROWTH,
            ),
            Claim(
                f"memory with age: peak {young / MIB:.0f} MiB after the first third, "
                f"{old / MIB:.0f} MiB at the end, {swelling:+.0%} (at most {MAX_GROWTH:+.0%})",
                swelling <= MAX_GROWTH,
            ),
        ],
    )
