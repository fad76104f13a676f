"""Logs, spans and scores as analysts read them, and all of one trace in the order of time."""

from datetime import UTC, datetime
from typing import Any

import pytest
from avro_rows import store

from inferwatch_clickhouse.client import ClickHouse

NOON = 1_700_136_000_000_000  # 2023-11-16 12:00:00 UTC, in microseconds
SECOND = 1_000_000
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SERVICE = {"service_name": "chat", "kafka_topic_id": "t"}
EVENTS = 80_000


def _span(**given: Any) -> dict[str, Any]:
    return {**SERVICE, "trace_id": TRACE, "kind": "internal", "status_code": "unset", **given}


def test_a_trace_is_told_in_the_order_of_time(clickhouse: ClickHouse) -> None:
    """Requests, spans, logs and scores of one trace stand together, whatever was sent again."""
    store(
        clickhouse,
        "request",
        [{**SERVICE, "event_time": NOON + 3 * SECOND, "duration_seconds": 1.5,
          "gen_ai_operation_name": "chat", "gen_ai_request_model": "m", "endpoint": "/v1/chat",
          "error_type": "timeout", "trace_id": TRACE, "span_id": "b"}],
    )  # fmt: skip
    spans = [
        _span(start_time=NOON, event_time=NOON + 4 * SECOND, name="POST /v1/chat", span_id="a",
              kafka_offset=0),
        _span(start_time=NOON + SECOND, event_time=NOON + SECOND + 500_000, name="retrieve",
              span_id="c", parent_span_id="a", status_code="error", status_message="not found",
              kafka_offset=1),
        _span(trace_id="other", name="other", kafka_offset=2),
    ]  # fmt: skip
    store(clickhouse, "span", spans)
    store(clickhouse, "span", spans[:2])
    store(
        clickhouse,
        "log",
        [{**SERVICE, "event_time": NOON + 3 * SECOND, "trace_id": TRACE, "span_id": "b",
          "severity_text": "error", "otel_scope_name": "app", "body": "no answer"}],
    )  # fmt: skip
    store(
        clickhouse,
        "evaluation",
        [{**SERVICE, "event_time": NOON + 9 * SECOND, "kind": "user_feedback", "trace_id": TRACE,
          "gen_ai_evaluation_name": "satisfaction", "gen_ai_evaluation_score_value": 0.5}],
    )  # fmt: skip
    assert clickhouse.query(
        "SELECT toUnixTimestamp64Micro(time) - {noon:Int64}, what, service, name, span_id,"
        " parent_span_id, duration, status, text FROM trace(id = {trace:String})",
        {"noon": NOON, "trace": TRACE},
    ) == [
        (0, "span", "chat", "POST /v1/chat", "a", "", 4.0, "", ""),
        (SECOND, "span", "chat", "retrieve", "c", "a", 0.5, "error", "not found"),
        (1_500_000, "request", "chat", "chat m", "b", "", 1.5, "timeout", "/v1/chat"),
        (3 * SECOND, "log", "chat", "app", "b", "", None, "error", "no answer"),
        (9 * SECOND, "evaluation", "chat", "user_feedback satisfaction", "", "", None, "", "0.5"),
    ]  # fmt: skip
    assert clickhouse.query("SELECT count() FROM trace(id = 'none')") == [(0,)]


def test_attributes_and_events_are_as_written(clickhouse: ClickHouse) -> None:
    """Attributes read as a map, events with their own times, what is not known as NULL."""
    store(
        clickhouse,
        "span",
        [_span(start_time=NOON, event_time=NOON + 1, name="chat",
               attributes=[{"key": "http.route", "value": "/v1"}, {"key": "n", "value": "[1]"}],
               events=[{"time": NOON + 1, "name": "exception", "attributes": '{"a":1}'}],
               links=[{"trace_id": "x", "span_id": "y", "attributes": ""}])],
    )  # fmt: skip
    assert clickhouse.query(
        "SELECT attribute['http.route'], attribute['n'], attribute['none'], duration, model,"
        " input_tokens, events.time[1], events.name, events.attributes, links.trace_id FROM spans"
    ) == [
        ("/v1", "[1]", "", 1e-6, "", None, datetime(2023, 11, 16, 12, 0, 0, 1, tzinfo=UTC),
         ["exception"], ['{"a":1}'], ["x"]),
    ]  # fmt: skip
    store(clickhouse, "log", [{**SERVICE, "attributes": [{"key": "k", "value": "v"}]}])
    assert clickhouse.query(
        "SELECT attribute, severity_number, observed_time, logger, body FROM logs"
    ) == [({"k": "v"}, None, None, None, "")]


@pytest.mark.parametrize("schema", ["request", "span", "log", "evaluation"])
def test_a_trace_id_reads_few_granules(clickhouse: ClickHouse, schema: str) -> None:
    """Of random ids over weeks, one is found by the Bloom filter, through view and FINAL."""
    store(
        clickhouse,
        schema,
        (
            {"event_time": NOON + minute * 60 * SECOND, "kafka_offset": minute,
             "trace_id": f"{minute * 0x9E3779B97F4A7C15 % 2**64:032x}"}
            for minute in range(EVENTS)
        ),
    )  # fmt: skip
    clickhouse.command(f"OPTIMIZE TABLE {schema}s_stored FINAL")
    trace = f"{31_337 * 0x9E3779B97F4A7C15 % 2**64:032x}"
    ask = f"SELECT kafka_offset FROM {schema}s WHERE trace_id = '{trace}'"  # noqa: S608  # names of this file
    assert clickhouse.query(ask) == [(31_337,)]
    plan = [line.strip() for (line,) in clickhouse.query(f"EXPLAIN indexes = 1 {ask}")]
    granules = [line.split()[-1].split("/") for line in plan if line.startswith("Granules:")]
    assert int(granules[0][1]) >= 9
    # FINAL has the neighbours read too, in which copies of the same record might lie.
    assert int(granules[-1][0]) <= 3
