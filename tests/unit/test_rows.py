"""Encoded rows: what Avro, JSON and Kafka's own clients read back is what was put in."""

import json

import numpy as np
import pytest
from aiokafka.partitioner import murmur2
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shown_rows import cells_of, longs_of

from inferwatch_streams.rows import cells
from inferwatch_streams.rows.batch import FULL_BYTES, OutgoingBatch, partitions_of, tails_of
from inferwatch_streams.rows.row_format import Records

LONGS = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, -1, 63, 64, -64, -65, 2**62, -(2**63)])
)
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=20)
# Compiling takes its time at the first call.
EXAMPLES = settings(max_examples=60, deadline=None)
# Buffers go from batch to batch, as in the sender.
SPARE: list[NDArray[np.uint8]] = []
NOW_MS = 1_700_000_000_123


def column(values: list[bytes]) -> cells.Cells:
    """A column of these cells, as they are."""
    lengths = np.array([len(value) for value in values], np.int64)
    data = np.frombuffer(b"".join(values) + bytes(cells.SPARE), np.uint8)
    return cells.Cells(data, np.cumsum(lengths) - lengths, lengths)


@EXAMPLES
@given(st.lists(LONGS))
def test_longs_are_zigzag_varints(values: list[int]) -> None:
    """Each cell is one varint, of as few bytes as the value needs."""
    found = cells_of(cells.longs(np.array(values, np.int64)))
    assert [longs_of(cell) for cell in found] == [[value] for value in values]
    assert [len(cell) for cell in found] == [
        max(1, -(-((value << 1) ^ (value >> 63)).bit_length() // 7)) for value in values
    ]


@EXAMPLES
@given(TEXTS)
def test_texts_carry_their_length(values: list[str]) -> None:
    """A text is its length in bytes, then its bytes; as JSON it is what json reads back."""
    raw = [value.encode() for value in values]
    plain = column(raw)
    texts = cells_of(cells.texts(plain.data, plain.starts, plain.lengths))
    assert texts == [cells.longs(np.array([len(value)])).row(0) + value for value in raw]
    quoted = cells_of(cells.json_items(plain.data, plain.starts, plain.lengths))
    assert [json.loads(b"[0" + cell + b"]")[1] for cell in quoted] == values


def test_json_escapes_no_more_than_it_must() -> None:
    """Quotes, backslashes and control characters; everything else stands as it is."""
    plain = column(['a"\\/é\x00\x1f\x7f'.encode()])
    (quoted,) = cells_of(cells.json_items(plain.data, plain.starts, plain.lengths))
    assert quoted == ',"a\\"\\\\/é\\u0000\\u001f\x7f"'.encode()


@EXAMPLES
@given(st.lists(st.lists(LONGS, max_size=70), min_size=1, max_size=8))
def test_arrays_end_with_nothing(rows: list[list[int]]) -> None:
    """An array is one block with its count, and an end; an empty one is only the end."""
    bounds = np.cumsum([0, *map(len, rows)])
    flat = np.array([value for row in rows for value in row], np.int64)
    expected = [[len(row), *row, 0] if row else [0] for row in rows]
    items = cells.arrays(bounds, cells.longs(flat))
    assert [longs_of(cell) for cell in cells_of(items)] == expected


@EXAMPLES
@given(st.lists(st.lists(st.binary(max_size=20), min_size=3, max_size=3), min_size=1))
def test_joined_columns_stand_row_by_row(rows: list[list[bytes]]) -> None:
    """Joining puts the cells of each row together, whatever their lengths, constants too."""
    columns = [column([row[place] for row in rows]) for place in range(3)]
    joined = cells.join([columns[0], cells.constant(b"-+-", len(rows)), *columns[1:]])
    assert cells_of(joined) == [row[0] + b"-+-" + row[1] + row[2] for row in rows]


@EXAMPLES
@given(st.lists(st.integers(0, 2**63 - 1)))
def test_decimals_are_digits(values: list[int]) -> None:
    """Whole numbers as people write them."""
    found = cells_of(cells.decimals(np.array(values, np.int64)))
    assert found == [str(value).encode() for value in values]


@EXAMPLES
@given(st.lists(st.binary(max_size=40)), st.integers(1, 100))
def test_keys_go_where_kafkas_own_partitioner_sends_them(keys: list[bytes], count: int) -> None:
    """The partition is the one that the Java client and aiokafka choose by default."""
    expected = [(murmur2(key) & 0x7FFFFFFF) % count for key in keys]
    assert partitions_of(column(keys), count).tolist() == expected


def batch_of(rows: list[tuple[bytes, bytes]]) -> tuple[OutgoingBatch, int]:
    """A batch of records with one header each, and how many of them it took."""
    headers = column([b"\x02\x02h" + cells.longs(np.array([1])).row(0) + b"v"] * len(rows))
    records = Records(
        column([key for key, _ in rows]),
        np.arange(len(rows)),
        column([v for _, v in rows]),
        headers,
    )
    batch = OutgoingBatch(NOW_MS, SPARE)
    return batch, batch.take(tails_of(records), np.arange(len(rows)))


@EXAMPLES
@given(
    st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=300)), min_size=1, max_size=200)
)
def test_a_batch_is_read_by_kafkas_own_client(rows: list[tuple[bytes, bytes]]) -> None:
    """Checksum, offsets, time, keys, values and headers come back as they were put in."""
    batch, taken = batch_of(rows)
    assert (taken, batch.record_count(), batch.closed()) == (len(rows), len(rows), True)
    read = MemoryRecords(batch._build()).next_batch()  # noqa: SLF001  # as aiokafka calls it
    assert read.validate_crc()
    found = list(read)
    assert [(record.key, record.value) for record in found] == rows
    assert [record.offset for record in found] == list(range(len(rows)))
    assert {record.timestamp for record in found} == {NOW_MS}
    assert all(list(record.headers) == [("h", b"v")] for record in found)


@pytest.mark.parametrize("size", [FULL_BYTES // 3, FULL_BYTES - 40, FULL_BYTES, 3 * FULL_BYTES])
def test_a_batch_stops_when_it_is_full(size: int) -> None:
    """What does not fit is left for the next one; a record larger than any goes alone."""
    rows = [(b"k", bytes([number]) * size) for number in range(4)]
    values = []
    while rows:
        batch, taken = batch_of(rows)
        assert 1 <= taken <= max(1, FULL_BYTES // size)
        read = MemoryRecords(batch._build()).next_batch()  # noqa: SLF001  # as aiokafka calls it
        values += [record.value for record in read]
        rows = rows[taken:]
    assert values == [bytes([number]) * size for number in range(4)]


def test_a_batch_is_the_same_when_it_is_sent_again() -> None:
    """Aiokafka asks for the bytes anew at each attempt."""
    batch, _ = batch_of([(b"k", b"v"), (b"k", b"w")])
    assert batch._build() == batch._build()  # noqa: SLF001  # as aiokafka calls it
