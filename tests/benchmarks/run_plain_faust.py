"""The contender that a Python user would write first: a Faust agent, one event at a time."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from inferwatch_schemas.kafka import KafkaSettings
from tests.benchmarks.measuring import POLL_SECONDS, WARM_UP_SECONDS, Cost, started
from tests.benchmarks.request_load import PARTITIONS, Load, Totals, publish
from tests.benchmarks.totals import NUMBERS, check

TOPIC = "plain.requests"


def run_plain_faust(kafka: KafkaSettings, folder: Path, warm_up: Load, load: Load) -> Cost:
    """The plain Faust agent, until its last event is counted."""
    admin = AdminClient(kafka.confluent())
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(20)
    result, log = folder / "result.json", folder / "contender.log"
    events = len(load.values)
    command = [
        *(sys.executable, "-m", "tests.benchmarks.plain_faust", kafka.bootstrap_servers),
        *(TOPIC, "plain", str(result), str(len(warm_up.values)), str(events)),
    ]

    def said(word: str) -> Callable[[], bool]:
        def look() -> bool:
            time.sleep(POLL_SECONDS)
            # Faust writes a terminal's codes in front, without a line of their own.
            return f"{word}\n" in log.read_text(errors="replace")

        return look

    with started(command, folder) as plain:
        publish(kafka, TOPIC, warm_up.values)
        plain.wait(said("warm"), WARM_UP_SECONDS)
        plain.pause()
        publish(kafka, TOPIC, load.values)
        cost = plain.cost_until(said("done"), events, limit_seconds=60 + events / 1000)
        plain.wait(said("written"), 60)
    totals = {}
    for (window, service, _, _, model, _), row in json.loads(result.read_text()):
        for name in ("duration_bins", "first_token_bins"):
            row[name] = {int(index): count for index, count in row[name].items()}
        kept = {
            name: row[name] for name in (*NUMBERS, "errors", "duration_bins", "first_token_bins")
        }
        totals[window, service, model] = Totals(**kept)
    check("plain Faust", totals, load.totals)
    return cost
