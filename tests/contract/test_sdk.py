"""A service with three lines of monitoring: its calls and its logs arrive in Kafka as events."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from pipeline import Stack

from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import LOGS, REQUESTS, Topic
from inferwatch_schemas.wire import decode

FOLDER = Path(__file__).parent
CALLS = 5


def run(stack: Stack, program: str, *arguments: str) -> str:
    """Run a monitored program to its end; what it wrote."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("INFERWATCH_")}
    return subprocess.run(  # noqa: S603  # our own program, no shell
        [sys.executable, str(FOLDER / program), stack.kafka.bootstrap_servers, *arguments],
        env=own, timeout=60, check=True, stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip


def read(stack: Stack, service: str, count: int, topic: Topic = REQUESTS) -> list[Any]:
    """So many records of a service, in each partition's order."""
    consumer = Consumer({**stack.kafka.confluent(), "group.id": service}, logger=SILENT)
    consumer.assign(
        [TopicPartition(topic.name, p, OFFSET_BEGINNING) for p in range(topic.partitions)]
    )
    found: list[Any] = []
    try:
        for _ in range(100):
            found += [
                message
                for message in consumer.consume(100, timeout=0.2)
                if message.error() is None and message.key() == service.encode()
            ]
            if len(found) >= count:
                break
    finally:
        consumer.close()
    return found


@pytest.fixture(scope="module")
def messages(stack: Stack) -> list[Any]:
    """What the service left in Kafka when it had ended, in the order of the calls."""
    run(stack, "instrumented.py")
    return read(stack, "instrumented", CALLS)


@pytest.fixture(scope="module")
def records(messages: list[Any]) -> list[dict[str, Any]]:
    """The events."""
    return [decode(message.value(), PinnedRegistry()) for message in messages]


def test_every_call_arrives_under_its_number(
    messages: list[Any], records: list[dict[str, Any]]
) -> None:
    """Nothing is lost at the end of the process, and the key is the service."""
    assert [record["sequence"] for record in records] == list(range(CALLS))
    assert len({record["producer_id"] for record in records}) == 1
    assert {message.key() for message in messages} == {b"instrumented"}
    assert {record["service_name"] for record in records} == {"instrumented"}
    assert {record["deployment_environment_name"] for record in records} == {"test"}
    assert all(record["duration_seconds"] >= 0 for record in records)


def test_fields_are_what_the_calls_were(records: list[dict[str, Any]]) -> None:
    """Models, tokens, cost, errors, users and experiments, as the service and its answers say."""
    asked, streamed, failed, abandoned, own = records
    assert asked["gen_ai_request_model"] == "gpt-4.1"
    assert asked["gen_ai_response_model"] == "gpt-4.1-2025-04-14"
    assert (asked["endpoint"], asked["user_id"], asked["session_id"]) == ("/v1/chat", "u1", "s1")
    tokens = ("input", "output", "cache_read_input", "reasoning_output")
    counts = [asked[f"gen_ai_usage_{kind}_tokens"] for kind in tokens]
    assert counts == [2006, 300, 1920, 128]
    # 86 fresh, 1920 cached and 300 output tokens at 2.00, 0.50 and 8.00 dollars a million.
    assert asked["cost_usd_micros"] == 172 + 960 + 2400
    assert asked["time_to_first_token_seconds"] is None
    assert streamed["gen_ai_usage_input_tokens"] == 1021
    assert streamed["gen_ai_usage_output_tokens"] == 393
    assert streamed["cost_usd_micros"] == 63 + 300 + 5895
    assert 0 <= streamed["time_to_first_token_seconds"] <= streamed["duration_seconds"]
    assert streamed["experiments"] == [{"experiment": "prompt", "variant": "b"}]
    assert streamed["user_id"] is None
    assert failed["error_type"] == "__main__.OverloadedError"
    assert failed["http_response_status_code"] == 529
    assert failed["cost_usd_micros"] is None
    assert (abandoned["error_type"], abandoned["gen_ai_request_model"]) == (None, "llama")
    assert abandoned["time_to_first_token_seconds"] is not None
    assert (own["gen_ai_operation_name"], own["gen_ai_usage_input_tokens"]) == ("embeddings", 8)


def test_each_forked_process_is_a_producer_of_its_own(stack: Stack) -> None:
    """Parent, worker and child lose nothing at their ends, and count from 0 each."""
    run(stack, "forking.py")
    sequences: dict[str, list[int]] = defaultdict(list)
    for message in read(stack, "forking", 12):
        record = decode(message.value(), PinnedRegistry())
        sequences[record["producer_id"]].append(record["sequence"])
    assert sorted(map(sorted, sequences.values())) == [[0, 1, 2], [0, 1, 2], [0, 1, 2, 3, 4, 5]]


def test_logs_of_a_request_arrive_under_its_trace(stack: Stack) -> None:
    """As lines and as events, of structlog and of libraries, without what nobody may read."""
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    written = run(stack, "logging_service.py", f"00-{trace}-{span}-01")
    lines = [json.loads(line) for line in written.splitlines()]
    messages = read(stack, "logging", 5, LOGS)
    records = [decode(message.value(), PinnedRegistry()) for message in messages]
    traced = [record for record in records if record["trace_id"] == trace]
    said = ["request", "retry 1", "answered"]
    assert [record["body"] for record in traced] == said
    assert [line["event"] for line in lines if line.get("trace_id") == trace] == said
    assert {record["span_id"] for record in traced} == {span}
    assert [record["otel_scope_name"] for record in traced] == [
        "inferwatch", "library", "__main__",
    ]  # fmt: skip
    assert {"key": "user.id", "value": "u1"} in traced[2]["attributes"]
    assert {"key": "key", "value": "[redacted]"} in traced[2]["attributes"]
    for text in ("a question", "an answer", "0123456789"):
        assert text not in written
        assert text.encode() not in b"".join(message.value() for message in messages)
    # The forked process is a producer of its own, and wrote its line once.
    assert sorted(line["event"] for line in lines[3:]) == ["child", "parent"]
    assert len({record["producer_id"] for record in records}) == 2
    assert sorted(record["sequence"] for record in records) == [0, 0, 1, 2, 3]
    headers = dict(messages[0].headers())
    assert headers["ce_type"] == b"inferwatch.log"
