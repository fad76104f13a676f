"""The contender that a Python user would write first: a Faust agent, one event at a time."""

import sys
from pathlib import Path

from inferwatch_schemas.kafka import KafkaSettings
from tests.benchmarks.measuring import Cost
from tests.benchmarks.request_load import Load, Send, publish
from tests.benchmarks.telling import run_telling

TOPIC = "plain.requests"


def run_plain_faust(
    kafka: KafkaSettings, folder: Path, warm_up: Load, load: Load, send: Send = publish
) -> Cost:
    """The plain Faust agent, until its last event is counted; see ``run_inferwatch``."""
    module = "tests.benchmarks.plain_faust"
    command = [sys.executable, "-m", module, kafka.bootstrap_servers, TOPIC, "plain"]
    limit = 60 + len(load.values) / 1000
    return run_telling("plain Faust", command, kafka, TOPIC, folder, warm_up, load, limit, send)
