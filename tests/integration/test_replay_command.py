"""``inferwatch replay`` as a person runs it, against an embedded broker of its own."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import PUBLISHED, REQUESTS, RESOURCES
from inferwatch_schemas.wire import decode

PROGRAM = [sys.executable, "-c", "from inferwatch.main import run; run()", "replay"]
CALLS = 3_000
SILENT = logging.getLogger("test.silent")
SILENT.disabled = True


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    """Yield a broker with the topics of the catalogue."""
    with EmbeddedBroker(tmp_path_factory.mktemp("broker")) as broker:
        settings = KafkaSettings(broker.bootstrap_servers)
        TopicAdmin(settings).create(PUBLISHED)
        yield settings


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a trace of calls a tenth of a second apart."""
    path = tmp_path_factory.mktemp("trace") / "requests_load0042.jsonl"
    row = '{{"first_chunk_time": 0.5, "total_chunk_time": 1.5, "in_len": {n}, "record_time": {t}}}'
    path.write_text("\n".join(row.format(n=n, t=n / 10) for n in range(CALLS)))
    return path


def command(kafka: KafkaSettings, *arguments: object) -> dict[str, Any]:
    """What starts the program with these arguments."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("INFERWATCH_")}
    return {
        "args": [*PROGRAM, *map(str, arguments)],
        "env": environment | kafka.to_environment(),
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def run(kafka: KafkaSettings, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The finished program."""
    return subprocess.run(**command(kafka, *arguments), timeout=60, check=False)


def records(
    kafka: KafkaSettings, topic: str, service: str, enough: float = float("inf")
) -> list[dict[str, Any]]:
    """What a topic holds of one service or host: all, or enough."""
    consumer = Consumer({"group.id": "reader", **kafka.confluent()}, logger=SILENT)
    partitions = consumer.list_topics(timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    found: list[dict[str, Any]] = []
    quiet_since = time.monotonic()
    # The broker acknowledged all of it before the program ended; it only has to be fetched.
    while time.monotonic() - quiet_since < 2 and len(found) < enough:
        messages = consumer.consume(1000, timeout=0.2)
        if messages:
            quiet_since = time.monotonic()
        read = [decode(message.value(), PinnedRegistry()) for message in messages]
        found += [r for r in read if service in (r.get("service_name"), r.get("host_name"))]
    consumer.close()
    return found


def test_a_trace_arrives_whole_in_one_gapless_sequence(kafka: KafkaSettings, trace: Path) -> None:
    """Every call is in Kafka once, with its own time and exact durations."""
    done = run(kafka, "vllm_burstgpt", trace, "--service", "whole")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Sent 3,000 events (3,000 to inferwatch.requests) in ")
    found = records(kafka, REQUESTS.name, "whole")
    assert sorted(r["sequence"] for r in found) == list(range(CALLS))
    assert sorted(r["gen_ai_usage_input_tokens"] for r in found) == list(range(CALLS))
    assert {r["duration_seconds"] for r in found} == {1.5}
    times = sorted(r["event_time"] for r in found)
    assert (times[-1] - times[0]).total_seconds() == (CALLS - 1) / 10


def test_samples_go_to_their_own_topic(kafka: KafkaSettings, tmp_path: Path) -> None:
    """Engine samples are resources of the level's host."""
    path = tmp_path / "engine_load0077.csv"
    path.write_text("timestamp,num_running,num_pending,gpu_kvcache_usage\n1,2,3,50\n")
    done = run(kafka, "vllm_burstgpt", path)
    assert done.returncode == 0
    (sample,) = records(kafka, RESOURCES.name, "vllm-load0077")
    assert sample["kv_cache_utilization_ratio"] == 0.5


def test_ctrl_c_stops_and_says_how_many_were_sent(kafka: KafkaSettings, trace: Path) -> None:
    """A paced replay ends soon after Ctrl-C, and all that it counts is in Kafka."""
    with subprocess.Popen(
        **command(kafka, "vllm_burstgpt", trace, "--speed", "10", "--service", "stopped")
    ) as program:
        deadline = time.monotonic() + 30
        while not records(kafka, REQUESTS.name, "stopped", enough=1):
            assert time.monotonic() < deadline
        program.send_signal(signal.SIGINT)
        output, errors = program.communicate(timeout=20)
    assert (program.returncode, errors) == (130, "")
    assert output.startswith("Stopped after ")
    sent = int(output.split()[2].replace(",", ""))
    assert 0 < sent < CALLS
    assert len(records(kafka, REQUESTS.name, "stopped")) == sent


def test_bad_input_is_one_sentence_and_a_status(kafka: KafkaSettings, tmp_path: Path) -> None:
    """Unknown format, missing file, malformed row and no broker: a line each, no traceback."""
    bad = tmp_path / "code.csv"
    bad.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,x,1\n")
    good = tmp_path / "conv.csv"
    good.write_text(bad.read_text().replace("x", "7"))
    nobody = KafkaSettings("127.0.0.1:1")
    for done, told in (
        (run(kafka, "nope", good), "There is no trace format 'nope'; known are azure_llm_2023"),
        (run(kafka, "ragpulse", tmp_path / "absent"), "absent cannot be read: No such file"),
        (run(kafka, "azure_llm_2023", bad), "code.csv, line 2: ContextTokens is 'x'; expected"),
        (run(nobody, "azure_llm_2023", good), "Kafka at 127.0.0.1:1 does not answer"),
    ):
        assert done.returncode == 1
        assert told in done.stderr
        assert done.stderr.count("\n") == 1
