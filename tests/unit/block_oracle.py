"""What blocks must come to, worked out slowly: nothing here is shared with the pipeline.

Sums are Python's whole numbers, and a histogram's bin is found by comparing fractions.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from block_builders import PARTITION, TOPIC_ID, Table, identity

WINDOW = 10_000_000
EXACT = Context(prec=60)
# How many types of errors a row names, and bytes of the longest.
NAMES = 100
NAME_BYTES = 256


@cache
def bin_of(value: float) -> int:
    """The i with 2^(i/32) < value <= 2^((i+1)/32), or -32768 for zero."""
    if value == 0:
        return -32768
    power = Fraction(value) ** 32
    bound = power.numerator.bit_length() - power.denominator.bit_length() - 2
    while power > Fraction(2) ** bound:
        bound += 1
    return max(bound - 1, -32767)


def millionths(value: float) -> int:
    """A value in whole millionths, halves to even; a whole number is taken exactly."""
    return value * 10**6 if isinstance(value, int) else round(value * 1e6)


def histogram(values: Iterable[float]) -> tuple[list[int], list[int]]:
    """Bins, ascending, and how many values each has."""
    counts = sorted(Counter(bin_of(value) for value in values).items())
    return [index for index, _ in counts], [count for _, count in counts]


def tally(types: Sequence[str]) -> list[tuple[str, int]]:
    """Types of errors, which come in the order of the log, and how often each came, sorted."""
    named: list[str] = []
    for text in types:
        short = len(text.encode()) <= NAME_BYTES
        if short and text not in [*named, "_OTHER"] and len(named) < NAMES:
            named.append(text)
    return sorted(Counter(text if text in named else "_OTHER" for text in types).items())


def requests(group: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Measures of a group of requests."""

    def there(name: str) -> list[Any]:
        return [event[name] for event in group if event[name] is not None]

    errors = tally(there("error_type"))
    durations, first = there("duration_seconds"), there("time_to_first_token_seconds")
    duration_bins, first_bins = histogram(durations), histogram(first)
    return {
        "requests": len(group),
        "errors": len(there("error_type")),
        "error_types": [text for text, _ in errors],
        "error_type_counts": [count for _, count in errors],
        "input_tokens": sum(there("gen_ai_usage_input_tokens")),
        "output_tokens": sum(there("gen_ai_usage_output_tokens")),
        "cached_tokens": sum(there("gen_ai_usage_cache_read_input_tokens")),
        "reasoning_tokens": sum(there("gen_ai_usage_reasoning_output_tokens")),
        "cost_usd_micros": sum(there("cost_usd_micros")),
        "priced_requests": len(there("cost_usd_micros")),
        "durations": len(durations),
        "duration_micros": sum(map(millionths, durations)),
        "duration_bin_indexes": duration_bins[0],
        "duration_bin_counts": duration_bins[1],
        "first_tokens": len(first),
        "first_token_micros": sum(map(millionths, first)),
        "first_token_bin_indexes": first_bins[0],
        "first_token_bin_counts": first_bins[1],
    }


def resources(group: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Measures of a group of one metric's samples."""
    values = [event["value"] for event in group]
    return {
        "samples": len(values),
        "value_sum": Decimal(sum(map(millionths, values))).scaleb(-6, EXACT),
        "value_min": float(min(values)),
        "value_max": float(max(values)),
    }


def conversions(group: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Measures of a group of conversions."""
    values = [millionths(event["value"]) for event in group]
    return {
        "conversions": len(group),
        "value_sum": Decimal(sum(values)).scaleb(-6, EXACT),
        "value_sum_of_squares": Decimal(sum(value**2 for value in values)).scaleb(-12, EXACT),
    }


def evaluations(group: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Measures of a group of evaluations."""
    scores = [e["gen_ai_evaluation_score_value"] for e in group]
    there = [score for score in scores if score is not None]
    durations = [e["duration_seconds"] for e in group if e["duration_seconds"] is not None]
    verdicts = [e["passed"] for e in group if e["passed"] is not None]
    bins, counts = histogram(durations)
    squares = sum(millionths(score) ** 2 for score in there)
    return {
        "evaluations": len(group),
        "errors": sum(e["error_type"] is not None for e in group),
        "scored": len(there),
        "score_micros": sum(map(millionths, there)),
        "score_sum_of_squares": Decimal(squares).scaleb(-12, EXACT),
        "score_min": min(there, default=None),
        "score_max": max(there, default=None),
        "judged": len(verdicts),
        "passed": sum(verdicts),
        "durations": len(durations),
        "duration_micros": sum(map(millionths, durations)),
        "duration_bin_indexes": bins,
        "duration_bin_counts": counts,
    }


KINDS = {
    "request": (
        "requests.v1",
        {
            "service": "service_name",
            "environment": "deployment_environment_name",
            "provider": "gen_ai_provider_name",
            "model": "gen_ai_request_model",
            "endpoint": "endpoint",
        },
        requests,
    ),
    "resource": (
        "resources.v1",
        {"host": "host_name", "device": "device", "metric": "metric"},
        resources,
    ),
    "conversion": (
        "conversions.v1",
        {"experiment": "experiment", "variant": "variant", "metric": "metric"},
        conversions,
    ),
    "evaluation": (
        "evaluations.v1",
        {
            "service": "service_name",
            "environment": "deployment_environment_name",
            "model": "gen_ai_request_model",
            "metric": "gen_ai_evaluation_name",
            "kind": "kind",
        },
        evaluations,
    ),
}


def samples(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A resource event as one sample a metric."""
    metrics = set(event) - {"event_time", "host_name", "device"}
    shared = {name: event[name] for name in ("event_time", "host_name", "device")}
    return [
        {**shared, "metric": metric, "value": event[metric]}
        for metric in metrics
        if event[metric] is not None
    ]


def expected(
    name: str, events: Iterable[tuple[int, Mapping[str, Any]]], length: int, start: int = 0
) -> Table:
    """Rows of the events from offset start on."""
    signal, dimensions, measure = KINDS[name]
    groups: dict[tuple[Any, ...], list[tuple[int, Mapping[str, Any]]]] = {}
    for offset, event in events:
        if offset < start:
            continue
        for one in samples(event) if name == "resource" else [event]:
            key = tuple(one[field] or "" for field in dimensions.values())
            where = (*key, one["event_time"] // WINDOW, offset // length)
            groups.setdefault(where, []).append((offset, one))
    table: Table = {}
    for (*key, window, block), members in groups.items():
        fields = {
            "signal": signal,
            **dict(zip(dimensions, key, strict=True)),
            "window_start": window * WINDOW // 1000,
            "window_seconds": 10,
            "topic_id": TOPIC_ID,
            "partition": PARTITION,
            "block": block,
            "first_offset": max(start, block * length),
            "version": max(offset for offset, _ in members) + 1,
            **measure([one for _, one in members]),
        }
        table[identity(fields)] = fields
    return table
