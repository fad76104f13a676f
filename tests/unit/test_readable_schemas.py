"""Schemas that the columnar reader takes; others are refused in a sentence."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_texts import DECIMAL, MICROS, A, field, header, many, record, symbols

from inferwatch_schemas.columnar.program import compile_program
from inferwatch_schemas.compatibility import unreadable
from inferwatch_schemas.errors import SchemaRefusedError

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
