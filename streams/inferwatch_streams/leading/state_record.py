"""One record of a topic, with the name of its schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inferwatch_schemas.wire import PREFIX, decode

if TYPE_CHECKING:
    from inferwatch_schemas.registry import Registry


@dataclass(frozen=True, slots=True)
class StateRecord:
    """The newest record of a key that counts.

    Attributes:
        key: Its key.
        offset: Where it stands.
        schema: Name of its schema.
        record: What it says.
    """

    key: str
    offset: int
    schema: str
    record: dict[str, Any]


def named(value: bytes, registry: Registry) -> tuple[str, dict[str, Any]]:
    """The name of a record's schema, and the record.

    Raises:
        UnknownSchemaError: Its schema id is unknown.
        RegistryUnavailableError: The registry did not answer.
        ValueError: The bytes are no Avro of that schema.
    """
    record = decode(value, registry)
    _, schema_id = PREFIX.unpack_from(value)
    return str(registry.schema(schema_id)["name"]), record
