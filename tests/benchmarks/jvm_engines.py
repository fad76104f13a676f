"""What an event costs in Inferwatch, beside Kafka Streams and Flink.

    python -m tests.benchmarks.jvm_engines [--events N] [--groups 20|2000] [--runs 3] [--json FILE]

Measured as ``cost_per_event`` does, over more events and after a longer warm-up, since the JVM
compiles what has run for a while. Needs Java 17 (a JDK) and Maven.
"""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import argparse
import json
from pathlib import Path
from typing import Any

from inferwatch.embedded.errors import EmbeddedError
from tests.benchmarks.cost_per_event import WARM_UP_START_MICROS, Run, measure_once
from tests.benchmarks.long_load import make_long_load
from tests.benchmarks.measuring import Cost
from tests.benchmarks.report import OURS, Summary, machine, summary
from tests.benchmarks.request_load import GROUPS, PARTITIONS, Load, make_load
from tests.benchmarks.run_inferwatch import run_inferwatch
from tests.benchmarks.run_jvm import FLINK, HEAP, KAFKA_STREAMS, THREADS, build, versions

WARM_UP = 500_000
CONTENDERS: dict[str, Run] = {
    OURS: run_inferwatch,
    KAFKA_STREAMS.name: KAFKA_STREAMS,
    FLINK.name: FLINK,
}


def main() -> None:
    """Measure the three contenders and print what they cost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=5_000_000, help="for each contender")
    parser.add_argument("--groups", type=int, choices=sorted(GROUPS), default=20)
    parser.add_argument("--runs", type=int, default=3, help="of each contender")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    asked = parser.parse_args()
    try:
        build()
        built = versions()
    except EmbeddedError as error:
        raise SystemExit(str(error)) from error
    described = machine()
    print(
        f"{asked.events:,} requests in {asked.groups:,} groups, {PARTITIONS} partitions, zstd, "
        f"out of order; {described['cpus']} CPUs ({described['processor']}), "
        f"Python {described['python']}, {built['java']} with {THREADS} threads and {HEAP} of heap, "
        f"Kafka Streams {built['kafka_streams']}, Flink {built['flink']}",
        flush=True,
    )
    warm_up = make_load(1, WARM_UP, asked.groups, WARM_UP_START_MICROS)
    costs, broker = compare(warm_up, make_long_load(3, asked.events, asked.groups), asked.runs)
    results = {name: summary(found) for name, found in costs.items()}
    if asked.json:
        told: dict[str, Any] = {"machine": described, "versions": built, "broker": broker}
        told |= {"runs": asked.runs, "groups": {asked.groups: results}}
        asked.json.write_text(json.dumps(told, indent=2) + "\n")
    print(f"\n{table(results)}\n")
    print(closing_line(results))


def compare(warm_up: Load, load: Load, runs: int) -> tuple[dict[str, list[Cost]], str]:
    """Costs of each contender, which take turns so that none has the quiet hour for itself."""
    costs: dict[str, list[Cost]] = {name: [] for name in CONTENDERS}
    broker = ""
    for number in range(1, runs + 1):
        for name, run in CONTENDERS.items():
            cost, broker = measure_once(f"{name}, run {number}", run, warm_up, load)
            if "Apache" not in broker:
                raise SystemExit(f"This benchmark needs Apache Kafka, and got {broker}.")
            costs[name].append(cost)
    return costs, broker


def table(results: dict[str, Summary]) -> str:
    """The medians in Markdown."""
    ours = results[OURS]["cpu_seconds_per_million"]
    lines = [
        "| contender | events | CPU-s/M | times ours | events/s | peak MiB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, one in results.items():
        cost = one["cpu_seconds_per_million"]
        lines.append(
            f"| {name} | {one['events']:,} | {cost:.2f} | {cost / ours:.2f} | "
            f"{one['events_per_second']:,.0f} | {one['peak_rss_bytes'] / 2**20:.0f} |"
        )
    return "\n".join(lines)


def closing_line(results: dict[str, Summary]) -> str:
    """Our cost, and how many times as much the others need."""
    ours = results[OURS]["cpu_seconds_per_million"]
    others = [
        f"{results[name]['cpu_seconds_per_million'] / ours:.2f} x {name}"
        for name in (KAFKA_STREAMS.name, FLINK.name)
    ]
    return ", ".join([f"inferwatch: {ours:.2f} CPU-s/M", *others])


if __name__ == "__main__":
    main()
