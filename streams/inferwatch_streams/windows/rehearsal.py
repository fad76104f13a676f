"""The way of rows through the store, gone once in memory: so that all of it is compiled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inferwatch_schemas.columnar.examples import example_values
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES
from inferwatch_schemas.wire import Encoder, decode
from inferwatch_streams.signals import SIGNALS, WINDOW_SECONDS
from inferwatch_streams.transport.rehearsal import chunk_of
from inferwatch_streams.windows.answers import LABEL
from inferwatch_streams.windows.frontier import FOLD_AFTER_MS
from inferwatch_streams.windows.horizons import WINDOW_MS
from inferwatch_streams.windows.journal import Journal
from inferwatch_streams.windows.layout import layout_of
from inferwatch_streams.windows.rows import aggregate_reader
from inferwatch_streams.windows.store import WindowStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_streams.signals import Signal
    from inferwatch_streams.windows.reading import Windows

#: Rows of each signal: more than the tables have room for at first, so that they grow.
ROWS: Final = 70
#: Counts of one, two, four and eight bytes, as slots keep them.
COUNTS: Final = (1, 1 << 8, 1 << 16, 1 << 32)
TEXT: Final = "timeout"


def rehearse() -> None:
    """Take made-up rows of each signal, fold them, save them, load them, and ask for them."""
    registry, topic = PinnedRegistry(), dict[bytes, bytes]()
    reader = aggregate_reader(registry)
    store = WindowStore()
    journal = Journal(store, registry)
    journal.load(topic, 0)
    examples = _examples(registry)
    encoders = {signal.row: Encoder(signal.row, registry) for signal in SIGNALS}
    now_ms = 0
    # Those of a block are folded two blocks later.
    for block, count in enumerate((*COUNTS, 1, 1)):
        chunk = chunk_of(AGGREGATES.name, _values(examples, block, count, encoders))
        now_ms = 2 * FOLD_AFTER_MS * (1 + block)
        chunk = replace(chunk, timestamps=np.full(len(chunk), now_ms, np.int64))
        parts, bad = reader.read(chunk)
        store.take(chunk, parts, bad)
        _ask(store, now_ms)
        save = journal.save(None)
        for step in save.steps if save else ():
            topic.update((key, value) for key, value in step if value is not None)
    store = WindowStore()
    Journal(store, registry).load(topic, 1)
    _ask(store, now_ms)


def _examples(registry: PinnedRegistry) -> list[tuple[Signal, dict[str, Any]]]:
    """Rows of each signal, but for what says when they were and what they count."""
    of_row = {signal.row: signal for signal in SIGNALS}
    return [
        (of_row[row], decode(value, registry))
        for value, row in zip(
            example_values(AGGREGATES, ROWS),
            (row for row in AGGREGATES.schemas for _ in range(ROWS)),
            strict=True,
        )
    ]


def _values(
    examples: list[tuple[Signal, dict[str, Any]]],
    block: int,
    count: int,
    encoders: Mapping[str, Encoder],
) -> list[bytes]:
    values = []
    for signal, example in examples:
        record: dict[str, Any] = {
            **example, "signal": signal.name, "window_seconds": WINDOW_SECONDS,
            "window_start": 2 * FOLD_AFTER_MS * (1 + block) // WINDOW_MS * WINDOW_MS,
            "topic_id": "", "partition": 0, "block": block,
            **{each.counts: [count] for each in layout_of(signal).counts},
            **{each.labels: [TEXT] for each in layout_of(signal).counts if each.text},
        }  # fmt: skip
        values.append(encoders[signal.row].encode(record))
    return values


def _ask(windows: Windows, now_ms: int) -> None:
    for signal in SIGNALS:
        layout = layout_of(signal)
        for by in (layout.dimensions, ()):
            windows.totals(signal.name, 0, 1000 * now_ms, by)
        tallies = tuple(f"{each.name}{LABEL}{TEXT}" for each in layout.counts if each.text)
        windows.totals(signal.name, 0, 1000 * now_ms, (), measures=tallies)
        windows.last_seen(signal.name, ())
