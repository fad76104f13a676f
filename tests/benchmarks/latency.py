"""How long after a service handed an event to its client an analyst's query counts it.

    python -m tests.benchmarks.latency [--rate 5000] [--seconds 60] [--json FILE]

Apache Kafka, one worker with both roles, the embedded ClickHouse. The load hands events of now to
the client that services use (its lingering included) and notes the time just before. Meanwhile two
threads ask ClickHouse again and again, each with a query that a dashboard would send: requests by
window and group from the view ``requests_10s``, and the same counted from the raw ``requests``.

No event needs a mark to be found again: a record's key is its service, so all events of a group
are in one partition and are counted in the order in which they were handed over. A group that
counts k shows its first k events. An event's latency ends when the first answer that counts it has
arrived, so the time between two queries, and their own time, are part of it.
"""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import argparse
import json
import os
import platform
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.settings import ClickHouseSettings
from tests.benchmarks.claims import Claim, exit_status
from tests.benchmarks.deployment import Deployment, LiveLoad, await_current, deployed, workers

P50_SECONDS = 1.5
P99_SECONDS = 3.0
POLL_SECONDS = 0.05
WARM_UP_SECONDS = 10.0
LAST_SECONDS = 30.0
# A load that was slower than asked for measures something else.
MIN_RATE_SHARE = 0.97
# The load ends by itself after that and twice the measured time.
MOST_SECONDS = 600.0
WINDOW_NANOS = 10_000_000_000
# Windows older than that are not asked for: far more than an event may take.
ASKED_SECONDS = 40
STEP_SECONDS = 0.25
BAR = 50

AGGREGATES = """
SELECT window_start, service, provider, model, endpoint, requests
FROM requests_10s
WHERE window_start >= now() - toIntervalSecond({seconds:UInt32})
"""
RAW = """
SELECT toStartOfInterval(event_time, toIntervalSecond(10)) AS window_start,
    service, provider, model, endpoint, count()
FROM requests
WHERE event_time >= toStartOfInterval(now(), toIntervalSecond(10)) - toIntervalSecond(
    {seconds:UInt32})
GROUP BY window_start, service, provider, model, endpoint
"""

# Number of the window, then the group's dimensions.
Group = tuple[int, tuple[str, ...]]
Times = npt.NDArray[np.int64]


class Observer:
    """Asks one query again and again, and notes when each group counted how much.

    Args:
        settings: How to reach ClickHouse.
        sql: Gives window, dimensions, count.
        stop: Ends it.
    """

    def __init__(self, settings: ClickHouseSettings, sql: str, stop: threading.Event) -> None:
        self.seen: dict[Group, list[tuple[int, int]]] = defaultdict(list)
        self.query_seconds: list[float] = []
        self.error: Exception | None = None
        self._settings = settings
        self._sql = sql
        self._stop = stop
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def counted(self) -> int:
        """Events that were seen so far, all groups together."""
        return sum(seen[-1][1] for seen in list(self.seen.values()))

    def join(self) -> None:
        """Wait for the query in hand.

        Raises:
            Exception: Whatever ended it early.
        """
        self._stop.set()
        self._thread.join(LAST_SECONDS)
        if self.error:
            raise self.error

    def _run(self) -> None:
        try:
            with closing(ClickHouse(self._settings)) as clickhouse:
                while not self._stop.is_set():
                    self._ask(clickhouse)
        except Exception as error:  # noqa: BLE001 -- carried to the main thread, which raises it
            self.error = error

    def _ask(self, clickhouse: ClickHouse) -> None:
        began = time.monotonic()
        rows = clickhouse.query(self._sql, {"seconds": ASKED_SECONDS})
        at, took = time.time_ns(), time.monotonic() - began
        self.query_seconds.append(took)
        for window_start, *dimensions, count in rows:
            group = int(window_start.timestamp()) * 1_000_000_000 // WINDOW_NANOS, tuple(dimensions)
            seen = self.seen[group]
            if not seen or count > seen[-1][1]:
                seen.append((at, count))
        # As long a pause as the query took, or the asking itself would slow down what is measured.
        self._stop.wait(max(took, POLL_SECONDS - took))


def by_group(trace: Mapping[str, Any]) -> dict[Group, Times]:
    """When the events of each group were handed over, in order, from what the load noted."""
    names = [tuple(str(part) for part in name) for name in trace["names"]]
    windows, groups, at = trace["at"] // WINDOW_NANOS, trace["group"], trace["at"]
    return {
        (int(window), names[group]): at[(windows == window) & (groups == group)]
        for window, group in sorted(set(zip(windows.tolist(), groups.tolist(), strict=True)))
    }


def latencies(handed: Times, seen: Sequence[tuple[int, int]]) -> npt.NDArray[np.float64]:
    """Seconds from handing over to the first answer that counts an event; inf where none did.

    Args:
        handed: When the events of a group were handed over, in order, in nanoseconds.
        seen: Times of answers, and how many events each counted, both rising.
    """
    counts = np.array([count for _, count in seen], np.int64)
    times = np.array([at for at, _ in seen] + [np.iinfo(np.int64).max], np.int64)
    first = np.searchsorted(counts, np.arange(1, len(handed) + 1))
    waited = (times[first] - handed) / 1e9
    return np.where(first < len(counts), waited, np.inf)


@dataclass(frozen=True)
class Result:
    """What one query showed.

    Attributes:
        events: Events measured.
        p50: Median latency in seconds; those below likewise.
        p90: 90th percentile.
        p99: 99th percentile.
        max: The slowest.
        query_seconds: Median time of one query.
        histogram: Events of each step of STEP_SECONDS.
    """

    events: int
    p50: float
    p90: float
    p99: float
    max: float
    query_seconds: float
    histogram: list[int]


def summarize(observer: Observer, handed: Mapping[Group, Times], since: int, until: int) -> Result:
    """Latencies of the events that were handed over between two times, in nanoseconds.

    Raises:
        SystemExit: An event was never counted, or one was counted twice.
    """
    parts = []
    for group, times in handed.items():
        measured = (times >= since) & (times < until)
        if not measured.any():
            continue
        seen = observer.seen.get(group, [])
        if not seen or seen[-1][1] != len(times):
            raise SystemExit(
                f"Group {group} counts {seen[-1][1] if seen else 0}, and {len(times)} were sent."
            )
        parts.append(latencies(times, seen)[measured])
    waited = np.concatenate(parts)
    p50, p90, p99, most = np.quantile(waited, (0.5, 0.9, 0.99, 1.0)).tolist()
    steps = np.bincount((waited // STEP_SECONDS).astype(np.int64)).tolist()
    return Result(len(waited), p50, p90, p99, most, float(np.median(observer.query_seconds)), steps)


def tell(name: str, result: Result) -> None:
    """Print percentiles and histogram."""
    print(
        f"\n{name}: p50 {result.p50:.2f} s, p90 {result.p90:.2f} s, p99 {result.p99:.2f} s, "
        f"max {result.max:.2f} s; {result.events:,} events, a query takes "
        f"{result.query_seconds * 1000:.0f} ms"
    )
    for step, events in enumerate(result.histogram):
        bar = "#" * round(BAR * events / max(result.histogram))
        start = step * STEP_SECONDS
        share = events / result.events
        print(f"  {start:5.2f} to {start + STEP_SECONDS:5.2f} s {share:7.2%} {bar}")


def run(deployment: Deployment, rate: float, seconds: float) -> dict[str, Result]:
    """Results of both queries, by what they ask."""
    trace = deployment.folder / "trace.npz"
    stop = threading.Event()
    settings = deployment.stack.clickhouse
    observers = {
        "requests_10s": Observer(settings, AGGREGATES, stop),
        "requests": Observer(settings, RAW, stop),
    }
    try:
        with LiveLoad(deployment, rate, MOST_SECONDS + 2 * seconds, trace) as load:
            await_current(deployment, load)
            time.sleep(WARM_UP_SECONDS)
            since = time.time_ns()
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                load.status()  # raises where the load has failed
                time.sleep(POLL_SECONDS)
            until = time.time_ns()
            sent = load.stop().handed["request"]
        deadline = time.monotonic() + LAST_SECONDS
        while time.monotonic() < deadline and any(o.counted < sent for o in observers.values()):
            time.sleep(POLL_SECONDS)
    finally:
        for observer in observers.values():
            observer.join()
    with np.load(trace) as noted:
        loaded = {name: noted[name] for name in noted.files}
    measured = ((loaded["at"] >= since) & (loaded["at"] < until)).sum() / (until - since) * 1e9
    if measured < MIN_RATE_SHARE * rate:
        raise SystemExit(
            f"Only {measured:,.0f} events/s were handed over: the machine is too busy."
        )
    print(f"{measured:,.0f} events/s were handed over", flush=True)
    handed = by_group(loaded)
    return {name: summarize(observer, handed, since, until) for name, observer in observers.items()}


def main() -> None:
    """Measure, print, and fail where it is too slow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=5000.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args()
    with deployed() as deployment, workers(deployment, 1):
        print(
            f"Requests at {options.rate:,.0f} events/s for {options.seconds:g} s on "
            f"{deployment.broker}, one worker of both roles, the embedded ClickHouse; "
            f"{os.cpu_count()} CPUs, Python {platform.python_version()}",
            flush=True,
        )
        results = run(deployment, options.rate, options.seconds)
    for name, result in results.items():
        tell(f"queryable in {name}", result)
    if options.json:
        found = {name: asdict(result) for name, result in results.items()}
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    print()
    claims = [
        Claim(f"{name}: p50 {r.p50:.2f} s < {P50_SECONDS} s, p99 {r.p99:.2f} s < {P99_SECONDS} s",
              r.p50 < P50_SECONDS and r.p99 < P99_SECONDS)
        for name, r in results.items()
    ]  # fmt: skip
    sys.exit(exit_status(claims))


if __name__ == "__main__":
    main()
