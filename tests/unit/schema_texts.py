"""Schemas of one record, as tests write them."""

import json
from typing import Any

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
