"""A topic so slow that retention removes a block's start before the block is full."""

from block_builders import READERS, Table, blocks_of, chunk_of, encode, identity, merged
from shown_rows import rows_of

from inferwatch_schemas.topics import CONVERSIONS
from inferwatch_streams.blocks.partition import PartitionBlocks

SECOND = 1_000_000
DAY = 86_400 * SECOND
LENGTH = 1_000


def _event(day: int, second: int) -> bytes:
    fields = {
        "experiment": "e", "variant": "a", "metric": "visit", "value": 1.0,
        "event_time": day * DAY + second * SECOND,
    }  # fmt: skip
    return encode("conversion", fields)


def _add(blocks: PartitionBlocks, values: list[bytes], start: int) -> None:
    records = [(start + place, value) for place, value in enumerate(values)]
    chunk = chunk_of(CONVERSIONS.name, records, start, start + len(values))
    blocks.add(chunk, READERS["conversion"].read(chunk)[0])


def _emitted(table: Table, blocks: PartitionBlocks) -> Table:
    for row in rows_of(blocks.take_changed()):
        table = merged(table, {identity(row.fields): row.fields})
    return table


def _totals(table: Table) -> dict[int, int]:
    counts: dict[int, int] = {}
    for fields in table.values():
        window = fields["window_start"]
        counts[window] = counts.get(window, 0) + fields["conversions"]
    return counts


def test_events_after_a_restart_count_in_a_window_that_was_under_way() -> None:
    """The rows of a second reading, begun in the middle, do not hide behind those of the first."""
    log = [_event(day, second) for day in range(10) for second in range(3)]
    first = blocks_of("conversion", 0, LENGTH)
    _add(first, log, 0)
    table = _emitted({}, first)
    # The worker restarts; retention has removed days 0 to 6 by then, and two more events come
    # into the last window.
    kept = 21
    second = blocks_of("conversion", kept, LENGTH)
    _add(second, [*log[kept:], _event(9, 3), _event(9, 4)], kept)
    totals = _totals(_emitted(table, second))
    assert totals == {day * 86_400_000: 5 if day == 9 else 3 for day in range(10)}


def test_reading_the_rest_again_changes_nothing() -> None:
    """Of rows that end alike, the one that saw more of the block stays."""
    log = [_event(0, second % 9) for second in range(30)]
    first = blocks_of("conversion", 0, LENGTH)
    _add(first, log, 0)
    table = _emitted({}, first)
    again = blocks_of("conversion", 12, LENGTH)
    _add(again, log[12:], 12)
    assert _totals(_emitted(table, again)) == _totals(table) == {0: 30}
