"""What the tables must hold, from the events alone: plain Python that shares no code with them."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from load import Record

MICROS = 1_000_000
WINDOW_MICROS = 10 * MICROS
ZERO_BIN = -32768
ERROR = 0.011

Row = dict[str, Any]


def micros(values: Iterable[float]) -> int:
    """Sum of values, each rounded to millionths."""
    return sum(round(Fraction(value) * MICROS) for value in values)


def bin_of(value: float) -> int:
    """Index i with 2^(i/32) < value <= 2^((i+1)/32), decided with whole numbers."""
    if value == 0:
        return ZERO_BIN
    index = math.ceil(math.log2(value) * 32) - 1
    power = Fraction(value) ** 32
    while power > Fraction(2) ** (index + 1):
        index += 1
    while power <= Fraction(2) ** index:
        index -= 1
    return index


def nearest_rank(q: float, values: Iterable[float]) -> float | None:
    """The value of rank ceil(q * n)."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(1, math.ceil(Fraction(str(q)) * len(ordered))) - 1]


def close(found: float | None, exact: float | None) -> bool:
    """Whether a quantile is as near as a histogram promises."""
    if found is None or exact is None:
        return found is exact
    return abs(found - exact) <= ERROR * exact


def values_of(records: Iterable[Record], name: str) -> list[Any]:
    """A field of all records in which it is not null."""
    return [record.fields[name] for record in records if record.fields.get(name) is not None]


def _histogram(records: Sequence[Record], field: str, name: str) -> Row:
    values = values_of(records, field)
    bins = sorted(Counter(map(bin_of, values)).items())
    return {
        f"{name}s": len(values),
        f"{name}_micros": micros(values),
        f"{name}_bin_indexes": [index for index, _ in bins],
        f"{name}_bin_counts": [count for _, count in bins],
    }


def request_measures(records: Sequence[Record]) -> Row:
    """The measures of requests.v1."""
    errors = sorted(Counter(values_of(records, "error_type")).items(), key=lambda e: e[0].encode())
    prices = values_of(records, "cost_usd_micros")
    return {
        "requests": len(records),
        "errors": sum(count for _, count in errors),
        "error_types": [kind for kind, _ in errors],
        "error_type_counts": [count for _, count in errors],
        "input_tokens": sum(values_of(records, "gen_ai_usage_input_tokens")),
        "output_tokens": sum(values_of(records, "gen_ai_usage_output_tokens")),
        "cached_tokens": sum(values_of(records, "gen_ai_usage_cache_read_input_tokens")),
        "reasoning_tokens": sum(values_of(records, "gen_ai_usage_reasoning_output_tokens")),
        "cost_usd_micros": sum(prices),
        "priced_requests": len(prices),
        **_histogram(records, "duration_seconds", "duration"),
        **_histogram(records, "time_to_first_token_seconds", "first_token"),
    }


def exposure_measures(records: Sequence[Record]) -> Row:
    """The measures of exposures.v1."""
    return {"exposures": len(records)}


def conversion_measures(records: Sequence[Record]) -> Row:
    """The measures of conversions.v1."""
    values = [round(Fraction(value) * MICROS) for value in values_of(records, "value")]
    squares = sum(value * value for value in values)
    return {
        "conversions": len(records),
        "value_sum": Decimal(sum(values)).scaleb(-6),
        "value_sum_of_squares": Decimal(squares).scaleb(-12),
    }


def evaluation_measures(records: Sequence[Record]) -> Row:
    """The measures of evaluations.v1."""
    scores = values_of(records, "gen_ai_evaluation_score_value")
    verdicts = values_of(records, "passed")
    squares = sum(round(Fraction(score) * MICROS) ** 2 for score in scores)
    return {
        "evaluations": len(records),
        "errors": len(values_of(records, "error_type")),
        "scored": len(scores),
        "score_micros": micros(scores),
        "score_sum_of_squares": Decimal(squares).scaleb(-12),
        "score_min": min(scores, default=None),
        "score_max": max(scores, default=None),
        "judged": len(verdicts),
        "passed": verdicts.count(True),
        **_histogram(records, "duration_seconds", "duration"),
    }


def resource_measures(records: Sequence[Record]) -> Row:
    """The measures of resources.v1, of records whose metric was made the field ``value``."""
    values = values_of(records, "value")
    return {
        "samples": len(values),
        "value_sum": Decimal(micros(values)).scaleb(-6),
        "value_min": float(min(values)),
        "value_max": float(max(values)),
    }


def by_metric(records: Iterable[Record], metrics: Iterable[str]) -> list[Record]:
    """One record for each metric that a sample has."""
    return [
        replace(record, fields={**record.fields, "metric": metric, "value": record.fields[metric]})
        for record in records
        for metric in metrics
        if record.fields.get(metric) is not None
    ]


@dataclass(frozen=True)
class Signal:
    """A signal as its users know it: its table, its dimensions by event field, its measures."""

    name: str
    table: str
    dimensions: Mapping[str, str]
    measures: Callable[[Sequence[Record]], Row]


REQUESTS = Signal(
    "requests.v1",
    "request_aggregates",
    {
        "service": "service_name",
        "environment": "deployment_environment_name",
        "provider": "gen_ai_provider_name",
        "model": "gen_ai_request_model",
        "endpoint": "endpoint",
    },
    request_measures,
)
RESOURCES = Signal(
    "resources.v1",
    "resource_aggregates",
    {"host": "host_name", "device": "device", "metric": "metric"},
    resource_measures,
)
EXPOSURES = Signal(
    "exposures.v1",
    "exposure_aggregates",
    {"experiment": "experiment", "variant": "variant"},
    exposure_measures,
)
CONVERSIONS = Signal(
    "conversions.v1",
    "conversion_aggregates",
    {"experiment": "experiment", "variant": "variant", "metric": "metric"},
    conversion_measures,
)

EVALUATIONS = Signal(
    "evaluations.v1",
    "evaluation_aggregates",
    {
        "service": "service_name",
        "environment": "deployment_environment_name",
        "model": "gen_ai_request_model",
        "metric": "gen_ai_evaluation_name",
        "kind": "kind",
    },
    evaluation_measures,
)


def block_rows(
    signal: Signal, records: Iterable[Record], topic_ids: Mapping[str, str], block_length: int
) -> list[Row]:
    """Rows of a signal's table, as resolved."""
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        key = (
            *(record.fields[field] or "" for field in signal.dimensions.values()),
            record.fields["event_time"] // WINDOW_MICROS,
            record.topic,
            record.partition,
            record.offset // block_length,
        )
        groups[key].append(record)
    rows = []
    for (*texts, window, topic, partition, block), members in groups.items():
        rows.append(
            {
                "signal": signal.name,
                **dict(zip(signal.dimensions, texts, strict=True)),
                "window_start": window * 10_000,
                "window_seconds": 10,
                "topic_id": topic_ids[topic],
                "partition": partition,
                "block": block,
                "first_offset": block * block_length,
                "version": max(member.offset for member in members) + 1,
                **signal.measures(members),
            }
        )
    return rows


def windows(
    signal: Signal, records: Iterable[Record], seconds: int
) -> dict[tuple[Any, ...], list[Record]]:
    """Records by window start (seconds since 1970) and dimensions, as the views group them."""
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        second = record.fields["event_time"] // MICROS
        texts = (record.fields[field] or "" for field in signal.dimensions.values())
        groups[second - second % seconds, *texts].append(record)
    return groups
