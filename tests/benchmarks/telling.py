"""Contenders that tell their parent how far they are, and write their totals when they are done.

Such a contender says ``warm`` once it has counted the warm-up, ``done`` with the last event of the
load, and ``written`` when its totals are in a file.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT
from tests.benchmarks.measuring import POLL_SECONDS, WARM_UP_SECONDS, Cost, started
from tests.benchmarks.request_load import PARTITIONS, Group, Load, Send, Totals, publish
from tests.benchmarks.totals import NUMBERS, check

BINS = ("duration_bins", "first_token_bins")


def create_topic(kafka: KafkaSettings, name: str) -> None:
    """A topic for one run; event times of the past do not make its records old."""
    topic = NewTopic(name, PARTITIONS, 1, config={"retention.ms": "-1"})
    admin = AdminClient(kafka.confluent(), logger=SILENT)
    admin.create_topics([topic])[name].result(20)


def totals_of(row: dict[str, Any]) -> Totals:
    """What is compared, of a row that came as JSON, whose keys are text."""
    kept: dict[str, Any] = {name: row[name] for name in (*NUMBERS, "errors")}
    for name in BINS:
        kept[name] = {int(index): count for index, count in row[name].items()}
    return Totals(**kept)


def run_telling(  # noqa: PLR0913, PLR0917 -- a run, and what it is of
    name: str,
    command: list[str],
    kafka: KafkaSettings,
    topic: str,
    folder: Path,
    warm_up: Load,
    load: Load,
    limit_seconds: float,
    send: Send = publish,
) -> Cost:
    """Run a contender that tells how far it is, until its last event is counted.

    Args:
        name: For people.
        command: That starts it; RESULT, WARM_UP and EVENTS are appended.
        kafka: Where it reads.
        topic: That it reads, which is created.
        folder: For its log and its totals.
        warm_up: Events that it counts first, unmeasured.
        load: Events that it is measured by.
        limit_seconds: More is a failure.
        send: Publishes both loads.
    """
    create_topic(kafka, topic)
    result, log = folder / "result.json", folder / "contender.log"
    events = len(load.values)

    def said(word: str) -> Callable[[], bool]:
        def look() -> bool:
            time.sleep(POLL_SECONDS)
            # Faust writes a terminal's codes in front, without a line of their own.
            return f"{word}\n" in log.read_text(errors="replace")

        return look

    whole = [*command, str(result), str(len(warm_up.values)), str(events)]
    with started(whole, folder) as contender:
        send(kafka, topic, warm_up.values)
        contender.wait(said("warm"), WARM_UP_SECONDS)
        contender.pause()
        send(kafka, topic, load.values)
        cost = contender.cost_until(said("done"), events, limit_seconds)
        contender.wait(said("written"), WARM_UP_SECONDS)
    totals: dict[Group, Totals] = {
        (window, service, model): totals_of(row)
        for (window, service, _, _, model, _), row in json.loads(result.read_text())
    }
    check(name, totals, load.totals)
    return cost
