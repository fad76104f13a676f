"""Finished spans as records: every attribute comes out again, and nothing is too large."""

import base64
import io
import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)
from strict_avro import read

from inferwatch_agents.traces.attribute_text import VALUE_BYTES, cut
from inferwatch_agents.traces.span_record import COUNTS, TEXTS, memory_of, span_record
from inferwatch_schemas import releases
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import SPANS
from inferwatch_schemas.wire import PREFIX, Encoder

ENCODER = Encoder("span", PinnedRegistry())
SCHEMA = releases.latest("span").schema
HEADER = {"event_id": "e", "producer_id": "p", "sequence": 0, "event_time": 1_000_002}

# Lone surrogates too, which Python's texts may have and UTF-8 has not.
texts = st.text(st.characters(exclude_categories=()), max_size=20)
scalars = texts | st.booleans() | st.integers() | st.floats()
values = (
    scalars
    | st.lists(scalars | st.just("\ud800"), max_size=4).map(tuple)
    | st.binary(max_size=9)
    | st.dictionaries(texts, scalars, max_size=2)
)
names = st.text(min_size=1, max_size=12).filter(lambda name: name not in {*TEXTS, *COUNTS})
attributes = st.dictionaries(names, values, max_size=5)
trace_ids, span_ids = st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1)
contexts = st.builds(
    SpanContext, trace_ids, span_ids, st.just(value=False),
    st.sampled_from([TraceFlags(0), TraceFlags(1), TraceFlags(3)]),
    st.just(TraceState([("a", "1")])) | st.just(TraceState()),
)  # fmt: skip
times = st.integers(0, 4_291_747_200_000_000_000)
events = st.builds(Event, texts, attributes, times)
links = st.builds(Link, contexts, attributes)
spans = st.builds(
    ReadableSpan,
    name=texts,
    context=contexts,
    parent=st.none() | contexts,
    resource=st.just(Resource({})),
    attributes=attributes,
    events=st.lists(events, max_size=3),
    links=st.lists(links, max_size=3),
    kind=st.sampled_from(SpanKind),
    status=st.builds(Status, st.just(StatusCode.ERROR), texts) | st.just(Status()),
    start_time=times,
    instrumentation_scope=st.none() | st.just(InstrumentationScope("scope", "1.2")),
)


def decoded(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record from its bytes, by the strict reader of the specification."""
    return read(SCHEMA, ENCODER.encode({**record, **HEADER})[PREFIX.size :])


def plain(value: Any) -> Any:
    """What a value is in JSON."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    return value


def text(value: Any) -> str:
    """What a value is as text, written another way."""
    found = plain(value)
    if isinstance(found, str):
        return found
    out = io.StringIO()
    json.dump(found, out, ensure_ascii=False, separators=(",", ":"))
    return out.getvalue()


def parsed(found: str) -> dict[str, Any]:
    """A JSON object without what JSON does not have."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    return json.loads(found, parse_constant=refuse) if found else {}


@given(spans)
def test_a_span_comes_out_of_its_bytes_as_it_was(span: ReadableSpan) -> None:
    """Ids, kind, status, attributes with their types, events and links, for any values."""
    found = decoded(span_record(span, "svc", "test"))
    context = span.context
    assert int(found["trace_id"], 16) == context.trace_id
    assert int(found["span_id"], 16) == context.span_id
    assert (len(found["trace_id"]), len(found["span_id"])) == (32, 16)
    parent = found["parent_span_id"]
    assert (parent and int(parent, 16)) == (span.parent and span.parent.span_id)
    assert found["trace_flags"] == context.trace_flags
    assert found["trace_state"] == (context.trace_state.to_header() or None)
    assert SpanKind[found["kind"].upper()] is span.kind
    assert StatusCode[found["status_code"].upper()] is span.status.status_code
    assert found["status_message"] == (
        None if span.status.description is None else plain(span.status.description)
    )
    assert (found["name"], found["start_time"]) == (plain(span.name), span.start_time // 1000)
    own = {pair["key"]: pair["value"] for pair in found["attributes"]}
    if span.instrumentation_scope is not None:
        assert (found["otel_scope_name"], own.pop("otel.scope.version")) == ("scope", "1.2")
    assert own == {name: text(value) for name, value in span.attributes.items()}
    for event, seen in zip(span.events, found["events"], strict=True):
        assert (seen["name"], seen["time"]) == (plain(event.name), event.timestamp // 1000)
        assert repr(parsed(seen["attributes"])) == repr(as_json(event.attributes))
    for link, seen in zip(span.links, found["links"], strict=True):
        assert int(seen["trace_id"], 16) == link.context.trace_id
        assert int(seen["span_id"], 16) == link.context.span_id
        assert repr(parsed(seen["attributes"])) == repr(as_json(link.attributes))
    assert memory_of(span) > 0


def as_json(found: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes in JSON's types."""
    return {name: plain(value) for name, value in found.items()}


def span_of(**fields: Any) -> ReadableSpan:
    """A span with some fields."""
    given = {
        "name": "n", "context": SpanContext(1, 2, is_remote=False), "start_time": 0,
        "resource": Resource({}),
    }  # fmt: skip
    return ReadableSpan(**given | fields)


def test_attributes_with_fields_of_their_own_are_there() -> None:
    """Of the right type; others stay among the attributes."""
    own = {name: f"<{field}>" for name, field in TEXTS.items()} | dict.fromkeys(COUNTS, 7)
    found = decoded(span_record(span_of(attributes=own), "s", "e"))
    assert {found[field] for field in COUNTS.values()} == {7}
    assert all(found[field] == f"<{field}>" for field in TEXTS.values())
    assert found["attributes"] == []
    wrong = dict.fromkeys(TEXTS, 1) | dict.fromkeys(COUNTS, "many")
    found = decoded(span_record(span_of(attributes=wrong), "s", "e"))
    assert {pair["key"] for pair in found["attributes"]} == {*TEXTS, *COUNTS}
    for count in (-1, 10**13, True):
        name = "gen_ai.usage.input_tokens"
        found = decoded(span_record(span_of(attributes={name: count}), "s", "e"))
        assert found["gen_ai_usage_input_tokens"] is None
        assert found["attributes"] == [{"key": name, "value": json.dumps(count)}]


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        ({}, ("svc", "test", None)),
        ({"service.name": "unknown_service:python"}, ("svc", "test", None)),
        ({"service.name": "own", "host.name": "h", "deployment.environment.name": "prod"},
         ("own", "prod", "h")),
        ({"deployment.environment": "old"}, ("svc", "old", None)),
    ],
)  # fmt: skip
def test_a_resource_names_its_service(resource: dict[str, Any], told: tuple[Any, ...]) -> None:
    """What it does not say, the SDK does."""
    found = decoded(span_record(span_of(resource=Resource(resource)), "svc", "test"))
    fields = ("service_name", "deployment_environment_name", "host_name")
    assert tuple(found[field] for field in fields) == told
    assert found["attributes"] == []


def test_an_attribute_of_span_and_resource_is_both() -> None:
    """The span's has the name."""
    span = span_of(attributes={"k": "span"}, resource=Resource({"k": "resource", "o": 1}))
    assert span_record(span, "s", "e")["attributes"] == [
        {"key": "k", "value": "span"},
        {"key": "resource.k", "value": "resource"},
        {"key": "o", "value": "1"},
    ]


@pytest.mark.parametrize("many", [1, 12, 40])
@pytest.mark.parametrize("character", ["x", "é", "\U0001f600", "\ud800", '"'], ids=ascii)
def test_a_huge_span_fits_its_topic_and_says_what_it_left_out(character: str, many: int) -> None:
    """Whatever its characters take in UTF-8 and in JSON."""
    huge: dict[str, Any] = {f"k{number}": character * 400_000 for number in range(many)}
    huge["list"] = (character * 30_000,) * 3
    parts = [Event("e", huge, 1)] * 3
    context = SpanContext(3, 4, is_remote=True)
    span = span_of(
        name=character * 9999, attributes=huge, events=parts, links=[Link(context, huge)] * 3,
        status=Status(StatusCode.ERROR, character * 400_000),
    )  # fmt: skip
    assert memory_of(span) > 400_000 * many
    value = ENCODER.encode({**span_record(span, "s", "e"), **HEADER})
    assert len(value) <= SPANS.max_value_bytes
    found = read(SCHEMA, value[PREFIX.size :])
    own = {pair["key"]: pair["value"] for pair in found["attributes"]}
    assert own["k0"].endswith("... (cut from 400000 characters)")
    kept = sum(name.startswith("k") for name in own)
    kept += "list" in own
    assert kept + int(own.get("otel.dropped_attributes_count", 0)) == many + 1
    assert len(found["events"]) + int(own.get("otel.dropped_events_count", 0)) == 3
    assert len(found["links"]) + int(own.get("otel.dropped_links_count", 0)) == 3
    for part in found["events"] + found["links"]:
        told = parsed(part["attributes"])
        dropped = told.pop("otel.dropped_attributes_count", 0)
        assert len(told) + dropped == many + 1


def test_what_opentelemetrys_limits_left_out_is_said() -> None:
    """Its counts are added to."""
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider  # noqa: PLC0415  # for this test alone

    limits = SpanLimits(max_span_attributes=1, max_events=1, max_links=1)
    tracer = TracerProvider(shutdown_on_exit=False, span_limits=limits).get_tracer("t")
    context = SpanContext(3, 4, is_remote=True)
    span = tracer.start_span("s", attributes={"a": 1, "b": 2}, links=[Link(context)] * 2)
    for _ in range(3):
        span.add_event("e")
    span.end()
    assert isinstance(span, ReadableSpan)
    found = {p["key"]: p["value"] for p in span_record(span, "s", "e")["attributes"]}
    counts = [found[f"otel.dropped_{what}_count"] for what in ("attributes", "events", "links")]
    assert counts == ["1", "2", "1"]


@pytest.mark.parametrize(
    "value", [10**5000, object(), {1, 2}, (object(),)], ids=["long", "object", "set", "in"]
)
def test_a_value_without_a_text_is_left_out_and_counted(value: Any) -> None:
    """The others are there."""
    span = span_of(attributes={"bad": value, "good": 1}, events=[Event("e", {"bad": value}, 1)])
    found = decoded(span_record(span, "s", "e"))
    assert found["attributes"] == [
        {"key": "good", "value": "1"},
        {"key": "otel.dropped_attributes_count", "value": "1"},
    ]
    if not isinstance(value, int):
        # An event's attributes are checked by OpenTelemetry itself.
        return
    assert found["events"][0]["attributes"] == '{"otel.dropped_attributes_count":1}'


@given(st.text(st.characters(exclude_categories=())), st.integers(0, 50))
def test_a_cut_text_is_a_beginning(given: str, most: int) -> None:
    """Never longer than was asked, but for what says so; never half a character."""
    written = given.encode(errors="replace")
    kept = cut(given, most)
    if len(written) <= most:
        assert kept == written.decode()
    else:
        head, found, _ = kept.rpartition(f"... (cut from {len(given)} characters)")
        assert found
        assert written.decode().startswith(head)
        assert most - 3 <= len(head.encode()) <= most


def test_a_long_stack_trace_is_whole() -> None:
    """A value of the limit's size is not cut."""
    assert cut("x" * VALUE_BYTES) == "x" * VALUE_BYTES
