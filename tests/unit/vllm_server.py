"""One vLLM server under rising load, from BurstGPT's logs, as aggregate rows of our own counting.

The levels are replayed one after the other, with a pause between, as one service on one host.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from block_builders import blocks_of, chunk_of, encode, read
from shown_rows import rows_of

from inferwatch.traces import formats
from inferwatch.traces.events import TraceEvent, TraceOptions
from inferwatch_schemas.topics import topic_of

LEVELS = (200, 300, 400)
"""Of twelve: the last that keeps the objective, and the first that do not."""
SERVER = "vllm"
BEGIN = 1_790_000_000_000_000
SECOND = 1_000_000
PAUSE = 300 * SECOND
BLOCK = 65_536


@dataclass(frozen=True)
class Level:
    """One level of load: its events as they are encoded, and when the first and the last were."""

    load: int
    events: list[tuple[str, dict[str, Any]]]
    start: int
    end: int

    def first_token(self, q: float) -> float:
        """Quantile of the time to the first token over all its calls, in seconds."""
        seconds = [
            record["time_to_first_token_seconds"]
            for schema, record in self.events
            if schema == "request"
        ]
        return float(np.quantile(seconds, q))


def levels(folder: Path) -> list[Level]:
    """The levels, from the lowest load."""
    found: list[Level] = []
    for load in LEVELS:
        paths = sorted(folder.glob(f"*load{load:04d}*"))
        events = list(formats.events("vllm_burstgpt", paths, TraceOptions(service=SERVER)))
        begin = found[-1].end + PAUSE if found else BEGIN
        found.append(_level(load, events, begin - events[0].event_time_micros))
    return found


def _level(load: int, events: list[TraceEvent], later: int) -> Level:
    moved = [
        (event.schema, {**event.record, "event_time": event.event_time_micros + later})
        for event in events
    ]
    times = [record["event_time"] for _, record in moved]
    return Level(load, moved, min(times), max(times))


def rows(server: list[Level]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Rows of all windows as the aggregation counts them, by the start of their window."""
    found = []
    for schema in ("request", "resource"):
        records = [record for level in server for kind, record in level.events if kind == schema]
        values = [(offset, encode(schema, record)) for offset, record in enumerate(records)]
        assert len(values) < BLOCK
        partition = blocks_of(schema, 0, BLOCK)
        chunk = chunk_of(topic_of(schema).name, values, 0, len(values))
        parts, bad = read(schema, chunk)
        assert not bad
        partition.add(chunk, parts)
        found += rows_of(partition.take_changed())
    times = [(row.fields["window_start"] * 1000, row.fields) for row in found]
    for start, fields in sorted(times, key=lambda row: row[0]):
        yield start, fields["signal"], fields
