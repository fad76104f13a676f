"""Schema changes: what is refused, in a sentence that names the field, and what is not."""

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_texts import DECIMAL, MICROS, A, field, header, many, record, symbols

from inferwatch_schemas import releases
from inferwatch_schemas.compatibility import problems, unreadable

ALLOWED = {
    "nothing changes": (record(A), record(A)),
    "new field with default": (record(A, field("b", "int", default=1)), record(A)),
    "new nullable field": (record(A, field("b", ["null", "int"], default=None)), record(A)),
    "field removed": (record(A), record(A, field("b", "int"))),
    "int becomes long": (record(A), record(field("a", "int"))),
    "long becomes double": (record(field("a", "double")), record(A)),
    "becomes nullable": (record(field("a", ["null", "long"])), record(A)),
    "null on the other side": (
        record(field("a", ["long", "null"])),
        record(field("a", ["null", "long"])),
    ),
    "symbol added at the end": (
        record(field("a", symbols("x", "y"))),
        record(field("a", symbols("x"))),
    ),
    "minimum lowered": (record(field("a", "int", minimum=0)), record(field("a", "int", minimum=1))),
    "maximum lifted": (record(field("a", "int", maximum=2)), record(field("a", "int", maximum=1))),
    "limit removed": (record(A), record(field("a", "long", minimum=0))),
    "new field with limit": (record(A, field("b", "int", default=1, minimum=0)), record(A)),
    "item field with default": (
        record(field("a", many(header(field("x", "int"), field("y", "int", default=0))))),
        record(field("a", many(header(field("x", "int"))))),
    ),
    "documentation": (record(field("a", "long", doc="new")), record(A)),
}
REFUSED = {
    "new field without default": (record(A, field("b", "int")), record(A), "event.b", "no default"),
    "field renamed": (record(field("b", "long")), record(A), "event.b", "no default"),
    "long becomes int": (record(field("a", "int")), record(A), "event.a", "type"),
    "long becomes string": (record(field("a", "string")), record(A), "event.a", "type"),
    "no longer nullable": (record(A), record(field("a", ["null", "long"])), "event.a", "type"),
    "narrower nullable": (
        record(field("a", ["null", "int"])),
        record(field("a", ["null", "long"])),
        "event.a",
        "type",
    ),
    "symbol removed": (
        record(field("a", symbols("x"))),
        record(field("a", symbols("x", "y"))),
        "event.a",
        "type",
    ),
    "symbol removed with default": (
        record(field("a", symbols("x", default="x"))),
        record(field("a", symbols("x", "y"))),
        "event.a",
        "at the end",
    ),
    "symbols swapped": (
        record(field("a", symbols("y", "x"))),
        record(field("a", symbols("x", "y"))),
        "event.a",
        "at the end",
    ),
    "symbols of nullable swapped": (
        record(field("a", ["null", symbols("y", "x")])),
        record(field("a", ["null", symbols("x", "y")])),
        "event.a",
        "at the end",
    ),
    "fixed grows": (
        record(field("a", {"type": "fixed", "name": "f", "size": 5})),
        record(field("a", {"type": "fixed", "name": "f", "size": 4})),
        "event.a",
        "type",
    ),
    "scale": (
        record(field("a", {**DECIMAL, "scale": 3})),
        record(field("a", DECIMAL)),
        "event.a",
        "scale",
    ),
    "unit of time": (
        record(field("a", {**MICROS, "logicalType": "timestamp-millis"})),
        record(field("a", MICROS)),
        "event.a",
        "logicalType",
    ),
    "unit of time within an array": (
        record(field("a", many({**MICROS, "logicalType": "timestamp-millis"}))),
        record(field("a", many(MICROS))),
        "event.a",
        "logicalType",
    ),
    "minimum added": (record(field("a", "long", minimum=0)), record(A), "event.a", "minimum"),
    "maximum added": (record(field("a", "long", maximum=9)), record(A), "event.a", "maximum"),
    "minimum lifted": (
        record(field("a", "int", minimum=1)),
        record(field("a", "int", minimum=0)),
        "event.a",
        "minimum",
    ),
    "maximum lowered": (
        record(field("a", "int", maximum=1)),
        record(field("a", "int", maximum=2)),
        "event.a",
        "maximum",
    ),
    "item field without default": (
        record(field("a", many(header(field("x", "int"), field("y", "int"))))),
        record(field("a", many(header(field("x", "int"))))),
        "event.a.y",
        "no default",
    ),
    "items narrower": (record(field("a", many("int"))), record(field("a", many("long"))), "event.a",
                       "type"),
    "items renamed": (
        record(field("a", many({**header(A), "name": "other"}))),
        record(field("a", many(header(A)))),
        "event",
        "header",
    ),
    "record renamed": (record(A, name="other"), record(A), "test.other", "test.event"),
    "unreadable besides": (
        record(A, field("b", {"type": "map", "values": "int"}, default={})),
        record(A),
        "event.b",
        "map",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ALLOWED)
def test_an_allowed_change_has_no_problem(case: str) -> None:
    """A change after which released records still read the same is let through."""
    assert problems(*ALLOWED[case]) == []


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_change_is_told_in_one_sentence(case: str) -> None:
    """A change that breaks released records is one sentence with the field and the matter."""
    new, released, where, matter = REFUSED[case]
    (sentence,) = problems(new, released)
    assert where in sentence
    assert matter in sentence


def test_each_problem_is_told() -> None:
    """Two independent problems are two sentences."""
    assert len(problems(record(field("a", "int"), field("b", "int")), record(A))) == 2


@pytest.mark.parametrize("name", releases.current_names())
def test_our_own_schemas_pass(name: str) -> None:
    """Every current schema is readable and follows each of its releases."""
    text = releases.current_text(name)
    assert unreadable(text) == []
    for release in releases.releases():
        if release.name == name:
            assert problems(text, release.text) == []


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=4),
}
DEFAULTS = {"boolean": False, "int": 0, "long": 0, "float": 0.0, "double": 0.0, "string": ""}


@st.composite
def flat_records(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a schema of flat fields, some nullable, some with a default."""
    fields = []
    for name in draw(st.lists(st.sampled_from("abcd"), unique=True, min_size=1)):
        base = draw(st.sampled_from(sorted(VALUES)))
        declared = draw(st.sampled_from([base, ["null", base], [base, "null"]]))
        first = declared[0] if isinstance(declared, list) else declared
        default = {"default": None if first == "null" else DEFAULTS[base]}
        fields.append(field(name, declared, **(default if draw(st.booleans()) else {})))
    return {"type": "record", "name": "event", "fields": fields}


@given(flat_records(), flat_records(), st.data())
@settings(max_examples=300, deadline=None)
def test_what_passes_reads_released_records(
    new: dict[str, Any], released: dict[str, Any], data: st.DataObject
) -> None:
    """Where there is no problem, another implementation reads released records as new ones."""
    if problems(json.dumps(new), json.dumps(released)):
        return
    event = {}
    for one in released["fields"]:
        nullable = isinstance(one["type"], list)
        base = next(t for t in one["type"] if t != "null") if nullable else one["type"]
        event[one["name"]] = data.draw(
            st.one_of(st.none(), VALUES[base]) if nullable else VALUES[base]
        )
    body = io.BytesIO()
    fastavro.schemaless_writer(body, released, event)
    body.seek(0)
    read = fastavro.schemaless_reader(body, released, new)
    assert isinstance(read, dict)
    for one in new["fields"]:
        wanted = event.get(one["name"], one.get("default"))
        # A long of 53 bits and more is rounded where it is read as a double: Avro's promotion.
        rounded = isinstance(read[one["name"]], float) and isinstance(wanted, int)
        assert read[one["name"]] == (float(wanted) if rounded else wanted)
