"""Whole tables compared with what the oracle says, row by row and column by column."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import oracle
from load import SCHEMAS, Log, Record
from pipeline import Stack

from inferwatch_clickhouse.errors import ClickHouseUnavailableError

RESOURCE_METRICS = (
    "cpu_utilization_ratio",
    "gpu_power_watts",
    "gpu_memory_used_bytes",
    "queue_size",
)
VIEWS = {
    "request": "requests",
    "resource": "resources",
    "exposure": "exposures",
    "conversion": "conversions",
    "log": "logs",
    "span": "spans",
    "evaluation": "evaluations",
    "device_event": "device_events",
    "producer_end": "producer_ends",
}
STATES = {
    "alert": "alerts",
    "silence": "silences",
    "incident": "incidents",
    "command": "commands",
}
_INSTANTS = (
    "event_time", "start_time", "observed_time", "started_at", "fired_at", "acknowledged_at",
    "resolved_at", "starts_at", "ends_at", "opened_at", "acknowledge_by", "resolve_by",
)  # fmt: skip
# Fields that a query tells as something else than the number or the records that were written.
TOLD = {
    **{name: f"toUnixTimestamp64Micro({name})" for name in _INSTANTS},
    "experiments": "arrayMap(e -> [e.experiment, e.variant], experiments)",
    "attributes": "arrayMap(a -> [a.key, a.value], attributes)",
    "events": (
        "arrayMap(e -> [toString(toUnixTimestamp64Micro(e.time)), e.name, e.attributes], events)"
    ),
    "links": "arrayMap(l -> [l.trace_id, l.span_id, l.attributes], links)",
    "labels": "arrayMap(l -> [l.name, l.value], labels)",
    "matchers": "arrayMap(m -> [m.name, m.operator, m.value], matchers)",
    "alerts": (
        "arrayMap(a -> [a.fingerprint, a.rule, a.severity, a.status, a.summary, "
        "toString(toUnixTimestamp64Micro(a.joined_at))], alerts)"
    ),
    "actions": (
        "arrayMap(a -> arrayMap(f -> ifNull(f, 'None'), [a.name, a.status, "
        "toString(toUnixTimestamp64Micro(a.started_at)), "
        "toString(toUnixTimestamp64Micro(a.finished_at)), toString(a.attempts), a.result, "
        "toString(a.value_before), toString(a.value_after), a.undo]), actions)"
    ),
    "timeline": (
        "arrayMap(e -> [toString(toUnixTimestamp64Micro(e.at)), e.kind, e.actor, e.text], timeline)"
    ),
}
COUNTS = {
    "request_aggregates": "requests",
    "resource_aggregates": "samples",
    "exposure_aggregates": "exposures",
    "conversion_aggregates": "conversions",
    "evaluation_aggregates": "evaluations",
}
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def aggregated(log: Log) -> int:
    """How many events of a log the aggregation counts."""
    return sum(len(log.of(name.removesuffix("_aggregates"))) for name in COUNTS)


def counted(stack: Stack) -> tuple[int, ...] | None:
    """Raw rows and aggregated events of each source; None while ClickHouse is away."""
    sums = (f"(SELECT sum({measure}) FROM {table})" for table, measure in COUNTS.items())  # noqa: S608 -- names of this file
    rows = (f"(SELECT count() FROM {view})" for view in VIEWS.values())  # noqa: S608 -- as above
    try:
        (found,) = stack.query(f"SELECT {', '.join([*rows, *sums])}")
    except ClickHouseUnavailableError:
        return None
    return found


def expected_counts(log: Log) -> tuple[int, ...]:
    """What ``counted`` must come to."""
    samples = len(oracle.by_metric(log.of("resource"), RESOURCE_METRICS))
    raw = {schema: len(log.of(schema)) for schema in VIEWS}
    events = raw | {"resource": samples}
    return (*raw.values(), *(events[name.removesuffix("_aggregates")] for name in COUNTS))


def assert_same(found: Iterable[Sequence[Any]], expected: Iterable[Sequence[Any]]) -> None:
    """Both hold the same rows equally often; says the first that only one of them has."""
    left, right = sorted(map(list, found), key=repr), sorted(map(list, expected), key=repr)
    if left != right:
        unexpected = [row for row in left if row not in right]
        missing = [row for row in right if row not in left]
        raise AssertionError(
            f"{len(left)} rows, expected {len(right)}; "
            f"unexpected: {unexpected[:2]}; missing: {missing[:2]}"
        )


def assert_raw_rows(stack: Stack, log: Log, views: Mapping[str, str] = VIEWS) -> None:
    """Every event is in its raw table once, with every field and its place."""
    ids = stack.topic_ids()
    assert log.records
    for schema, view in views.items():
        fields = [field["name"] for field in SCHEMAS[schema]["fields"]]
        columns = ", ".join(TOLD.get(field, field) for field in fields)
        found = stack.query(
            f"SELECT kafka_topic_id, kafka_partition, kafka_offset, {columns} FROM {view}"  # noqa: S608 -- names of this file
        )
        expected = [
            [
                ids[record.topic], record.partition, record.offset,
                *(plain(record.fields.get(field)) for field in fields),
            ]
            for record in log.of(schema)
        ]  # fmt: skip
        # Offsets are unique in a partition, so no row is compared by what may be null.
        assert sorted(map(list, found), key=lambda row: row[:3]) == sorted(
            expected, key=lambda row: row[:3]
        )


def plain(value: Any) -> Any:
    """A field's value as a query answers it."""
    if isinstance(value, list):
        return [
            [str(field) for field in item.values()] if isinstance(item, dict) else item
            for item in value
        ]
    return value


def assert_aggregates(stack: Stack, log: Log, block_length: int) -> None:
    """Every aggregate row, with versions resolved, is exactly the oracle's; there are no others."""
    samples = oracle.by_metric(log.of("resource"), RESOURCE_METRICS)
    for signal, records in (
        (oracle.REQUESTS, log.of("request")),
        (oracle.RESOURCES, samples),
        (oracle.EXPOSURES, log.of("exposure")),
        (oracle.CONVERSIONS, log.of("conversion")),
        (oracle.EVALUATIONS, log.of("evaluation")),
    ):
        expected = oracle.block_rows(signal, records, stack.topic_ids(), block_length)
        if not expected:
            assert stack.one(f"SELECT count() FROM {signal.table}") == 0  # noqa: S608 -- as above
            continue
        columns = list(expected[0])
        selected = ", ".join(columns).replace(
            "window_start", "toUnixTimestamp64Milli(window_start)"
        )
        found = stack.query(f"SELECT {selected} FROM {signal.table}")  # noqa: S608 -- as above
        assert_same(found, [list(row.values()) for row in expected])


def assert_windows(stack: Stack, log: Log, seconds: int, view: str) -> None:
    """A view of requests sums up every window exactly, with quantiles within their bound."""
    groups = oracle.windows(oracle.REQUESTS, log.of("request"), seconds)
    dimensions = list(oracle.REQUESTS.dimensions)
    sums = [
        "requests", "errors", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens",
        "cost_usd_micros", "priced_requests", "durations", "duration_micros", "first_tokens",
        "first_token_micros",
    ]  # fmt: skip
    columns = ["toUnixTimestamp(window_start)", *dimensions, *sums, *QUANTILES, "error_rate"]
    found = {
        row[:6]: row[6:]
        for row in stack.query(f"SELECT {', '.join(columns)} FROM {view}_{_suffix(seconds)}")  # noqa: S608 -- as above
    }
    assert found.keys() == groups.keys()
    for key, records in groups.items():
        exact, told = oracle.request_measures(records), found[key]
        assert list(told[: len(sums)]) == [exact[name] for name in sums]
        durations = oracle.values_of(records, "duration_seconds")
        for q, quantile in zip(QUANTILES.values(), told[len(sums) :], strict=False):
            assert oracle.close(quantile, oracle.nearest_rank(q, durations)), (key, q)
        assert told[-1] == exact["errors"] / exact["requests"]
    errors = stack.query(
        f"SELECT toUnixTimestamp(window_start), {', '.join(dimensions)}, error_type, errors "  # noqa: S608 -- as above
        f"FROM {view}_errors_{_suffix(seconds)}"
    )
    assert_same(
        errors, [(*key, *error) for key, records in groups.items() for error in _errors(records)]
    )


def assert_evaluation_windows(stack: Stack, log: Log, seconds: int) -> None:
    """A view of evaluations tells of every window its exact sums, mean, extremes and rates."""
    groups = oracle.windows(oracle.EVALUATIONS, log.of("evaluation"), seconds)
    dimensions = list(oracle.EVALUATIONS.dimensions)
    columns = [
        "toUnixTimestamp(window_start)", *dimensions, "evaluations", "errors", "scored",
        "score_sum", "score_mean", "score_min", "score_max", "passed", "failed", "pass_rate",
        "durations",
    ]  # fmt: skip
    found = stack.query(f"SELECT {', '.join(columns)} FROM evaluations_{_suffix(seconds)}")  # noqa: S608 -- as above
    expected = []
    for key, records in groups.items():
        exact = oracle.evaluation_measures(records)
        total, scored = Decimal(exact["score_micros"]).scaleb(-6), exact["scored"]
        judged, passed = exact["judged"], exact["passed"]
        expected.append(
            (*key, exact["evaluations"], exact["errors"], scored, total,
             float(total) / scored if scored else None,
             exact["score_min"], exact["score_max"],
             passed, judged - passed, passed / judged if judged else None, exact["durations"])
        )  # fmt: skip
    assert_same(found, expected)


def _errors(records: Sequence[Record]) -> list[tuple[str, int]]:
    measures = oracle.request_measures(records)
    return list(zip(measures["error_types"], measures["error_type_counts"], strict=True))


def _suffix(seconds: int) -> str:
    return {10: "10s", 60: "1m", 3600: "1h"}[seconds]
