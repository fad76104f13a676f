"""What the rules' store costs: loading three days of 1,000 groups, taking rows, answering rules.

Rows are made as they lie in Kafka and read as the worker reads them, but without a broker: fetching
is not in it. The busiest of 1,000 groups has 300 calls a minute, the others ever fewer; durations
and times to first token are log-normal. On one core:

    python -m tests.benchmarks.rules_store
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import psutil

from inferwatch_schemas.columnar.chunk import Chunk
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES
from inferwatch_schemas.wire import Encoder
from inferwatch_streams.rows import cells
from inferwatch_streams.rows.row_format import Columns, Place, RowFormat, Texts
from inferwatch_streams.signals import REQUEST_SIGNAL
from inferwatch_streams.windows import totals
from inferwatch_streams.windows.checkpoint import Checkpoint
from inferwatch_streams.windows.horizons import HOURS, MINUTES, SIZES, WINDOW_MS, Horizons
from inferwatch_streams.windows.journal import Journal
from inferwatch_streams.windows.labels import BinLabels, TextLabels
from inferwatch_streams.windows.layout import layout_of
from inferwatch_streams.windows.rows import aggregate_reader
from inferwatch_streams.windows.store import WindowStore
from inferwatch_streams.windows.table import Spans, Table
from inferwatch_streams.windows.totals import TotalFormat, Written

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIGNAL = REQUEST_SIGNAL
LAYOUT = layout_of(SIGNAL)
NOW_MS = 1_790_000_000_000
PARTITIONS = 4
MIB = 2**20
SPANS_SECONDS = (10, 30, 60, 300, 900, 1800, 3600, 7200, 21600, 43200, 86400, 259200)
HISTOGRAMS = ("duration_bin_counts", "first_token_bin_counts")
ASKED = ("requests", "errors", "cost_usd_micros", *HISTOGRAMS)
# Tables and chunks that differ; they serve for many slots, as making them is no part of the matter.
TEMPLATES = 6


@dataclass(frozen=True, slots=True)
class Load:
    """Groups, and how many calls each has in a minute."""

    names: tuple[tuple[str, ...], ...]
    a_minute: NDArray[np.float64]

    @classmethod
    def of(cls, groups: int) -> Load:
        """So many groups."""
        names = tuple(
            (f"service-{k % 40:02}", "production", "openai", f"model-{k // 40:02}", "/v1/chat")
            for k in range(groups)
        )
        return cls(names, np.maximum(3.0, 300 / (1 + np.arange(groups) / 50)))


def table_of(load: Load, rng: np.random.Generator, minutes: float) -> Table:
    """Rows of all groups over so many minutes."""
    groups = len(load.names)
    calls = np.maximum(1, rng.poisson(load.a_minute * minutes))
    values = np.repeat(calls[:, None].astype(np.float64), len(LAYOUT.values), axis=1)
    of_errors = np.ones(groups, np.int64)
    spans = [Spans.of(of_errors, of_errors.astype(np.uint16), of_errors)]
    for median in (1.5, 0.3):
        keys = np.repeat(np.arange(groups), calls) << 16
        seconds = rng.lognormal(np.log(median), 0.7, int(calls.sum()))
        # Places among bins that are numbered from the shortest time on.
        keys |= np.clip(np.ceil(32 * np.log2(seconds)).astype(np.int64) + 400, 0, 1000)
        found, counts = np.unique(keys, return_counts=True)
        sizes = np.bincount(found >> 16, minlength=groups)
        spans.append(Spans.of(sizes, (found & 0xFFFF).astype(np.uint16), counts))
    newest = np.zeros(groups, np.int64)
    return Table(np.arange(groups, dtype=np.int32), newest, values, tuple(spans))


def labels() -> tuple[BinLabels | TextLabels, ...]:
    """Numbers of labels as ``table_of`` has them."""
    made = [TextLabels(), BinLabels(), BinLabels()]
    for each in made[1:]:
        each.columns(np.arange(-400, 601))
    return tuple(made)


def totals_of(
    load: Load,
    days: float,
    rng: np.random.Generator,
    topic_id: str = "aggregates",
    now_ms: int = NOW_MS,
) -> dict[bytes, bytes]:
    """What ``inferwatch.totals`` holds of a topic of aggregates after so many days."""
    form, horizons = TotalFormat(labels(), PinnedRegistry()), Horizons.at(now_ms)
    written = Written(1, 1, now_ms)
    records = {}
    for level, minutes, end in (
        (MINUTES, 1.0, horizons.tens),
        (HOURS, 60.0, horizons.minutes),
    ):
        size = SIZES[level]
        begin = horizons.minutes if level == MINUTES else end - round(days * 24) * size
        made = [table_of(load, rng, minutes) for _ in range(TEMPLATES)]
        for number in range(begin // size, end // size):
            table = replace(
                made[number % TEMPLATES], newest=np.full(len(load.names), number * size)
            )
            for partition in range(PARTITIONS):
                place = totals.Place(topic_id, partition, SIGNAL.name, "requests")
                rows = np.arange(partition, len(load.names), PARTITIONS)
                names = [load.names[row] for row in rows.tolist()]
                limits = [(source, 10**6) for source in range(4)]
                part = table.take(rows)
                values = form.sums(place, written, level, number, limits, part, names)
                for name, value in zip(names, values, strict=True):
                    records[totals.key_of(place, 1, level, number, name)] = value
    for partition in range(PARTITIONS):
        end = Checkpoint(topic_id, partition, 1, 1, 0, now_ms, None, {})
        records[end.key] = Encoder("checkpoint", PinnedRegistry()).encode(end.to_record())
    return records


def chunk_of(load: Load, rng: np.random.Generator, second: int, offset: int) -> Chunk:
    """What one second of the load makes of the aggregates."""
    window = NOW_MS // WINDOW_MS + second // 10
    changed = rng.random(len(load.names)) < 1 - np.exp(-load.a_minute / 60)
    table = table_of(load, rng, (1 + second % 10) / 60).take(np.flatnonzero(changed))
    rows = len(table)
    texts = [[name[k].encode() for name in load.names] for k in range(len(load.names[0]))]
    dimensions = []
    for column in texts:
        lengths = np.array([len(text) for text in column], np.int64)
        data = np.frombuffer(b"".join(column) + bytes(cells.SPARE), np.uint8)
        dimensions.append(Texts(data, np.cumsum(lengths) - lengths, lengths))
    measures = {}
    for k, value in enumerate(LAYOUT.values):
        measures[value.name] = cells.longs(table.values[:, k].astype(np.int64))
    for each, spans in zip(LAYOUT.counts, table.spans, strict=True):
        bounds = np.concatenate([[0], spans.ends])
        numbers = cells.longs(spans.labels.astype(np.int64) - 400)
        of = cells.blobs([b"timeout"] * len(spans.labels)) if each.text else numbers
        measures[each.labels] = cells.arrays(bounds, of)
        measures[each.counts] = cells.arrays(bounds, cells.longs(spans.counts.astype(np.int64)))
    columns = Columns(
        dimensions, table.groups.astype(np.int64), np.full(rows, window), None,
        np.full(rows, 1 + second), measures,
    )  # fmt: skip
    # A block lasts three minutes.
    block = 10**6 + second // 180
    values = (
        RowFormat(SIGNAL, PinnedRegistry()).encode(Place("requests", 0, block, 0), columns).values
    )
    ends = values.starts + values.lengths
    offsets = np.arange(offset, offset + rows)
    times = np.full(rows, NOW_MS + 1000 * second)
    return Chunk(
        AGGREGATES.name, 0, offset, offset + rows, values.data, offsets, times, values.starts,
        values.starts, ends,
    )  # fmt: skip


def tell(what: str, value: str) -> None:
    """Print one line."""
    print(f"{what:<58} {value:>14}", flush=True)  # noqa: T201  # what the benchmark is for


def quantile(
    counts: NDArray[np.int64], values: NDArray[np.float64], q: float
) -> NDArray[np.float64]:
    """Nearest-rank quantile of each group."""
    sums = np.cumsum(counts, axis=1)
    ranks = np.maximum(1, np.ceil(q * sums[:, -1]))
    return values[(sums < ranks[:, None]).sum(axis=1).clip(max=len(values) - 1)]


def tick(store: WindowStore, at_ms: int, rules: int) -> int:
    """Evaluate rules, each of a window in turn: a rate, or a quantile worked out once a window."""
    quantiles: dict[int, NDArray[np.float64]] = {}
    found = 0
    for number in range(rules):
        seconds = SPANS_SECONDS[number % len(SPANS_SECONDS)]
        start, end = (at_ms - 1000 * seconds) * 1000, at_ms * 1000
        seen = store.totals(SIGNAL.name, start, end, LAYOUT.dimensions, measures=ASKED)
        requests = seen.measures["requests"]
        if number % 2:
            with np.errstate(invalid="ignore", divide="ignore"):
                holds = (seen.measures["errors"] / requests > 2) & (requests >= 10)
        else:
            bins = seen.histograms[HISTOGRAMS[0]]
            if id(bins) not in quantiles:
                quantiles[id(bins)] = quantile(bins.counts, bins.values, 0.99)
            holds = (quantiles[id(bins)] > 60) & (requests >= 10)
        found += len(np.flatnonzero(holds))
    return found


def loaded(records: dict[bytes, bytes]) -> tuple[WindowStore, Journal]:
    """A store that has the totals; tells what loading them takes."""
    process = psutil.Process()
    store = WindowStore("aggregates")
    journal = Journal(store, PinnedRegistry())
    # What is compiled is loaded before.
    Journal(WindowStore("aggregates"), PinnedRegistry()).load(dict(list(records.items())[:50]), 1)
    before, began, cpu = process.memory_info().rss, time.perf_counter(), time.process_time()
    journal.load(records, 2)
    tell("loading them", f"{time.perf_counter() - began:.2f} s")
    tell("loading them, CPU", f"{time.process_time() - cpu:.2f} s")
    tell("memory they take", f"{(process.memory_info().rss - before) / MIB:,.0f} MiB")
    return store, journal


def main() -> None:
    """Measure, and print a line for each result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--groups", type=int, default=1000)
    parser.add_argument("--days", type=float, default=3.0)
    parser.add_argument("--seconds", type=int, default=200, help="of the log that is read again")
    parser.add_argument("--rules", type=int, default=10_000)
    asked = parser.parse_args()
    rng = np.random.default_rng(7)
    load = Load.of(asked.groups)
    records = totals_of(load, asked.days, rng)
    size = sum(len(key) + len(value) for key, value in records.items())
    tell("totals: records", f"{len(records):,}")
    tell("totals: size", f"{size / MIB:,.0f} MiB")
    store, journal = loaded(records)
    reader, offset, rows, spent = aggregate_reader(PinnedRegistry()), 0, 0, 0.0
    for second in range(asked.seconds):
        chunk = chunk_of(load, rng, second, offset)
        offset = chunk.end
        began = time.perf_counter()
        parts, bad = reader.read(chunk)
        store.take(chunk, parts, bad)
        if second:
            spent += time.perf_counter() - began
            rows += len(chunk)
        assert not bad, bad[:1]
    tell(
        f"taking a row ({rows:,} rows, {rows // asked.seconds:,} a chunk)",
        f"{spent / rows * 1e6:.2f} us",
    )
    at_ms = NOW_MS + 1000 * asked.seconds
    for state in ("nothing kept", "after one more second of rows"):
        for seconds in SPANS_SECONDS:
            began = time.perf_counter()
            start, end = (at_ms - 1000 * seconds) * 1000, at_ms * 1000
            store.totals(SIGNAL.name, start, end, LAYOUT.dimensions, measures=ASKED)
            spent = time.perf_counter() - began
            tell(f"totals of {seconds:>6} s, {state}", f"{1000 * spent:.1f} ms")
        chunk = chunk_of(load, rng, asked.seconds, offset)
        store.take(chunk, *reader.read(chunk))
        offset = chunk.end
    chunk = chunk_of(load, rng, asked.seconds + 1, offset)
    store.take(chunk, *reader.read(chunk))
    began = time.perf_counter()
    tick(store, at_ms, asked.rules)
    tell(f"a tick of {asked.rules:,} rules, 12 windows", f"{time.perf_counter() - began:.2f} s")
    journal.save(0)
    began = time.perf_counter()
    journal.save(0)
    tell("saving where nothing changed", f"{time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main()
