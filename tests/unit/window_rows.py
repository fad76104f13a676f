"""Aggregate rows for tests of the store, and what a dictionary of rows says of them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import chunks
import numpy as np

from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder
from inferwatch_streams.windows.rows import aggregate_reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inferwatch_schemas.columnar.reader import BadRecord
    from inferwatch_streams.windows.store import WindowStore

REGISTRY = PinnedRegistry()
READER = aggregate_reader(REGISTRY)
ENCODERS = {signal: Encoder(f"{signal}_aggregate", REGISTRY) for signal in ("request", "resource")}
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
#: A full hour.
BEGIN_MS = 1_790_000_000_000 // HOUR_MS * HOUR_MS


@dataclass(frozen=True)
class Row:
    """A row, and the record that it comes with."""

    signal: str
    group: str
    window_ms: int
    block: int
    version: int
    first_offset: int
    time_ms: int
    topic_id: str = "log"
    partition: int = 0
    aggregates_partition: int = 0

    @property
    def identity(self) -> tuple[Any, ...]:
        """What a better row of replaces it."""
        return (
            self.aggregates_partition, self.signal, self.topic_id, self.partition, self.block,
            self.group, self.window_ms,
        )  # fmt: skip

    @property
    def measures(self) -> dict[str, Any]:
        """Measures that follow from identity and rank, as those of real rows do."""
        n = 1 + (self.version * 7 + self.first_offset * 3 + self.block + self.window_ms) % 5
        if self.signal == "resource":
            return {
                "samples": n, "value_sum": Decimal(n) / 4 - 1, "value_min": n - 2.5,
                "value_max": n + 0.5,
            }  # fmt: skip
        numbers = dict.fromkeys(
            (
                "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens",
                "priced_requests", "first_tokens", "first_token_micros",
            ),
            n,
        )  # fmt: skip
        return {
            **numbers, "requests": 2 * n, "errors": n, "cost_usd_micros": 10**12 + n,
            "error_types": ["circuit_open", f"type {n}"], "error_type_counts": [1, n],
            "durations": 2 * n, "duration_micros": 1_000_000 * n,
            "duration_bin_indexes": [-32768, -1100, n], "duration_bin_counts": [n, 300 * n, 1],
            "first_token_bin_indexes": [], "first_token_bin_counts": [],
        }  # fmt: skip

    def encoded(self, **changed: Any) -> bytes:
        """The record's value."""
        dimensions = (
            {"service": self.group, "environment": "", "provider": "p", "model": "m"}
            if self.signal == "request"
            else {"host": self.group, "device": "", "metric": "queue_size"}
        )
        return ENCODERS[self.signal].encode({
            "signal": f"{self.signal}s.v1", "endpoint": "/", **dimensions,
            "window_start": self.window_ms, "window_seconds": 10, "topic_id": self.topic_id,
            "partition": self.partition, "block": self.block, "first_offset": self.first_offset,
            "version": self.version, **self.measures, **changed,
        })  # fmt: skip


def taken(
    store: WindowStore, values: Sequence[bytes], times: Sequence[int], partition: int, start: int
) -> list[BadRecord]:
    """Have a store take records of one partition, of consecutive offsets; the bad ones."""
    chunk = replace(
        chunks.chunk(values, partition=partition, first_offset=start),
        timestamps=np.array(times, np.int64),
    )
    parts, bad = READER.read(chunk)
    store.take(chunk, parts, bad)
    return bad


class Oracle:
    """Rows in a dictionary, decided one by one; shares no code with the store."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Any, ...], Row] = {}
        self._seen: dict[tuple[Any, ...], list[tuple[int, int]]] = defaultdict(list)
        self.now_ms = 0

    def take(self, row: Row) -> None:
        """Take the next row of its partition."""
        self.now_ms = max(self.now_ms, row.time_ms)
        source = row.identity[:4]
        seen = self._seen[source]
        if not seen or row.block > seen[-1][0]:
            seen.append((row.block, row.time_ms))
        if any(row.block < block and at <= row.time_ms - 15 * MINUTE_MS for block, at in seen):
            return
        if not -HOUR_MS <= row.time_ms // 10_000 * 10_000 - row.window_ms <= 8 * DAY_MS:
            return
        held = self.rows.get(row.identity)
        if held is None or (row.version, -row.first_offset) > (held.version, -held.first_offset):
            self.rows[row.identity] = row

    def _slot_ms(self, at_ms: int) -> int:
        if at_ms >= (self.now_ms // 10_000 * 10_000 - 15 * MINUTE_MS) // MINUTE_MS * MINUTE_MS:
            return 10_000
        now = self.now_ms // 10_000 * 10_000
        return MINUTE_MS if at_ms >= (now - 6 * HOUR_MS) // HOUR_MS * HOUR_MS else HOUR_MS

    def _kept(self, signal: str) -> Iterator[Row]:
        oldest = (self.now_ms // 10_000 * 10_000 - 8 * DAY_MS) // HOUR_MS * HOUR_MS
        for row in self.rows.values():
            if row.signal == signal and row.window_ms >= oldest:
                yield row

    def groups(self, signal: str) -> dict[str, int]:
        """Groups, each with its newest window."""
        newest: dict[str, int] = {}
        for row in self._kept(signal):
            newest[row.group] = max(row.window_ms, newest.get(row.group, 0))
        return dict(sorted(newest.items()))

    def totals(self, signal: str, start_ms: int, end_ms: int) -> dict[str, dict[str, Any]]:
        """Totals by group."""
        found: dict[str, list[Row]] = {group: [] for group in self.groups(signal)}
        for row in self._kept(signal):
            slot = self._slot_ms(row.window_ms)
            begin = row.window_ms // slot * slot
            if begin < end_ms and begin + slot > start_ms:
                found[row.group].append(row)
        return {group: _summed(signal, rows) for group, rows in found.items()}


def _summed(signal: str, rows: list[Row]) -> dict[str, Any]:
    measures = [row.measures for row in rows]
    if signal == "resource":
        return {
            "samples": sum(each["samples"] for each in measures),
            "value_sum": float(sum(each["value_sum"] for each in measures)),
            "value_min": min((each["value_min"] for each in measures), default=math.nan),
            "value_max": max((each["value_max"] for each in measures), default=math.nan),
        }
    bins: Counter[int] = Counter()
    for each in measures:
        names = (each["duration_bin_indexes"], each["duration_bin_counts"])
        bins.update(dict(zip(*names, strict=True)))
    return {
        **{
            name: sum(each[name] for each in measures)
            for name in ("requests", "errors", "cost_usd_micros", "duration_micros")
        },
        "error_types:circuit_open": len(rows),
        "error_types:type 3": sum(3 for each in measures if "type 3" in each["error_types"]),
        "error_types:none such": 0,
        "bins": dict(bins),
    }
