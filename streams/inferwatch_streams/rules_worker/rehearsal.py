"""The way of aggregate rows into windows, and of rules over them, gone once in memory."""

from __future__ import annotations

from inferwatch_streams.rules.evaluation import Evaluator
from inferwatch_streams.rules.reading import default_rules
from inferwatch_streams.windows import rehearsal
from inferwatch_streams.windows.store import WindowStore


def rehearse() -> None:
    """Take made-up rows of each signal in, save and load them, and evaluate the shipped rules."""
    rehearsal.rehearse()
    Evaluator().tick(default_rules(), WindowStore(), 0)
