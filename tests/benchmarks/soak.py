"""The whole pipeline under a steady load for an hour: flat memory, bounded lag, exact counts.

    python -m tests.benchmarks.soak [--minutes 60] [--rate 2000] [--json FILE]

Apache Kafka (the embedded broker where there is no Java, which keeps all it is sent in memory: for
a few minutes only), the embedded ClickHouse and two workers with both roles, all on this machine;
the load goes to all four source topics from a process of its own. Every few seconds it looks at
memory, CPU and lag, and tells of it once a minute. Kafka keeps no more than RETAINED_BYTES of a
partition, so the disk holds that and what ClickHouse stores.

It fails unless memory and cost stayed flat, lag was bounded, and ClickHouse counts at the end
exactly what was produced. Interrupted, it judges what it has seen, and fails.
"""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import argparse
import json
import os
import platform
import signal
import statistics
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not listed as exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from inferwatch_clickhouse.errors import ClickHouseError
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import TOPICS
from tests.benchmarks.claims import Claim, exit_status
from tests.benchmarks.deployment import Deployment, LiveLoad, await_current, deployed, workers
from tests.benchmarks.soak_samples import Sample, Watch
from tests.benchmarks.soak_verdict import MIB, cpu_seconds_per_million, verdict, warm_up_seconds

WORKERS = 2
SAMPLE_SECONDS = 5.0
MINUTE = 60.0
LAST_SECONDS = 120.0
SEGMENT_BYTES = 16 * MIB
RETAINED_BYTES = 64 * MIB
BROKER_SETTINGS = {"log.retention.check.interval.ms": "30000"}
RETENTION = {"segment.bytes": str(SEGMENT_BYTES), "retention.bytes": str(RETAINED_BYTES)}

# What an analyst would ask, and the raw rows, of each schema.
COUNTED = {
    "request": "SELECT sum(requests) FROM requests_10s",
    "exposure": "SELECT sum(exposures) FROM exposures_10s",
    "conversion": "SELECT sum(conversions) FROM conversions_10s",
}
LANDED = {
    "request": "SELECT count() FROM requests",
    "resource": "SELECT count() FROM resources",
    "exposure": "SELECT count() FROM exposures",
    "conversion": "SELECT count() FROM conversions",
}


def bound_disk(deployment: Deployment) -> None:
    """Let Kafka keep little of each partition."""
    admin = AdminClient(deployment.stack.kafka.confluent(), logger=SILENT)
    resources = [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            topic.name,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in RETENTION.items()
            ],
        )
        for topic in TOPICS
    ]
    for altered in admin.incremental_alter_configs(resources).values():
        altered.result(20)


def minute_line(samples: Sequence[Sample], disk: Mapping[str, int]) -> str:
    """What happened in these samples."""
    first, last = samples[0], samples[-1]
    rate = (last.produced - first.produced) / (last.at - first.at)
    memory = " + ".join(f"{worker.rss_bytes / MIB:.0f}" for worker in last.workers)
    lag = ", ".join(
        f"{role} {max(sample.lag[role].seconds for sample in samples):.1f} s" for role in last.lag
    )
    return (
        f"{last.at / MINUTE:6.1f} min  {rate:,.0f} events/s, {last.produced:,} in all; "
        f"workers {memory} MiB, {cpu_seconds_per_million(samples):.1f} CPU-s/M; "
        f"ClickHouse {last.clickhouse.rss_bytes / MIB:.0f} MiB, "
        f"broker {last.broker.rss_bytes / MIB:.0f} MiB; worst lag: {lag}; "
        f"disk: Kafka {disk['kafka'] / MIB:.0f} MiB, ClickHouse {disk['clickhouse'] / MIB:.0f} MiB"
    )


def disk_bytes(deployment: Deployment) -> dict[str, int]:
    """Bytes of files that the servers hold."""
    return {name: folder_bytes(deployment.folder / name) for name in ("kafka", "clickhouse")}


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, which may come and go meanwhile."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512  # noqa: PTH118 -- many
            except FileNotFoundError:
                continue
    return total


def soak(
    watch: Watch,
    deployment: Deployment,
    seconds: float,
    stop: threading.Event,
    samples: list[Sample],
) -> None:
    """Add samples until the time is over, or until told to stop.

    Raises:
        SystemExit: Something of the pipeline has ended.
    """
    told = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and not stop.is_set():
        due = time.monotonic() + SAMPLE_SECONDS
        samples.append(watch.sample())
        if samples[-1].at - samples[told].at >= MINUTE:
            print(minute_line(samples[told:], disk_bytes(deployment)), flush=True)
            told = len(samples) - 1
        stop.wait(max(0.0, due - time.monotonic()))


def exact(deployment: Deployment, handed: Mapping[str, int]) -> list[Claim]:
    """Whether ClickHouse counts what was produced, waiting until it does."""
    deadline = time.monotonic() + LAST_SECONDS
    while True:
        asked = {
            "counted": {schema: _ask(deployment, sql) for schema, sql in COUNTED.items()},
            "raw rows": {schema: _ask(deployment, sql) for schema, sql in LANDED.items()},
        }
        right = all(
            found == handed[schema] for rows in asked.values() for schema, found in rows.items()
        )
        if right or time.monotonic() > deadline:
            break
        time.sleep(1)
    buried = _ask(deployment, "SELECT count() FROM dead_letters")
    return [
        *(
            Claim(
                f"{schema} events produced {handed[schema]:,}, {what} {found:,}",
                found == handed[schema],
            )
            for what, rows in asked.items()
            for schema, found in rows.items()
        ),
        Claim(f"dead letters: {buried}", buried == 0),
    ]


def _ask(deployment: Deployment, sql: str) -> int:
    try:
        ((value,),) = deployment.stack.query(sql)
    except ClickHouseError as error:
        print(error, file=sys.stderr, flush=True)
        return -1
    return int(value)


def summary(samples: Sequence[Sample], claims: Sequence[Claim], name: str) -> dict[str, object]:
    """The result as JSON takes it."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "broker": name,
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "claims": [asdict(claim) for claim in claims],
        "samples": [asdict(sample) for sample in samples],
    }


def main() -> None:
    """Run, judge, and fail where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=2000.0, help="events a second, all topics")
    parser.add_argument("--json", type=Path, help="write every sample and the verdict there")
    options = parser.parse_args()
    seconds = options.minutes * MINUTE
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with (
        deployed(broker_settings=BROKER_SETTINGS) as deployment,
        workers(deployment, WORKERS) as started,
    ):
        bound_disk(deployment)
        print(
            f"{options.rate:,.0f} events/s for {options.minutes:g} minutes on {deployment.broker}, "
            f"{WORKERS} workers of both roles, the embedded ClickHouse; Kafka keeps "
            f"{RETAINED_BYTES // MIB} MiB a partition; {os.cpu_count()} CPUs, "
            f"Python {platform.python_version()}",
            flush=True,
        )
        claims: list[Claim] = []
        samples: list[Sample] = []
        # The load outlives the soak, which tells it when to end.
        with LiveLoad(deployment, options.rate, 2 * seconds + LAST_SECONDS) as load:
            await_current(deployment, load)
            watch = Watch(deployment, started, load)
            try:
                soak(watch, deployment, seconds, stop, samples)
            except SystemExit as error:
                claims.append(Claim(f"everything runs to the end: {error}", holds=False))
            handed = load.stop().handed
        if stop.is_set():
            claims.append(Claim("interrupted: judged is what there was until then", holds=False))
        claims += [*verdict(samples, seconds), *exact(deployment, handed)]
    name = deployment.broker
    if options.json:
        options.json.write_text(json.dumps(summary(samples, claims, name), indent=1) + "\n")
    status = exit_status(claims)
    if samples:
        after = warm_up_seconds(seconds)
        worst = max((s.lag["sink"].seconds for s in samples if s.at >= after), default=0.0)
        memory = statistics.median(w.rss_bytes for w in samples[-1].workers) / MIB
        print(
            f"soak: {samples[-1].at / MINUTE:.1f} minutes, {sum(handed.values()):,} events, "
            f"{memory:.0f} MiB a worker, worst lag after warm-up {worst:.1f} s: "
            f"{'holds' if status == 0 else 'DOES NOT HOLD'}"
        )
    sys.exit(status)


if __name__ == "__main__":
    main()
