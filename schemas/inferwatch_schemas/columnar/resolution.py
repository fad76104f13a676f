"""Field types as the columnar reader knows them; whether one schema's records read as another's.

Avro specification 1.12, "Schema Resolution". What it leaves to each datum - a null where the reader
has no union, a symbol that the reader's enum lacks - is decided here for the whole schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from inferwatch_schemas.errors import SchemaRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inferwatch_schemas.releases import Schema


class Op(IntEnum):
    """What an instruction reads."""

    BOOLEAN = 0
    INT = 1
    LONG = 2
    FLOAT = 3
    DOUBLE = 4
    STRING = 5
    BYTES = 6
    ENUM = 7
    FIXED = 8
    ARRAY = 9


NOT_NULLABLE: Final = -1

_PLAIN: Final = {
    "boolean": Op.BOOLEAN,
    "int": Op.INT,
    "long": Op.LONG,
    "float": Op.FLOAT,
    "double": Op.DOUBLE,
    "string": Op.STRING,
    "bytes": Op.BYTES,
}
# What a reader may declare for each type of a writer, besides the same.
_PROMOTIONS: Final = {
    Op.INT: (Op.LONG, Op.FLOAT, Op.DOUBLE),
    Op.LONG: (Op.FLOAT, Op.DOUBLE),
    Op.FLOAT: (Op.DOUBLE,),
    Op.STRING: (Op.BYTES,),
    Op.BYTES: (Op.STRING,),
}


@dataclass(frozen=True, slots=True)
class Scalar:
    """Type of a field that is one value.

    Attributes:
        op: How its bytes are read.
        null: Branch of its union that is null; NOT_NULLABLE without a union.
        argument: Symbols of an enum, bytes of a fixed.
        symbols: Names of an enum's symbols.
    """

    op: Op
    null: int = NOT_NULLABLE
    argument: int = 0
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArrayType:
    """Type of a field that is an array, of scalars or of flat records.

    Attributes:
        items: Names and types of an item's fields; one without a name for an array of scalars.
    """

    items: tuple[tuple[str, Scalar], ...]


def parse_type(declared: Any, where: str) -> Scalar | ArrayType:
    """A field's declared type.

    Raises:
        SchemaRefusedError: It cannot be read as a column; names the field, which is at where.
    """
    if not (isinstance(declared, dict) and declared["type"] == "array"):
        return _scalar(declared, where)
    items = declared["items"]
    if not (isinstance(items, dict) and items["type"] == "record"):
        return ArrayType((("", _scalar(items, where)),))
    if not items["fields"]:
        # Such items take no bytes, and a count alone could claim any number of them.
        raise SchemaRefusedError(f"{where} is an array of records without fields.")
    return ArrayType(
        tuple((part["name"], _scalar(part["type"], where)) for part in items["fields"])
    )


def _scalar(declared: Any, where: str) -> Scalar:
    null = NOT_NULLABLE
    if isinstance(declared, list):
        if len(declared) != 2 or "null" not in declared:  # noqa: PLR2004  # null and one more
            raise SchemaRefusedError(f"{where} is a union other than null and one type.")
        null = declared.index("null")
        declared = declared[1 - null]
    name = declared["type"] if isinstance(declared, dict) else declared
    if name == "enum":
        symbols = tuple(declared["symbols"])
        return Scalar(Op.ENUM, null, len(symbols), symbols)
    if name == "fixed" and declared["size"] > 0:
        return Scalar(Op.FIXED, null, int(declared["size"]))
    if isinstance(name, str) and name in _PLAIN:
        return Scalar(_PLAIN[name], null)
    raise SchemaRefusedError(f"{where} is of type {name}, which cannot be read as a column.")


def check_resolves(writer: Schema, reader: Schema, *, enums_in_order: frozenset[str]) -> None:
    """Make sure that every record of the writer can be read as one of the reader.

    Args:
        writer: Schema that records were written with.
        reader: Schema that they are read as.
        enums_in_order: Fields of the reader that are read as the numbers of their symbols: the
            writer's must be the reader's first ones.

    Raises:
        SchemaRefusedError: Names the field that cannot be read.
    """
    where = str(writer["name"])
    _check_fields(
        ((str(field["name"]), parse_type(field["type"], f"{where}.{field['name']}"))
         for field in writer["fields"]),
        reader, where, enums_in_order,
    )  # fmt: skip


def _check_fields(
    written: Iterable[tuple[str, Scalar | ArrayType]],
    reader: Schema,
    where: str,
    enums_in_order: frozenset[str] = frozenset(),
) -> None:
    by_name = dict(written)
    for field in reader["fields"]:
        place = f"{where}.{field['name']}"
        found = by_name.get(field["name"])
        if found is None:
            if "default" not in field:
                raise SchemaRefusedError(f"{place} is missing and has no default.")
            continue
        wanted = parse_type(field["type"], place)
        if isinstance(found, ArrayType) and isinstance(wanted, ArrayType):
            _check_items(found, wanted, field["type"]["items"], place)
        elif isinstance(found, Scalar) and isinstance(wanted, Scalar):
            _check_scalar(found, wanted, place)
            if (
                field["name"] in enums_in_order
                and found.symbols != wanted.symbols[: found.argument]
            ):
                raise SchemaRefusedError(f"{place} has its symbols in another order.")
        else:
            raise SchemaRefusedError(f"{place} is an array in one schema and none in the other.")


def _check_items(found: ArrayType, wanted: ArrayType, items: Any, place: str) -> None:
    plain = [written.items[0][0] == "" for written in (found, wanted)]
    if plain[0] != plain[1]:
        raise SchemaRefusedError(f"{place} holds records in one schema and none in the other.")
    if plain[0]:
        _check_scalar(found.items[0][1], wanted.items[0][1], place)
    else:
        _check_fields(found.items, items, place)


def _check_scalar(found: Scalar, wanted: Scalar, place: str) -> None:
    if found.op is not wanted.op and wanted.op not in _PROMOTIONS.get(found.op, ()):
        raise SchemaRefusedError(
            f"{place} is written as {found.op.name.lower()} and cannot be read as "
            f"{wanted.op.name.lower()}."
        )
    if found.null >= 0 > wanted.null:
        raise SchemaRefusedError(f"{place} may be null and must not be.")
    if found.op is Op.FIXED and found.argument != wanted.argument:
        raise SchemaRefusedError(
            f"{place} is fixed of {found.argument} bytes and cannot be read as {wanted.argument}."
        )
    if unknown := set(found.symbols) - set(wanted.symbols):
        raise SchemaRefusedError(f"{place} has symbols that its enum lacks: {sorted(unknown)}.")
