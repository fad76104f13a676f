"""A steady live load, from a process of its own: events of now, through the client of services.

    python -m tests.benchmarks.live_load --rate 5000 --seconds 60 --status FILE [--trace FILE]

The broker is that of the variables INFERWATCH_KAFKA_*. Records are taken from the generator of
``inferwatch replay`` and from a sample of this host, and are sent over and over with the time of
the clock, so that the load costs little and needs bounded memory however long it goes on. It ends
after its time or with SIGTERM, in either case when the broker has acknowledged everything.

Once a second it says in the status file (JSON) what it has handed over, and at the end that it is
done. The trace (NumPy's npz) tells of each request when it was handed over and to which group.
"""

import argparse
import itertools
import json
import os
import random
import signal
import threading
import time
from array import array
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from inferwatch.load.generator import Generator, GeneratorSettings, announced
from inferwatch_agents.host.machine import MachineSettings, sample
from inferwatch_agents.host.reports import Reports
from inferwatch_agents.publisher import Publisher
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import open_registry

POOL = 20_000
HOSTS = 16
# Shares of the schemas in a load of all source topics.
MIX = {"request": 0.85, "resource": 0.05, "exposure": 0.05, "conversion": 0.05}
LATE_SHARE = 0.01
LATE_MEAN_SECONDS = 3.0
VERY_LATE_SHARE = 0.0005
VERY_LATE_SECONDS = 3600.0
NAP_SECONDS = 0.004
STATUS_SECONDS = 1.0
FLUSH_SECONDS = 60.0
NANOS = 1_000_000_000
# What tells the groups of requests apart, in the names of the events' fields.
DIMENSIONS = ("service_name", "gen_ai_provider_name", "gen_ai_request_model", "endpoint")

Record = dict[str, Any]


@dataclass(frozen=True)
class Status:
    """How far a load is.

    Attributes:
        handed: Events handed to the client, by schema.
        delivered: Events that the broker acknowledged.
        failed: Events that it did not take.
        done: Whether no more will come.
    """

    handed: dict[str, int] = field(default_factory=dict)
    delivered: int = 0
    failed: int = 0
    done: bool = False


def read_status(file: Path) -> Status:
    """What a load last said; nothing handed over before it said anything."""
    try:
        return Status(**json.loads(file.read_text()))
    except FileNotFoundError:
        return Status()


def write_status(file: Path, status: Status) -> None:
    """Replace the file at once, so that no reader sees half of it."""
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(status)))
    fresh.replace(file)


class Trace:
    """When each request was handed over, and to which group, as DIMENSIONS tell them apart."""

    def __init__(self) -> None:
        self._at = array("q")
        self._groups = array("i")
        self._names: dict[tuple[str, ...], int] = {}

    def add(self, at_nanos: int, record: Record) -> None:
        """Note one request."""
        name = tuple(record[dimension] or "" for dimension in DIMENSIONS)
        self._at.append(at_nanos)
        self._groups.append(self._names.setdefault(name, len(self._names)))

    def write(self, file: Path) -> None:
        """Store it: nanoseconds since 1970, numbers of groups, and the groups' names."""
        np.savez(
            file,
            at=np.frombuffer(self._at, np.int64),
            group=np.frombuffer(self._groups, np.intc),
            names=np.array(list(self._names), dtype=np.str_),
        )


def pool(chance: random.Random) -> dict[str, list[Record]]:
    """Records of each source topic to send over and over."""
    found: dict[str, list[Record]] = {schema: [] for schema in MIX}
    # More users than calls, so that the experiment sees new ones all the time.
    generator = Generator(GeneratorSettings(rate=1000.0, users=10_000_000, outage_seconds=0.0))
    for event in itertools.islice(announced(generator.events(0), lambda _: None), POOL):
        found[event.schema].append(event.record)
    settings, reports = MachineSettings(host_name="any"), Reports()
    counters = sample(None, time.monotonic(), settings, reports).counters
    time.sleep(0.1)
    measured = sample(counters, time.monotonic(), settings, reports).record
    for number in range(HOSTS * 100):
        varied = {"host_name": f"host-{number % HOSTS}", "cpu_utilization_ratio": chance.random()}
        found["resource"].append(measured | varied)
    return found


def lateness(chance: random.Random) -> float:
    """Seconds between an event's own time and its handing over: for most of them, none."""
    draw = chance.random()
    if draw < VERY_LATE_SHARE:
        return chance.random() * VERY_LATE_SECONDS
    return chance.expovariate(1 / LATE_MEAN_SECONDS) if draw < LATE_SHARE else 0.0


def main() -> None:
    """Send until the time is over, or until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, required=True, help="events a second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--status", type=Path, required=True)
    parser.add_argument("--trace", type=Path, help="of requests; then nothing else is sent")
    options = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Ctrl-C in a terminal reaches the whole group; who started this one tells it when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    chance = random.Random(1)  # noqa: S311 -- a load, no secret
    publisher = Publisher(KafkaSettings.from_environment(os.environ), open_registry(None))
    trace = Trace() if options.trace else None
    mix = {"request": 1.0} if trace else MIX
    turns = chance.choices(list(mix), list(mix.values()), k=POOL)
    records = {schema: itertools.cycle(found) for schema, found in pool(chance).items()}
    handed: Counter[str] = Counter()

    def tell(*, done: bool = False) -> None:
        status = Status(dict(handed), publisher.delivered, publisher.failed, done)
        write_status(options.status, status)

    began = time.monotonic()
    told = began
    for number, schema in enumerate(itertools.cycle(turns)):
        now = time.monotonic()
        while number >= (now - began) * options.rate and not stop.is_set():
            publisher.poll()
            time.sleep(NAP_SECONDS)
            now = time.monotonic()
        if stop.is_set() or now - began >= options.seconds:
            break
        if now - told >= STATUS_SECONDS:
            told = now
            tell()
        record = next(records[schema])
        at = time.time_ns()
        if trace:
            trace.add(at, record)
        late = 0.0 if trace else lateness(chance)
        publisher.publish(schema, record, event_time_micros=at // 1000 - int(late * 1e6))
        handed[schema] += 1
    publisher.flush(FLUSH_SECONDS)
    if trace:
        trace.write(options.trace)
    tell(done=True)


if __name__ == "__main__":
    main()
