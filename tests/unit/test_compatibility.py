"""Schema changes: what is refused, in a sentence that names the field, and what is not."""

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_schemas import releases
from inferwatch_schemas.columnar.program import compile_program
from inferwatch_schemas.compatibility import problems, unreadable
from inferwatch_schemas.errors import SchemaRefusedError

Field = dict[str, Any]


def field(name: str, declared: Any, **more: Any) -> Field:
    """Return one field of a record."""
    return {"name": name, "type": declared, **more}


def record(*fields: Field, name: str = "event", **more: Any) -> str:
    """Return a record's schema as JSON text."""
    return json.dumps(
        {"type": "record", "name": name, "namespace": "test", "fields": list(fields), **more}
    )


def symbols(*names: str, **more: Any) -> Any:
    """Return an enum."""
    return {"type": "enum", "name": "kind", "symbols": list(names), **more}


def many(items: Any) -> Any:
    """Return an array."""
    return {"type": "array", "items": items}


def header(*fields: Field) -> Any:
    """Return the record that stands in an array."""
    return {"type": "record", "name": "header", "fields": list(fields)}


A = field("a", "long")
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}

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

READABLE = {
    **{name: record(field("a", name)) for name in ("boolean", "int", "long", "float", "double")},
    "string": record(field("a", "string")),
    "bytes": record(field("a", "bytes")),
    "enum": record(field("a", symbols("x"))),
    "fixed": record(field("a", {"type": "fixed", "name": "f", "size": 4})),
    "type as an object": record(field("a", {"type": "string"})),
    "nullable": record(field("a", ["null", "string"], default=None)),
    "nullable, null last": record(field("a", ["double", "null"], default=0.5)),
    "decimal": record(field("a", DECIMAL)),
    "timestamp": record(field("a", MICROS)),
    "array": record(field("a", many("string"), default=[])),
    "array of nullable": record(field("a", many(["null", "string"]))),
    "array of records": record(field("a", many(header(A, field("b", ["null", "bytes"]))))),
    "limits": record(field("a", ["null", "double"], minimum=0, maximum=1.5)),
    "empty defaults": record(
        field("a", "string", default=""),
        field("b", "bytes", default=""),
        field("c", "boolean", default=True),
    ),
}

UNREADABLE = {
    "no JSON": ("{", "not an Avro schema"),
    "no schema": ('{"type": "record"}', "not an Avro schema"),
    "unknown type": (record(field("a", "text")), "not an Avro schema"),
    "no record": ('"string"', "not a record"),
    "a union": ('["null", "string"]', "not a record"),
    "map": (record(field("a", {"type": "map", "values": "int"})), "event.a is a map"),
    "union of three": (record(field("a", ["null", "int", "string"])), "event.a is a union"),
    "union without null": (record(field("a", ["int", "string"])), "event.a is a union"),
    "union of one": (record(field("a", ["int"])), "event.a is a union"),
    "null": (record(field("a", "null")), "event.a is of type null"),
    "record within": (record(field("a", header(A))), "event.a is a record within"),
    "nullable record": (record(field("a", ["null", header(A)])), "event.a is a record within"),
    "recursion": (record(A, field("b", ["null", "event"])), "event.b is of type event"),
    "type by name": (
        record(field("a", symbols("x")), field("b", "kind")),
        "event.b is of type kind",
    ),
    "array in array": (record(field("a", many(many("int")))), "an array within"),
    "nullable array": (record(field("a", ["null", many("int")])), "an array within"),
    "array in array of records": (
        record(field("a", many(header(field("x", many("int")))))),
        "event.a.x is an array within",
    ),
    "record in array of records": (
        record(field("a", many(header(field("x", {**header(A), "name": "inner"}))))),
        "event.a.x is a record within",
    ),
    "map in array": (record(field("a", many({"type": "map", "values": "int"}))), "is a map"),
    "records without fields": (record(field("a", many(header()))), "without fields"),
    "fixed of none": (record(field("a", {"type": "fixed", "name": "f", "size": 0})), "no bytes"),
    "limit on text": (record(field("a", "string", minimum=1)), "event.a has a minimum but"),
    "limit on array": (record(field("a", many("int"), maximum=1)), "event.a has a maximum but"),
    "limit on boolean": (record(field("a", "boolean", maximum=1)), "event.a has a maximum but"),
    "limit no number": (record(field("a", "int", maximum="1")), "make it a number"),
    "limit in array": (record(field("a", many(header(field("x", "int", minimum=0))))), "event.a.x"),
    "default outside": (record(field("a", "int", minimum=1, default=0)), "outside its minimum"),
    "default of another type": (record(field("a", "int", default="1")), "which is no int"),
    "default null first": (record(field("a", ["int", "null"], default=None)), "which is no int"),
    "default text": (record(field("a", "string", default="x")), "make its default empty"),
    "alias": (record(field("a", "int", aliases=["b"])), "event.a has aliases"),
    "alias of the record": (record(A, aliases=["b"]), "event has aliases"),
}


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


@pytest.mark.parametrize("case", READABLE)
def test_what_the_columnar_reader_takes_is_let_through(case: str) -> None:
    """A readable schema has no problem, and the reader compiles it."""
    text = READABLE[case]
    assert unreadable(text) == []
    assert compile_program(json.loads(text), json.loads(text), ()).fields


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_the_columnar_reader_cannot_take_is_refused(case: str) -> None:
    """An unreadable schema is one sentence with the field and the matter."""
    text, sentence = UNREADABLE[case]
    (told,) = unreadable(text)
    assert sentence in told


@pytest.mark.parametrize("name", releases.current_names())
def test_our_own_schemas_pass(name: str) -> None:
    """Every current schema is readable and follows each of its releases."""
    text = releases.current_text(name)
    assert unreadable(text) == []
    for release in releases.releases():
        if release.name == name:
            assert problems(text, release.text) == []


PRIMITIVES = st.sampled_from(
    ["null", "boolean", "int", "long", "float", "double", "string", "bytes"]
)


def any_type(depth: int) -> st.SearchStrategy[Any]:
    """Return types of which about half can be read: named ones get their names later."""
    named = st.one_of(
        st.builds(lambda size: {"type": "fixed", "name": "", "size": size}, st.integers(1, 3)),
        st.builds(
            lambda count: {"type": "enum", "name": "", "symbols": [f"s{i}" for i in range(count)]},
            st.integers(1, 3),
        ),
    )
    leaf = st.one_of(PRIMITIVES, named)
    if depth == 0:
        return leaf
    inner = any_type(depth - 1)
    return st.one_of(
        leaf,
        st.builds(lambda one: ["null", one], leaf.filter(lambda one: one != "null")),
        st.builds(many, inner.filter(lambda one: not isinstance(one, list) or len(one) == 2)),
        st.builds(
            lambda parts: {
                "type": "record",
                "name": "",
                "fields": [field(f"p{i}", part) for i, part in enumerate(parts)],
            },
            st.lists(inner, min_size=1, max_size=2),
        ),
        st.builds(lambda one: {"type": "map", "values": one}, leaf),
    )


def named(schema: Any, count: list[int]) -> Any:
    """Return the schema with a name of its own for each named type."""
    if isinstance(schema, list):
        return [named(part, count) for part in schema]
    if not isinstance(schema, dict):
        return schema
    fresh = dict(schema)
    if "name" in fresh and "type" in fresh and fresh["type"] in {"fixed", "enum", "record"}:
        count[0] += 1
        fresh["name"] = f"n{count[0]}"
    for key in ("items", "values"):
        if key in fresh:
            fresh[key] = named(fresh[key], count)
    if "fields" in fresh:
        fresh["fields"] = [{**f, "type": named(f["type"], count)} for f in fresh["fields"]]
    return fresh


def schema_of(types: list[Any]) -> dict[str, Any]:
    """Return the record whose fields have these types."""
    count = [0]
    return {
        "type": "record",
        "name": "event",
        "fields": [field(f"f{i}", named(one, count)) for i, one in enumerate(types)],
    }


@given(st.lists(any_type(2), min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_readable_is_what_the_reader_compiles(types: list[Any]) -> None:
    """The rules refuse a schema exactly when the columnar reader does."""
    schema = schema_of(types)
    try:
        compile_program(schema, schema, ())
    except SchemaRefusedError:
        compiles = False
    else:
        compiles = True
    assert (unreadable(json.dumps(schema)) == []) == compiles


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
