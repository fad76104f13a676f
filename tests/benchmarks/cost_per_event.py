"""What an event costs: the aggregation of ``inferwatch worker``, beside a plain Faust agent.

    python -m tests.benchmarks.cost_per_event [--events N] [--groups 20|2000] [--runs 3]

Each run of a contender has a broker and a process of its own. The process first counts a few
events, so that start-up, joining the group and loading compiled code are over; then it is stopped
(SIGSTOP) while the load is published, and continued. From there until its last result, its CPU time
(user and system, all threads) and its largest resident memory are its cost. Its results must equal
the totals that were kept while the load was made, or the benchmark fails.
"""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path

from inferwatch_schemas.kafka import KafkaSettings
from tests.benchmarks.brokers import broker
from tests.benchmarks.measuring import Cost
from tests.benchmarks.report import summary
from tests.benchmarks.request_load import GROUPS, PARTITIONS, START_MICROS, Load, make_load
from tests.benchmarks.run_inferwatch import run_inferwatch
from tests.benchmarks.run_plain_faust import run_plain_faust

WARM_UP = 1_000
# A day before the load: windows of its own.
WARM_UP_START_MICROS = START_MICROS - 86_400_000_000

Run = Callable[[KafkaSettings, Path, Load, Load], Cost]


def measure(name: str, run: Run, warm_up: Load, load: Load, runs: int) -> tuple[list[Cost], str]:
    """Cost of each run, and the broker it was on; each is printed as it comes."""
    costs = []
    for number in range(1, runs + 1):
        with (
            tempfile.TemporaryDirectory(prefix="inferwatch-bench-") as folder,
            broker(Path(folder)) as (kafka, which),
        ):
            cost = run(kafka, Path(folder), warm_up, load)
        costs.append(cost)
        print(
            f"{name}, run {number} on {which}: {cost.cpu_seconds_per_million:.2f} CPU-s/M, "
            f"{cost.events / cost.seconds:,.0f} events/s, peak RSS "
            f"{cost.peak_rss_bytes / 2**20:.0f} MiB, {cost.events:,} events",
            flush=True,
        )
    return costs, which


def main() -> None:
    """Measure both contenders and print what they cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="for inferwatch")
    parser.add_argument("--plain-events", type=int, default=40_000, help="for plain Faust")
    parser.add_argument("--groups", type=int, choices=sorted(GROUPS), default=20)
    parser.add_argument("--runs", type=int, default=3, help="of each contender")
    options = parser.parse_args()
    print(
        f"Requests in {options.groups} groups, {PARTITIONS} partitions, zstd, out of order; "
        f"{os.cpu_count()} CPUs, Python {platform.python_version()}",
        flush=True,
    )
    warm_up = make_load(1, WARM_UP, options.groups, WARM_UP_START_MICROS)
    plain, which = measure(
        "plain Faust", run_plain_faust, warm_up, make_load(2, options.plain_events, options.groups),
        options.runs,
    )  # fmt: skip
    ours, which = measure(
        "inferwatch", run_inferwatch, warm_up, make_load(3, options.events, options.groups),
        options.runs,
    )  # fmt: skip
    results = {"inferwatch": summary(ours), "plain_faust": summary(plain)}
    cost = results["inferwatch"]["cpu_seconds_per_million"]
    ratio = results["plain_faust"]["cpu_seconds_per_million"] / cost
    told = {"broker": which, "groups": options.groups, "runs": options.runs, "ratio": ratio}
    print(json.dumps(results | told))
    print(f"inferwatch: {cost:.2f} CPU-s/M, {ratio:.0f} x plain Faust")


if __name__ == "__main__":
    main()
