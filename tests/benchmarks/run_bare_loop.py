"""The contender that keeps nothing safe: confluent-kafka, pyruhvro and polars in a loop."""

from pathlib import Path

from inferwatch_schemas.kafka import KafkaSettings
from tests.benchmarks.contender_venv import PYTHON, write_schema
from tests.benchmarks.measuring import Cost
from tests.benchmarks.request_load import Load, Send, publish
from tests.benchmarks.telling import run_telling

TOPIC = "bare.requests"


def run_bare_loop(
    kafka: KafkaSettings, folder: Path, warm_up: Load, load: Load, send: Send = publish
) -> Cost:
    """The bare per-record loop, until its last event is counted."""
    command = [
        *(str(PYTHON), "-m", "tests.benchmarks.bare_loop"),
        *(kafka.bootstrap_servers, TOPIC, str(write_schema(folder))),
    ]
    limit = 60 + len(load.values) / 20_000
    return run_telling(
        "the per-record loop", command, kafka, TOPIC, folder, warm_up, load, limit, send
    )
