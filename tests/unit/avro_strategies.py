"""Random schemas that the columnar reader takes, and records of them."""

from __future__ import annotations

import io
import struct
from typing import Any

from fastavro import schemaless_writer
from hypothesis import strategies as st

PLAIN = ("boolean", "int", "long", "float", "double", "string", "bytes")
SYMBOLS = ("red", "green", "blue", "black")


@st.composite
def scalar_types(draw: st.DrawFn, name: str) -> Any:
    """Draw a scalar type, nullable or not; name is that of its enum or fixed."""
    kind = draw(st.sampled_from((*PLAIN, "enum", "fixed")))
    declared: Any = kind
    if kind == "enum":
        declared = {"type": "enum", "name": name, "symbols": list(SYMBOLS)}
    elif kind == "fixed":
        declared = {"type": "fixed", "name": name, "size": draw(st.integers(1, 9))}
    elif draw(st.booleans()):
        declared = {"type": kind, "logicalType": "of-a-test"}
    branches = draw(st.sampled_from(("plain", "null first", "null last")))
    if branches == "plain":
        return declared
    return ["null", declared] if branches == "null first" else [declared, "null"]


@st.composite
def field_types(draw: st.DrawFn, name: str) -> Any:
    """Draw a type of a field: a scalar, or an array of scalars or of flat records."""
    shape = draw(st.sampled_from(("scalar", "scalar", "scalar", "array", "records")))
    if shape == "scalar":
        return draw(scalar_types(name))
    if shape == "array":
        return {"type": "array", "items": draw(scalar_types(name))}
    parts = [
        {"name": f"p{index}", "type": draw(scalar_types(f"{name}_{index}"))}
        for index in range(draw(st.integers(1, 3)))
    ]
    return {"type": "array", "items": {"type": "record", "name": f"{name}_item", "fields": parts}}


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a schema of up to eight fields."""
    fields = [
        {"name": f"f{index}", "type": draw(field_types(f"n{index}"))}
        for index in range(draw(st.integers(1, 8)))
    ]
    return {"type": "record", "name": "event", "fields": fields}


def values(declared: Any) -> st.SearchStrategy[Any]:  # noqa: C901, PLR0911, PLR0912  # one case a type
    """Return the values of a type."""
    if isinstance(declared, list):
        return st.one_of(*(values(branch) for branch in declared))
    name = declared["type"] if isinstance(declared, dict) else declared
    match name:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "int":
            return st.integers(-(2**31), 2**31 - 1)
        case "long":
            return st.integers(-(2**63), 2**63 - 1)
        case "float":
            return st.floats(allow_nan=False, allow_infinity=False, width=32)
        case "double":
            return st.floats(allow_nan=False, allow_infinity=False)
        case "string":
            return st.text(max_size=20)
        case "bytes":
            return st.binary(max_size=20)
        case "fixed":
            return st.binary(min_size=declared["size"], max_size=declared["size"])
        case "enum":
            return st.sampled_from(declared["symbols"])
        case "array":
            return st.lists(values(declared["items"]), max_size=4)
        case "record":
            return records(declared)
        case _:
            raise NotImplementedError(name)


def records(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return the records of a schema."""
    return st.fixed_dictionaries({f["name"]: values(f["type"]) for f in schema["fields"]})


def scalars(schema: dict[str, Any]) -> list[str]:
    """Return the fields of a schema that may become columns."""
    return [
        field["name"]
        for field in schema["fields"]
        if not _is_of(field["type"], "array") and not _is_of(field["type"], "fixed")
    ]


def _is_of(declared: Any, name: str) -> bool:
    branches = declared if isinstance(declared, list) else [declared]
    return any(isinstance(branch, dict) and branch["type"] == name for branch in branches)


def varint(value: int) -> bytes:
    """Return a zig-zag varint."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def body(schema: dict[str, Any], record: dict[str, Any], draw: st.DrawFn | None = None) -> bytes:
    """Write a record; with draw, arrays in blocks of any lengths, with or without sizes."""
    return b"".join(_written(f["type"], record[f["name"]], draw) for f in schema["fields"])


def _written(declared: Any, value: Any, draw: st.DrawFn | None) -> bytes:
    if isinstance(declared, dict) and declared["type"] == "array":
        return _blocks(declared["items"], value, draw)
    out = io.BytesIO()
    schemaless_writer(out, declared, value)
    return out.getvalue()


def _blocks(items: Any, value: list[Any], draw: st.DrawFn | None) -> bytes:
    out = b""
    rest = value
    while rest:
        count = len(rest) if draw is None else draw(st.integers(1, len(rest)))
        block = b"".join(_written(items, item, draw) for item in rest[:count])
        rest = rest[count:]
        if draw is not None and draw(st.booleans()):
            out += varint(-count) + varint(len(block)) + block
        else:
            out += varint(count) + block
    return out + b"\0"


def double_bits(value: float) -> bytes:
    """Return what tells two floats apart, the zeros too."""
    return struct.pack("<d", value)
