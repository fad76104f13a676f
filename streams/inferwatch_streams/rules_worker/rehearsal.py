"""The way of aggregate rows into windows, and of rules over them, gone once in memory."""

from __future__ import annotations

from typing import Final

from inferwatch_schemas.columnar.examples import example_values
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES
from inferwatch_streams.rules.evaluation import Evaluator
from inferwatch_streams.rules.reading import default_rules
from inferwatch_streams.transport.rehearsal import chunk_of
from inferwatch_streams.windows.rows import aggregate_reader
from inferwatch_streams.windows.store import WindowStore

ROWS: Final = 100


def rehearse() -> None:
    """Take made-up rows of each signal in, and evaluate the shipped rules."""
    chunk = chunk_of(AGGREGATES.name, example_values(AGGREGATES, ROWS))
    parts, bad = aggregate_reader(PinnedRegistry()).read(chunk)
    store = WindowStore()
    store.take(chunk, parts, list(bad))
    Evaluator().tick(default_rules(), store, 0)
