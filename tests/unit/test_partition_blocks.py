"""Blocks of a partition come to what an independent oracle says, however the log is read."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import block_oracle
import pytest
from block_builders import (
    PARTITION,
    TOPIC_ID,
    Table,
    blocks_of,
    chunk_of,
    chunks,
    encode,
    identity,
    merged,
    read,
    resolved,
)
from block_events import BY_NAME, FAILURES
from block_oracle import expected
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shown_rows import Row, rows_of

from inferwatch_schemas.topics import topic_of
from inferwatch_streams.blocks import accumulate, accumulators
from inferwatch_streams.blocks.partition import PartitionBlocks

KINDS = st.sampled_from(sorted(BY_NAME))
SEEDS = st.integers(0, 2**32)
EXAMPLES = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


FEW, SHORT = 2, 8


@pytest.fixture(autouse=True, scope="module")
def _few_names() -> Iterator[None]:
    """Rows name few types of errors, so that logs of a few events have more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accumulators, "MAX_NAMES", FEW)
        patch.setattr(accumulators, "MAX_NAME_BYTES", SHORT)
        patch.setattr(block_oracle, "NAMES", FEW)
        patch.setattr(block_oracle, "NAME_BYTES", SHORT)
        yield


@dataclass
class Log:
    """A partition's records, some of its offsets empty, and how it is cut into blocks."""

    name: str
    events: list[tuple[int, dict[str, Any]]]
    values: list[tuple[int, bytes | None]]
    length: int
    end: int


@dataclass
class Reading:
    """What one way of reading a log sent, and up to where it may be committed."""

    floor: int
    rows: list[Row] = field(default_factory=list)


@st.composite
def logs(draw: st.DrawFn, *, failing: bool = False) -> Log:
    """Draw a log of one kind of event, with holes in its offsets as compaction leaves them.

    Where it is failing, it is one of requests with more types of errors than rows name.
    """
    name = "request" if failing else draw(KINDS)
    kind = FAILURES if failing else BY_NAME[name]
    taken = draw(st.lists(kind, min_size=20 if failing else 0, max_size=40))
    length = draw(st.integers(10, 60) if failing else st.integers(1, 20))
    offset, events, values = 0, [], []
    for event, schema_id in taken:
        offset += draw(st.sampled_from([0, 0, 0, 0, 1, 2, 30]))
        events.append((offset, event))
        values.append((offset, encode(name, event, schema_id)))
        offset += 1
    end = offset + draw(st.integers(0, 3))
    return Log(name, events, values, length, end)


def read_log(log: Log, seed: int, start: int = 0, *, crashes: bool = True) -> Reading:
    """Read a log in chunks of any size, sending, acknowledging and crashing at any moment."""
    rng = random.Random(seed)  # noqa: S311  # no secret: test data
    blocks = blocks_of(log.name, start, log.length)
    reading = Reading(start)
    while blocks.position < log.end:
        end = min(log.end, blocks.position + rng.choice([1, 2, 5, 30, 1000]))
        inside = [value for value in log.values if blocks.position <= value[0] < end]
        chunk = chunk_of(topic_of(log.name).name, inside, blocks.position, end)
        parts, bad = read(log.name, chunk)
        assert not bad
        blocks.add(chunk, parts)
        if rng.random() < 0.6:
            _send(blocks, reading, rng)
        if crashes and rng.random() < 0.15:
            blocks = blocks_of(log.name, reading.floor, log.length)
    _send(blocks, reading, rng)
    reading.rows += rows_of(blocks.take_changed())
    return reading


def _send(blocks: PartitionBlocks, reading: Reading, rng: random.Random) -> None:
    """Flush as a worker does: sent rows may arrive unknown to it, and then it sends them again."""
    waiting = blocks.waiting
    rows = rows_of(blocks.take_changed())
    if rng.random() < 0.3:
        reading.rows += rng.sample(rows, rng.randint(0, len(rows)))
        blocks.mark_all()
        return
    reading.rows += rows
    blocks.acknowledge(waiting)
    reading.floor = blocks.floor


@EXAMPLES
@given(logs(), SEEDS)
def test_however_a_log_is_read_its_rows_are_the_oracles(log: Log, seed: int) -> None:
    """Chunks, flushes, failures and crashes at any place leave exactly the oracle's rows."""
    assert resolved(read_log(log, seed).rows) == expected(log.name, log.events, log.length)


@EXAMPLES
@given(logs(), SEEDS, SEEDS)
def test_rows_of_equal_versions_are_equal(log: Log, one: int, other: int) -> None:
    """Two readings that send a row with the same version send the same row, to the last bit."""
    seen: dict[tuple[Any, ...], str] = {}
    for row in read_log(log, one).rows + read_log(log, other).rows:
        key = (*identity(row.fields), row.fields["first_offset"], row.fields["version"])
        # As text: zero and minus zero are equal numbers and different bytes.
        text = repr(sorted(row.fields.items()))
        assert seen.setdefault(key, text) == text


@EXAMPLES
@given(logs(failing=True), SEEDS, SEEDS)
def test_which_errors_are_named_does_not_show_how_a_log_was_read(
    log: Log, one: int, other: int
) -> None:
    """With more types than a row names, and writers that share chunks, rows are the log's alone."""
    seen: dict[tuple[Any, ...], dict[str, Any]] = {}
    for seed in (one, other):
        rows = read_log(log, seed).rows
        assert resolved(rows) == expected(log.name, log.events, log.length)
        for row in rows:
            key = (*identity(row.fields), row.fields["first_offset"], row.fields["version"])
            assert seen.setdefault(key, row.fields) == row.fields
            assert sum(row.fields["error_type_counts"]) == row.fields["errors"]
            assert len(set(row.fields["error_types"]) - {"_OTHER"}) <= FEW
            assert len(set(row.fields["error_types"])) == len(row.fields["error_types"])


@EXAMPLES
@given(logs(failing=True), SEEDS)
def test_a_name_once_told_stays_and_grows(log: Log, seed: int) -> None:
    """From version to version a row keeps every name, with no fewer events."""
    latest: dict[tuple[Any, ...], dict[str, Any]] = {}
    rows = read_log(log, seed).rows
    for row in sorted(rows, key=lambda row: int(row.fields["version"])):
        now = dict(zip(row.fields["error_types"], row.fields["error_type_counts"], strict=True))
        for name, count in latest.get(identity(row.fields), {}).items():
            assert now[name] >= count
        latest[identity(row.fields)] = now


@EXAMPLES
@given(st.one_of(logs(), logs(failing=True)), SEEDS)
def test_every_row_sent_is_a_state_that_the_log_had(log: Log, seed: int) -> None:
    """A row of version v is what the oracle makes of the events below v."""
    for row in read_log(log, seed).rows:
        below = [event for event in log.events if event[0] < row.fields["version"]]
        assert row.fields == expected(log.name, below, log.length)[identity(row.fields)]


@EXAMPLES
@given(logs(), SEEDS, st.randoms(use_true_random=False))
def test_rows_merge_in_any_order_and_any_number_of_times(
    log: Log, seed: int, rng: random.Random
) -> None:
    """Sending twice and in another order changes nothing."""
    rows = read_log(log, seed).rows
    again = rows + rows
    rng.shuffle(again)
    assert resolved(again) == resolved(rows)


@EXAMPLES
@given(logs(), st.tuples(SEEDS, SEEDS, SEEDS), st.tuples(*[st.integers(0, 30)] * 3))
def test_merging_is_a_semilattice(
    log: Log, seeds: tuple[int, int, int], starts: tuple[int, int, int]
) -> None:
    """Merging is commutative, associative and idempotent, for readers that began anywhere."""
    a, b, c = (
        resolved(read_log(log, seed, min(start, log.end), crashes=False).rows)
        for seed, start in zip(seeds, starts, strict=True)
    )
    assert merged(a, b) == merged(b, a)
    assert merged(merged(a, b), c) == merged(a, merged(b, c))
    assert merged(a, a) == a


@EXAMPLES
@given(logs(), SEEDS, st.integers(0, 60))
def test_a_block_counted_from_its_middle_says_so(log: Log, seed: int, start: int) -> None:
    """A reader that begins at an offset counts what follows, and its rows carry that offset."""
    start = min(start, log.end)
    reading = read_log(log, seed, start)
    assert resolved(reading.rows) == expected(log.name, log.events, log.length, start)


@EXAMPLES
@given(logs(), SEEDS, st.integers(0, 60))
def test_a_row_from_the_start_wins_over_one_from_the_middle(
    log: Log, seed: int, start: int
) -> None:
    """Who began in the middle of a block does not replace what was counted from its start."""
    whole = read_log(log, seed).rows
    late = read_log(log, seed, min(start, log.end)).rows
    assert resolved(late + whole) == expected(log.name, log.events, log.length)


@EXAMPLES
@given(logs(), SEEDS)
def test_floors_are_starts_of_blocks_and_pass_nothing_unsent(log: Log, seed: int) -> None:
    """A floor is where a block starts, never falls, and what lies below it has been sent."""
    rng = random.Random(seed)  # noqa: S311  # no secret: test data
    blocks = blocks_of(log.name, 0, log.length)
    sent: list[Row] = []
    floor = 0
    cuts = [rng.randint(0, log.end) for _ in range(5)]
    for chunk in chunks(log.name, log.values, cuts, 0, log.end):
        blocks.add(chunk, read(log.name, chunk)[0])
        assert blocks.floor == floor
        if rng.random() < 0.5:
            waiting = blocks.waiting
            sent += rows_of(blocks.take_changed())
            blocks.acknowledge(waiting)
        assert blocks.floor % log.length == 0
        assert floor <= blocks.floor <= blocks.position
        floor = blocks.floor
        below = [event for event in log.events if event[0] < floor]
        complete = expected(log.name, below, log.length)
        assert {key: resolved(sent).get(key) for key in complete} == complete


def _request(seconds: float = 1.0) -> bytes:
    return encode("request", {"service_name": "chat", "duration_seconds": seconds})


def _add(blocks: PartitionBlocks, offsets: list[int], start: int, end: int) -> None:
    values = [(offset, _request()) for offset in offsets]
    chunk = chunk_of(topic_of("request").name, values, start, end)
    blocks.add(chunk, read("request", chunk)[0])


def _counts(blocks: PartitionBlocks) -> dict[int, int]:
    return {row.fields["block"]: row.fields["requests"] for row in rows_of(blocks.take_changed())}


def test_a_chunk_over_several_blocks_is_shared_out() -> None:
    """Each block gets its own offsets, and blocks before the last are closed."""
    blocks = blocks_of("request", 0, 10)
    _add(blocks, list(range(35)), 0, 35)
    assert _counts(blocks) == {0: 10, 1: 10, 2: 10, 3: 5}
    assert (blocks.waiting, blocks.floor, blocks.position) == (3, 0, 35)
    blocks.acknowledge(2)
    assert (blocks.waiting, blocks.floor) == (1, 20)


def test_a_chunk_that_ends_with_its_block_closes_it() -> None:
    """When the position reaches the next block's start, the block can be acknowledged."""
    blocks = blocks_of("request", 0, 10)
    _add(blocks, list(range(9)), 0, 9)
    assert blocks.waiting == 0
    _add(blocks, [9], 9, 10)
    assert (blocks.waiting, blocks.floor) == (1, 0)
    blocks.acknowledge(1)
    assert blocks.floor == 10


def test_an_empty_chunk_moves_the_position() -> None:
    """Offsets without events are passed over, within a block and over its end."""
    blocks = blocks_of("request", 0, 10)
    _add(blocks, [], 0, 4)
    assert (blocks.position, blocks.waiting) == (4, 0)
    _add(blocks, [], 4, 12)
    assert (blocks.position, blocks.waiting) == (12, 1)
    assert _counts(blocks) == {}


def test_a_chunk_that_ends_where_it_begins_changes_nothing() -> None:
    """There may be nothing new."""
    blocks = blocks_of("request", 7, 10)
    _add(blocks, [], 7, 7)
    assert (blocks.position, blocks.waiting, blocks.floor) == (7, 0, 7)


def test_a_hole_over_a_thousand_million_blocks_opens_none_of_them() -> None:
    """Blocks without events cost neither time nor memory."""
    blocks = blocks_of("request", 0, 10)
    _add(blocks, [1, 10**10], 0, 10**10 + 1)
    assert blocks.waiting == 1
    assert _counts(blocks) == {0: 1, 10**9: 1}
    _add(blocks, [], 10**10 + 1, 2 * 10**10)
    assert blocks.waiting == 2


def test_a_chunk_must_begin_at_the_position() -> None:
    """A chunk from elsewhere is refused, and nothing of it is counted."""
    blocks = blocks_of("request", 5, 10)
    for start in (4, 6):
        with pytest.raises(ValueError, match=f"begins at {start}, not at 5"):
            _add(blocks, [8], start, 9)
    assert _counts(blocks) == {}


def test_rows_are_taken_once_until_they_change_or_are_marked() -> None:
    """What was taken is not sent again, unless it changed or may not have arrived."""
    blocks = blocks_of("request", 0, 10)
    _add(blocks, [0, 12], 0, 13)
    assert _counts(blocks) == {0: 1, 1: 1}
    assert _counts(blocks) == {}
    _add(blocks, [13], 13, 14)
    assert _counts(blocks) == {1: 2}
    blocks.mark_all()
    assert _counts(blocks) == {0: 1, 1: 2}


def test_rows_say_where_they_come_from() -> None:
    """A row carries its log and partition, and has a field for each of its schema."""
    blocks = blocks_of("request", 0, 10)
    _add(blocks, [0], 0, 1)
    (row,) = rows_of(blocks.take_changed())
    assert (row.fields["topic_id"], row.fields["partition"]) == (TOPIC_ID, PARTITION)
    assert row.key == ("requests.v1", "chat", "", "", "", "")


def test_an_empty_table_merges_to_the_other() -> None:
    """No rows are the neutral element."""
    table: Table = {("a",): {"first_offset": 0, "version": 1}}
    assert merged({}, table) == merged(table, {}) == table


def test_rows_of_a_chunk_counted_by_half_are_not_given_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also to a flush that was under way when the count broke off."""
    blocks = blocks_of("request", 0, 5)
    values = [(at, encode("request", {"event_time": at})) for at in range(8)]
    topic = topic_of("request").name
    whole = chunk_of(topic, values[:6], 0, 6)
    blocks.add(whole, read("request", whole)[0])
    taken = blocks.take_changed()
    assert next(taken)[1].block == 0

    def break_off(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(accumulate, "add_counts", break_off)
    half = chunk_of(topic, values[6:], 6, 8)
    with pytest.raises(MemoryError):
        blocks.add(half, read("request", half)[0])
    assert list(taken) == []
    assert list(blocks.take_changed()) == []
