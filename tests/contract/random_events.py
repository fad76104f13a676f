"""Events of every source, with every oddity that a stream may have; the same for equal seeds."""

import random
from collections.abc import Iterator
from typing import Any

from load import MICROS, START_MICROS, Event


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


def or_none(chance: random.Random, value: Any, missing: float = 0.1) -> Any:
    """The value, or now and then None, with a probability."""
    return None if chance.random() < missing else value


def _request(chance: random.Random) -> dict[str, Any]:
    def maybe(value: Any, missing: float = 0.1) -> Any:
        return or_none(chance, value, missing)

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
        "host_name": or_none(chance, "gpu-1", 0.5),
        "otel_scope_name": or_none(chance, "app.chat"),
        "trace_id": f"{chance.getrandbits(128):032x}",
        "span_id": f"{chance.getrandbits(64):016x}",
        "trace_flags": or_none(chance, chance.choice([0, 1, 255])),
        "error_type": or_none(chance, "timeout", 0.8),
        "attributes": _attributes(chance),
    }


def _log(chance: random.Random) -> dict[str, Any]:
    return _context(chance) | {
        "trace_id": or_none(chance, f"{chance.getrandbits(128):032x}", 0.3),
        "observed_time": or_none(chance, START_MICROS + chance.randint(0, 10**9), 0.5),
        "severity_number": or_none(chance, chance.randint(1, 24)),
        "severity_text": or_none(chance, "warning"),
        "body": chance.choice(["", "answered", "x" * 1000, '{"n": 1}', "größer\nals"]),
        "event_name": or_none(chance, "gen_ai.evaluation.result", 0.8),
        "exception_type": or_none(chance, "TimeoutError", 0.8),
        "exception_message": or_none(chance, "übermäßig", 0.8),
        "exception_stacktrace": or_none(chance, 'File "x.py", line 1\n  f()', 0.8),
    }


def _span(chance: random.Random) -> dict[str, Any]:
    event = {"time": START_MICROS, "name": "exception", "attributes": '{"exception.type": "E"}'}
    link = {"trace_id": "a" * 32, "span_id": "b" * 16, "attributes": ""}
    return _context(chance) | {
        "parent_span_id": or_none(chance, f"{chance.getrandbits(64):016x}", 0.3),
        "trace_state": or_none(chance, "vendor=1", 0.8),
        "name": chance.choice(["chat large", "POST /v1/chat", ""]),
        "kind": chance.choice(["internal", "server", "client"]),
        "status_code": chance.choice(["unset", "ok", "error"]),
        "status_message": or_none(chance, "überlastet", 0.8),
        "gen_ai_operation_name": or_none(chance, "chat", 0.5),
        "gen_ai_provider_name": or_none(chance, "vllm", 0.5),
        "gen_ai_request_model": or_none(chance, "large", 0.5),
        "gen_ai_response_model": or_none(chance, "large-0301", 0.5),
        "gen_ai_usage_input_tokens": or_none(chance, chance.randint(0, 100_000)),
        "gen_ai_usage_output_tokens": or_none(chance, chance.randint(0, 5_000)),
        "gen_ai_usage_cache_read_input_tokens": or_none(chance, 0),
        "gen_ai_usage_reasoning_output_tokens": or_none(chance, 10**12),
        "events": [event] * chance.randint(0, 3),
        "links": [link] * chance.randint(0, 2),
    }


def _evaluation(chance: random.Random) -> dict[str, Any]:
    scored = chance.random() < 0.8
    return {
        "kind": chance.choice(["test_set", "judge", "drift_probe", "user_feedback"]),
        "gen_ai_provider_name": or_none(chance, "vllm"),
        "gen_ai_request_model": chance.choice(["large", "small", ""]),
        "gen_ai_evaluation_name": chance.choice(["accuracy", "satisfaction"]),
        "gen_ai_evaluation_score_value": (
            chance.choice([0.0, 1.0, -1.0, chance.uniform(-10, 10), 1e6]) if scored else None
        ),
        "gen_ai_evaluation_score_label": or_none(chance, "correct", 0.5),
        "passed": chance.choice([True, False, None]) if scored else None,
        "error_type": None if scored else "judge_failed",
        "test_set": or_none(chance, "mt_bench", 0.5),
        "question_id": or_none(chance, str(chance.randint(81, 160)), 0.5),
        "turn": or_none(chance, chance.randint(1, 2), 0.5),
        "judge": or_none(chance, "gpt-4"),
        "duration_seconds": or_none(chance, chance.lognormvariate(0, 1), 0.3),
        "gen_ai_evaluation_explanation": or_none(chance, "weil es so ist: ja, größer", 0.5),
        "user_id": or_none(chance, f"user-{chance.randint(1, 500)}"),
        "session_id": or_none(chance, "session-1"),
        "trace_id": or_none(chance, f"{chance.getrandbits(128):032x}"),
        "span_id": or_none(chance, f"{chance.getrandbits(64):016x}"),
    }


def _device_event(chance: random.Random) -> dict[str, Any]:
    return {
        "host_name": chance.choice(["gpu-1", "gpu-2"]),
        "device": chance.choice(["GPU-0", ""]),
        "gpu_index": or_none(chance, chance.randint(0, 7)),
        "pci_bus_id": or_none(chance, "0000:3b:00.0"),
        "kind": chance.choice(["xid", "throttle", "ecc", "fell_off_the_bus", "other"]),
        "code": or_none(chance, chance.choice([79, 2**40])),
        "severity": chance.choice(["info", "warning", "error", "critical"]),
        "text": chance.choice(["GPU has fallen off the bus.", ""]),
        "state_before": or_none(chance, "none", 0.5),
        "state_after": or_none(chance, "hw_thermal_slowdown", 0.5),
        "process_pid": or_none(chance, chance.randint(1, 10**6), 0.5),
    }


def _producer_end(chance: random.Random) -> dict[str, Any]:
    return {
        "ended_producer_id": f"{chance.getrandbits(64):016x}",
        "ended_topic": chance.choice(["inferwatch.requests", "inferwatch.logs"]),
        "events_made": chance.choice([0, 1, chance.randint(2, 10**6)]),
    }
