"""The wire format: what is encoded reads back, and what is not an event is refused."""

import io
import json
import math
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_schemas import releases
from inferwatch_schemas.errors import EncodeError, UnknownSchemaError
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder, cloudevents_headers, decode

REGISTRY = PinnedRegistry()
CONVERSION = Encoder("conversion", REGISTRY)
FIELDS = {field["name"]: field for field in releases.latest("conversion").schema["fields"]}


def value_of(field: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that a field may have."""
    declared = field["type"]
    options = declared if isinstance(declared, list) else [declared]
    return st.one_of(*(_of_type(option, field) for option in options))


def _of_type(declared: Any, field: dict[str, Any]) -> st.SearchStrategy[Any]:
    name = declared["type"] if isinstance(declared, dict) else declared
    low, high = field.get("minimum"), field.get("maximum")
    match name:
        case "null":
            return st.none()
        case "string":
            return st.text(max_size=8)
        case "int":
            return st.integers(max(low or -(2**31), -(2**31)), min(high or 2**31 - 1, 2**31 - 1))
        case "long":
            return st.integers(
                -(2**63) if low is None else low, 2**63 - 1 if high is None else high
            )
        case "double":
            return st.floats(low, high, allow_nan=False, allow_infinity=False)
        case _:
            raise NotImplementedError(name)


def without_logical_types(name: str) -> dict[str, Any]:
    """Return a schema whose times are read as the numbers they are."""
    schema = json.loads(releases.latest(name).text)
    for field in schema["fields"]:
        if isinstance(field["type"], dict) and "logicalType" in field["type"]:
            field["type"] = field["type"]["type"]
    return dict(schema)


CONVERSIONS = st.fixed_dictionaries({name: value_of(field) for name, field in FIELDS.items()})
ONE = {
    name: 1 if field["type"] in ("double", "long", "int") or isinstance(field["type"], dict)
    else None if isinstance(field["type"], list) else "x"
    for name, field in FIELDS.items()
}  # fmt: skip


@given(CONVERSIONS)
def test_an_event_reads_back(event: dict[str, Any]) -> None:
    """Another reader gets back each field from behind the five bytes of the prefix."""
    value = CONVERSION.encode(event)
    assert value[:5] == b"\x00" + releases.latest("conversion").id.to_bytes(4, "big")
    schema = without_logical_types("conversion")
    assert fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None) == event
    assert decode(value, REGISTRY).keys() == event.keys()


@pytest.mark.parametrize("name", [n for n, f in FIELDS.items() if "minimum" in f])
def test_below_the_minimum_is_refused(name: str) -> None:
    """A value below its field's minimum is refused by name; the minimum itself is taken."""
    least = FIELDS[name]["minimum"]
    CONVERSION.encode({**ONE, name: least})
    with pytest.raises(EncodeError, match=f"conversion.{name} is .*must be at"):
        CONVERSION.encode({**ONE, name: least - 1})


def test_above_the_maximum_is_refused() -> None:
    """A time after the maximum is refused by name; the maximum itself is taken."""
    most = FIELDS["event_time"]["maximum"]
    CONVERSION.encode({**ONE, "event_time": most})
    with pytest.raises(EncodeError, match=r"conversion\.event_time"):
        CONVERSION.encode({**ONE, "event_time": most + 1})


def test_nan_is_outside_every_limit() -> None:
    """NaN, which compares false with everything, passes no limit."""
    resource = Encoder("resource", REGISTRY)
    fields = {f["name"]: f for f in releases.latest("resource").schema["fields"]}
    event = {
        name: None if isinstance(field["type"], list) else "x" if field["type"] == "string" else 1
        for name, field in fields.items()
    }
    resource.encode({**event, "cpu_utilization_ratio": 0.5})
    with pytest.raises(EncodeError, match="cpu_utilization_ratio"):
        resource.encode({**event, "cpu_utilization_ratio": math.nan})


def test_a_missing_field_is_named() -> None:
    """A field that is missing, or of another type, is named in the error."""
    with pytest.raises(EncodeError, match="user_id"):
        CONVERSION.encode({name: value for name, value in ONE.items() if name != "user_id"})
    with pytest.raises(EncodeError, match="user_id"):
        CONVERSION.encode({**ONE, "user_id": 7})


@given(CONVERSIONS, st.data())
def test_cut_or_longer_bytes_are_refused(event: dict[str, Any], data: st.DataObject) -> None:
    """A value that ends early or goes on is a ValueError, wherever it is cut."""
    value = CONVERSION.encode(event)
    cut = data.draw(st.integers(0, len(value) - 1))
    with pytest.raises(ValueError, match=r"bytes|Bytes"):
        decode(value[:cut], REGISTRY)
    with pytest.raises(ValueError, match="Bytes follow"):
        decode(value + b"\x00", REGISTRY)


@given(st.binary(max_size=60), st.sampled_from([r.id for r in releases.releases()]))
def test_garbage_is_refused_or_read(body: bytes, schema_id: int) -> None:
    """Whatever the bytes are, there is a record or a ValueError, nothing else."""
    try:
        record = decode(b"\x00" + schema_id.to_bytes(4, "big") + body, REGISTRY)
    except ValueError:
        return
    assert isinstance(record, dict)


def test_another_first_byte_or_id_is_refused() -> None:
    """Another magic byte is a ValueError, an id that nobody knows an UnknownSchemaError."""
    value = CONVERSION.encode(ONE)
    with pytest.raises(ValueError, match="first byte is 1"):
        decode(b"\x01" + value[1:], REGISTRY)
    with pytest.raises(UnknownSchemaError, match="999"):
        decode(b"\x00" + (999).to_bytes(4, "big") + value[5:], REGISTRY)


def test_cloudevents_headers() -> None:
    """The headers are those of CloudEvents in binary mode; what is None is left out."""
    assert dict(cloudevents_headers("request", "id-1", "/chat")) == {
        "ce_specversion": b"1.0",
        "ce_id": b"id-1",
        "ce_source": b"/chat",
        "ce_type": b"inferwatch.request",
        "content-type": b"application/avro",
    }
    full = dict(cloudevents_headers("request", "i", "s", "2024-01-01T00:00:00Z", "00-a-b-01"))
    assert full["ce_time"] == b"2024-01-01T00:00:00Z"
    assert full["traceparent"] == b"00-a-b-01"
