"""Columns hold what fastavro reads, bit for bit, however schemas have evolved."""

from __future__ import annotations

import io
from typing import Any

import avro_strategies as avro
import chunks
import pytest
from fastavro import schemaless_reader
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_schemas.errors import RegistryUnavailableError, SchemaRefusedError


def as_column(declared: Any, value: Any) -> Any:
    """Return what a column holds for a value that fastavro has read."""
    if isinstance(declared, list):
        if value is None:
            return None
        declared = declared[0] if declared[1] == "null" else declared[1]
    name = declared["type"] if isinstance(declared, dict) else declared
    if name == "enum":
        return declared["symbols"].index(value)
    if name in ("float", "double"):
        return avro.double_bits(value)
    return value.encode() if isinstance(value, str) else value


def columns_of(part: chunks.Part, schema: dict[str, Any], data: Any) -> dict[str, list[Any]]:
    """Return all columns, floats as their bits."""
    types = {field["name"]: field["type"] for field in schema["fields"]}
    found = {name: chunks.column(part, name, data) for name in part.columns}
    for name, values in found.items():
        branches = types[name] if isinstance(types[name], list) else [types[name]]
        plain = [b["type"] if isinstance(b, dict) else b for b in branches]
        if "float" in plain or "double" in plain:
            found[name] = [v if v is None else avro.double_bits(v) for v in values]
    return found


def read_by_fastavro(writer: Any, as_read: Any, body: bytes) -> dict[str, Any]:
    """Return a record by Avro's schema resolution."""
    record = schemaless_reader(io.BytesIO(body), writer, as_read)
    assert isinstance(record, dict)
    return record


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_schema(data: st.DataObject) -> None:
    """Any wanted columns of any records of any schema are what fastavro reads."""
    schema = data.draw(avro.schemas())
    drawn = data.draw(st.lists(avro.records(schema), min_size=1, max_size=5))
    bodies = [avro.body(schema, record, data.draw) for record in drawn]
    names = avro.scalars(schema)
    wanted = data.draw(st.permutations(names).flatmap(lambda p: st.sampled_from([p, p[:2], []])))
    chunk = chunks.chunk([chunks.framed(body) for body in bodies])
    parts, bad = chunks.reader(schema, {chunks.SCHEMA_ID: schema}, wanted).read(chunk)
    assert not bad
    (part,) = parts
    assert part.rows.tolist() == list(range(len(bodies)))
    types = {field["name"]: field["type"] for field in schema["fields"]}
    expected = [read_by_fastavro(schema, schema, body) for body in bodies]
    assert columns_of(part, schema, chunk.data) == {
        name: [as_column(types[name], record[name]) for record in expected] for name in wanted
    }


PROMOTIONS = {
    "int": ("int", "long", "float", "double"),
    "long": ("long", "float", "double"),
    "float": ("float", "double"),
    "string": ("string", "bytes"),
    "bytes": ("bytes", "string"),
}
ADDED = (
    ("long", 3), ("int", -1), ("double", 0.5), ("float", 2), ("boolean", True), ("string", ""),
    (["null", "long"], None), (["long", "null"], 9), (["null", "string"], None),
    (["string", "null"], ""), (["null", "double"], None), ("long", 2**62 + 1),
)  # fmt: skip


@st.composite
def evolved(draw: st.DrawFn, writer: dict[str, Any]) -> dict[str, Any]:
    """Draw a schema that reads the writer's records: fields gone, promoted, nullable or new."""
    fields = []
    for field in writer["fields"]:
        declared = field["type"]
        if draw(st.integers(0, 4)) == 0:
            continue
        if isinstance(declared, str) or (
            isinstance(declared, dict) and declared["type"] in PROMOTIONS
        ):
            name = declared if isinstance(declared, str) else declared["type"]
            declared = draw(st.sampled_from(PROMOTIONS.get(name, (name,))))
            if draw(st.booleans()):
                declared = draw(st.permutations(["null", declared]))
        fields.append({"name": field["name"], "type": declared})
    for index, (declared, default) in enumerate(draw(st.lists(st.sampled_from(ADDED), max_size=3))):
        fields.append({"name": f"new{index}", "type": declared, "default": default})
    return {"type": "record", "name": "event", "fields": draw(st.permutations(fields))}


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_evolution(data: st.DataObject) -> None:
    """Old records are read as the newest schema, by Avro's schema resolution."""
    writer = data.draw(avro.schemas())
    as_read = data.draw(evolved(writer))
    drawn = data.draw(st.lists(avro.records(writer), min_size=1, max_size=3))
    bodies = [avro.body(writer, record) for record in drawn]
    wanted = avro.scalars(as_read)
    chunk = chunks.chunk([chunks.framed(body) for body in bodies])
    parts, bad = chunks.reader(as_read, {chunks.SCHEMA_ID: writer}, wanted).read(chunk)
    found = {name: values for part in parts for name, values in
             columns_of(part, as_read, chunk.data).items()}  # fmt: skip
    types = {field["name"]: field["type"] for field in as_read["fields"]}
    expected: dict[str, list[Any]] = {name: [] for name in wanted}
    unreadable = []
    for index, body in enumerate(bodies):
        try:
            record = read_by_fastavro(writer, as_read, body)
        except UnicodeDecodeError:
            unreadable.append(index)
            continue
        for name in wanted:
            expected[name].append(as_column(types[name], record[name]))
    assert [record.index for record in bad] == unreadable
    assert found == (expected if parts else {})
    assert sum(len(part.rows) for part in parts) == len(bodies) - len(unreadable)


def event(*fields: dict[str, Any]) -> dict[str, Any]:
    """Return a schema."""
    return {"type": "record", "name": "event", "fields": list(fields)}


def enum(*symbols: str) -> dict[str, Any]:
    """Return an enum."""
    return {"type": "enum", "name": "colour", "symbols": list(symbols)}


@pytest.mark.parametrize(
    ("writer", "as_read", "why"),
    [
        ("long", "int", "f is written as long and cannot be read as int"),
        ("double", "float", "written as double"),
        ("string", "long", "written as string"),
        ("int", "boolean", "written as int"),
        ("boolean", "long", "written as boolean"),
        (["null", "long"], "long", "may be null and must not be"),
        ({"type": "array", "items": "long"}, "long", "an array in one schema"),
        ("long", {"type": "array", "items": "long"}, "an array in one schema"),
        ({"type": "array", "items": "long"}, {"type": "array", "items": "int"}, "as long"),
        (
            {"type": "array", "items": "long"},
            {"type": "array", "items": event({"name": "a", "type": "long"})},
            "holds records in one schema",
        ),
        (
            {"type": "array", "items": event({"name": "b", "type": "long"})},
            {"type": "array", "items": event({"name": "a", "type": "long"})},
            "a is missing and has no default",
        ),
        (
            {"type": "fixed", "name": "x", "size": 3},
            {"type": "fixed", "name": "x", "size": 4},
            "fixed of 3 bytes",
        ),
        (enum("red", "blue"), enum("red"), "symbols that its enum lacks"),
        (enum("red", "blue"), enum("blue", "red"), "symbols in another order"),
        ({"type": "map", "values": "long"}, "long", "of type map"),
        (["null", "long", "string"], ["null", "long"], "union other than null and one type"),
        ({"type": {"type": "string"}}, "string", "cannot be read as a column"),
        ({"type": "array", "items": event()}, "long", "records without fields"),
        ("somewhere.Else", "string", "of type somewhere.Else"),
    ],
)
def test_schemas_that_do_not_resolve(writer: Any, as_read: Any, why: str) -> None:
    """Records whose schema cannot be read as the newest are dead letters that say which field."""
    declared = event({"name": "f", "type": as_read})
    plain = isinstance(as_read, str | list) or as_read["type"] == "enum"
    registry = {chunks.SCHEMA_ID: event({"name": "f", "type": writer})}
    reader = chunks.reader(declared, registry, ["f"] if plain else [])
    parts, (bad,) = reader.read(chunks.chunk([chunks.framed(b"\0")]))
    assert not parts
    assert bad.reason == "wrong_schema"
    assert why in bad.detail


@pytest.mark.parametrize("wanted", [["f"], []])
@pytest.mark.parametrize("nullable", [True, False])
def test_bytes_read_as_text(wanted: list[str], nullable: bool) -> None:  # noqa: FBT001  # pytest's
    """Bytes that are text to the reader must be UTF-8, whether or not anybody wants them."""
    writer = event({"name": "f", "type": ["bytes", "null"] if nullable else "bytes"})
    as_read = event({"name": "f", "type": ["null", "string"] if nullable else "string"})
    branch = b"\0" if nullable else b""
    chunk = chunks.chunk([chunks.framed(branch + text) for text in (b"\4\xc3\xa9", b"\2\xe9")])
    (part,), (bad,) = chunks.reader(as_read, {chunks.SCHEMA_ID: writer}, wanted).read(chunk)
    assert part.rows.tolist() == [0]
    assert (bad.reason, bad.detail) == ("malformed", "event.f: text that is not UTF-8.")


def test_a_field_that_the_writer_lacks() -> None:
    """Without a default the schema is refused, also where nobody wants the field."""
    as_read = event({"name": "a", "type": "long"}, {"name": "b", "type": "long"})
    reader = chunks.reader(as_read, {chunks.SCHEMA_ID: event({"name": "a", "type": "long"})}, [])
    _, (bad,) = reader.read(chunks.chunk([chunks.framed(b"\2")]))
    assert (bad.reason, bad.detail) == ("wrong_schema", "event.b is missing and has no default.")


@pytest.mark.parametrize(
    "schema",
    ["string", ["null", "long"], {"type": "enum", "name": "event", "symbols": ["a"]},
     {"type": "map", "values": "long"}, {"type": "record", "name": "other", "fields": []}],
)  # fmt: skip
def test_ids_of_other_schemas(schema: Any) -> None:
    """A registry holds more than this topic's records: any of it is a wrong schema, no failure."""
    reader = chunks.reader(event({"name": "a", "type": "long"}), {chunks.SCHEMA_ID: schema}, [])
    parts, (bad,) = reader.read(chunks.chunk([chunks.framed(b"\2")]))
    assert (parts, bad.reason, bad.schema_id) == ([], "wrong_schema", chunks.SCHEMA_ID)


@pytest.mark.parametrize(
    "field",
    [
        {"name": "f", "type": {"type": "fixed", "name": "x", "size": 3}},
        {"name": "f", "type": {"type": "array", "items": "double"}},
        {"name": "f", "type": "string", "default": "unknown"},
        {"name": "f", "type": enum("red"), "default": "red"},
    ],
)
def test_fields_that_are_no_columns(field: dict[str, Any]) -> None:
    """Wanting a field that no column can hold is refused at the start, by its name."""
    with pytest.raises(SchemaRefusedError, match=r"event\.f"):
        chunks.reader(event(field), {}, ["f"])


def test_several_schemas_in_one_chunk() -> None:
    """Records of several schema ids come in a part each, and bad ones in order."""
    old, new = (
        event({"name": "a", "type": "int"}),
        event({"name": "b", "type": "string", "default": ""}, {"name": "a", "type": "long"}),
    )
    values = [
        chunks.framed(b"\2", 1), chunks.framed(b"\2x\4", 2), None, chunks.framed(b"\6", 1),
        chunks.framed(b"", 3), chunks.framed(b"", 2), chunks.framed(b"\0\10", 2),
    ]  # fmt: skip
    chunk = chunks.chunk(values)
    parts, bad = chunks.reader(new, {1: old, 2: new}, ["a", "b"]).read(chunk)
    assert {part.schema_id: part.rows.tolist() for part in parts} == {1: [0, 3], 2: [1, 6]}
    by_id = {part.schema_id: part for part in parts}
    assert chunks.column(by_id[1], "a", chunk.data) == [1, 3]
    assert chunks.column(by_id[1], "b", chunk.data) == [b"", b""]
    assert chunks.column(by_id[2], "a", chunk.data) == [2, 4]
    assert chunks.column(by_id[2], "b", chunk.data) == [b"x", b""]
    assert [(record.index, record.reason) for record in bad] == [
        (2, "tombstone"), (4, "unknown_schema"), (5, "truncated"),
    ]  # fmt: skip


def test_nothing_to_read() -> None:
    """A chunk without records, and a schema without fields, are read as what they are."""
    reader = chunks.reader(event(), {chunks.SCHEMA_ID: event()}, [])
    assert reader.read(chunks.chunk([])) == ([], [])
    (part,), (bad,) = reader.read(chunks.chunk([chunks.framed(b""), chunks.framed(b"\0")]))
    assert (part.rows.tolist(), bad.index, bad.reason) == ([0], 1, "trailing_bytes")


class Away:
    """A registry that does not answer at first."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.answers = False

    def id_of(self, name: str) -> int:
        """Return nothing: these tests write their own prefixes."""
        raise NotImplementedError(name)

    def schema(self, schema_id: int) -> dict[str, Any]:
        """Return one schema, or fail."""
        self.asked.append(schema_id)
        if not self.answers:
            raise RegistryUnavailableError("away")
        return event({"name": "a", "type": "long"})


def test_a_registry_that_is_away() -> None:
    """Nothing is read while the registry does not answer; afterwards it is asked once."""
    registry = Away()
    reader = chunks.reader(event({"name": "a", "type": "long"}), {}, ["a"])
    reader._registry = registry  # noqa: SLF001  # the builder makes one that always answers
    chunk = chunks.chunk([chunks.framed(b"\2"), chunks.framed(b"\2", 2**31), None])
    with pytest.raises(RegistryUnavailableError):
        reader.read(chunk)
    registry.answers = True
    for _ in range(2):
        parts, bad = reader.read(chunk)
        assert len(parts) == 1
        assert [record.reason for record in bad] == ["unknown_schema", "tombstone"]
    assert registry.asked == [7, 7]
