"""Reads a chunk into columns, and says of each record that cannot be read why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas import releases
from inferwatch_schemas.columnar import framing, kernel
from inferwatch_schemas.columnar.program import Kind, Program, compile_program, wanted_columns
from inferwatch_schemas.errors import SchemaRefusedError, UnknownSchemaError
from inferwatch_schemas.wire import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from inferwatch_schemas.columnar.chunk import Chunk
    from inferwatch_schemas.columnar.program import Wanted
    from inferwatch_schemas.registry import Registry
    from inferwatch_schemas.releases import Schema
    from inferwatch_schemas.topics import Topic

FRAMING: Final = {
    framing.TOMBSTONE: ("tombstone", "The record has no value."),
    framing.EMPTY: ("empty", "The value is empty."),
    framing.SHORT: ("truncated", "The value ends within the five bytes of Confluent's prefix."),
    framing.CORRUPT: (
        "corrupt_batch",
        "A record batch does not hold what its header says; the value is the whole batch.",
    ),
    framing.WRONG_MAGIC: (
        "wrong_magic",
        "The first byte is not 0: the value is not in Confluent's wire format.",
    ),
}
FAULTS: Final = {
    kernel.TRUNCATED: ("truncated", "the value ends within it"),
    kernel.LONG_VARINT: ("malformed", "a number of more than 64 bits"),
    kernel.BAD_BRANCH: ("malformed", "a branch that its union does not have"),
    kernel.NEGATIVE_LENGTH: ("malformed", "a negative length"),
    kernel.BAD_UTF8: ("malformed", "text that is not UTF-8"),
    kernel.BAD_SYMBOL: ("malformed", "a symbol that its enum does not have"),
    kernel.BAD_BOOLEAN: ("malformed", "a boolean other than 0 and 1"),
    kernel.INT_OVERFLOW: ("malformed", "an int of more than 32 bits"),
}


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that is no event.

    Attributes:
        index: Its place in the chunk.
        reason: One of the words in ``dead_letter.avsc``.
        detail: The reason in a sentence, with the field where there is one.
        schema_id: Schema id it carries, if it carries one.
    """

    index: int
    reason: str
    detail: str
    schema_id: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A column of strings as places in the chunk's bytes; null has length -1."""

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A column of numbers with a mask of those that are there."""

    values: NDArray[np.int64] | NDArray[np.float64]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The readable records of a chunk that share a writer's schema.

    Attributes:
        name: Schema name.
        schema_id: Id they carry.
        writer: Writer's schema.
        rows: Their places in the chunk, ascending.
        columns: The wanted columns, one element a row.
    """

    name: str
    schema_id: int
    writer: Schema
    rows: NDArray[np.int64]
    columns: Mapping[str, Text | Numbers]


@dataclass(frozen=True, slots=True)
class _Compiled:
    name: str
    writer: Schema
    program: Program


class ChunkReader:
    """Reads the chunks of one topic."""

    def __init__(
        self, topic: Topic, registry: Registry, fields: Mapping[str, Sequence[str]]
    ) -> None:
        """Prepare for a topic.

        Args:
            topic: The topic; only its schemas are events there.
            registry: Resolves the ids that records carry.
            fields: Columns to read, by schema name; a schema without any is only checked.

        Raises:
            SchemaRefusedError: A wanted field cannot be a column.
        """
        self._topic = topic
        self._registry = registry
        self._readers = {name: releases.latest(name).schema for name in topic.schemas}
        self._wanted = {
            name: wanted_columns(reader, fields.get(name, ()))
            for name, reader in self._readers.items()
        }
        self._compiled: dict[int, _Compiled] = {}

    def read(self, chunk: Chunk) -> tuple[list[Part], list[BadRecord]]:
        """Columns of every record that is an event, and the others with their reasons.

        Raises:
            RegistryUnavailableError: A schema id is new and the registry does not answer; nothing
                was read, and the same call may be made again.
        """
        ids = np.empty(len(chunk), np.int64)
        framing.schema_ids(
            chunk.data, chunk.value_starts, chunk.value_ends, self._topic.max_value_bytes, ids
        )
        if chunk.corrupt:
            ids[list(chunk.corrupt)] = framing.CORRUPT
        parts: list[Part] = []
        bad: list[BadRecord] = []
        alike = len(ids) > 0 and ids.min() == ids.max()
        for schema_id in [int(ids[0])] if alike else np.unique(ids).tolist():
            rows = np.arange(len(ids)) if alike else np.flatnonzero(ids == schema_id)
            if schema_id < 0:
                bad.extend(self._framing(chunk, int(row), schema_id) for row in rows)
                continue
            compiled = self._compile(schema_id)
            if isinstance(compiled, BadRecord):
                bad.extend(
                    BadRecord(int(row), compiled.reason, compiled.detail, schema_id) for row in rows
                )
                continue
            parts.append(self._part(chunk, compiled, schema_id, rows, bad))
        bad.sort(key=lambda record: record.index)
        return [part for part in parts if len(part.rows)], bad

    def _framing(self, chunk: Chunk, row: int, code: int) -> BadRecord:
        if code == framing.OVERSIZED:
            size = int(chunk.value_ends[row] - chunk.value_starts[row])
            return BadRecord(
                row,
                "oversized",
                f"The value has {size} bytes; "
                f"{self._topic.name} takes {self._topic.max_value_bytes}.",
            )
        return BadRecord(row, *FRAMING[code])

    def _compile(self, schema_id: int) -> _Compiled | BadRecord:
        if schema_id in self._compiled:
            return self._compiled[schema_id]
        try:
            writer = self._registry.schema(schema_id)
        except UnknownSchemaError as error:
            # Not remembered: it may be registered by the time the next record of it comes.
            return BadRecord(-1, "unknown_schema", f"{error}")
        name = writer.get("name", "").rpartition(".")[2]
        if name not in self._readers:
            return BadRecord(
                -1,
                "wrong_schema",
                f"Schema id {schema_id} is {name!r}; {self._topic.name} carries "
                f"{', '.join(self._topic.schemas)}.",
            )
        try:
            program = compile_program(writer, self._readers[name], self._wanted[name])
        except SchemaRefusedError as error:
            return BadRecord(-1, "wrong_schema", str(error))
        self._compiled[schema_id] = _Compiled(name, writer, program)
        return self._compiled[schema_id]

    def _part(
        self,
        chunk: Chunk,
        compiled: _Compiled,
        schema_id: int,
        rows: NDArray[np.int64],
        bad: list[BadRecord],
    ) -> Part:
        wanted, program, n = self._wanted[compiled.name], compiled.program, len(rows)
        counts = [sum(want.kind is kind for want in wanted) for kind in Kind]
        longs = np.zeros((counts[Kind.LONG], n), np.int64)
        doubles = np.zeros((counts[Kind.DOUBLE], n), np.float64)
        starts = np.zeros((counts[Kind.STRING], n), np.int64)
        lengths = np.full((counts[Kind.STRING], n), -1, np.int64)
        long_valid = np.zeros(longs.shape, np.bool_)
        double_valid = np.zeros(doubles.shape, np.bool_)
        errors = np.zeros(n, np.int64)
        error_fields = np.zeros(n, np.int64)
        kernel.read_records(
            chunk.data, chunk.value_starts[rows] + PREFIX.size, chunk.value_ends[rows],
            program.code, program.minimum, program.maximum,
            longs, doubles, starts, lengths, long_valid, double_valid, errors, error_fields,
        )  # fmt: skip
        for want in program.missing:
            _fill(want, longs, doubles, lengths, long_valid, double_valid)
        good: NDArray[np.bool_] | slice = slice(None)
        if errors.any():
            good = errors == kernel.OK
            for row in np.flatnonzero(errors).tolist():
                fault, field = int(errors[row]), program.fields[int(error_fields[row])]
                bad.append(_fault(int(rows[row]), fault, f"{compiled.name}.{field}", schema_id))
        columns: dict[str, Text | Numbers] = {}
        for want in wanted:
            at = want.column
            if want.kind is Kind.STRING:
                columns[want.name] = Text(starts[at][good], lengths[at][good])
            elif want.kind is Kind.LONG:
                columns[want.name] = Numbers(longs[at][good], long_valid[at][good])
            else:
                columns[want.name] = Numbers(doubles[at][good], double_valid[at][good])
        return Part(compiled.name, schema_id, compiled.writer, rows[good], columns)


def _fill(
    want: Wanted,
    longs: NDArray[np.int64],
    doubles: NDArray[np.float64],
    lengths: NDArray[np.int64],
    long_valid: NDArray[np.bool_],
    double_valid: NDArray[np.bool_],
) -> None:
    """Give a column that the writer does not have the reader's default."""
    if want.kind is Kind.STRING:
        # Null and the empty text are both read as empty where they name a dimension.
        lengths[want.column] = -1
    elif want.default is not None and want.kind is Kind.LONG:
        longs[want.column] = int(want.default)
        long_valid[want.column] = True
    elif want.default is not None:
        doubles[want.column] = want.default
        double_valid[want.column] = True


def _fault(index: int, fault: int, field: str, schema_id: int) -> BadRecord:
    if fault == kernel.TRAILING_BYTES:
        return BadRecord(index, "trailing_bytes", "Bytes follow the last field.", schema_id)
    if fault == kernel.OUT_OF_RANGE:
        return BadRecord(
            index, "out_of_range", f"{field} is outside the limits of its schema.", schema_id
        )
    reason, what = FAULTS[fault]
    return BadRecord(index, reason, f"{field}: {what}.", schema_id)
