"""The store of windows says what a dictionary of rows says, in any order and after any restart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from window_rows import (
    BEGIN_MS,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    REGISTRY,
    Oracle,
    Row,
    taken,
)

from inferwatch_streams.blocks.histogram import bin_value
from inferwatch_streams.windows.journal import Journal
from inferwatch_streams.windows.store import WindowStore

SIGNALS = ("request", "resource")
BY = {"request": ("service",), "resource": ("host",)}
ASKED = {
    "request": (
        "requests", "errors", "cost_usd_micros", "duration_micros", "error_types:circuit_open",
        "error_types:type 3", "error_types:none such", "duration_bin_counts",
    ),
    "resource": ("samples", "value_sum", "value_min", "value_max"),
}  # fmt: skip
SPANS_MS = (10_000, 50_000, 15 * MINUTE_MS, HOUR_MS, 7 * HOUR_MS, 3 * DAY_MS, 8 * DAY_MS)
TOPIC_ID = "aggregates"


@dataclass
class Step:
    """A row that comes, or something that happens to the worker."""

    row: Row | None = None
    #: Of a save, how many of its records are written before the worker dies; None for all of them
    #: and a worker that lives.
    dies_after: int | None = None


@dataclass
class World:
    """A log of aggregates in two partitions, the topic of totals, and a worker that may die."""

    logs: dict[int, list[Row]] = field(default_factory=lambda: {0: [], 1: []})
    topic: dict[bytes, bytes] = field(default_factory=dict)
    oracle: Oracle = field(default_factory=Oracle)
    epoch: int = 0
    evaluated: int = 0

    def __post_init__(self) -> None:
        """Start the first worker."""
        self.start()

    def start(self) -> None:
        """Start a worker, which loads the totals and reads the log on."""
        self.epoch += 10
        self.store = WindowStore(TOPIC_ID)
        self.journal = Journal(self.store, REGISTRY)
        begun = self.journal.load(self.topic, self.epoch)
        assert begun.evaluated_until == (self.evaluated or None)
        for partition, rows in self.logs.items():
            self._read(partition, begun.read_from.get(partition, 0), rows)

    def _read(self, partition: int, start: int, rows: list[Row]) -> None:
        if start < len(rows):
            values = [row.encoded() for row in rows[start:]]
            times = [row.time_ms for row in rows[start:]]
            assert not taken(self.store, values, times, partition, start)

    def come(self, rows: list[Row]) -> None:
        """Have rows come to the log, and to the worker in one chunk a partition."""
        for row in rows:
            self.logs[row.aggregates_partition].append(row)
            self.oracle.take(row)
        for partition, log in self.logs.items():
            new = sum(row.aggregates_partition == partition for row in rows)
            self._read(partition, len(log) - new, log)

    def save(self, dies_after: int | None = None) -> None:
        """Save, or die while saving."""
        evaluated = self.evaluated + 1_000_000
        save = self.journal.save(evaluated)
        assert save is not None
        written = 0
        for number, step in enumerate(save.steps):
            for key, value in step:
                if written == dies_after:
                    return
                written += 1
                if number == 1:
                    self.evaluated = evaluated
                if value is None:
                    self.topic.pop(key, None)
                else:
                    self.topic[key] = value


def assert_same(store: WindowStore, oracle: Oracle) -> None:
    """The store answers every question as the dictionary does."""
    end_ms = oracle.now_ms
    starts = [at for signal in SIGNALS for at in oracle.groups(signal).values()]
    assert store.newest == (1000 * (max(starts) + SPANS_MS[0]) if starts else None)
    for signal in SIGNALS:
        seen = store.last_seen(f"{signal}s.v1", BY[signal])
        assert {group: at // 1000 for (group,), at in seen.items()} == oracle.groups(signal)
        for span_ms in SPANS_MS:
            for start, end in (
                (end_ms - span_ms, end_ms),
                (end_ms - 2 * span_ms, end_ms - span_ms),
            ):
                totals = store.totals(
                    f"{signal}s.v1", start * 1000, end * 1000, BY[signal], measures=ASKED[signal]
                )
                expected = oracle.totals(signal, start, end)
                assert totals.groups == tuple((group,) for group in expected)
                for name, values in totals.measures.items():
                    wanted = [each[name] for each in expected.values()]
                    np.testing.assert_array_equal(values, wanted, name)
                if signal == "request":
                    assert binned(totals) == [
                        {bin_value(k): n for k, n in each["bins"].items()}
                        for each in expected.values()
                    ]


def binned(totals: Any) -> list[dict[float, int]]:
    """Bins of each group that are not empty."""
    bins = totals.histograms["duration_bin_counts"]
    assert (np.diff(bins.values) > 0).all()
    return [
        {value: int(n) for value, n in zip(bins.values.tolist(), counts, strict=True) if n}
        for counts in bins.counts
    ]


AGES_MS = (0, 10_000, 50_000, 16 * MINUTE_MS, 3 * HOUR_MS, 8 * HOUR_MS, 2 * DAY_MS, 9 * DAY_MS)
PAUSES_MS = (0, 0, 0, 1000, 10_000, MINUTE_MS, 16 * MINUTE_MS, 16 * MINUTE_MS, 2 * HOUR_MS, DAY_MS)


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Rows in the order of time, by the broker's clock, and saves and deaths between them."""
    now_ms = BEGIN_MS
    steps = []
    for _ in range(draw(st.integers(1, 25))):
        if draw(st.integers(0, 3)) == 0:
            steps.append(Step(dies_after=draw(st.one_of(st.none(), st.integers(0, 6)))))
            continue
        now_ms += draw(st.sampled_from(PAUSES_MS))
        window = (now_ms - draw(st.sampled_from(AGES_MS))) // 10_000 * 10_000
        group = draw(st.sampled_from("abc"))
        steps.append(
            Step(
                Row(
                    draw(st.sampled_from(SIGNALS)), group,
                    window + draw(st.sampled_from((0, 0, 0, 20_000, 2 * HOUR_MS))),
                    draw(st.sampled_from((0, 0, 1, 1, 2, 3))), draw(st.integers(1, 3)),
                    draw(st.integers(0, 1)), now_ms, draw(st.sampled_from(("log", "log", "new"))),
                    draw(st.integers(0, 1)),
                    # All rows of a group are in one partition.
                    "abc".index(group) % 2,
                )
            )
        )  # fmt: skip
    return steps


@settings(max_examples=40, deadline=None)
@given(histories(), st.integers(1, 6))
def test_any_history_gives_the_same_totals(history: list[Step], at_once: int) -> None:
    """Replaced, late and repeated rows, folded blocks, saves and deaths at any point."""
    world = World()
    waiting: list[Row] = []
    for step in history:
        if step.row is not None:
            waiting.append(step.row)
            if len(waiting) < at_once:
                continue
        world.come(waiting)
        waiting = []
        if step.row is None:
            world.save(step.dies_after)
            if step.dies_after is not None:
                world.start()
    world.come(waiting)
    assert_same(world.store, world.oracle)
    world.save()
    world.start()
    assert_same(world.store, world.oracle)
    world.save()
    held = dict(world.topic)
    world.start()
    world.save()
    # Nobody leaves anything behind that is neither used nor removed.
    assert len(world.topic) == len(held)
