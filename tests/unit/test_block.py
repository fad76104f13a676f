"""One block: groups by dimensions and window, one row a metric where fields are unpivoted."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from block_builders import NEWER, OLDER, chunk_of, encode, read
from prometheus_client import REGISTRY
from shown_rows import Row, rows_of

from inferwatch_schemas.topics import topic_of
from inferwatch_streams.blocks.block import Block
from inferwatch_streams.rows.row_format import Place
from inferwatch_streams.signals import RESOURCE_METRICS, SIGNALS

SECOND = 1_000_000


def counted(
    name: str, events: Sequence[dict[str, Any]], writers: Sequence[int | None] = ()
) -> list[dict[str, Any]]:
    """Rows of one block that holds these events, offsets from 0."""
    block = Block(0, 0, SIGNALS)
    fill(block, name, events, writers)
    return shown(block)


def shown(block: Block) -> list[dict[str, Any]]:
    """Fields of the rows that changed."""
    return [row.fields for row in changed(block)]


def changed(block: Block) -> list[Row]:
    """The rows that changed."""
    place = Place("log", 0, block.number, block.first_offset)
    taken = [(signal, place, columns) for signal, columns in block.take_changed(lambda: True)]
    return rows_of(taken)


def fill(
    block: Block,
    name: str,
    events: Sequence[dict[str, Any]],
    writers: Sequence[int | None] = (),
    start: int = 0,
) -> None:
    """Count events into a block, in one chunk."""
    ids = writers or [None] * len(events)
    values = [
        (start + place, encode(name, event, schema_id))
        for place, (event, schema_id) in enumerate(zip(events, ids, strict=True))
    ]
    chunk = chunk_of(topic_of(name).name, values, start, start + len(events))
    parts, bad = read(name, chunk)
    assert not bad
    for part in parts:
        block.add(chunk, part, 0, len(part.rows))


def test_a_window_begins_at_whole_tens_of_seconds() -> None:
    """The last microsecond of a window belongs to it, the next one to the next."""
    times = [0, 10 * SECOND - 1, 10 * SECOND, 20 * SECOND - 1]
    rows = counted("request", [{"event_time": time} for time in times])
    assert [(row["window_start"], row["requests"]) for row in rows] == [(0, 2), (10_000, 2)]
    assert {row["window_seconds"] for row in rows} == {10}


def test_late_events_count_in_their_own_window() -> None:
    """A late event adds to the window of its time, and raises only that row's version."""
    block = Block(0, 0, SIGNALS)
    fill(block, "request", [{"event_time": 0}, {"event_time": 10 * SECOND}])
    assert len(shown(block)) == 2
    fill(block, "request", [{"event_time": 1}], start=2)
    (row,) = shown(block)
    assert (row["window_start"], row["requests"], row["version"]) == (0, 2, 3)


def test_writers_of_several_schemas_share_their_groups() -> None:
    """Events of an older, the present and a newer schema count in one row."""
    event = {"service_name": "chat", "duration_seconds": 0.5}
    (row,) = counted("request", [event] * 5, [None, OLDER, NEWER, OLDER, None])
    assert (row["requests"], row["duration_micros"], row["version"]) == (5, 2_500_000, 5)


def test_an_older_writers_missing_field_is_null() -> None:
    """What a writer did not know is not counted as zero."""
    event = {"cost_usd_micros": 7}
    (row,) = counted("request", [event] * 2, [None, OLDER])
    assert (row["cost_usd_micros"], row["priced_requests"], row["requests"]) == (7, 1, 2)


def test_a_request_of_nothing_but_nulls_is_a_request() -> None:
    """It counts once, and adds to nothing else."""
    (row,) = counted("request", [{}])
    assert row["requests"] == 1
    assert (row["errors"], row["durations"], row["first_tokens"], row["priced_requests"]) == (
        0,
    ) * 4
    assert row["duration_bin_indexes"] == row["error_types"] == []
    assert row["model"] == ""


def test_errors_by_type_are_those_of_their_row() -> None:
    """Two groups with the same errors keep them apart; types are sorted."""
    events = [
        {"service_name": service, "error_type": error}
        for service, error in [("a", "timeout"), ("b", "timeout"), ("a", "429"), ("a", None)]
    ]
    rows = {row["service"]: row for row in counted("request", events)}
    assert (rows["a"]["error_types"], rows["a"]["error_type_counts"]) == (
        ["429", "timeout"],
        [1, 1],
    )
    assert (rows["b"]["error_types"], rows["b"]["errors"], rows["a"]["errors"]) == (
        ["timeout"],
        1,
        2,
    )


def failures(types: Sequence[str]) -> dict[str, int]:
    """Errors by type, as the row of a group says it that fails like this."""
    (row,) = counted("request", [{"error_type": text} for text in types])
    assert sum(row["error_type_counts"]) == row["errors"] == len(types)
    assert row["error_types"] == sorted(row["error_types"])
    return dict(zip(row["error_types"], row["error_type_counts"], strict=True))


def test_a_hundred_types_of_errors_are_named() -> None:
    """The first hundred of the log keep their names, later ones count as one; none is lost."""
    types = [f"e{n:03d}" for n in range(102)]
    assert failures(types[:100]) == dict.fromkeys(types[:100], 1)
    assert failures(types + types) == dict.fromkeys(types[:100], 2) | {"_OTHER": 4}
    assert failures(types[::-1]) == dict.fromkeys(types[2:], 1) | {"_OTHER": 2}


def test_a_type_of_more_than_256_bytes_is_not_named() -> None:
    """Bytes of UTF-8 count; who publishes the common name counts there too, and takes no place."""
    types = ["x" * 256, "x" * 257, "é" * 128, "é" * 129, "_OTHER", *map(str, range(97)), "98", "99"]
    found = failures(types)
    assert found.pop("_OTHER") == 4
    assert found == dict.fromkeys(["x" * 256, "é" * 128, *map(str, range(97)), "98"], 1)


def test_each_group_has_its_own_hundred() -> None:
    """What one service does to its errors leaves the names of another as they are."""
    events = [{"service_name": "a", "error_type": f"e{n}"} for n in range(150)]
    events.insert(140, {"service_name": "b", "error_type": "late"})
    rows = {row["service"]: row for row in counted("request", events)}
    assert (rows["b"]["error_types"], len(rows["a"]["error_types"])) == (["late"], 101)


def test_rows_that_do_not_name_all_errors_are_told_in_the_metrics() -> None:
    """A row counts once each time it is made; a common name that was published so is no sign."""

    def folded() -> float:
        return REGISTRY.get_sample_value("inferwatch_folded_rows_total") or 0.0

    before = folded()
    block = Block(0, 0, SIGNALS)
    fill(block, "request", [{"error_type": "_OTHER"}])
    changed(block)
    assert folded() == before
    fill(block, "request", [{"error_type": "x" * 257}] * 2, start=1)
    changed(block)
    fill(block, "request", [{"service_name": "b", "error_type": str(n)} for n in range(101)])
    changed(block)
    assert folded() == before + 2


def test_a_resource_event_becomes_a_row_a_metric() -> None:
    """Whole and fractional metrics of one event are rows of their own, all with its version."""
    event = {"host_name": "n1", "memory_used_bytes": 10**18, "gpu_temperature_celsius": -3.25}
    rows = {row["metric"]: row for row in counted("resource", [{"host_name": "n1"}, event])}
    assert set(rows) == {"memory_used_bytes", "gpu_temperature_celsius"}
    used, cold = rows["memory_used_bytes"], rows["gpu_temperature_celsius"]
    assert (used["value_sum"], used["value_min"], used["value_max"]) == (10**18, 1e18, 1e18)
    assert cold["value_sum"] == Decimal("-3.25")
    assert {(row["samples"], row["version"], row["window_start"]) for row in rows.values()} == {
        (1, 2, 0)
    }


def test_every_metric_of_a_resource_is_told_apart() -> None:
    """All metrics at once, over two windows: no two share a row."""
    event = dict.fromkeys(RESOURCE_METRICS, 1)
    rows = counted("resource", [event, event | {"event_time": 10 * SECOND}])
    assert len(rows) == 2 * len(RESOURCE_METRICS)
    assert {(row["metric"], row["window_start"]) for row in rows} == {
        (metric, start) for metric in RESOURCE_METRICS for start in (0, 10_000)
    }


def test_the_key_of_a_metrics_row_names_the_metric() -> None:
    """Rows of one group stay in one partition, in order."""
    block = Block(0, 0, SIGNALS)
    fill(block, "resource", [{"host_name": "n1", "queue_size": 1}])
    (row,) = changed(block)
    assert row.key == ("resources.v1", "n1", "", "queue_size")


@pytest.mark.parametrize("groups", [63, 64, 65, 128, 129, 700])
def test_rows_survive_growth(groups: int) -> None:
    """At any number of groups, each row has counted its own events."""
    events = [
        {"service_name": f"s{n}", "duration_seconds": 1.0, "error_type": f"e{n % 3}"}
        for n in range(groups)
    ]
    block = Block(4, 40, SIGNALS)
    fill(block, "request", events)
    fill(block, "request", events, start=groups)
    rows = shown(block)
    assert [row["service"] for row in rows] == [f"s{n}" for n in range(groups)]
    assert [row["version"] for row in rows] == [groups + n + 1 for n in range(groups)]
    for n, row in enumerate(rows):
        assert (row["requests"], row["duration_micros"]) == (2, 2_000_000)
        assert (row["duration_bin_indexes"], row["duration_bin_counts"]) == ([-1], [2])
        assert (row["error_types"], row["error_type_counts"]) == ([f"e{n % 3}"], [2])
        assert (row["block"], row["first_offset"]) == (4, 40)


@pytest.mark.parametrize("groups", [64, 128])
def test_growth_keeps_what_is_known_of_older_groups(groups: int) -> None:
    """Rows that are not touched again keep version and change mark over the growth."""
    block = Block(0, 0, SIGNALS)
    fill(block, "request", [{"service_name": f"s{n}"} for n in range(groups)])
    fill(block, "request", [{"service_name": "one more"}], start=groups)
    versions = [row["version"] for row in shown(block)]
    assert versions == list(range(1, groups + 2))


def test_events_of_other_schemas_are_left_to_their_signals() -> None:
    """A block counts a part in the signals of its schema only."""
    rows = counted("conversion", [{"value": 2.0}])
    assert [row["signal"] for row in rows] == ["conversions.v1"]
