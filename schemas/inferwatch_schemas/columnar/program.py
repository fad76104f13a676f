"""From a writer's Avro schema to the program that the compiled reader runs for each record.

One instruction a scalar, in the order in which the scalars stand in the bytes (Avro specification
1.12, "Binary encoding"); an array is an instruction followed by those of its items.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inferwatch_schemas.errors import SchemaRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

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


class Kind(IntEnum):
    """What kind of column a field becomes."""

    LONG = 0
    DOUBLE = 1
    STRING = 2


SKIP: Final = -1
# Columns of an instruction.
OP, NULL_BRANCH, ARGUMENT, KIND, COLUMN, FIELD = range(6)
WIDTH: Final = 6
NOT_NULLABLE: Final = -1

SCALARS: Final = {
    "boolean": Op.BOOLEAN,
    "int": Op.INT,
    "long": Op.LONG,
    "float": Op.FLOAT,
    "double": Op.DOUBLE,
    "string": Op.STRING,
    "bytes": Op.BYTES,
}
# Which kinds each type may be read as: Avro's promotions (specification, "Schema resolution").
READABLE_AS: Final = {
    Op.BOOLEAN: (Kind.LONG,),
    Op.INT: (Kind.LONG, Kind.DOUBLE),
    Op.LONG: (Kind.LONG, Kind.DOUBLE),
    Op.FLOAT: (Kind.DOUBLE,),
    Op.DOUBLE: (Kind.DOUBLE,),
    Op.STRING: (Kind.STRING,),
    Op.BYTES: (Kind.STRING,),
    Op.ENUM: (Kind.LONG,),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A column to read.

    Attributes:
        name: Field name in the reader's schema.
        kind: Kind of column.
        column: Its place among the columns of that kind.
        default: Value for writers that do not have the field: None, or a number.
    """

    name: str
    kind: Kind
    column: int
    default: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """Compiled form of one writer's schema.

    Attributes:
        code: Instructions, int64 of shape (n, WIDTH).
        minimum: Least value each instruction accepts, -inf for none.
        maximum: Greatest value each instruction accepts, inf for none.
        fields: Field names, for messages.
        missing: Wanted columns that this writer does not have.
    """

    code: NDArray[np.int64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    fields: tuple[str, ...]
    missing: tuple[Wanted, ...]


def wanted_columns(reader: Schema, names: Sequence[str]) -> tuple[Wanted, ...]:
    """The columns that hold the named fields of a reader's schema."""
    by_name = {field["name"]: field for field in reader["fields"]}
    counts = dict.fromkeys(Kind, 0)
    found = []
    for name in names:
        field = by_name[name]
        op, _, _ = _scalar(field["type"], f"{reader['name']}.{name}")
        kind = READABLE_AS[op][-1 if op in (Op.FLOAT, Op.DOUBLE) else 0]
        default = field.get("default")
        if isinstance(default, str) and default:
            raise SchemaRefusedError(
                f"{reader['name']}.{name} is read as a column; its default must be null or empty."
            )
        found.append(Wanted(name, kind, counts[kind], None if default == "" else default))
        counts[kind] += 1
    return tuple(found)


def compile_program(writer: Schema, reader: Schema, wanted: Sequence[Wanted]) -> Program:
    """Compile a writer's schema.

    The limits (``minimum``, ``maximum``) are the reader's: what counts as an event is decided by
    the newest schema, for old events too.

    Raises:
        SchemaRefusedError: The schema has a type that cannot be read as columns; names the field.
    """
    columns = {want.name: want for want in wanted}
    limits = {field["name"]: field for field in reader["fields"]}
    code: list[list[int]] = []
    minimum: list[float] = []
    maximum: list[float] = []
    names = tuple(str(field["name"]) for field in writer["fields"])

    def add(op: Op, null: int, argument: int, field: int, want: Wanted | None) -> None:
        if want is not None and want.kind not in READABLE_AS.get(op, ()):
            raise SchemaRefusedError(
                f"{writer['name']}.{names[field]} is written as {op.name.lower()} and cannot be "
                f"read as {want.kind.name.lower()}."
            )
        limit = limits.get(names[field], {}) if op not in (Op.ARRAY, Op.STRING, Op.BYTES) else {}
        place = (want.kind, want.column) if want is not None else (0, SKIP)
        code.append([op, null, argument, *place, field])
        minimum.append(float(limit.get("minimum", -np.inf)))
        maximum.append(float(limit.get("maximum", np.inf)))

    for index, field in enumerate(writer["fields"]):
        where = f"{writer['name']}.{field['name']}"
        declared = field["type"]
        if isinstance(declared, dict) and declared["type"] == "array":
            if field["name"] in columns:
                raise SchemaRefusedError(f"{where} is an array and cannot be read as a column.")
            items = declared["items"]
            parts = (
                [part["type"] for part in items["fields"]]
                if isinstance(items, dict) and items["type"] == "record"
                else [items]
            )
            add(Op.ARRAY, NOT_NULLABLE, len(parts), index, None)
            for part in parts:
                add(*_scalar(part, where), index, None)
        else:
            add(*_scalar(declared, where), index, columns.get(field["name"]))
    present = set(names)
    return Program(
        np.array(code, dtype=np.int64).reshape(-1, WIDTH),
        np.array(minimum, dtype=np.float64),
        np.array(maximum, dtype=np.float64),
        names,
        tuple(want for want in wanted if want.name not in present),
    )


def _scalar(declared: Any, where: str) -> tuple[Op, int, int]:
    """Operation, branch of the union that is null, and argument of a scalar's type."""
    null = NOT_NULLABLE
    if isinstance(declared, list):
        if len(declared) != 2 or "null" not in declared:  # noqa: PLR2004  # null and one more
            raise SchemaRefusedError(f"{where} is a union other than null and one type.")
        null = declared.index("null")
        declared = declared[1 - null]
    name = declared["type"] if isinstance(declared, dict) else declared
    if name == "enum":
        return Op.ENUM, null, len(declared["symbols"])
    if name == "fixed" and declared["size"] > 0:
        return Op.FIXED, null, int(declared["size"])
    if name in SCALARS:
        return SCALARS[name], null, 0
    raise SchemaRefusedError(f"{where} is of type {name}, which cannot be read as a column.")
