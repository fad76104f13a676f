"""What rules may ask the store, and which records are no rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs
from window_rows import BEGIN_MS, HOUR_MS, MINUTE_MS, REGISTRY, Row, taken

from inferwatch_schemas.wire import Encoder, decode
from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.signals import SIGNALS
from inferwatch_streams.windows import labels
from inferwatch_streams.windows.journal import Journal
from inferwatch_streams.windows.store import WindowStore

SPAN = (BEGIN_MS * 1000, (BEGIN_MS + 10_000) * 1000)


def request(group: str, **changed: Any) -> Row:
    """Return a row of requests."""
    row = {"window_ms": BEGIN_MS, "block": 0, "version": 1, "first_offset": 0}
    return Row("request", group, **{**row, "time_ms": BEGIN_MS, **changed})


def store_of(*rows: Row) -> WindowStore:
    """Return a store that has these rows."""
    store = WindowStore("aggregates")
    assert not taken(store, [row.encoded() for row in rows], [row.time_ms for row in rows], 0, 0)
    return store


def test_groups_that_differ_only_in_other_dimensions_are_added_up() -> None:
    """And those that do not match are left out."""
    rows = [request(group) for group in ("chat", "chat-eu", "search")]
    store = store_of(*rows)
    requests = rows[0].measures["requests"]
    everything = store.totals("requests.v1", *SPAN, ())
    assert everything.groups == ((),)
    assert everything.measures["requests"].tolist() == [3 * requests]
    assert everything.histograms["duration_bin_counts"].counts.sum() == 3 * sum(
        rows[0].measures["duration_bin_counts"]
    )
    chats = store.totals("requests.v1", *SPAN, ("model",), (Matcher("service", "=~", "chat.*"),))
    assert chats.dimensions == ("model",)
    assert chats.groups == (("m",),)
    assert chats.measures["requests"].tolist() == [2 * requests]
    nobody = store.totals("requests.v1", *SPAN, ("model",), (Matcher("service", "=", "none"),))
    assert nobody.groups == ()
    assert nobody.histograms["duration_bin_counts"].counts.shape == (0, 0)
    assert store.last_seen("requests.v1", (), (Matcher("service", "=", "none"),)) == {}


def test_groups_are_the_same_object_until_one_comes() -> None:
    """Also where numbers change, and another span is asked for."""
    store = store_of(request("chat"))
    before = store.totals("requests.v1", *SPAN, ("service",)).groups
    taken(store, [request("chat", version=2).encoded()], [BEGIN_MS], 0, 1)
    assert store.totals("requests.v1", 0, SPAN[1], ("service",)).groups is before
    taken(store, [request("search").encoded()], [BEGIN_MS], 0, 2)
    assert store.totals("requests.v1", *SPAN, ("service",)).groups == (("chat",), ("search",))


def test_all_numbers_and_histograms_where_none_are_named() -> None:
    """Of every signal, also where nothing came; a tally has too many texts."""
    store = WindowStore()
    for signal in SIGNALS:
        totals = store.totals(signal.name, *SPAN, ())
        named = {*totals.measures, *totals.histograms}
        fields = {measure.counts or measure.name for measure in signal.measures}
        assert named == fields - {"error_type_counts"}


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ({"by": ("servce",)}, "no dimensions of this signal: servce"),
        ({"by": (), "where": (Matcher("x", "=", ""),)}, "no dimensions of this signal: x"),
        ({"by": (), "measures": ("request",)}, "requests.v1 has no measure request; it has requ"),
        ({"by": (), "measures": ("error_types",)}, "no measure error_types"),
        ({"by": (), "measures": ("requests:x",)}, "no measure requests:x"),
    ],
)
def test_questions_that_cannot_be_answered(question: dict[str, Any], why: str) -> None:
    """They are named."""
    with pytest.raises(ValueError, match=why):
        store_of(request("chat")).totals("requests.v1", *SPAN, **question)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"signal": "requests.v2"}, "signal is not requests.v1"),
        ({"signal": "requests.v10"}, "signal is not requests.v1"),
        ({"signal": ""}, "signal is not requests.v1"),
        ({"window_seconds": 60}, "window_seconds is another"),
        ({"window_start": BEGIN_MS + 1}, "window_start is no start of a window"),
        ({"window_start": -10_000}, "window_start is no start of a window"),
        ({"partition": -1}, "partition is negative"),
        ({"block": -1}, "block is negative"),
        ({"version": -1}, "version is negative"),
        ({"first_offset": -1}, "first_offset is negative"),
        ({"error_type_counts": [1]}, "error_types and error_type_counts do not fit"),
        ({"error_type_counts": [1, -1]}, "error_types and error_type_counts do not fit"),
        ({"duration_bin_indexes": [-(2**15) - 1, 0, 1]}, "duration_bin_indexes and duration_bin_c"),
        ({"duration_bin_indexes": [2**15, 0, 1]}, "duration_bin_indexes and duration_bin_counts"),
        ({"duration_bin_indexes": [0, 1]}, "duration_bin_indexes and duration_bin_counts do not"),
        ({"first_token_bin_counts": [1]}, "first_token_bin_indexes and first_token_bin_counts do"),
    ],
)
def test_what_is_no_row(changed: dict[str, Any], what: str) -> None:
    """It is told with the reason, and its neighbours count."""
    store, row = WindowStore(), request("chat")
    values = [row.encoded(), row.encoded(**changed), request("search").encoded(), b"\0\0"]
    bad, cut = taken(store, values, [BEGIN_MS] * 4, 0, 0)
    assert (bad.index, bad.reason) == (1, "out_of_range")
    assert what in bad.detail
    assert (cut.index, cut.reason) == (3, "truncated")
    totals = store.totals("requests.v1", *SPAN, ("service",), measures=("duration_bin_counts",))
    assert totals.groups == (("chat",), ("search",))
    assert (
        totals.histograms["duration_bin_counts"].counts.sum(axis=1).tolist()
        == [sum(row.measures["duration_bin_counts"])] * 2
    )


def test_texts_beyond_the_bound_count_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that puts an id into each error's type does not fill the memory."""
    monkeypatch.setattr(labels, "MAX_TEXTS", 5)
    named = {"error_types": ["a", "b", "c", "d"], "error_type_counts": [1, 2, 3, 4]}
    store = WindowStore()
    taken(store, [request("chat").encoded(**named)], [BEGIN_MS], 0, 0)
    asked = tuple(f"error_types:{text}" for text in ("a", "b", "c", "_OTHER"))
    totals = store.totals("requests.v1", *SPAN, (), measures=asked)
    assert [totals.measures[name].tolist() for name in asked] == [[1], [2], [0], [7]]


def test_a_slot_keeps_the_most_frequent_texts() -> None:
    """So that its record in the totals is sure to fit; circuits and shed load stay in any case."""
    texts = [f"type {k:03}" for k in range(100)]
    store, names = WindowStore(), ("error_types", "error_type_counts")
    rows = [request("chat", block=k, time_ms=BEGIN_MS + 16 * k * MINUTE_MS) for k in range(4)]
    tallies = (
        (["circuit_open", *texts[:99]], [1, *[3] * 99]),
        (texts, [2] * 100),
        ([], []),
        ([], []),
    )
    values = [
        row.encoded(**dict(zip(names, tally, strict=True)))
        for row, tally in zip(rows, tallies, strict=True)
    ]
    taken(store, values, [row.time_ms for row in rows], 0, 0)
    asked = tuple(f"error_types:{text}" for text in ("circuit_open", *texts, "_OTHER"))
    totals = store.totals("requests.v1", *SPAN, (), measures=asked)
    counts = [int(totals.measures[name][0]) for name in asked]
    assert (counts[0], counts[1], counts[-2], counts[-1]) == (1, 5, 0, 2)
    assert sum(counts) == 1 + 3 * 99 + 2 * 100


def saved(_: WindowStore, journal: Journal) -> dict[bytes, bytes]:
    """Return what a save writes."""
    save = journal.save(None)
    assert save is not None
    return {key: value for step in save.steps for key, value in step if value is not None}


def folded() -> tuple[WindowStore, Journal]:
    """Return a store with a block that is folded, and one that is open and rests."""
    store = WindowStore("aggregates")
    journal = Journal(store, REGISTRY)
    journal.load({}, 7)
    times = [BEGIN_MS + minutes * MINUTE_MS for minutes in (0, 1, 20)]
    rows = [request("chat", time_ms=at, block=k) for k, at in enumerate(times)]
    taken(store, [row.encoded() for row in rows], times, 0, 0)
    return store, journal


def test_totals_are_what_their_schema_says() -> None:
    """Fastavro reads a sum and a row from them, and writes the same bytes."""
    store, journal = folded()
    encoder = Encoder("total", REGISTRY)
    found = []
    for value in saved(store, journal).values():
        record = decode(value, REGISTRY)
        if "version" in record:
            assert encoder.encode(record) == value
            found.append(record)
    total, row = found
    assert (total["version"], total["blocks"], total["slot_seconds"]) == (-1, [1], 60)
    assert (row["version"], row["blocks"], row["slot_seconds"]) == (1, [1], 10)
    assert total["dimensions"] == ["chat", "", "p", "m", "/"]
    measures = request("chat").measures
    assert total["texts"] == ["circuit_open", f"type {measures['errors']}"]
    assert np.frombuffer(total["values"], "<f8")[0] == measures["requests"]
    assert total["label_counts"] == [2, 3, 0]
    assert (total["epoch"], total["read_through"]) == (7, 3)


def test_aggregates_that_were_created_again() -> None:
    """What was known of the old topic is dropped, in a sentence, and its totals are removed."""
    topic = saved(*folded())
    store = WindowStore("another")
    journal = Journal(store, REGISTRY)
    with capture_logs() as said:
        start = journal.load(topic, 8)
    assert "inferwatch.aggregates was created again" in said[0]["event"]
    assert (start.read_from, start.evaluated_until, store.groups) == ({}, None, 0)
    save = journal.save(None)
    assert save is not None
    assert {key for key, value in save.steps[-1] if value is None} == set(topic)


def test_totals_that_cannot_be_read_are_left_alone() -> None:
    """They may be of a newer version; what can be read counts."""
    topic = saved(*folded())
    with capture_logs() as said:
        start = Journal(WindowStore("aggregates"), REGISTRY).load({b"x": b"\0\0", **topic}, 8)
    assert [each["n"] for each in said] == [1]
    assert start.read_from == {0: 2}


@pytest.mark.parametrize(
    "damage",
    [
        {"dimensions": ["chat"]},
        {"label_counts": [2, 3]},
        {"label_counts": [-1, 6, 0]},
        {"label_counts": [2**62, 2**62, 2**63 - 1]},
        {"labels": [0, 1, 0, 1, 2**15]},
        {"labels": [0, 1, 0, 1]},
        {"labels": [0, 2, -32768, -1100, 1]},
        {"labels": [-1, 1, -32768, -1100, 1]},
        {"texts": ["circuit_open"]},
        {"version": 1, "partitions": [], "blocks": []},
        {"counts": [1, 1, 1, 1, 1, 1]},
        {"blocks": []},
        {"values": b"1234567"},
        {"slot_seconds": 61},
    ],
)
def test_a_total_that_does_not_fit_its_signal_is_left_out(damage: dict[str, Any]) -> None:
    """And those beside it count."""
    topic = saved(*folded())
    value = next(value for value in topic.values() if "values" in decode(value, REGISTRY))
    total = decode(value, REGISTRY)
    assert total["label_counts"] == [2, 3, 0]
    damaged = Encoder("total", REGISTRY).encode({**total, **damage})
    store = WindowStore("aggregates")
    with capture_logs() as said:
        Journal(store, REGISTRY).load({b"damaged": damaged, **topic}, 8)
    assert [each["n"] for each in said] == [1]
    undamaged = WindowStore("aggregates")
    Journal(undamaged, REGISTRY).load(topic, 8)
    asked = ("requests.v1", *SPAN, ("service",))
    found, expected = store.totals(*asked), undamaged.totals(*asked)
    assert found.groups == expected.groups
    assert found.measures["requests"].tolist() == expected.measures["requests"].tolist()


def test_a_worker_that_died_before_it_removed_anything() -> None:
    """A row that rested, and was folded then, counts once, and its own record is removed."""
    store, journal = folded()
    topic = saved(store, journal)
    rows = [
        request("chat", time_ms=BEGIN_MS + at * MINUTE_MS, block=block)
        for at, block in ((36, 3), (52, 3))
    ]
    taken(store, [row.encoded() for row in rows], [row.time_ms for row in rows], 0, 3)
    save = journal.save(None)
    assert save is not None
    *written, removals = save.steps
    assert removals
    topic.update((key, value) for step in written for key, value in step if value is not None)
    again = WindowStore("aggregates")
    follows = Journal(again, REGISTRY)
    assert follows.load(topic, 8).read_from == {0: 5}
    span = (BEGIN_MS * 1000, (BEGIN_MS + HOUR_MS) * 1000)
    expected = store.totals("requests.v1", *span, ("service",))
    found = again.totals("requests.v1", *span, ("service",))
    assert found.measures["errors"].tolist() == expected.measures["errors"].tolist()
    second = follows.save(None)
    assert second is not None
    assert {key for key, _ in removals} <= {key for key, _ in second.steps[-1]}


def test_a_leader_that_was_replaced_overwrites_nothing() -> None:
    """Its keys are its own, and what its successor wrote holds."""
    store, journal = folded()
    topic = saved(store, journal)
    successor = WindowStore("aggregates")
    follows = Journal(successor, REGISTRY)
    follows.load(topic, 9)
    late = [request("chat", time_ms=BEGIN_MS + at * MINUTE_MS, block=at) for at in (21, 40)]
    taken(successor, [request("chat", time_ms=BEGIN_MS + 20 * MINUTE_MS, block=2).encoded()],
          [BEGIN_MS + 20 * MINUTE_MS], 0, 2)  # fmt: skip
    for at, row in enumerate(late):
        taken(successor, [row.encoded()], [row.time_ms], 0, 3 + at)
    newer = saved(successor, follows)
    # The old leader wakes up, having read less, and writes last.
    taken(store, [late[0].encoded()], [late[0].time_ms], 0, 3)
    topic = {**topic, **newer, **saved(store, journal)}
    again = WindowStore("aggregates")
    start = Journal(again, REGISTRY).load(topic, 10)
    for offset in range(start.read_from[0], 5):
        taken(again, [late[offset - 3].encoded()], [late[offset - 3].time_ms], 0, offset)
    span = (BEGIN_MS * 1000, (BEGIN_MS + HOUR_MS) * 1000)
    expected = successor.totals("requests.v1", *span, ("service",))
    found = again.totals("requests.v1", *span, ("service",))
    assert found.measures["requests"].tolist() == expected.measures["requests"].tolist()
    assert found.measures["requests"][0] > 0


def test_answers_of_ticks_that_are_over_are_let_go() -> None:
    """Also while nothing comes: the same question again is answered from memory, older ones not."""
    store = store_of(request("chat"))
    asked = {"by": (), "measures": ("requests",)}
    first = store.totals("requests.v1", *SPAN, **asked)
    assert store.totals("requests.v1", *SPAN, **asked) is first
    later = (SPAN[0], SPAN[1] + 10_000_000)
    store.totals("requests.v1", *later, **asked)
    assert store.totals("requests.v1", *SPAN, **asked) is not first
