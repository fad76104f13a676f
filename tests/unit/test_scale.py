"""docs/scale.md: its tables are its script's, and the arithmetic behaves."""

import importlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_schemas.topics import AGGREGATES, DAY_MS, REQUESTS
from inferwatch_streams import signals

DOCS = Path(__file__).parents[2] / "docs"
# The scripts are in no package: they run where nothing is installed.
sys.path.insert(0, str(DOCS))
scale: Any = importlib.import_module("scale")
capacity: Any = importlib.import_module("capacity")
measured_costs: Any = importlib.import_module("measured_costs")

COSTS = measured_costs.Measured(
    aggregation=measured_costs.PerUnit(1.0, 4.0),
    sink=measured_costs.PerUnit(1.0, 3.0),
    clickhouse=measured_costs.PerUnit(3.0, 4.0),
    merging=measured_costs.PerUnit(2.0, 3.0),
    event_bytes=70.0,
    event_compressed_bytes=40.0,
    event_uncompressed_bytes=210.0,
    row_bytes=measured_costs.RowBytes((3.0, 60.0), (300.0, 250.0)),
    row_compressed_bytes=measured_costs.RowBytes((3.0, 40.0), (300.0, 200.0)),
    row_uncompressed_bytes=measured_costs.RowBytes((3.0, 300.0), (300.0, 2600.0)),
    replays=(),
    machine="",
    indicative=(),
)
CASE = capacity.Case("any", 1e6, groups=50_000)
RATES = st.floats(1e3, 1e8)


def test_the_page_quotes_what_the_script_computes() -> None:
    """The tables of docs/scale.md are those of the files in docs/measured."""
    page = (DOCS / "scale.md").read_text(encoding="utf-8")
    assert scale.quoted(page, scale.output(measured_costs.read())) == page


def test_a_page_without_markers_is_refused() -> None:
    """Nothing is written where it is not known where."""
    with pytest.raises(ValueError, match="lacks"):
        scale.quoted("# A page", "tables")


def test_constants_are_those_of_inferwatch() -> None:
    """Retention, partitions, block and window are what the catalogue and the signals say."""
    assert REQUESTS.retention_ms == capacity.REQUESTS_DAYS * DAY_MS
    assert AGGREGATES.retention_ms == capacity.AGGREGATES_DAYS * DAY_MS
    assert REQUESTS.partitions == AGGREGATES.partitions == capacity.LEAST_PARTITIONS
    assert signals.BLOCK_LENGTH == capacity.BLOCK_LENGTH
    assert signals.WINDOW_SECONDS == capacity.WINDOW_SECONDS


@pytest.mark.parametrize("file", sorted(measured_costs.SOURCES))
def test_a_missing_figure_is_named(file: str, tmp_path: Path) -> None:
    """A file that is missing or lacks a figure is named, with the figure and what writes it."""
    folder = tmp_path / "measured"
    shutil.copytree(DOCS / "measured", folder)
    (folder / file).write_text(json.dumps({"machine": {}}))
    with pytest.raises(measured_costs.MeasuredError, match=rf"{file} lacks \w+.*make bench"):
        measured_costs.read(folder)
    (folder / file).unlink()
    with pytest.raises(measured_costs.MeasuredError, match=rf"{file} cannot be read.*make bench"):
        measured_costs.read(folder)


def test_costs_of_events_and_rows_are_told_apart() -> None:
    """Costs made from an event's and a row's are taken apart into the two again."""
    found = measured_costs.per_unit(2 + 3 * 0.01, 2 + 3 * 0.4, 0.01, 0.4)
    assert (found.event, found.row) == (pytest.approx(2), pytest.approx(3))


@given(RATES, st.floats(10, 1e6), st.integers(1, 1000))
def test_rows_are_bounded(rate: float, groups: float, partitions: int) -> None:
    """There are no more rows than events, sent or kept."""
    case = replace(CASE, rate=rate, groups=groups)
    sent = case.rows_sent(partitions)
    assert 0 < sent <= rate * (1 + 1e-9)
    assert case.rows_kept(partitions) <= rate * (1 + 1e-9)


@given(RATES, st.integers(1, 1000))
def test_doubling_the_stream_doubles_the_rows(rate: float, partitions: int) -> None:
    """Twice the events, groups and partitions are twice the rows."""
    case = replace(CASE, rate=rate)
    double = replace(CASE, rate=2 * rate, groups=2 * CASE.groups)
    for rows in ("rows_sent", "rows_kept"):
        one, two = getattr(case, rows)(partitions), getattr(double, rows)(2 * partitions)
        assert two == pytest.approx(2 * one)


@given(RATES)
def test_more_events_never_need_less(rate: float) -> None:
    """Twice the events of as many groups need no less of anything."""
    case = replace(CASE, rate=rate, groups=1_000)
    one, two = (capacity.plan(replace(case, rate=each), COSTS) for each in (rate, 2 * rate))
    for name in ("partitions", "aggregation", "sink", "kafka_mb", "brokers", "raw_tb", "shards"):
        assert getattr(two, name) >= getattr(one, name), name
    assert two.raw_tb == pytest.approx(2 * one.raw_tb)


@given(RATES, st.floats(10, 1e6))
def test_partitions_are_enough_and_not_more(rate: float, groups: float) -> None:
    """Every process has its partitions, and with one step fewer some would not."""
    case = replace(CASE, rate=rate, groups=groups)
    found = capacity.plan(case, COSTS)
    assert found.partitions >= max(found.aggregation, found.sink) * capacity.PARTITIONS_PER_PROCESS
    assert found.partitions % capacity.LEAST_PARTITIONS == 0
    fewer = found.partitions - capacity.LEAST_PARTITIONS
    if fewer:
        rows = case.rows_sent(fewer)
        wanted = max(
            capacity.processes(cost.cores(rate, rows)) for cost in (COSTS.aggregation, COSTS.sink)
        )
        megabytes = rate * COSTS.event_bytes / capacity.MB
        assert fewer < max(
            wanted * capacity.PARTITIONS_PER_PROCESS, megabytes / capacity.PARTITION_MB
        )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0304, "0.030"),
        (9.96, "10"),
        (1234, "1,200"),
        (999_999, "1.0 M"),
        (1.6e8, "160 M"),
    ],
)
def test_numbers_have_two_digits(value: float, text: str) -> None:
    """Two digits, and millions in words."""
    assert scale.number(value) == text
