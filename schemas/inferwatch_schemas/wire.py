"""Confluent wire format and CloudEvents headers: one event to the bytes of one Kafka record.

The value is a magic byte 0, the schema id as four bytes big-endian, then the Avro body
(Confluent, "Wire format"). The headers are CloudEvents 1.0 in binary content mode
(CloudEvents Kafka protocol binding, section 3.2).
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.validation import ValidationError, validate

from inferwatch_schemas import releases
from inferwatch_schemas.errors import EncodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_schemas.registry import Registry

MAGIC: Final = 0
PREFIX: Final = struct.Struct(">bI")
Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a field's value may be besides its type, from ``minimum`` and ``maximum``."""

    field: str
    minimum: float | None
    maximum: float | None


class Encoder:
    """Writes events of one schema in the form its newest release has."""

    def __init__(self, name: str, registry: Registry) -> None:
        """Look the schema up once.

        Raises:
            UnknownSchemaError: The registry does not have the release.
            RegistryUnavailableError: The registry did not answer.
        """
        release = releases.latest(name)
        self.name = name
        self.schema_id = registry.id_of(name)
        self._schema = parse_schema(release.schema)
        self._prefix = PREFIX.pack(MAGIC, self.schema_id)
        self._limits = tuple(
            Limits(field["name"], field.get("minimum"), field.get("maximum"))
            for field in release.schema["fields"]
            if "minimum" in field or "maximum" in field
        )

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """The bytes of one record's value.

        Raises:
            EncodeError: A field is missing, of another type, or outside its limits.
        """
        for limit in self._limits:
            value = record.get(limit.field)
            if value is None or not isinstance(value, int | float):
                continue
            # Written so that NaN, which compares false, is refused.
            if (limit.minimum is not None and not value >= limit.minimum) or (
                limit.maximum is not None and not value <= limit.maximum
            ):
                bounds = (("at least", limit.minimum), ("at most", limit.maximum))
                wanted = " and ".join(f"{word} {end}" for word, end in bounds if end is not None)
                raise EncodeError(f"{self.name}.{limit.field} is {value!r}; it must be {wanted}.")
        out = io.BytesIO()
        out.write(self._prefix)
        try:
            schemaless_writer(out, self._schema, record)
        except Exception as error:
            raise EncodeError(self._explain(record, error)) from error
        return out.getvalue()

    def _explain(self, record: Mapping[str, Any], error: Exception) -> str:
        try:
            validate(record, self._schema)
        except ValidationError as why:
            first = str(why).splitlines()[0] if not why.errors else str(why.errors[0])
            return f"{self.name}: {first}."
        return f"{self.name} cannot be encoded: {error}."


def decode(value: bytes, registry: Registry) -> dict[str, Any]:
    """One record's value as a dictionary, by the writer's schema: slow, exact, for tools and tests.

    Raises:
        UnknownSchemaError: Its schema id is unknown.
        ValueError: The bytes are no Avro of that schema, or have others after them.
    """
    if len(value) < PREFIX.size:
        raise ValueError(f"The value has {len(value)} bytes, fewer than Confluent's prefix.")
    magic, schema_id = PREFIX.unpack_from(value)
    if magic != MAGIC:
        raise ValueError(f"The first byte is {magic}; Confluent's wire format starts with 0.")
    schema = parse_schema(registry.schema(schema_id))
    body = io.BytesIO(value[PREFIX.size :])
    try:
        record = schemaless_reader(body, schema, None)
    except Exception as error:
        # fastavro lets through whatever the bytes made it stumble over.
        raise ValueError(f"The bytes are no Avro of schema id {schema_id}: {error!r}.") from error
    if body.read(1):
        raise ValueError("Bytes follow the record.")
    if not isinstance(record, dict):
        # To the caller it is one more kind of bytes that are not an event.
        raise ValueError(f"Schema id {schema_id} is not a record.")  # noqa: TRY004  # as said above
    return record


def cloudevents_headers(
    name: str, event_id: str, source: str, time: str | None = None, traceparent: str | None = None
) -> Headers:
    """Headers of one event.

    Args:
        name: Schema name; the CloudEvents type is ``inferwatch.NAME``.
        event_id: Unique together with source.
        source: Who made the event, a URI reference.
        time: RFC 3339 time of the event; left out when None.
        traceparent: W3C Trace Context header; left out when None.
    """
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", source.encode()),
        ("ce_type", f"inferwatch.{name}".encode()),
        ("content-type", b"application/avro"),
    ]
    if time is not None:
        headers.append(("ce_time", time.encode()))
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    return headers
