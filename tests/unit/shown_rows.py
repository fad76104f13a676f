"""Aggregate rows as a reader of their topic sees them: decoded by fastavro, headers by hand."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import decode
from inferwatch_streams.blocks.grouping import Groups
from inferwatch_streams.rows.cells import Cells
from inferwatch_streams.rows.row_format import Columns, Place, RowFormat
from inferwatch_streams.signals import SIGNALS, Signal

REGISTRY = PinnedRegistry()
FORMATS = {signal: RowFormat(signal, REGISTRY) for signal in SIGNALS}


@dataclass(frozen=True)
class Row:
    """One row: its schema, the texts of its key, and its fields, times as whole numbers."""

    schema: str
    key: tuple[str, ...]
    fields: dict[str, Any]
    headers: dict[str, bytes]


def rows_of(taken: Iterable[tuple[Signal, Place, Columns]]) -> list[Row]:
    """Rows that a partition gave out."""
    rows = []
    for signal, place, columns in taken:
        records = FORMATS[signal].encode(place, columns)
        for number in range(len(records)):
            key = tuple(json.loads(records.key(number)))
            headers = headers_of(records.headers.row(number))
            fields = fields_of(records.values.row(number))
            rows.append(Row(signal.row, key, fields, headers))
    return rows


def fields_of(value: bytes) -> dict[str, Any]:
    """A row's fields from its record's value, times in milliseconds since 1970."""
    return {
        name: round(field.timestamp() * 1000) if isinstance(field, datetime) else field
        for name, field in decode(value, REGISTRY).items()
    }


def longs_of(raw: bytes) -> list[int]:
    """Zig-zag varints, one after the other."""
    found, bits, shift = [], 0, 0
    for byte in raw:
        bits |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append((bits >> 1) ^ -(bits & 1))
            bits = shift = 0
    return found


def headers_of(raw: bytes) -> dict[str, bytes]:
    """Headers of a record (Kafka protocol guide, "Record"), as they lie in it."""
    rest = raw

    def take(size: int) -> bytes:
        nonlocal rest
        part, rest = rest[:size], rest[size:]
        assert len(part) == size
        return part

    def number() -> int:
        size = 1 + next(place for place, byte in enumerate(rest) if byte < 0x80)
        return longs_of(take(size))[0]

    headers = {}
    for _ in range(number()):
        name = take(number()).decode()
        headers[name] = take(number())
    assert not rest
    return headers


def key_of(groups: Groups, slot: int, dimensions: int) -> tuple[str, ...]:
    """The texts of a slot."""
    data, starts, lengths = groups.texts(np.array([slot]), dimensions)
    found = zip(starts[:, 0].tolist(), lengths[:, 0].tolist(), strict=True)
    return tuple(data[start : start + length].tobytes().decode() for start, length in found)


def cells_of(column: Cells) -> list[bytes]:
    """Every cell of a column."""
    return [column.row(number) for number in range(len(column))]
