"""Reads a chunk into columns, and says of each record that cannot be read why not."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inferwatch_schemas import releases
from inferwatch_schemas.columnar import framing, kernel, reasons
from inferwatch_schemas.columnar.program import (
    Kind,
    Program,
    compile_program,
    wanted_columns,
)
from inferwatch_schemas.errors import SchemaRefusedError, UnknownSchemaError
from inferwatch_schemas.wire import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from inferwatch_schemas.columnar.chunk import Chunk
    from inferwatch_schemas.columnar.program import Wanted
    from inferwatch_schemas.registry import Registry
    from inferwatch_schemas.releases import Schema
    from inferwatch_schemas.topics import Topic

# Schema ids are signed ints to every registry: what lies above is asked of none.
MAX_SCHEMA_ID: Final = 2**31 - 1
# How long an id that is no schema of ours is not asked for again, and how many are remembered.
REFUSED_SECONDS: Final = 10.0
MAX_REFUSED: Final = 10_000


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
    """A column of strings, or of encoded arrays, as places in the chunk's bytes.

    Null has length -1.
    """

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

    def of(self, column: NDArray[np.int64]) -> NDArray[np.int64]:
        """What a column of the chunk has for these records: itself where they are all of them."""
        return column if len(self.rows) == len(column) else column[self.rows]


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """What the compiled reader fills: one row of an array a column, one element a record."""

    longs: NDArray[np.int64]
    long_valid: NDArray[np.bool_]
    doubles: NDArray[np.float64]
    double_valid: NDArray[np.bool_]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def nulls(cls, wanted: Sequence[Wanted], rows: int) -> _Columns:
        long, double, string = (
            (sum(want.kind is kind for want in wanted), rows)
            for kind in (Kind.LONG, Kind.DOUBLE, Kind.STRING)
        )
        return cls(
            np.zeros(long, np.int64), np.zeros(long, np.bool_),
            np.zeros(double, np.float64), np.zeros(double, np.bool_),
            np.zeros(string, np.int64), np.full(string, -1, np.int64),
        )  # fmt: skip

    def fill(self, want: Wanted) -> None:
        """Give a column that the writer does not have the reader's default."""
        if want.default is None:
            return
        if want.kind is Kind.STRING:
            self.lengths[want.column] = 0
        elif want.kind is Kind.LONG:
            self.longs[want.column] = int(want.default)
            self.long_valid[want.column] = True
        else:
            self.doubles[want.column] = want.default
            self.double_valid[want.column] = True

    def column(self, want: Wanted, good: NDArray[np.bool_] | slice) -> Text | Numbers:
        at = want.column
        if want.kind is Kind.STRING:
            return Text(self.starts[at][good], self.lengths[at][good])
        if want.kind is Kind.LONG:
            return Numbers(self.longs[at][good], self.long_valid[at][good])
        return Numbers(self.doubles[at][good], self.double_valid[at][good])


@dataclass(frozen=True, slots=True)
class _Compiled:
    name: str
    writer: Schema
    program: Program


class ChunkReader:
    """Reads the chunks of one topic."""

    def __init__(
        self,
        topic: Topic,
        registry: Registry,
        fields: Mapping[str, Sequence[str]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare for a topic.

        Args:
            topic: The topic; only its schemas are events there.
            registry: Resolves the ids that records carry.
            fields: Columns to read, by schema name; a schema without any is only checked.
            monotonic: A clock in seconds.

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
        # Ids that are no schema of ours, with the time until which they are not asked for again:
        # one may be registered by and by.
        self._refused: dict[int, tuple[float, BadRecord]] = {}
        self._monotonic = monotonic

    def new_ids(self, chunk: Chunk) -> list[int]:
        """Schema ids of a chunk that ``read`` would have to ask the registry for."""
        now = self._monotonic()
        return [
            schema_id
            for schema_id in _distinct(self._ids(chunk))
            if schema_id >= 0
            and schema_id not in self._compiled
            and self._refused.get(schema_id, (0.0,))[0] <= now
        ]

    def resolve(self, schema_ids: Sequence[int]) -> None:
        """Ask the registry for these; may wait for its answers, so it is best done in a thread.

        Raises:
            RegistryUnavailableError: It does not answer.
        """
        for schema_id in schema_ids:
            self._compile(schema_id)

    def read(self, chunk: Chunk) -> tuple[list[Part], list[BadRecord]]:
        """Columns of every record that is an event, and the others with their reasons.

        Raises:
            RegistryUnavailableError: A schema id is new and the registry does not answer; nothing
                was read, and the same call may be made again.
        """
        ids = self._ids(chunk)
        parts: list[Part] = []
        bad: list[BadRecord] = []
        distinct = _distinct(ids)
        for schema_id in distinct:
            rows = np.arange(len(ids)) if len(distinct) == 1 else np.flatnonzero(ids == schema_id)
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

    def _ids(self, chunk: Chunk) -> NDArray[np.int64]:
        """Schema id of each record, or a negative code for what has none."""
        ids = np.empty(len(chunk), np.int64)
        framing.schema_ids(
            chunk.data, chunk.value_starts, chunk.value_ends, self._topic.max_value_bytes, ids
        )
        if chunk.corrupt:
            ids[list(chunk.corrupt)] = framing.CORRUPT
        return ids

    def _framing(self, chunk: Chunk, row: int, code: int) -> BadRecord:
        if code != framing.OVERSIZED:
            return BadRecord(row, *reasons.FRAMING[code])
        size = int(chunk.value_ends[row] - chunk.value_starts[row])
        limit = self._topic.max_value_bytes
        return BadRecord(row, *reasons.oversized(size, self._topic.name, limit))

    def _compile(self, schema_id: int) -> _Compiled | BadRecord:
        if schema_id in self._compiled:
            return self._compiled[schema_id]
        until, bad = self._refused.get(schema_id, (0.0, None))
        if bad is not None and self._monotonic() < until:
            return bad
        found = self._ask(schema_id)
        if isinstance(found, _Compiled):
            self._compiled[schema_id] = found
        else:
            if len(self._refused) >= MAX_REFUSED:
                self._refused.clear()
            self._refused[schema_id] = (self._monotonic() + REFUSED_SECONDS, found)
        return found

    def _ask(self, schema_id: int) -> _Compiled | BadRecord:
        if schema_id > MAX_SCHEMA_ID:
            return BadRecord(-1, "unknown_schema", f"Schema id {schema_id} has more than 31 bits.")
        try:
            writer = self._registry.schema(schema_id)
        except UnknownSchemaError as error:
            return BadRecord(-1, "unknown_schema", f"{error}")
        name = _record_name(writer)
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
        return _Compiled(name, writer, program)

    def _part(
        self,
        chunk: Chunk,
        compiled: _Compiled,
        schema_id: int,
        rows: NDArray[np.int64],
        bad: list[BadRecord],
    ) -> Part:
        wanted, program = self._wanted[compiled.name], compiled.program
        every = Part(compiled.name, schema_id, compiled.writer, rows, {})
        columns = _Columns.nulls(wanted, len(rows))
        errors = np.zeros(len(rows), np.int64)
        error_fields = np.zeros(len(rows), np.int64)
        kernel.read_records(
            chunk.data, every.of(chunk.value_starts) + PREFIX.size, every.of(chunk.value_ends),
            program.code, program.minimum, program.maximum,
            columns.longs, columns.doubles, columns.starts, columns.lengths,
            columns.long_valid, columns.double_valid, errors, error_fields,
        )  # fmt: skip
        for want in program.missing:
            columns.fill(want)
        good: NDArray[np.bool_] | slice = slice(None)
        if errors.any():
            good = errors == kernel.OK
            for row in np.flatnonzero(errors).tolist():
                # A record without fields has no field to name: its only fault is bytes after it.
                names = program.fields or ("",)
                field = f"{compiled.name}.{names[int(error_fields[row])]}"
                reason, detail = reasons.of_fault(int(errors[row]), field)
                bad.append(BadRecord(int(rows[row]), reason, detail, schema_id))
        found = {want.name: columns.column(want, good) for want in wanted}
        return replace(every, rows=rows[good], columns=found)


def _record_name(schema: Any) -> str:
    """Name of a record without namespace; empty for a schema that is no record."""
    if isinstance(schema, dict) and schema.get("type") == "record":
        return str(schema["name"]).rpartition(".")[2]
    return ""


def _distinct(ids: NDArray[np.int64]) -> list[int]:
    """The ids, each once; without sorting where they are all the same, as they usually are."""
    if len(ids) and ids.min() == ids.max():
        return [int(ids[0])]
    return [int(schema_id) for schema_id in np.unique(ids)]
