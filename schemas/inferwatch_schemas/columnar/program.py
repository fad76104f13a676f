"""From a writer's Avro schema to the program that the compiled reader runs for each record.

One instruction a scalar, in the order in which the scalars stand in the bytes (Avro specification
1.12, "Binary encoding"); an array is an instruction followed by those of its items.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inferwatch_schemas.columnar.resolution import ArrayType, Op, Scalar, check_resolves, parse_type
from inferwatch_schemas.errors import SchemaRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inferwatch_schemas.releases import Schema


class Kind(IntEnum):
    """What kind of column a field becomes."""

    LONG = 0
    DOUBLE = 1
    STRING = 2


SKIP: Final = -1
# Columns of an instruction; the limits are those of whole numbers.
OP, NULL_BRANCH, ARGUMENT, KIND, COLUMN, FIELD, MINIMUM, MAXIMUM = range(8)
WIDTH: Final = 8
LONG_MIN: Final = -(2**63)
LONG_MAX: Final = 2**63 - 1

COLUMN_KINDS: Final = {
    Op.BOOLEAN: Kind.LONG,
    Op.INT: Kind.LONG,
    Op.LONG: Kind.LONG,
    Op.ENUM: Kind.LONG,
    Op.FLOAT: Kind.DOUBLE,
    Op.DOUBLE: Kind.DOUBLE,
    Op.STRING: Kind.STRING,
    Op.BYTES: Kind.STRING,
}

#: What an array may hold that is read as a column.
ARRAYS_OF: Final = (Op.INT, Op.LONG, Op.STRING)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A column to read.

    Attributes:
        name: Field name in the reader's schema.
        kind: Kind of column.
        column: Its place among the columns of that kind.
        default: Value for writers that do not have the field: None, a number, or empty text; that
            of an array is empty too.
    """

    name: str
    kind: Kind
    column: int
    default: float | str | None


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """Compiled form of one writer's schema.

    Attributes:
        code: Instructions, int64 of shape (n, WIDTH).
        minimum: Least value that each instruction accepts of a float, -inf for none.
        maximum: Greatest value that each instruction accepts of a float, inf for none.
        fields: Field names, for messages.
        missing: Wanted columns that this writer does not have.
    """

    code: NDArray[np.int64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    fields: tuple[str, ...]
    missing: tuple[Wanted, ...]


def wanted_columns(reader: Schema, names: Sequence[str]) -> tuple[Wanted, ...]:
    """The columns that hold the named fields of a reader's schema.

    The column of an array holds the bytes that encode it, checked; ``arrays`` takes them apart.

    Raises:
        SchemaRefusedError: A field is of a type that no column holds.
    """
    by_name = {field["name"]: field for field in reader["fields"]}
    counts = dict.fromkeys(Kind, 0)
    found = []
    for name in names:
        field = by_name[name]
        where = f"{reader['name']}.{name}"
        declared = parse_type(field["type"], where)
        default = field.get("default")
        if (isinstance(declared, ArrayType) or isinstance(default, str)) and default:
            raise SchemaRefusedError(
                f"{where} is read as a column; its default must be null or empty."
            )
        if isinstance(declared, ArrayType):
            kind, default = _kind_of_array(declared, where), ""
        elif declared.op in COLUMN_KINDS:
            kind = COLUMN_KINDS[declared.op]
        else:
            raise SchemaRefusedError(f"{where} is fixed: it cannot be read as a column.")
        found.append(Wanted(name, kind, counts[kind], default))
        counts[kind] += 1
    return tuple(found)


def _kind_of_array(declared: ArrayType, where: str) -> Kind:
    """An array is a column of bytes where ``arrays`` can take it apart."""
    ((name, item), *others) = declared.items
    if name or others or item.op not in ARRAYS_OF or item.null >= 0:
        raise SchemaRefusedError(
            f"{where} is no array of whole numbers or text: it cannot be read as a column."
        )
    return Kind.STRING


def compile_program(writer: Schema, reader: Schema, wanted: Sequence[Wanted]) -> Program:
    """Compile a writer's schema.

    The limits (``minimum``, ``maximum``) are the reader's, and so is whether bytes must be text:
    what counts as an event is decided by the newest schema, for old events too.

    Raises:
        SchemaRefusedError: The writer's records cannot be read as the reader's, or hold a type
            that cannot be read as columns; names the field.
    """
    columns = {want.name: want for want in wanted}
    as_read = {field["name"]: field for field in reader["fields"]}
    check_resolves(writer, reader, enums_in_order=frozenset(columns))
    code: list[list[int]] = []
    minimum: list[float] = []
    maximum: list[float] = []
    names = tuple(str(field["name"]) for field in writer["fields"])

    def add(scalar: Scalar, field: int, want: Wanted | None, limits: Schema) -> None:
        low, high = limits.get("minimum", -math.inf), limits.get("maximum", math.inf)
        place = (want.kind, want.column) if want is not None else (0, SKIP)
        code.append(
            [scalar.op, scalar.null, scalar.argument, *place, field, _whole(low, math.ceil),
             _whole(high, math.floor)]
        )  # fmt: skip
        minimum.append(low)
        maximum.append(high)

    for index, field in enumerate(writer["fields"]):
        where = f"{writer['name']}.{field['name']}"
        declared = parse_type(field["type"], where)
        if isinstance(declared, ArrayType):
            whole = Scalar(Op.ARRAY, argument=len(declared.items))
            add(whole, index, columns.get(field["name"]), {})
            for _, item in declared.items:
                add(item, index, None, {})
            continue
        target = as_read.get(field["name"], {})
        if declared.op is Op.BYTES and target and _is_text(target, where):
            declared = Scalar(Op.STRING, declared.null)
        add(declared, index, columns.get(field["name"]), target)
    present = set(names)
    return Program(
        np.array(code, dtype=np.int64).reshape(-1, WIDTH),
        np.array(minimum, dtype=np.float64),
        np.array(maximum, dtype=np.float64),
        names,
        tuple(want for want in wanted if want.name not in present),
    )


def _is_text(field: Schema, where: str) -> bool:
    declared = parse_type(field["type"], where)
    return isinstance(declared, Scalar) and declared.op is Op.STRING


def _whole(limit: float, rounded: Any) -> int:
    """A limit for whole numbers, exact where a double would not be."""
    if math.isinf(limit):
        return LONG_MIN if limit < 0 else LONG_MAX
    return int(min(max(rounded(limit), LONG_MIN), LONG_MAX))
