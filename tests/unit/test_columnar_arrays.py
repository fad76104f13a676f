"""Columns of arrays, taken apart, hold what fastavro reads."""

from __future__ import annotations

from typing import Any

import avro_strategies as avro
import chunks
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_schemas.columnar.arrays import longs_of, texts_of
from inferwatch_schemas.columnar.reader import Text
from inferwatch_schemas.errors import SchemaRefusedError


def event(*fields: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of an event."""
    return {"type": "record", "name": "event", "fields": list(fields)}


def array(of: Any, **details: Any) -> dict[str, Any]:
    """Return a field that is an array."""
    return {"name": "f", "type": {"type": "array", "items": of}, **details}


@settings(max_examples=30, deadline=None)
@given(st.data(), st.sampled_from(["int", "long", "string"]))
def test_any_arrays(data: st.DataObject, kind: str) -> None:
    """Of whole numbers and texts, empty ones too, in one block or in several with their sizes."""
    schema = event({"name": "before", "type": "string"}, array(kind))
    drawn = data.draw(st.lists(avro.records(schema), min_size=1, max_size=5))
    bodies = [avro.body(schema, record, data.draw) for record in drawn]
    chunk = chunks.chunk([chunks.framed(body) for body in bodies])
    (part,), bad = chunks.reader(schema, {chunks.SCHEMA_ID: schema}, ["f"]).read(chunk)
    assert not bad
    column = part.columns["f"]
    assert isinstance(column, Text)
    if kind == "string":
        bounds, found = texts_of(chunk.data, column)
        places = zip(found.starts.tolist(), found.lengths.tolist(), strict=True)
        items: list[Any] = [chunk.data[at : at + size].tobytes().decode() for at, size in places]
    else:
        bounds, numbers = longs_of(chunk.data, column)
        items = numbers.tolist()
    rows = zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    assert [items[begin:end] for begin, end in rows] == [record["f"] for record in drawn]


def test_a_writer_without_the_field() -> None:
    """Its arrays are empty."""
    as_read = event({"name": "a", "type": "long"}, array("long", default=[]))
    writer = event({"name": "a", "type": "long"})
    chunk = chunks.chunk([chunks.framed(b"\2"), chunks.framed(b"\4")])
    (part,), _ = chunks.reader(as_read, {chunks.SCHEMA_ID: writer}, ["f"]).read(chunk)
    column = part.columns["f"]
    assert isinstance(column, Text)
    bounds, items = longs_of(chunk.data, column)
    assert (bounds.tolist(), items.tolist()) == ([0, 0, 0], [])


def test_bytes_read_as_text() -> None:
    """They must be UTF-8, as a reader of texts relies on it."""
    as_read, writer = event(array("string")), event(array("bytes"))
    values = [chunks.framed(b"\2" + text + b"\0") for text in (b"\4\xc3\xa9", b"\2\xe9")]
    reader = chunks.reader(as_read, {chunks.SCHEMA_ID: writer}, ["f"])
    _, (bad,) = reader.read(chunks.chunk(values))
    assert (bad.index, bad.detail) == (1, "event.f: text that is not UTF-8.")


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (array("double"), "event.f is no array of whole numbers or text"),
        (array(["null", "long"]), "event.f is no array of whole numbers or text"),
        (array(event({"name": "a", "type": "long"})), "event.f is no array of whole numbers"),
        (array("long", default=[1]), "event.f is read as a column; its default must be null or"),
        (
            {"name": "f", "type": {"type": "fixed", "name": "x", "size": 3}},
            "event.f is fixed: it cannot be read as a column.",
        ),
    ],
)
def test_fields_that_are_no_columns(field: dict[str, Any], why: str) -> None:
    """Asking for one is refused before anything is read."""
    with pytest.raises(SchemaRefusedError, match=why):
        chunks.reader(event(field), {}, ["f"])
