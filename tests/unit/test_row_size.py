"""The largest row that a log can make: smaller than what the topic of the aggregates takes."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from block_events import LAST_MICROSECOND

from inferwatch_schemas import releases
from inferwatch_schemas.columnar.reader import Numbers, Text
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES
from inferwatch_streams.blocks.accumulators import CONSTRUCTORS, Rows
from inferwatch_streams.blocks.block import WINDOW_MICROS
from inferwatch_streams.blocks.histogram import bin_indexes
from inferwatch_streams.rows.batch import OutgoingBatch, tails_of
from inferwatch_streams.rows.cells import SPARE, Cells
from inferwatch_streams.rows.row_format import Columns, Place, Records, RowFormat, Texts
from inferwatch_streams.signals import (
    BLOCK_LENGTH,
    MAX_NAME_BYTES,
    MAX_NAMES,
    SIGNALS,
    Kind,
    Measure,
    Signal,
)

LONGEST = 2**63 - 1
MESSAGE_BYTES = int(AGGREGATES.config()["max.message.bytes"])
PLAIN = bytes(set(range(0x20, 0x7F)) - set(b'"\\'))
CONTROLS = bytes(range(0x20))
# What a key in JSON makes one byte, two and six of; no text compresses less than a random one.
ALPHABETS = [PLAIN, b'"\\', CONTROLS, CONTROLS * 15 + PLAIN[:32]]
# A value in the middle of each bin up to a schema's maximum, and as many as make counts longer.
MIDDLES = np.append(0.0, np.exp2((np.arange(-32 * 1075, 32 * 20 - 3) + 0.5) / 32))
BINS = MIDDLES[np.unique(bin_indexes(MIDDLES), return_index=True)[1]]
SECONDS = np.concatenate([BINS, np.repeat(BINS, 63)])[:BLOCK_LENGTH]
each_signal = pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)


def text_of(size: int, alphabet: Sequence[int]) -> bytes:
    """Bytes that nothing compresses better than one by one."""
    return bytes(random.Random(size).choices(alphabet, k=size))  # noqa: S311  # test data


def worst_column(signal: Signal, measure: Measure) -> tuple[bytes, Text | Numbers]:
    """A block full of what makes a measure's fields longest, and the bytes that texts lie in."""
    fields = {field["name"]: field for field in releases.latest(signal.schema).schema["fields"]}
    field = fields.get(measure.field, {"type": ["null", "double"], "maximum": 1e12})
    if "string" in field["type"]:
        many = 3 * MAX_NAMES
        starts = np.arange(BLOCK_LENGTH) % many * MAX_NAME_BYTES
        lengths = np.full(BLOCK_LENGTH, MAX_NAME_BYTES)
        return text_of(many * MAX_NAME_BYTES, PLAIN), Text(starts, lengths)
    values = np.full(BLOCK_LENGTH, field.get("maximum", 0))
    if measure.kind is Kind.HISTOGRAM:
        values = SECONDS
    dtype = np.int64 if "long" in field["type"] else np.float64
    return b"", Numbers(values.astype(dtype), np.ones(BLOCK_LENGTH, np.bool_))


def worst_row(signal: Signal, alphabet: Sequence[int]) -> Records:
    """One row, with dimensions that fill an event of the largest size."""
    measures: dict[str, Cells] = {}
    for measure in signal.measures:
        raw, column = worst_column(signal, measure)
        accumulator = CONSTRUCTORS[measure.kind](measure)
        data = np.frombuffer(raw, np.uint8)
        rows = np.arange(BLOCK_LENGTH)
        accumulator.add(Rows(data, np.zeros(BLOCK_LENGTH, np.int32), rows, column))
        measures |= accumulator.show(np.array([0]))
    raw = text_of(signal.topic.max_value_bytes, alphabet)
    data = np.frombuffer(raw + bytes(SPARE), np.uint8)
    size = np.array([len(raw) // len(signal.dimensions)])
    place = Place("x" * 22, 2**31 - 1, LONGEST, LONGEST)
    columns = Columns(
        [Texts(data, size * number, size) for number in range(len(signal.dimensions))],
        np.zeros(1, np.int64),
        np.array([LAST_MICROSECOND // WINDOW_MICROS]),
        np.zeros(1, np.int64) if signal.unpivot else None,
        np.array([LONGEST]),
        measures,
    )
    return RowFormat(signal, PinnedRegistry()).encode(place, columns)


@each_signal
@pytest.mark.parametrize("alphabet", ALPHABETS, ids=["plain", "quotes", "controls", "mixed"])
def test_the_largest_row_fits_the_topic(signal: Signal, alphabet: bytes) -> None:
    """A block's worth of bins and types of errors, and dimensions of any text, are taken."""
    records = worst_row(signal, alphabet)
    assert int(records.values.lengths[0]) <= AGGREGATES.max_value_bytes
    tails = tails_of(records)
    if not set(alphabet) & set(CONTROLS):
        # Nothing has to be compressed for it.
        assert int(tails.lengths[0]) + 100 <= MESSAGE_BYTES
    batch = OutgoingBatch(0, [])
    assert batch.take(tails, np.zeros(1, np.int64)) == 1
    assert len(batch._build()) <= MESSAGE_BYTES  # noqa: SLF001  # as aiokafka calls it
