"""A load with every oddity that a stream may have, and where in Kafka each event of it came to be.

Events are encoded with fastavro from the schema files alone, so that nothing of the pipeline
vouches for itself.
"""

import io
import json
import random
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import fastavro
from confluent_kafka import Producer

from inferwatch_schemas.admin import SILENT
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.topics import TOPICS, topic_of

MICROS = 1_000_000
# 45 s before a month ends: windows fall on both sides of what ClickHouse partitions by.
START_MICROS = 1_711_929_555 * MICROS

_AVRO = files("inferwatch_schemas") / "avro"
SCHEMA_IDS: dict[str, int] = {
    release["name"]: release["id"]
    for release in json.loads((_AVRO / "released" / "ids.json").read_text())
}
SCHEMAS = {
    name: fastavro.parse_schema(json.loads((_AVRO / f"{name}.avsc").read_text()))
    for topic in TOPICS
    for name in topic.schemas
}


@dataclass(frozen=True)
class Event:
    """An event to publish."""

    schema: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Record:
    """An event and its place in Kafka."""

    schema: str
    fields: dict[str, Any]
    topic: str
    partition: int
    offset: int


def encode(event: Event) -> bytes:
    """The record's value in Confluent's wire format."""
    body = io.BytesIO()
    body.write(struct.pack(">bI", 0, SCHEMA_IDS[event.schema]))
    fastavro.schemaless_writer(body, SCHEMAS[event.schema], event.fields)
    return body.getvalue()


class Log:
    """Publishes events to chosen partitions, and keeps what the broker acknowledged.

    Attributes:
        records: Acknowledged events.
        ahead_seconds: How far the producer's clock is ahead.

    Args:
        kafka: Where to.
        settings: The producer's, in place of zstd and a linger of 20 ms.
        flush_seconds: How long the broker may take to acknowledge what was sent.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        settings: Mapping[str, Any] | None = None,
        flush_seconds: float = 30,
    ) -> None:
        self.records: list[Record] = []
        self.ahead_seconds = 0.0
        self._random = random.Random(7)  # noqa: S311 -- a load, no secret
        self._partitions = {topic.name: topic.partitions for topic in TOPICS}
        self._flush_seconds = flush_seconds
        usual = {"compression.type": "zstd", "linger.ms": 20}
        self._producer = Producer({**kafka.confluent(), **usual, **(settings or {})}, logger=SILENT)

    def publish(self, events: Iterable[Event]) -> None:
        """Send events and wait until all are acknowledged."""
        for event in events:
            topic = topic_of(event.schema).name

            def acknowledged(error: Any, message: Any, event: Event = event) -> None:
                assert error is None, error
                place = (message.topic(), message.partition(), message.offset())
                self.records.append(Record(event.schema, event.fields, *place))

            self._producer.produce(
                topic,
                encode(event),
                key=b"any",
                partition=self._random.randrange(self._partitions[topic]),
                timestamp=round((time.time() + self.ahead_seconds) * 1000),
                on_delivery=acknowledged,
            )
            self._producer.poll(0)
        assert self._producer.flush(self._flush_seconds) == 0

    def of(self, schema: str) -> list[Record]:
        """The acknowledged events of one schema."""
        return [record for record in self.records if record.schema == schema]


class Publishing:
    """Publishes a load in slices from a thread, until told to send the rest at once.

    Args:
        log: Publishes, and keeps what was acknowledged.
        events: The load.
        slices: Into how many parts it is cut; each is acknowledged before the next is sent.
        pause_seconds: Between two slices.
    """

    def __init__(self, log: Log, events: list[Event], slices: int, pause_seconds: float) -> None:
        self._log = log
        self._pause_seconds = pause_seconds
        size = len(events) // slices + 1
        self._slices = [events[at : at + size] for at in range(0, len(events), size)]
        self._hurry = threading.Event()
        self._cancelled = False
        self._failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for part in self._slices:
                if self._cancelled:
                    return
                self._log.publish(part)
                self._hurry.wait(self._pause_seconds)
        except BaseException as error:  # noqa: BLE001 -- raised again where the thread is joined
            self._failed.append(error)

    def finish(self, seconds: float = 150) -> None:
        """Publish the rest without pauses and wait for it."""
        self._hurry.set()
        self._thread.join(seconds)
        assert not self._thread.is_alive()
        if self._failed:
            raise self._failed[0]

    def cancel(self, seconds: float = 10) -> None:
        """Publish nothing more, whatever became of what was sent."""
        self._cancelled = True
        self._hurry.set()
        self._thread.join(seconds)


def make_events(seed: int, requests: int) -> list[Event]:
    """Requests over six minutes and now and then an event of the other sources, shuffled a little.

    Args:
        seed: Equal seeds make equal loads.
        requests: How many; a tenth as many of each other kind of event come along.
    """
    chance = random.Random(seed)  # noqa: S311 -- a load, no secret
    return list(_events(chance, requests, f"load-{seed}"))


def _events(chance: random.Random, requests: int, producer: str) -> Iterator[Event]:
    makers = {
        "resource": _resource,
        "exposure": _exposure,
        "conversion": _conversion,
        "log": _log,
        "span": _span,
        "evaluation": _evaluation,
        "device_event": _device_event,
        "producer_end": _producer_end,
    }
    for number in range(requests):
        at = START_MICROS + number * 360 * MICROS // requests
        yield Event("request", _header(chance, producer, number, at) | _request(chance))
        if number % 10 == 0:
            for schema, make in makers.items():
                header = _header(chance, producer, number // 10, at)
                fields = header | make(chance)
                if schema == "span":
                    fields["start_time"] = header["event_time"] - chance.randint(0, 5 * MICROS)
                yield Event(schema, fields)


def _header(chance: random.Random, producer: str, sequence: int, at: int) -> dict[str, Any]:
    jitter = chance.randint(-20 * MICROS, 0)
    if chance.random() < 0.03:
        jitter = -chance.randint(0, 3 * 3600 * MICROS)
    time = at + jitter
    # Now and then exactly at the edges of a window.
    edge = chance.random()
    if edge < 0.02:
        time -= time % (10 * MICROS) + (1 if edge < 0.01 else 0)
    return {
        "event_id": f"{producer}-{sequence}",
        "producer_id": producer,
        "sequence": sequence,
        "event_time": time,
        "service_name": chance.choice(["chat", "search", "übersetzer"]),
        "deployment_environment_name": chance.choice(["production", "staging"]),
    }


def _maybe(chance: random.Random, value: Any, missing: float = 0.1) -> Any:
    return None if chance.random() < missing else value


def _request(chance: random.Random) -> dict[str, Any]:
    def maybe(value: Any, missing: float = 0.1) -> Any:
        return _maybe(chance, value, missing)

    first = chance.lognormvariate(-1, 1)
    duration = first + chance.lognormvariate(0, 1)
    return {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": chance.choice(["openai", "vllm"]),
        "gen_ai_request_model": chance.choice(["large", "small", None, ""]),
        "gen_ai_response_model": maybe("large-0301"),
        "endpoint": chance.choice(["/v1/chat", ""]),
        "http_request_method": maybe("POST"),
        "http_response_status_code": maybe(chance.choice([200, 429, 500])),
        "error_type": maybe(chance.choice(["timeout", "429", "überlastet"]), 0.8),
        # Exact bounds of the histogram's bins, and zeros, among the ordinary.
        "duration_seconds": maybe(chance.choice([duration] * 9 + [2.0 ** chance.randint(-9, 9)])),
        "time_to_first_token_seconds": maybe(chance.choice([first] * 9 + [0.0])),
        "gen_ai_usage_input_tokens": maybe(chance.randint(0, 100_000)),
        "gen_ai_usage_output_tokens": maybe(chance.randint(0, 5_000)),
        "gen_ai_usage_cache_read_input_tokens": maybe(chance.randint(0, 1_000), 0.5),
        "gen_ai_usage_reasoning_output_tokens": maybe(chance.randint(0, 1_000), 0.5),
        "cost_usd_micros": maybe(chance.randint(0, 10**9), 0.3),
        "user_id": maybe(f"user-{chance.randint(1, 500)}"),
        "session_id": maybe(f"session-{chance.randint(1, 2000)}"),
        "experiments": [{"experiment": "prompt", "variant": "b"}] * chance.randint(0, 2),
        "trace_id": maybe(f"{chance.getrandbits(128):032x}"),
        "span_id": maybe(f"{chance.getrandbits(64):016x}"),
    }


def _resource(chance: random.Random) -> dict[str, Any]:
    return {
        "host_name": chance.choice(["gpu-1", "gpu-2"]),
        "device": chance.choice(["host", "GPU-0"]),
        "cpu_utilization_ratio": chance.random(),
        "gpu_power_watts": chance.choice([None, chance.uniform(50, 700)]),
        "gpu_memory_used_bytes": chance.choice([None, chance.randint(0, 2**37)]),
        "queue_size": chance.choice([None, float(chance.randint(0, 50))]),
    }


def _exposure(chance: random.Random) -> dict[str, Any]:
    return {
        "experiment": "prompt",
        "variant": chance.choice(["a", "b"]),
        "user_id": f"user-{chance.randint(1, 500)}",
        "trace_id": None,
    }


def _conversion(chance: random.Random) -> dict[str, Any]:
    return _exposure(chance) | {
        "metric": chance.choice(["signup", "spend"]),
        "value": chance.choice([1.0, chance.uniform(-1000, 1000)]),
    }


def _attributes(chance: random.Random) -> list[dict[str, str]]:
    keys = chance.sample(["http.route", "thread.name", "größe", ""], chance.randint(0, 4))
    return [{"key": key, "value": chance.choice(["", "1", '{"a": [1]}', "ü"])} for key in keys]


def _context(chance: random.Random) -> dict[str, Any]:
    return {
        "host_name": _maybe(chance, "gpu-1", 0.5),
        "otel_scope_name": _maybe(chance, "app.chat"),
        "trace_id": f"{chance.getrandbits(128):032x}",
        "span_id": f"{chance.getrandbits(64):016x}",
        "trace_flags": _maybe(chance, chance.choice([0, 1, 255])),
        "error_type": _maybe(chance, "timeout", 0.8),
        "attributes": _attributes(chance),
    }


def _log(chance: random.Random) -> dict[str, Any]:
    return _context(chance) | {
        "trace_id": _maybe(chance, f"{chance.getrandbits(128):032x}", 0.3),
        "observed_time": _maybe(chance, START_MICROS + chance.randint(0, 10**9), 0.5),
        "severity_number": _maybe(chance, chance.randint(1, 24)),
        "severity_text": _maybe(chance, "warning"),
        "body": chance.choice(["", "answered", "x" * 1000, '{"n": 1}', "größer\nals"]),
        "event_name": _maybe(chance, "gen_ai.evaluation.result", 0.8),
        "exception_type": _maybe(chance, "TimeoutError", 0.8),
        "exception_message": _maybe(chance, "übermäßig", 0.8),
        "exception_stacktrace": _maybe(chance, 'File "x.py", line 1\n  f()', 0.8),
    }


def _span(chance: random.Random) -> dict[str, Any]:
    event = {"time": START_MICROS, "name": "exception", "attributes": '{"exception.type": "E"}'}
    link = {"trace_id": "a" * 32, "span_id": "b" * 16, "attributes": ""}
    return _context(chance) | {
        "parent_span_id": _maybe(chance, f"{chance.getrandbits(64):016x}", 0.3),
        "trace_state": _maybe(chance, "vendor=1", 0.8),
        "name": chance.choice(["chat large", "POST /v1/chat", ""]),
        "kind": chance.choice(["internal", "server", "client"]),
        "status_code": chance.choice(["unset", "ok", "error"]),
        "status_message": _maybe(chance, "überlastet", 0.8),
        "gen_ai_operation_name": _maybe(chance, "chat", 0.5),
        "gen_ai_provider_name": _maybe(chance, "vllm", 0.5),
        "gen_ai_request_model": _maybe(chance, "large", 0.5),
        "gen_ai_response_model": _maybe(chance, "large-0301", 0.5),
        "gen_ai_usage_input_tokens": _maybe(chance, chance.randint(0, 100_000)),
        "gen_ai_usage_output_tokens": _maybe(chance, chance.randint(0, 5_000)),
        "gen_ai_usage_cache_read_input_tokens": _maybe(chance, 0),
        "gen_ai_usage_reasoning_output_tokens": _maybe(chance, 10**12),
        "events": [event] * chance.randint(0, 3),
        "links": [link] * chance.randint(0, 2),
    }


def _evaluation(chance: random.Random) -> dict[str, Any]:
    scored = chance.random() < 0.8
    return {
        "kind": chance.choice(["test_set", "judge", "drift_probe", "user_feedback"]),
        "gen_ai_provider_name": _maybe(chance, "vllm"),
        "gen_ai_request_model": chance.choice(["large", "small", ""]),
        "gen_ai_evaluation_name": chance.choice(["accuracy", "satisfaction"]),
        "gen_ai_evaluation_score_value": (
            chance.choice([0.0, 1.0, -1.0, chance.uniform(-10, 10), 1e6]) if scored else None
        ),
        "gen_ai_evaluation_score_label": _maybe(chance, "correct", 0.5),
        "passed": chance.choice([True, False, None]) if scored else None,
        "error_type": None if scored else "judge_failed",
        "test_set": _maybe(chance, "mt_bench", 0.5),
        "question_id": _maybe(chance, str(chance.randint(81, 160)), 0.5),
        "turn": _maybe(chance, chance.randint(1, 2), 0.5),
        "judge": _maybe(chance, "gpt-4"),
        "duration_seconds": _maybe(chance, chance.lognormvariate(0, 1), 0.3),
        "gen_ai_evaluation_explanation": _maybe(chance, "weil es so ist: ja, größer", 0.5),
        "user_id": _maybe(chance, f"user-{chance.randint(1, 500)}"),
        "session_id": _maybe(chance, "session-1"),
        "trace_id": _maybe(chance, f"{chance.getrandbits(128):032x}"),
        "span_id": _maybe(chance, f"{chance.getrandbits(64):016x}"),
    }


def _device_event(chance: random.Random) -> dict[str, Any]:
    return {
        "host_name": chance.choice(["gpu-1", "gpu-2"]),
        "device": chance.choice(["GPU-0", ""]),
        "gpu_index": _maybe(chance, chance.randint(0, 7)),
        "pci_bus_id": _maybe(chance, "0000:3b:00.0"),
        "kind": chance.choice(["xid", "throttle", "ecc", "fell_off_the_bus", "other"]),
        "code": _maybe(chance, chance.choice([79, 2**40])),
        "severity": chance.choice(["info", "warning", "error", "critical"]),
        "text": chance.choice(["GPU has fallen off the bus.", ""]),
        "state_before": _maybe(chance, "none", 0.5),
        "state_after": _maybe(chance, "hw_thermal_slowdown", 0.5),
        "process_pid": _maybe(chance, chance.randint(1, 10**6), 0.5),
    }


def _producer_end(chance: random.Random) -> dict[str, Any]:
    return {
        "ended_producer_id": f"{chance.getrandbits(64):016x}",
        "ended_topic": chance.choice(["inferwatch.requests", "inferwatch.logs"]),
        "events_made": chance.choice([0, 1, chance.randint(2, 10**6)]),
    }


def make_states(seed: int, count: int) -> list[Event]:
    """States of alerts, silences and incidents, and commands, as many of each.

    A few keys have all of them, so that most are replaced, some by a leader that another replaced.
    """
    chance = random.Random(seed)  # noqa: S311 -- a load, no secret
    makers = {"alert": _alert, "silence": _silence, "incident": _incident, "command": _command}
    return [
        Event(schema, {"event_time": START_MICROS + number * MICROS} | make(chance))
        for number in range(count)
        for schema, make in makers.items()
    ]


def _instant(chance: random.Random) -> int:
    return START_MICROS + chance.randint(-(10**9), 10**9)


def _matchers(chance: random.Random) -> list[dict[str, str]]:
    written = [("service", "=~", "chat|größe"), ("rule", "!=", ""), ("a", "=", '"\\')]
    return [
        dict(zip(("name", "operator", "value"), each, strict=True))
        for each in chance.sample(written, chance.randint(0, 3))
    ]


def _alert(chance: random.Random) -> dict[str, Any]:
    labels = chance.sample(["service", "model", "größe"], chance.randint(0, 3))
    return {
        "fingerprint": f"{chance.randint(1, 5):016x}",
        "rule": "error_rate",
        "kind": chance.choice(["threshold", "burn_rate"]),
        "severity": chance.choice(["low", "critical"]),
        "status": chance.choice(["pending", "firing", "acknowledged", "resolved", "inactive"]),
        "transition_id": f"{chance.getrandbits(64):016x}",
        "labels": [{"name": name, "value": chance.choice(["", "ü", "chat"])} for name in labels],
        "value": _maybe(chance, chance.choice([0.0, 0.25, -1e300])),
        "threshold": _maybe(chance, 0.05),
        "samples": _maybe(chance, chance.randint(0, 2**40)),
        "summary": chance.choice(["", "5 % of calls fail: ü"]),
        "description": chance.choice(["", "a\nb"]),
        "runbook_url": _maybe(chance, "docs/runbooks/error-rate.md"),
        "details": _maybe(chance, '{"burn":14.4}'),
        "started_at": _instant(chance),
        "fired_at": _maybe(chance, _instant(chance)),
        "acknowledged_at": _maybe(chance, _instant(chance), 0.5),
        "acknowledged_by": _maybe(chance, "anna", 0.5),
        "resolved_at": _maybe(chance, _instant(chance), 0.5),
        "silence_id": _maybe(chance, "maintenance/night", 0.5),
        "inhibited_by": _maybe(chance, "f" * 16, 0.5),
        "flapping": chance.choice([True, False]),
        "group_key": 'service="chat"',
        "epoch": chance.randint(0, 3),
    }


def _silence(chance: random.Random) -> dict[str, Any]:
    return {
        "silence_id": chance.choice(["s1", "s2"]),
        "matchers": _matchers(chance),
        "starts_at": _instant(chance),
        "ends_at": _instant(chance),
        "actor": "anna",
        "reason": chance.choice(["", "größer"]),
        "epoch": chance.randint(0, 3),
    }


def _command(chance: random.Random) -> dict[str, Any]:
    return {
        "command_id": f"{chance.getrandbits(64):016x}",
        "actor": "anna",
        "action": chance.choice(["acknowledge", "silence", "of a newer version"]),
        "target": f"{chance.randint(1, 5):016x}",
        "text": _maybe(chance, "größer", 0.5),
        "assignee": _maybe(chance, "bert", 0.5),
        "response_action": _maybe(chance, "scale_up", 0.5),
        "starts_at": _maybe(chance, _instant(chance), 0.5),
        "ends_at": _maybe(chance, _instant(chance), 0.5),
        "matchers": _matchers(chance),
    }


def _incident(chance: random.Random) -> dict[str, Any]:
    alert = {
        "fingerprint": "a" * 16, "rule": "error_rate", "severity": "high", "status": "firing",
        "summary": "ü", "joined_at": _instant(chance),
    }  # fmt: skip
    action = {
        "name": "scale_up",
        "status": "succeeded",
        "started_at": _maybe(chance, _instant(chance), 0.5),
        "finished_at": _maybe(chance, _instant(chance), 0.5),
        "attempts": chance.randint(0, 3),
        "result": _maybe(chance, "four replicas", 0.5),
        "value_before": _maybe(chance, 0.25, 0.5),
        "value_after": _maybe(chance, 0.125, 0.5),
        "undo": _maybe(chance, "scale down", 0.5),
    }
    event = {"at": _instant(chance), "kind": "opened", "actor": "inferwatch", "text": "größer"}
    return {
        "incident_id": f"{chance.randint(1, 3):016x}",
        "title": "error_rate: ü",
        "priority": chance.choice(["P1", "P4"]),
        "status": chance.choice(["open", "resolved"]),
        "transition": "opened",
        "transition_id": f"{chance.getrandbits(64):016x}",
        "services": chance.choice([[], ["chat", "übersetzer"]]),
        "models": chance.choice([[], ["large"]]),
        "hosts": [],
        "alerts": [alert] * chance.randint(0, 2),
        "probable_cause": _maybe(chance, "GPU memory is full", 0.5),
        "cause_fingerprint": _maybe(chance, "b" * 16, 0.5),
        "runbook_url": _maybe(chance, "docs/runbooks/error-rate.md", 0.5),
        "opened_at": _instant(chance),
        "acknowledge_by": _instant(chance),
        "resolve_by": _instant(chance),
        "acknowledged_at": _maybe(chance, _instant(chance), 0.5),
        "acknowledged_by": _maybe(chance, "anna", 0.5),
        "assignee": _maybe(chance, "bert", 0.5),
        "resolved_at": _maybe(chance, _instant(chance), 0.5),
        "resolved_by": _maybe(chance, "anna", 0.5),
        "escalation_level": chance.randint(0, 3),
        "targets": chance.choice([[], ["pager", "chat"]]),
        "actions": [action] * chance.randint(0, 2),
        "timeline": [event] * chance.randint(0, 2),
        "epoch": chance.randint(0, 3),
    }
