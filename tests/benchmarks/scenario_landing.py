"""Raw events and rows landed in ClickHouse as well: what that adds to the aggregation's cost."""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.migrate import migrate
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.topics import REQUESTS, TOPICS
from tests.benchmarks.claims import Claim, Finding
from tests.benchmarks.cost_per_event import WARM_UP_START_MICROS, Run, measure_once
from tests.benchmarks.deployment import usage
from tests.benchmarks.measuring import SESSION_SECONDS, WARM_UP_SECONDS, Cost, started
from tests.benchmarks.processors import one_left_free
from tests.benchmarks.report import summary
from tests.benchmarks.request_load import Load, make_load, publish
from tests.benchmarks.rows import Rows
from tests.benchmarks.run_inferwatch import run_inferwatch
from tests.benchmarks.totals import check, merged
from tests.contract.pipeline import COUNT_AND_LAND

GROUPS = 20
MAX_FACTOR = 2.0
# So many that the memory of both roles has grown: new pages, cleared by the kernel, are no cost of
# an event in a worker that has run for a minute.
WARM_UP = 200_000
# Often enough beside a run of seconds, and rarely enough to cost ClickHouse little.
ASK_SECONDS = 0.2


class Landing:
    """Runs of a worker with both roles, and what ClickHouse used besides."""

    def __init__(self) -> None:
        self.clickhouse: list[float] = []

    def run(self, kafka: KafkaSettings, folder: Path, warm_up: Load, load: Load) -> Cost:
        """Until Kafka has the last row, and ClickHouse all raw events and every count."""
        TopicAdmin(kafka).create(TOPICS)
        with EmbeddedClickHouse(folder / "clickhouse", folder) as server:
            settings = ClickHouseSettings(url=server.url)
            migrate(settings)
            rows = Rows(kafka)
            with (
                closing(rows),
                closing(ClickHouse(settings)) as clickhouse,
                started(
                    [sys.executable, "-m", "inferwatch", "worker", *COUNT_AND_LAND],
                    folder,
                    INFERWATCH_AGGREGATION_SESSION_TIMEOUT_SECONDS=SESSION_SECONDS,
                    INFERWATCH_SINK_SESSION_TIMEOUT_SECONDS=SESSION_SECONDS,
                    **kafka.to_environment(),
                    **settings.to_environment(),
                ) as worker,
            ):
                warm = len(warm_up.values)
                all_events = warm + len(load.values)
                publish(kafka, REQUESTS.name, warm_up.values)
                worker.wait(landed(rows, clickhouse, warm), WARM_UP_SECONDS)
                worker.pause()
                publish(kafka, REQUESTS.name, load.values)
                before = usage(server.pid).cpu_seconds
                cost = worker.cost_until(
                    landed(rows, clickhouse, all_events),
                    len(load.values),
                    limit_seconds=60 + len(load.values) / 10_000,
                )
                used = usage(server.pid).cpu_seconds - before
                self.clickhouse.append(used / cost.events * 1e6)
                check("inferwatch", rows.totals(), merged(warm_up.totals, load.totals))
        print(f"  ClickHouse: {self.clickhouse[-1]:.2f} CPU-s/M", flush=True)
        return cost


def landed(rows: Rows, clickhouse: ClickHouse, events: int) -> Callable[[], bool]:
    """Whether Kafka's rows, ClickHouse's rows and its raw events all count so many."""
    asked = 0.0

    def look() -> bool:
        nonlocal asked
        if not rows.reach(events) or time.monotonic() < asked + ASK_SECONDS:
            return False
        asked = time.monotonic()
        # Rows as they are stored, which cost nothing to count: exactly once are they only read at
        # length, on the two CPUs that the inserts want.
        ((stored,),) = clickhouse.query("SELECT count() FROM requests_stored")
        if stored < events:
            return False
        ((raw, counted),) = clickhouse.query(
            "SELECT (SELECT count() FROM requests), (SELECT sum(requests) FROM requests_10s)"
        )
        if max(raw, counted) > events:
            raise SystemExit(f"{events} events were sent, and ClickHouse has {max(raw, counted)}.")
        return bool(raw == counted == events)

    return look


def run(events: int, runs: int) -> Finding:
    """Cost of the aggregation alone, and of both roles: on all CPUs, and on one of their own.

    On all CPUs, as everything else is measured, ClickHouse is as busy as the worker beside it. The
    second says what is left of the factor without that; both are held to the bound.
    """
    warm_up = make_load(1, WARM_UP, GROUPS, WARM_UP_START_MICROS)
    load = make_load(3, events, GROUPS)
    figures, claim = _compared(warm_up, load, runs, "on all CPUs")
    claims = [claim]
    with one_left_free() as apart:
        if apart:
            figures["apart"], claim = _compared(warm_up, load, runs, "on a CPU of its own")
            claims.append(claim)
    return Finding(figures, claims)


def _compared(warm_up: Load, load: Load, runs: int, where: str) -> tuple[dict[str, Any], Claim]:
    """Figures and claim of both, which take turns: a machine has moods."""
    landing = Landing()
    contenders: dict[str, Run] = {
        "aggregation": run_inferwatch,
        "aggregation and sink": landing.run,
    }
    measured: dict[str, list[Cost]] = {name: [] for name in contenders}
    for number in range(1, runs + 1):
        for name, contender in contenders.items():
            cost, _ = measure_once(f"{name}, {where}, run {number}", contender, warm_up, load)
            measured[name].append(cost)
    costs = {name: summary(each) for name, each in measured.items()}
    one, two = (cost["cpu_seconds_per_million"] for cost in costs.values())
    clickhouse = statistics.median(landing.clickhouse)
    claim = Claim(
        f"raw landing included, {where}: {two:.2f} CPU-s/M, the aggregation alone {one:.2f}, "
        f"{two / one:.2f} times (at most {MAX_FACTOR:g}); ClickHouse besides {clickhouse:.2f}",
        two <= MAX_FACTOR * one,
    )
    return {"costs": costs, "clickhouse_cpu_seconds_per_million": clickhouse}, claim
