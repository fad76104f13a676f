"""What an event costs: the aggregation of ``inferwatch worker``, beside what else Python offers.

    python -m tests.benchmarks.cost_per_event [--events N] [--groups 20 2000] [--runs 3]
        [--only NAME ...] [--in-turn] [--json FILE]

Every contender counts the same request events of the real schema, out of order, from Apache Kafka:
four partitions, zstd. The key is the service, as the topic catalogue has it; with --in-turn the
events go to the partitions in turn, so that each partition has every group. A slow one counts the
first part of them; how many is in the table. Each run
has a broker and a process of its own. The process first counts a few events, so that start-up,
joining the group and loading compiled code are over; then it is stopped (SIGSTOP) while the load is
published, and continued. From there until its last result, its CPU time (user and system, all
threads and children) and its largest resident memory are its cost. Its results must equal the
totals that were kept while the load was made, or the benchmark fails.
"""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from inferwatch_schemas.kafka import KafkaSettings
from tests.benchmarks.brokers import broker
from tests.benchmarks.measuring import Cost
from tests.benchmarks.report import (
    LOOP,
    OURS,
    PLAIN,
    QUIX,
    closing_line,
    machine,
    summary,
    table,
)
from tests.benchmarks.request_load import (
    GROUPS,
    PARTITIONS,
    START_MICROS,
    Load,
    Send,
    make_load,
    publish,
)
from tests.benchmarks.run_bare_loop import run_bare_loop
from tests.benchmarks.run_inferwatch import run_inferwatch
from tests.benchmarks.run_plain_faust import run_plain_faust
from tests.benchmarks.run_windowed import run_bytewax, run_quix_streams

WARM_UP = 1_000
# A day before the load: windows of its own.
WARM_UP_START_MICROS = START_MICROS - 86_400_000_000
# The first Python that bytewax has no wheel for.
WITHOUT_BYTEWAX = (3, 13)

Run = Callable[[KafkaSettings, Path, Load, Load], Cost]


@dataclass(frozen=True)
class Contender:
    """A way to count.

    Attributes:
        option: Its name on the command line.
        name: For people.
        run: Measures one run.
        sample: The most events that it counts; None for all.
        in_turn: Whether it may be given its records in turn, and ``run`` takes how they are sent;
            else they go by group.
    """

    option: str
    name: str
    run: Callable[..., Cost]
    sample: int | None = None
    in_turn: bool = True


CONTENDERS = (
    Contender("inferwatch", OURS, run_inferwatch),
    Contender("plain-faust", PLAIN, run_plain_faust, 40_000),
    Contender("quix-streams", QUIX, run_quix_streams, 200_000, in_turn=False),
    Contender("bytewax", "bytewax", run_bytewax, 300_000, in_turn=False),
    Contender("loop", LOOP, run_bare_loop),
)


def measure_once(name: str, run: Run, warm_up: Load, load: Load) -> tuple[Cost, str]:
    """Cost of one run, which is printed, and the broker it was on."""
    with (
        tempfile.TemporaryDirectory(prefix="inferwatch-bench-") as folder,
        broker(Path(folder)) as (kafka, which),
    ):
        cost = run(kafka, Path(folder), warm_up, load)
    print(
        f"{name} on {which}: {cost.cpu_seconds_per_million:.2f} CPU-s/M, "
        f"{cost.events / cost.seconds:,.0f} events/s, peak RSS "
        f"{cost.peak_rss_bytes / 2**20:.0f} MiB, {cost.events:,} events",
        flush=True,
    )
    return cost, which


def measure(name: str, run: Run, warm_up: Load, load: Load, runs: int) -> tuple[list[Cost], str]:
    """Cost of each run, and the broker it was on; each is printed as it comes."""
    done = [measure_once(f"{name}, run {number + 1}", run, warm_up, load) for number in range(runs)]
    return [cost for cost, _ in done], done[-1][1]


def by_service(*loads: Load) -> Send:
    """Publish each of some loads with the keys of the topic catalogue."""
    keys = {id(load.values): load.service_keys() for load in loads}

    def send(kafka: KafkaSettings, topic: str, values: list[bytes]) -> None:
        publish(kafka, topic, values, keys[id(values)])

    return send


def compare(
    contenders: list[Contender], events: int, groups: int, runs: int, *, keyed: bool
) -> tuple[dict[str, list[Cost]], str]:
    """Costs of each contender, which take turns so that none has the quiet hour for itself."""
    warm_up = make_load(1, WARM_UP, groups, WARM_UP_START_MICROS)
    sizes = {min(events, contender.sample or events) for contender in contenders}
    loads = {size: make_load(3, size, groups, of=events) for size in sizes}
    costs: dict[str, list[Cost]] = {contender.name: [] for contender in contenders}
    which = ""
    for number in range(1, runs + 1):
        for contender in contenders:
            load = loads[min(events, contender.sample or events)]
            title = f"{contender.name}, {groups:,} groups, run {number}"
            run: Run = contender.run
            if keyed and contender.in_turn:
                run = partial(contender.run, send=by_service(warm_up, load))
            cost, which = measure_once(title, run, warm_up, load)
            costs[contender.name].append(cost)
    return costs, which


def main() -> None:
    """Measure the contenders and print what they cost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options = [contender.option for contender in CONTENDERS]
    parser.add_argument("--events", type=int, default=1_000_000, help="of the load")
    parser.add_argument("--groups", type=int, nargs="+", choices=sorted(GROUPS), default=[20, 2000])
    parser.add_argument("--runs", type=int, default=3, help="of each contender")
    parser.add_argument("--only", nargs="+", choices=options, default=options, metavar="NAME",
                        help=f"some of {', '.join(options)}")  # fmt: skip
    parser.add_argument("--in-turn", action="store_true",
                        help="without keys, where they do not go by group anyway")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    asked = parser.parse_args()
    chosen = [contender for contender in CONTENDERS if contender.option in asked.only]
    if sys.version_info >= WITHOUT_BYTEWAX and "bytewax" in asked.only:
        print("bytewax is left out: it has no wheel for Python 3.13 or later.")
        chosen = [contender for contender in chosen if contender.option != "bytewax"]
    described = machine()
    print(
        f"{asked.events:,} requests, {PARTITIONS} partitions, zstd, out of order; "
        f"{described['cpus']} CPUs ({described['processor']}), Python {described['python']}",
        flush=True,
    )
    results, which = {}, ""
    for groups in sorted(set(asked.groups)):
        costs, which = compare(chosen, asked.events, groups, asked.runs, keyed=not asked.in_turn)
        results[groups] = {name: summary(found) for name, found in costs.items()}
    if asked.json:
        told: dict[str, Any] = {"machine": described, "broker": which, "runs": asked.runs}
        told |= {"events": asked.events, "keyed": not asked.in_turn}
        asked.json.write_text(json.dumps(told | {"groups": results}, indent=2) + "\n")
    print(f"\n{table(results)}\n")
    if line := closing_line(results):
        print(line)


if __name__ == "__main__":
    main()
