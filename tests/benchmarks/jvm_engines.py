"""What an event costs in Inferwatch, beside Kafka Streams and Flink.

    python -m tests.benchmarks.jvm_engines [--events N] [--groups 20|2000] [--runs 3] [--json FILE]

Measured as ``cost_per_event`` does, over more events and after a longer warm-up, since the JVM
compiles what has run for a while. Needs Java 17 (a JDK) and Maven.
"""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import argparse
import json
import os
import platform
from pathlib import Path

from inferwatch.embedded.errors import EmbeddedError
from tests.benchmarks.cost_per_event import WARM_UP_START_MICROS, Run, measure
from tests.benchmarks.long_load import make_long_load
from tests.benchmarks.report import summary
from tests.benchmarks.request_load import GROUPS, PARTITIONS, make_load
from tests.benchmarks.run_inferwatch import run_inferwatch
from tests.benchmarks.run_jvm import FLINK, HEAP, KAFKA_STREAMS, THREADS, build

WARM_UP = 500_000
INFERWATCH = "Inferwatch"
CONTENDERS: dict[str, Run] = {
    INFERWATCH: run_inferwatch,
    KAFKA_STREAMS.name: KAFKA_STREAMS,
    FLINK.name: FLINK,
}


def main() -> None:
    """Measure the three contenders and print what they cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=5_000_000, help="for each contender")
    parser.add_argument("--groups", type=int, choices=sorted(GROUPS), default=20)
    parser.add_argument("--runs", type=int, default=3, help="of each contender")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    try:
        build()
    except EmbeddedError as error:
        raise SystemExit(str(error)) from error
    print(
        f"Requests in {options.groups} groups, {PARTITIONS} partitions, zstd, out of order; "
        f"{os.cpu_count()} CPUs, Python {platform.python_version()}, "
        f"{THREADS} threads and {HEAP} of heap for each JVM",
        flush=True,
    )
    warm_up = make_load(1, WARM_UP, options.groups, WARM_UP_START_MICROS)
    load = make_long_load(3, options.events, options.groups)
    results = {}
    for name, run in CONTENDERS.items():
        costs, broker = measure(name, run, warm_up, load, options.runs)
        if "Apache" not in broker:
            raise SystemExit(f"This benchmark needs Apache Kafka, and got {broker}.")
        results[name] = summary(costs)
    if options.json:
        told = {"broker": broker, "groups": options.groups, "runs": options.runs}
        options.json.write_text(json.dumps({**told, "contenders": results}, indent=2) + "\n")
    print(table(results))
    cost = results[INFERWATCH]["cpu_seconds_per_million"]
    streams, flink = (
        results[engine.name]["cpu_seconds_per_million"] / cost for engine in (KAFKA_STREAMS, FLINK)
    )
    print(f"inferwatch: {cost:.2f} CPU-s/M, {streams:.1f} x Kafka Streams, {flink:.1f} x Flink")


def table(results: dict[str, dict[str, float]]) -> str:
    """The medians in Markdown."""
    ours = results[INFERWATCH]["cpu_seconds_per_million"]
    lines = [
        "| contender | CPU-s per million | times Inferwatch's | events/s | peak RSS, MiB |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, result in results.items():
        cost = result["cpu_seconds_per_million"]
        lines.append(
            f"| {name} | {cost:.2f} | {cost / ours:.1f} | {result['events_per_second']:,.0f} "
            f"| {result['peak_rss_bytes'] / 2**20:,.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
