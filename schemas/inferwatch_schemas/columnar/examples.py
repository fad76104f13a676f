"""Made-up events of a topic: every field filled by its type, for what is tried before real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inferwatch_schemas import releases
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder

if TYPE_CHECKING:
    from inferwatch_schemas.releases import Schema
    from inferwatch_schemas.topics import Topic


def example_values(topic: Topic, count: int) -> list[bytes]:
    """So many values of each schema of a topic, by its newest release; no two have a text alike."""
    registry = PinnedRegistry()
    values = []
    for name in topic.schemas:
        schema, encoder = releases.latest(name).schema, Encoder(name, registry)
        values += [encoder.encode(_record(schema, number)) for number in range(count)]
    return values


def _record(schema: Schema, number: int) -> dict[str, Any]:
    return {field["name"]: _value(field["type"], field, number) for field in schema["fields"]}


def _value(declared: Any, field: Schema, number: int) -> Any:  # noqa: PLR0911  # a case a type
    if isinstance(declared, list):
        declared = next(branch for branch in declared if branch != "null")
    details = declared if isinstance(declared, dict) else {"type": declared}
    match details["type"]:
        case "array":
            return [_value(details["items"], {}, number)]
        case "record":
            return _record(details, number)
        case "enum":
            return details["symbols"][0]
        case "string":
            return f"{field.get('name')} {number}"
        case "boolean":
            return True
        case "bytes" | "fixed":
            return bytes(details.get("size", 1))
        case _:
            return min(max(number, field.get("minimum", number)), field.get("maximum", number))
