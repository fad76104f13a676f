"""A service with traces: its spans arrive in Kafka, and in ClickHouse beside its requests."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from pipeline import Stack, wait_until

from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import REQUESTS, SPANS
from inferwatch_schemas.wire import decode

PROGRAM = Path(__file__).parent / "traced.py"
SENT = 5


@pytest.fixture(scope="module")
def trace_id(stack: Stack) -> str:
    """The trace that the service made, and has sent when it has ended."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("INFERWATCH_", "OTEL_"))
    }
    done = subprocess.run(  # noqa: S603  # our own program, no shell
        [sys.executable, str(PROGRAM), stack.kafka.bootstrap_servers],
        env=own, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.strip()


def test_spans_and_requests_are_one_trace(stack: Stack, trace_id: str) -> None:
    """Parents are where they belong, keys are as the catalogue says, and headers name the place."""
    messages = read(stack)
    records = [(message.topic(), decode(message.value(), PinnedRegistry())) for message in messages]
    spans = {record["name"]: record for topic, record in records if topic == SPANS.name}
    requests = {
        f"chat {record['gen_ai_request_model']}": record
        for topic, record in records
        if topic == REQUESTS.name
    }
    assert set(spans) == {"question", *requests}
    assert {record["trace_id"] for _, record in records} == {trace_id}
    assert sorted(span["sequence"] for span in spans.values()) == [0, 1, 2]
    question = spans["question"]
    assert (question["parent_span_id"], question["kind"]) == (None, "internal")
    for name, request in requests.items():
        span = spans[name]
        assert (span["span_id"], span["parent_span_id"]) == (
            request["span_id"],
            question["span_id"],
        )
        assert (span["kind"], span["error_type"]) == ("client", request["error_type"])
    assert spans["chat llama"]["events"][0]["name"] == "exception"
    for message, (topic, record) in zip(messages, records, strict=True):
        key = record["service_name"] if topic == REQUESTS.name else trace_id
        assert message.key().decode() == key
        header = dict(message.headers())["traceparent"].decode()
        # Sampled, and of OpenTelemetry's SDK also random.
        assert header in {f"00-{trace_id}-{record['span_id']}-{flags}" for flags in ("01", "03")}


@pytest.mark.kafka
def test_a_trace_is_found_by_its_id(stack: Stack, trace_id: str) -> None:
    """With its requests, in the order of time."""
    with stack.worker("sink", "--only", "sink") as sink:
        rows = wait_until(
            lambda: stack.query(
                "SELECT what, name, status FROM trace(id = {id:String}) ORDER BY what, time",
                id=trace_id,
            ),
            lambda rows: len(rows) == SENT,
            sink,
            seconds=60,
        )
        sink.stop()
    assert rows == [
        ("request", "chat gpt-4.1", ""),
        ("request", "chat llama", "TimeoutError"),
        ("span", "question", ""),
        ("span", "chat gpt-4.1", ""),
        ("span", "chat llama", "TimeoutError"),
    ]
    assert stack.query(
        "SELECT gen_ai_usage_output_tokens, service_name, kind, events.name FROM spans "
        "WHERE trace_id = {id:String} ORDER BY start_time",
        id=trace_id,
    ) == [
        (None, "traced", "internal", []),
        (4, "traced", "client", []),
        (None, "traced", "client", ["exception"]),
    ]


def read(stack: Stack) -> list[Any]:
    """All that the service sent."""
    consumer = Consumer({**stack.kafka.confluent(), "group.id": "spans"}, logger=SILENT)
    consumer.assign(
        [
            TopicPartition(topic.name, partition, OFFSET_BEGINNING)
            for topic in (SPANS, REQUESTS)
            for partition in range(topic.partitions)
        ]
    )
    found: list[Any] = []
    try:
        for _ in range(100):
            found += consumer.consume(SENT, timeout=0.2)
            if len(found) >= SENT:
                break
    finally:
        consumer.close()
    assert [message.error() for message in found] == [None] * SENT
    return found
