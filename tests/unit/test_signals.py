"""The table of signals fits the schemas that it names."""

import re
from decimal import Decimal

import pytest
from block_builders import READERS, Registry, blocks_of, chunk_of, encode, reader_of
from shown_rows import rows_of

from inferwatch_schemas import releases
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATED, AGGREGATES
from inferwatch_schemas.wire import Encoder, decode
from inferwatch_streams.signals import (
    BLOCK_LENGTH,
    MAX_NAME_BYTES,
    MAX_NAMES,
    OTHER,
    RESOURCE_METRICS,
    RESOURCE_SIGNAL,
    SIGNALS,
    WINDOW_SECONDS,
    Kind,
    Signal,
)

EVENTS: dict[str, dict[str, object]] = {
    "request": {"duration_seconds": 0.25, "error_type": "timeout"},
    "resource": {"queue_size": 3.0},
    "exposure": {"experiment": "checkout"},
    "conversion": {"value": -1.5},
    "evaluation": {"gen_ai_evaluation_score_value": 0.5, "passed": True},
}
COUNTS = (Kind.COUNT, Kind.COUNT_VALID, Kind.TALLY)
each_signal = pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)


def _types(schema: str) -> dict[str, object]:
    return {field["name"]: field["type"] for field in releases.latest(schema).schema["fields"]}


def test_every_aggregated_topic_is_counted_and_every_aggregate_schema_filled() -> None:
    """No aggregated topic is left out, and no row schema is without its signal."""
    assert {signal.topic for signal in SIGNALS} == set(AGGREGATED)
    assert sorted(signal.row for signal in SIGNALS) == sorted(AGGREGATES.schemas)
    assert {signal.schema for signal in SIGNALS} == {
        schema for topic in AGGREGATED for schema in topic.schemas
    }


@each_signal
def test_a_signal_reads_fields_that_its_events_have(signal: Signal) -> None:
    """Every field to be read is in the event's schema, once."""
    assert set(signal.fields) <= set(_types(signal.schema))
    assert len(set(signal.fields)) == len(signal.fields)


@each_signal
def test_a_signal_fills_exactly_its_row(signal: Signal) -> None:
    """A row that was counted holds the fields of its schema, no more and no less, and encodes."""
    topic = signal.topic
    chunk = chunk_of(topic.name, [(0, encode(signal.schema, EVENTS[signal.schema]))], 0, 1)
    parts, bad = reader_of(topic).read(chunk)
    assert not bad
    blocks = blocks_of(signal.schema, 0, BLOCK_LENGTH)
    blocks.add(chunk, parts)
    (row,) = rows_of(blocks.take_changed())
    assert row.schema == signal.row
    assert set(row.fields) == set(_types(signal.row))
    registry = PinnedRegistry()
    assert decode(Encoder(signal.row, registry).encode(row.fields), registry)["version"] == 1


@each_signal
def test_a_name_ends_with_its_version(signal: Signal) -> None:
    """A change of what is counted is a new version, so each name has one."""
    assert re.fullmatch(r"[a-z_]+\.v[1-9]\d*", signal.name)
    assert len({other.name for other in SIGNALS}) == len(SIGNALS)


def test_what_belongs_to_the_version_of_the_signals() -> None:
    """Other blocks, windows or names would be other signals: to change one raises the versions."""
    assert (BLOCK_LENGTH, WINDOW_SECONDS) == (65_536, 10)
    assert (MAX_NAMES, MAX_NAME_BYTES, OTHER) == (100, 256, "_OTHER")
    assert [signal.name for signal in SIGNALS] == [
        "requests.v1", "resources.v1", "exposures.v1", "conversions.v1", "evaluations.v1",
    ]  # fmt: skip


def test_every_number_of_a_resource_event_is_a_metric() -> None:
    """The metrics are the resource schema's nullable numbers: none is forgotten."""
    numbers = [
        name
        for name, declared in _types("resource").items()
        if declared in (["null", "double"], ["null", "long"])
    ]
    assert sorted(RESOURCE_METRICS) == sorted(numbers)
    assert len(set(RESOURCE_METRICS)) == len(RESOURCE_METRICS)
    assert RESOURCE_SIGNAL.unpivot == RESOURCE_METRICS


@each_signal
def test_sums_of_a_block_fit_their_fields(signal: Signal) -> None:
    """A block full of the greatest values that the schema lets in overflows no sum."""
    limits = {f["name"]: f for f in releases.latest(signal.schema).schema["fields"]}
    for measure in signal.measures:
        for name in [measure.field] if measure.field else signal.unpivot:
            if "boolean" in limits[name]["type"] or measure.kind in COUNTS:
                continue
            extreme = max(abs(limits[name]["minimum"]), abs(limits[name]["maximum"]))
            if measure.kind is Kind.SUM:
                assert extreme * BLOCK_LENGTH < 2**63
            if measure.kind is Kind.SUM_MICROS:
                assert extreme * 10**6 * BLOCK_LENGTH < 2**63
            if measure.kind is Kind.DECIMAL_SUM:
                # A value in millionths is an int64 on its way, unless it is a whole number.
                assert limits[name]["type"] == ["null", "long"] or extreme * 10**6 < 2**63
                assert Decimal(extreme) * BLOCK_LENGTH * 10**6 < Decimal(10) ** 38
            if measure.kind is Kind.SUM_OF_SQUARES:
                assert Decimal(extreme) ** 2 * BLOCK_LENGTH * 10**12 < Decimal(10) ** 38


def test_the_builders_writers_differ_from_ours() -> None:
    """The newer and the older writer of the other tests write other bytes for the same event."""
    event = {"service_name": "chat"}
    registry, chunks = Registry(), []
    for schema_id in (None, 101, 102):
        value = encode("request", event, schema_id)
        chunks.append(value)
        assert decode(value, registry)["service_name"] == "chat"
    assert len({value[5:] for value in chunks}) == len(chunks)
    assert READERS["request"]
