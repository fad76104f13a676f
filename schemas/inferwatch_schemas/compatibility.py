"""What a change of a schema may not do, and what the columnar reader cannot take.

A schema evolves BACKWARD: a reader with the new schema reads everything that was written with a
released one. Most of that is Avro's schema resolution (Avro specification 1.12, "Schema
Resolution") as the Apache package ``avro`` decides it. The rest is ours: our reader takes enums
by number, knows no aliases, and refuses events outside a field's limits.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from fastavro.validation import validate

from inferwatch_schemas.errors import SchemasError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inferwatch_schemas.releases import Schema

NUMBERS: Final = ("int", "long", "float", "double")
SCALARS: Final = ("boolean", *NUMBERS, "string", "bytes", "enum", "fixed")
LIMITS: Final = ("minimum", "maximum")
# Attributes that change what a value means though not its bytes.
MEANING: Final = ("logicalType", "precision", "scale")


def problems(new_text: str, released_text: str) -> list[str]:
    """Why a new schema cannot follow a released one, one sentence each; none when it can.

    Args:
        new_text: The new schema as JSON text.
        released_text: A released schema of the same name.

    Raises:
        SchemasError: The package ``avro`` is not installed.
    """
    for text in (new_text, released_text):
        if refused := unreadable(text):
            return refused
    new, released = json.loads(new_text), json.loads(released_text)
    found: list[str] = []
    if _full_name(new) != _full_name(released):
        found.append(
            f"{_full_name(new)} is released as {_full_name(released)}: keep the name and namespace."
        )
    found += _record_problems(new, released, new["name"])
    if not found:
        # The parts were compared one by one; this is the reference's verdict on the whole.
        found += [
            f"{new['name']} cannot read released records: {reason}."
            for reason in _incompatibilities(new, released)
        ]
    return found


def unreadable(text: str) -> list[str]:
    """Why the columnar reader cannot take a schema, one sentence each; none when it can.

    Raises:
        SchemasError: The package ``avro`` is not installed.
    """
    if wrong := _not_avro(text):
        return [wrong]
    schema = json.loads(text)
    if not _is_record(schema):
        return [_TOP_LEVEL]
    found: list[str] = []
    for field in schema["fields"]:
        where = f"{schema['name']}.{field['name']}"
        found += _type_problems(field["type"], where)
        found += _limit_problems(field, where)
        found += _field_problems(field, where)
    if schema.get("aliases"):
        found.append(f"{schema['name']} has aliases, which readers here do not know: remove them.")
    return found


_TOP_LEVEL: Final = "The schema is not a record: put the value into a field of one."


def _is_record(schema: Any) -> bool:
    return isinstance(schema, dict) and schema["type"] == "record"


def _full_name(schema: Schema) -> str:
    return f"{schema.get('namespace', '')}.{schema['name']}".lstrip(".")


def _record_problems(new: Schema, released: Schema, where: str) -> Iterator[str]:
    before = {field["name"]: field for field in released["fields"]}
    for field in new["fields"]:
        place = f"{where}.{field['name']}"
        old = before.get(field["name"])
        if old is not None:
            yield from _change_problems(field, old, place)
        elif "default" not in field:
            yield f"{place} is new and has no default: give it one, as released records lack it."


def _change_problems(new: Schema, old: Schema, where: str) -> Iterator[str]:
    if (items := _items(new["type"])) and (before := _items(old["type"])):
        yield from _record_problems(items, before, where)
    elif reasons := _incompatibilities(new["type"], old["type"]):
        yield (
            f"{where} changes its type so that released records cannot be read "
            f"({'; '.join(reasons)}): leave it and add a field of another name."
        )
    else:
        yield from _meaning_problems(_plain(new["type"]), _plain(old["type"]), where)
    for limit, narrower in (("minimum", _above), ("maximum", _below)):
        if narrower(new.get(limit), old.get(limit)):
            yield (
                f"{where} has the {limit} {new[limit]}, released is {old.get(limit, 'none')}: "
                "widen it, as released records would become bad ones."
            )


def _meaning_problems(new: Any, old: Any, where: str) -> Iterator[str]:
    if not isinstance(new, dict):
        new = {"type": new}
    if not isinstance(old, dict):
        old = {"type": old}
    changed = [name for name in MEANING if new.get(name) != old.get(name)]
    if changed:
        yield (
            f"{where} changes its {' and '.join(changed)}, so that released values would mean "
            "something else: leave it and add a field of another name."
        )
    if new["type"] == old["type"] == "enum":
        symbols = old["symbols"]
        if new["symbols"][: len(symbols)] != symbols:
            yield (
                f"{where} moves released symbols, which are read by their number: "
                "add new ones at the end."
            )
    if new["type"] == old["type"] == "array":
        yield from _meaning_problems(_plain(new["items"]), _plain(old["items"]), where)


def _above(new: float | None, old: float | None) -> bool:
    return new is not None and (old is None or new > old)


def _below(new: float | None, old: float | None) -> bool:
    return new is not None and (old is None or new < old)


def _type_problems(declared: Any, where: str) -> Iterator[str]:
    if not (isinstance(declared, dict) and declared["type"] == "array"):
        yield from _scalar_problems(declared, where)
        return
    items = declared["items"]
    if not _is_record(items):
        yield from _scalar_problems(items, f"{where}[]")
        return
    if not items["fields"]:
        yield f"{where} is an array of records without fields: count them in a long."
    for field in items["fields"]:
        place = f"{where}.{field['name']}"
        yield from _scalar_problems(field["type"], place)
        yield from _field_problems(field, place)
        for limit in LIMITS:
            if limit in field:
                yield f"{place} stands in an array, where no {limit} is checked: remove it."


def _scalar_problems(declared: Any, where: str) -> Iterator[str]:
    if isinstance(declared, list):
        if len(declared) != 2 or "null" not in declared:  # noqa: PLR2004  # null and one more
            yield f"{where} is a union other than null and one type: use one field for each type."
            return
        declared = _plain(declared)
    name = declared["type"] if isinstance(declared, dict) else declared
    if name == "record":
        yield f"{where} is a record within the record: make its fields fields of the event."
    elif name == "map":
        yield f"{where} is a map: use an array of records with a key and a value."
    elif name == "array":
        yield f"{where} is an array within a union or an array: make it a field, empty for none."
    elif name not in SCALARS:
        yield f"{where} is of type {name}: use one of {', '.join(SCALARS)}, written out."
    elif name == "fixed" and declared["size"] < 1:
        yield f"{where} is of no bytes: give it a size or remove it."
    elif name == "enum" and not declared["symbols"]:
        yield f"{where} has no symbols: name one or remove it."


def _field_problems(field: Schema, where: str) -> Iterator[str]:
    if field.get("aliases"):
        yield f"{where} has aliases, which readers here do not know: remove them."
    if "default" not in field:
        return
    first = field["type"][0] if isinstance(field["type"], list) else field["type"]
    default = field["default"]
    if _base(first) in ("bytes", "fixed") and isinstance(default, str):
        # Avro writes the default of bytes as text whose code points are the bytes.
        default = default.encode("latin-1", errors="replace")
    if not validate(default, first, raise_errors=False):
        yield (
            f"{where} has the default {field['default']!r}, which is no {_base(first)}: "
            "give it one of its type, the first of a union."
        )
    elif isinstance(field["default"], str) and field["default"]:
        yield f"{where} is read as a column: make its default empty, or null."


def _limit_problems(field: Schema, where: str) -> Iterator[str]:
    for limit in LIMITS:
        if limit not in field:
            continue
        if _base(_plain(field["type"])) not in NUMBERS:
            yield f"{where} has a {limit} but is no number: remove it."
        elif isinstance(field[limit], bool) or not isinstance(field[limit], int | float):
            yield f"{where} has the {limit} {field[limit]!r}: make it a number."
        elif "default" in field and field["default"] is not None:
            yield from _default_outside(field, limit, where)


def _default_outside(field: Schema, limit: str, where: str) -> Iterator[str]:
    default, edge = field["default"], field[limit]
    if isinstance(default, int | float) and (
        default < edge if limit == "minimum" else default > edge
    ):
        yield f"{where} has a default outside its {limit} {edge}: give it one within."


def _items(declared: Any) -> Schema | None:
    """The record of which an array has many, if it is such an array."""
    if isinstance(declared, dict) and declared["type"] == "array" and _is_record(declared["items"]):
        return dict(declared["items"])
    return None


def _plain(declared: Any) -> Any:
    """The type itself of one that may be null."""
    if isinstance(declared, list):
        others = [branch for branch in declared if branch != "null"]
        return others[0] if len(others) == 1 else declared
    return declared


def _base(declared: Any) -> str:
    if isinstance(declared, list):
        return "union"
    return str(declared["type"] if isinstance(declared, dict) else declared)


def _not_avro(text: str) -> str | None:
    """The sentence about a text that is no Avro schema."""
    avro = _apache_avro()
    try:
        avro.schema.parse(text)
    except avro.errors.AvroException as error:
        return f"This is not an Avro schema: {str(error).splitlines()[0]}"
    return None


def _incompatibilities(reader: Any, writer: Any) -> list[str]:
    avro = _apache_avro()
    result = avro.compatibility.ReaderWriterCompatibilityChecker().get_compatibility(
        avro.schema.parse(json.dumps(reader)), avro.schema.parse(json.dumps(writer))
    )
    if result.compatibility is avro.compatibility.SchemaCompatibilityType.compatible:
        return []
    return sorted(result.messages)


def _apache_avro() -> Any:
    try:
        import avro.compatibility  # noqa: PLC0415  # only who changes schemas needs it
        import avro.errors  # noqa: PLC0415  # likewise
        import avro.schema  # noqa: PLC0415  # likewise
    except ImportError as error:
        raise SchemasError("Checking schemas needs Apache's package: pip install avro.") from error
    return avro
