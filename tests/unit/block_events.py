"""Strategies of events, with what hurts: nulls, zeros, extremes, odd texts, late times."""

from typing import Any

from block_builders import NEWER, OLDER
from hypothesis import strategies as st

Value = tuple[dict[str, Any], int | None]

LAST_MICROSECOND = 4_291_747_200_000_000
TEXTS = st.one_of(
    st.sampled_from(["", "chat", "search", "chat\0", "\0chat", "é", "e\u0301", "模型" * 40, "🜁"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
)
# Few windows, so that groups meet; late events, and both ends of time.
TIMES = st.one_of(
    st.sampled_from([0, 9_999_999, 10_000_000, 1_700_000_000_000_000, LAST_MICROSECOND]),
    st.integers(1_700_000_000_000_000, 1_700_000_030_000_000),
)
SECONDS = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, 5e-324, 1e-9, 5e-7, 1.5e-6, 0.25, 1.0, 1.0000000001, 1e6]),
    st.floats(0, 1e6),
)
COUNTS = st.one_of(st.none(), st.sampled_from([0, 1, 10**12]), st.integers(0, 10**12))

NULLABLE = (
    "gen_ai_request_model", "gen_ai_usage_input_tokens", "gen_ai_usage_output_tokens",
    "gen_ai_usage_cache_read_input_tokens", "gen_ai_usage_reasoning_output_tokens",
    "cost_usd_micros", "duration_seconds", "time_to_first_token_seconds",
)  # fmt: skip
REQUESTS = st.fixed_dictionaries(
    {
        "event_time": TIMES,
        "service_name": TEXTS,
        "deployment_environment_name": st.sampled_from(["", "production"]),
        "gen_ai_provider_name": st.sampled_from(["openai", "vllm"]),
        "gen_ai_request_model": st.one_of(st.none(), TEXTS),
        "endpoint": st.just("/v1/chat"),
        "error_type": st.one_of(st.none(), st.none(), TEXTS),
        "gen_ai_usage_input_tokens": COUNTS,
        "gen_ai_usage_output_tokens": st.sampled_from([None, 0, 7]),
        "gen_ai_usage_cache_read_input_tokens": st.sampled_from([None, 10**12]),
        "gen_ai_usage_reasoning_output_tokens": st.sampled_from([None, 3]),
        "cost_usd_micros": COUNTS,
        "duration_seconds": SECONDS,
        "time_to_first_token_seconds": SECONDS,
    }
)
# Few groups and many types of errors: around the most bytes that a test lets a name have, eight,
# and the name that stands for all others.
FAILING = st.fixed_dictionaries(
    {
        **dict.fromkeys(NULLABLE, st.none()),
        "event_time": st.sampled_from([0, 0, 0, 10_000_000]),
        "service_name": st.sampled_from(["a", "a", "a", "b"]),
        "deployment_environment_name": st.just(""),
        "gen_ai_provider_name": st.just(""),
        "endpoint": st.just(""),
        "error_type": st.sampled_from(
            [None, "", "_OTHER", "_OTHER\0", "_OTHEs", *"0123456", "é" * 4, "é" * 5, "x" * 9]
        ),
    }
)
BYTES = st.one_of(st.none(), st.sampled_from([0, 2**63 // 10**6 + 1, 10**18]))
RESOURCES = st.fixed_dictionaries(
    {
        "event_time": TIMES,
        "host_name": TEXTS,
        "device": st.sampled_from(["", "GPU-0"]),
        "gpu_utilization_ratio": st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0])),
        "gpu_temperature_celsius": st.one_of(
            st.none(), st.sampled_from([0.0, -0.0, -273.15]), st.floats(-273.15, 10_000)
        ),
        "memory_used_bytes": BYTES,
        "network_receive_bytes_per_second": st.one_of(st.none(), st.floats(0, 1e12)),
        "active_connections": st.none(),
    }
)
CONVERSIONS = st.fixed_dictionaries(
    {
        "event_time": TIMES,
        "experiment": TEXTS,
        "variant": st.sampled_from(["a", "b"]),
        "metric": st.sampled_from(["purchase", ""]),
        "value": st.one_of(
            st.sampled_from([0.0, -0.0, 1e9, -1e9, 1e-6, -1.5e-6]), st.floats(-1e9, 1e9)
        ),
    }
)

SCORES = st.one_of(
    st.none(), st.sampled_from([0.0, -0.0, 1e6, -1e6, 5e-7, -1.5e-6]), st.floats(-1e6, 1e6)
)
EVALUATIONS = st.fixed_dictionaries(
    {
        "event_time": TIMES,
        "service_name": TEXTS,
        "deployment_environment_name": st.just("production"),
        "gen_ai_request_model": TEXTS,
        "gen_ai_evaluation_name": st.sampled_from(["accuracy", ""]),
        "kind": st.sampled_from(["judge", "test_set"]),
        "gen_ai_evaluation_score_value": SCORES,
        "passed": st.sampled_from([None, True, False]),
        "error_type": st.one_of(st.none(), TEXTS),
        "duration_seconds": SECONDS,
    }
)


def _of_writer(value: Value) -> Value:
    event, schema_id = value
    # An older writer does not know what a call costs.
    return ({**event, "cost_usd_micros": None} if schema_id == OLDER else event), schema_id


WRITERS = st.sampled_from([None, NEWER, OLDER])
#: Requests that fail in many ways, and the writer's schema, as below.
FAILURES: st.SearchStrategy[Value] = st.tuples(FAILING, WRITERS)
#: An event of one of the kinds, and the writer's schema where it is not our newest.
BY_NAME: dict[str, st.SearchStrategy[Value]] = {
    "request": st.tuples(REQUESTS, WRITERS).map(_of_writer),
    "resource": st.tuples(RESOURCES, st.none()),
    "conversion": st.tuples(CONVERSIONS, st.none()),
    "evaluation": st.tuples(EVALUATIONS, st.none()),
}
