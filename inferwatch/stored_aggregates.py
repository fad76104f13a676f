"""Aggregate rows that ClickHouse has, added up over blocks, in the order of their windows."""

from __future__ import annotations

import heapq
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from inferwatch_clickhouse.tables import TABLES
from inferwatch_schemas.instants import micros, moment
from inferwatch_streams.rows.row_format import METRIC
from inferwatch_streams.signals import SIGNALS, WINDOW_SECONDS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inferwatch_clickhouse.client import ClickHouse
    from inferwatch_streams.signals import Measure, Signal

    Row = tuple[int, str, Mapping[str, Any]]

#: So much is asked for at a time: memory is bounded by an hour's rows.
_SLICE: Final = 3600 * 1_000_000
_TIME: Final = "%Y-%m-%d %H:%M:%S.%f"
_LISTS: Final = (Kind.HISTOGRAM, Kind.TALLY)
_MERGES: Final = {
    Kind.MINIMUM: "min",
    Kind.MINIMUM_OR_NULL: "min",
    Kind.MAXIMUM: "max",
    Kind.MAXIMUM_OR_NULL: "max",
}


def stored_rows(clickhouse: ClickHouse, start: int, end: int) -> Iterator[Row]:
    """Rows of all signals whose windows begin in [start, end), by the start of their window.

    Args:
        clickhouse: Where to ask.
        start: In microseconds since 1970.
        end: In microseconds since 1970.

    Yields:
        Start of the window in microseconds since 1970, name of the signal, and fields of the row.

    Raises:
        ClickHouseError: It does not answer, or refuses.
    """
    return heapq.merge(
        *(_rows(clickhouse, signal, start, end) for signal in SIGNALS), key=itemgetter(0)
    )


def first_window(clickhouse: ClickHouse) -> int | None:
    """Start of the oldest window of any signal, in microseconds since 1970; None without any.

    Raises:
        ClickHouseError: It does not answer, or refuses.
    """
    tables = {TABLES[signal.row].storage for signal in SIGNALS}
    found = [
        row[0]
        for table in sorted(tables)
        for row in clickhouse.query(
            f"SELECT min(window_start) FROM {table} HAVING count() > 0"  # noqa: S608  # our own table
        )
    ]
    return min((micros(time) for time in found), default=None)


def _rows(clickhouse: ClickHouse, signal: Signal, start: int, end: int) -> Iterator[Row]:
    sql, names = _query(signal)
    at = start
    while at < end:
        until = min(at + _SLICE, end)
        bounds = {"start": _text(at), "end": _text(until), "signal": signal.name}
        for window_start, *values in clickhouse.query(sql, bounds):
            yield micros(window_start), signal.name, _fields(names, values)
        at = until


def _query(signal: Signal) -> tuple[str, tuple[str | tuple[str, str], ...]]:
    """The statement, and what its columns after the first are: a field, or two of lists."""
    dimensions = [dimension.name for dimension in signal.dimensions]
    if signal.unpivot:
        dimensions.append(METRIC)
    columns = ", ".join(["window_start", *dimensions, *map(_column, signal.measures)])
    keys = ", ".join(["window_start", *dimensions])
    sql = (
        f"SELECT {columns} FROM {TABLES[signal.row].view} "  # noqa: S608  # names of our own table
        "WHERE window_start >= toDateTime64({start:String}, 6, 'UTC') "
        "AND window_start < toDateTime64({end:String}, 6, 'UTC') "
        f"AND signal = {{signal:String}} AND window_seconds = {WINDOW_SECONDS} "
        f"GROUP BY {keys} ORDER BY window_start"
    )
    names: list[str | tuple[str, str]] = [*dimensions]
    names += [(m.name, m.counts) if m.kind in _LISTS else m.name for m in signal.measures]
    return sql, tuple(names)


def _column(measure: Measure) -> str:
    if measure.kind in _LISTS:
        return f"sumMap({measure.name}, {measure.counts})"
    return f"{_MERGES.get(measure.kind, 'sum')}({measure.name})"


def _fields(names: tuple[str | tuple[str, str], ...], values: list[Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        if isinstance(name, tuple):
            fields[name[0]], fields[name[1]] = value
        else:
            fields[name] = value
    return fields


def _text(at: int) -> str:
    return moment(at).strftime(_TIME)
