"""How long a worker of the rules takes from its start until it has three days of 1,000 groups.

    python -m tests.benchmarks.rules_restart [--groups 1000] [--days 3]

Apache Kafka where Java and Maven are. The totals are made as ``rules_store`` makes them and lie in
``inferwatch.totals``; the worker is started from nothing, with the shipped rules: Python and the
compiled code are loaded, the group joined, the alerts' topic claimed, the totals read and taken.
"""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import argparse
import os
import platform
import re
import sys
import time

import numpy as np
from confluent_kafka import Producer

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.topics import AGGREGATES, TOTALS
from tests.benchmarks.claims import Claim, exit_status
from tests.benchmarks.deployment import READY_SECONDS, deployed
from tests.benchmarks.rules_store import Load, totals_of
from tests.contract.pipeline import wait_until

BOUND_SECONDS = 10.0
LOADED = re.compile(r"windows loaded\b.*?groups=(\d+).*?seconds=([\d.]+)")


def publish(kafka: KafkaSettings, records: dict[bytes, bytes]) -> None:
    """Put records into the totals, and wait until the broker has them."""
    producer = Producer(
        {**kafka.confluent(), "compression.type": "zstd", "linger.ms": 50, "acks": "all"}
    )
    for key, value in records.items():
        while True:
            try:
                producer.produce(TOTALS.name, value, key)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(60):
        raise SystemExit("The broker did not take the totals.")


def main() -> None:
    """Measure, print, and fail where it is too slow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", type=int, default=1000)
    parser.add_argument("--days", type=float, default=3.0)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    took, loading = [], []
    with deployed() as deployment:
        topic_id = deployment.stack.topic_ids()[AGGREGATES.name]
        records = totals_of(
            Load.of(asked.groups), asked.days, np.random.default_rng(7), topic_id,
            int(time.time() * 1000),
        )  # fmt: skip
        publish(deployment.stack.kafka, records)
        size = sum(len(key) + len(value) for key, value in records.items()) / 2**20
        print(
            f"{len(records):,} totals, {size:,.0f} MiB, on {deployment.broker}; "
            f"{os.cpu_count()} CPUs, Python {platform.python_version()}",
            flush=True,
        )
        for number in range(asked.runs):
            began = time.monotonic()
            name = f"rules-{number}"
            with deployment.stack.worker(name, "--only", "rules", "--log-level", "info") as worker:
                wait_until(
                    lambda worker=worker: LOADED.search(worker.said), bool, worker,
                    seconds=READY_SECONDS,
                )  # fmt: skip
                took.append(time.monotonic() - began)
                found = LOADED.search(worker.said)
                assert found
                if int(found[1]) != asked.groups:
                    raise SystemExit(f"{found[1]} groups were loaded, not {asked.groups}.")
                loading.append(float(found[2]))
            print(f"  run {number + 1}: {took[-1]:.1f} s, of it the totals {loading[-1]:.1f} s")
    median = float(np.median(took))
    text = f"from the start of a rules worker until it is ready: {median:.1f} s < {BOUND_SECONDS} s"
    sys.exit(exit_status([Claim(text, median < BOUND_SECONDS)]))


if __name__ == "__main__":
    main()
