"""Accumulators: exact to the last digit at the extremes that the schemas let in."""

import io
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shown_rows import cells_of

from inferwatch_schemas.columnar.reader import Numbers, Text
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder, decode
from inferwatch_streams.blocks.accumulators import CONSTRUCTORS, Rows, micros
from inferwatch_streams.signals import BLOCK_LENGTH, Kind, Measure

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 6}
NOTHING = np.empty(0, np.uint8)


SQUARES = {**DECIMAL, "scale": 12}
LONGS = {"type": "array", "items": "long"}
TYPES: dict[Kind, Any] = {
    Kind.DECIMAL_SUM: DECIMAL,
    Kind.SUM_OF_SQUARES: SQUARES,
    Kind.MINIMUM: "double",
    Kind.MAXIMUM: "double",
    Kind.MINIMUM_OR_NULL: ["null", "double"],
    Kind.MAXIMUM_OR_NULL: ["null", "double"],
    Kind.HISTOGRAM: LONGS,
    Kind.TALLY: {"type": "array", "items": "string"},
}


class Measured:
    """An accumulator that shows its fields decoded: ``x`` and, where it has counts, ``n``."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._accumulator = CONSTRUCTORS[kind](Measure(kind, "x", "field", "n"))
        self.add = self._accumulator.add
        self.grow = self._accumulator.grow

    def show(self, slots: NDArray[np.int64]) -> dict[str, list[Any]]:
        """Fields of these slots, one element a slot."""
        types = {"x": TYPES.get(self._kind, "long"), "n": LONGS}
        return {
            name: [decoded(types[name], cell) for cell in cells_of(column)]
            for name, column in self._accumulator.show(slots).items()
        }


def decoded(kind: Any, cell: bytes) -> Any:
    """The value of a cell, which holds nothing else."""
    body = io.BytesIO(cell)
    value = fastavro.schemaless_reader(body, kind, None)
    assert not body.read()
    return value


def measured(kind: Kind) -> Measured:
    """An empty accumulator of a kind."""
    return Measured(kind)


def numbers(values: Sequence[float | None], kind: type = np.float64) -> Numbers:
    """A column of numbers with nulls."""
    filled = [0 if value is None else value for value in values]
    there = [value is not None for value in values]
    return Numbers(np.array(filled, kind), np.array(there, np.bool_))


def rows_in(
    slots: Sequence[int] | NDArray[np.int32],
    column: Text | Numbers | None,
    data: NDArray[np.uint8] = NOTHING,
    start: int = 0,
) -> Rows:
    """Rows of these slots, with offsets from start on."""
    offsets = np.arange(start, start + len(slots))
    return Rows(data, np.array(slots, np.int32), offsets, column)


def add(accumulator: Measured, column: Numbers | None, slots: Sequence[int]) -> None:
    """Take in a column, one slot a row."""
    accumulator.add(rows_in(slots, column))


def shown(accumulator: Measured, slot: int = 0) -> Any:
    """What the row of a slot shows as x."""
    return accumulator.show(np.array([slot]))["x"][0]


def _whole(total: int, digits: int) -> Decimal:
    """A whole number of the last digit, exactly."""
    return Decimal(f"{total}E-{digits}")


def test_counts_leave_nulls_out_where_the_measure_says_so() -> None:
    """COUNT counts rows, COUNT_VALID those whose field is not null, of numbers and of texts."""
    column = numbers([1.0, None, 0.0])
    every, valid = measured(Kind.COUNT), measured(Kind.COUNT_VALID)
    add(every, None, [0, 0, 1])
    add(valid, column, [0, 0, 1])
    assert (shown(every), shown(every, 1)) == (2, 1)
    assert (shown(valid), shown(valid, 1)) == (1, 1)
    texts = Text(np.zeros(3, np.int64), np.array([-1, 0, 0], np.int64))
    valid.add(rows_in([0, 0, 0], texts))
    assert shown(valid) == 3


@pytest.mark.parametrize(
    ("kind", "value", "total"),
    [
        (Kind.SUM, 10**12, 10**12 * BLOCK_LENGTH),
        (Kind.SUM_MICROS, 1e6, 10**12 * BLOCK_LENGTH),
    ],
)
def test_a_block_of_the_greatest_values_does_not_overflow_a_sum(
    kind: Kind, value: float, total: int
) -> None:
    """65,536 events of the schema's maximum are added up exactly."""
    accumulator = measured(kind)
    kind_of = np.int64 if kind is Kind.SUM else np.float64
    add(accumulator, numbers([value] * BLOCK_LENGTH, kind_of), [0] * BLOCK_LENGTH)
    assert shown(accumulator) == total


@pytest.mark.parametrize("value", [10**18, 2**32 - 1, 2**32, 2**63 // 10**6 + 1, 1, -1, -(10**18)])
def test_a_block_of_the_greatest_byte_counts_is_exact(value: int) -> None:
    """65,536 times 10^18 bytes, in millionths, is beyond 64 bits, and exact."""
    accumulator = measured(Kind.DECIMAL_SUM)
    add(accumulator, numbers([value] * BLOCK_LENGTH, np.int64), [0] * BLOCK_LENGTH)
    assert shown(accumulator) == Decimal(value * BLOCK_LENGTH)


@pytest.mark.parametrize("value", [1e9, -1e9, -1e-6, 0.0])
def test_a_block_of_the_greatest_conversions_is_exact(value: float) -> None:
    """Sum and sum of squares of 65,536 values of 10^9, in millionths, are exact."""
    total, squares = measured(Kind.DECIMAL_SUM), measured(Kind.SUM_OF_SQUARES)
    whole = round(value * 1e6)
    for accumulator in (total, squares):
        add(accumulator, numbers([value] * BLOCK_LENGTH), [0] * BLOCK_LENGTH)
    assert shown(total) == _whole(whole * BLOCK_LENGTH, 6)
    assert shown(squares) == _whole(whole**2 * BLOCK_LENGTH, 12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(-(10**18), 10**18), max_size=30))
def test_sums_of_whole_numbers_are_pythons(values: list[int]) -> None:
    """Whole numbers of any sign and size that a schema lets in, in millionths."""
    accumulator = measured(Kind.DECIMAL_SUM)
    add(accumulator, numbers(values, np.int64), [0] * len(values))
    assert shown(accumulator) == Decimal(sum(values))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.floats(-1e9, 1e9), st.none()), max_size=30))
def test_sums_and_squares_of_floats_are_pythons(values: list[float | None]) -> None:
    """Each value is rounded to millionths, halves to even; what follows is exact."""
    total, squares = measured(Kind.DECIMAL_SUM), measured(Kind.SUM_OF_SQUARES)
    for accumulator in (total, squares):
        add(accumulator, numbers(values), [0] * len(values))
    whole = [round(value * 1e6) for value in values if value is not None]
    assert shown(total) == _whole(sum(whole), 6)
    assert shown(squares) == _whole(sum(value**2 for value in whole), 12)


def test_millionths_round_halves_to_even() -> None:
    """Half a microsecond is none, one and a half are two."""
    assert micros(numbers([5e-7, 1.5e-6, 2.5e-6, -5e-7, -1.5e-6])).tolist() == [0, 2, 2, 0, -2]
    assert micros(numbers([3], np.int64)).tolist() == [3_000_000]


def test_whole_numbers_and_floats_add_up_in_one_sum() -> None:
    """Metrics of both kinds share an accumulator: both are kept in millionths."""
    accumulator = measured(Kind.DECIMAL_SUM)
    add(accumulator, numbers([2], np.int64), [0])
    add(accumulator, numbers([0.5, None]), [0, 0])
    add(accumulator, numbers([10**18], np.int64), [1])
    assert shown(accumulator) == Decimal("2.5")
    assert shown(accumulator, 1) == Decimal(10**18)


@pytest.mark.parametrize(
    ("name", "field", "kind", "value"),
    [
        ("conversion_aggregate", "value_sum", Kind.DECIMAL_SUM, -1e9),
        ("conversion_aggregate", "value_sum_of_squares", Kind.SUM_OF_SQUARES, 1e9),
        ("resource_aggregate", "value_sum", Kind.DECIMAL_SUM, 1e12),
    ],
)
def test_the_greatest_decimals_fit_their_schema(
    name: str, field: str, kind: Kind, value: float
) -> None:
    """decimal(38, s) takes a block of the greatest values, and gives back the same number."""
    accumulator = measured(kind)
    add(accumulator, numbers([value] * BLOCK_LENGTH), [0] * BLOCK_LENGTH)
    texts = ("signal", "experiment", "variant", "metric", "topic_id", "host", "device")
    whole = ("window_start", "window_seconds", "partition", "block", "first_offset", "version")
    row: dict[str, Any] = dict.fromkeys(texts, "")
    row |= dict.fromkeys((*whole, "conversions", "samples", "value_min", "value_max"), 0)
    row |= {"value_sum": Decimal(0), "value_sum_of_squares": Decimal(0)}
    row[field] = shown(accumulator)
    registry = PinnedRegistry()
    assert decode(Encoder(name, registry).encode(row), registry)[field] == row[field]
    assert row[field] != 0


def test_extremes_are_of_each_slot_without_nulls() -> None:
    """Least and greatest value of each slot; a null, which reads as zero, is neither."""
    for kind, expected in ((Kind.MINIMUM, (-3.5, 2.0)), (Kind.MAXIMUM, (-1.5, 7.0))):
        accumulator = measured(kind)
        add(accumulator, numbers([-1.5, None, 7.0, -3.5, 2.0]), [0, 0, 1, 0, 1])
        assert (shown(accumulator), shown(accumulator, 1)) == expected


def test_an_extreme_of_nothing_is_null() -> None:
    """A slot without a value has no extreme; a number in its place would be taken for one."""
    for kind, expected in ((Kind.MINIMUM_OR_NULL, -3.5), (Kind.MAXIMUM_OR_NULL, 2.0)):
        accumulator = measured(kind)
        add(accumulator, numbers([None, -3.5, None, 2.0]), [0, 1, 0, 1])
        assert (shown(accumulator), shown(accumulator, 1)) == (None, expected)


@pytest.mark.parametrize("kind", [Kind.MINIMUM, Kind.MAXIMUM_OR_NULL])
@pytest.mark.parametrize("values", [[0.0, -0.0], [-0.0, 0.0], [-0.0]])
def test_zeros_of_both_signs_are_one(kind: Kind, values: list[float]) -> None:
    """They are equal, so which one came first must not show in the bytes of a row."""
    accumulator = measured(kind)
    add(accumulator, numbers(values), [0] * len(values))
    assert str(shown(accumulator)) == "0.0"


def test_extremes_of_whole_numbers_are_doubles() -> None:
    """A row's least and greatest value are doubles, whatever the metric is."""
    accumulator = measured(Kind.MAXIMUM)
    add(accumulator, numbers([10**18], np.int64), [0])
    assert shown(accumulator) == 1e18
    assert isinstance(shown(accumulator), float)


def test_new_slots_start_from_nothing() -> None:
    """Growing keeps what is there, and a new slot has counted nothing."""
    for kind in (Kind.COUNT, Kind.DECIMAL_SUM, Kind.SUM_OF_SQUARES, Kind.MINIMUM, Kind.MAXIMUM):
        accumulator = measured(kind)
        add(accumulator, numbers([3.0]), [63])
        before = shown(accumulator, 63)
        accumulator.grow(128)
        add(accumulator, numbers([3.0]), [127])
        assert accumulator.show(np.array([63, 127]))["x"] == [before, before]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.one_of(st.none(), st.text("aé\0🜁", max_size=3))),
        max_size=40,
    ),
    st.integers(0, 40),
)
def test_a_tally_counts_texts_sorted(rows: list[tuple[int, str | None]], cut: int) -> None:
    """Each slot shows its own texts, sorted, with their counts; null is none, empty is one."""
    accumulator = measured(Kind.TALLY)
    for part in (rows[:cut], rows[cut:]):
        raw = [b"" if text is None else text.encode() for _, text in part]
        lengths = [-1 if text is None else len(raw[row]) for row, (_, text) in enumerate(part)]
        starts = np.cumsum([0, *map(len, raw)])[:-1] if part else np.zeros(0)
        column = Text(starts.astype(np.int64), np.array(lengths, np.int64))
        data = np.frombuffer(b"".join(raw), np.uint8)
        accumulator.add(rows_in([slot for slot, _ in part], column, data))
    found = [[text for at, text in rows if at == slot and text is not None] for slot in (0, 2, 3)]
    assert accumulator.show(np.array([0, 2, 3])) == {
        "x": [sorted(set(texts)) for texts in found],
        "n": [[texts.count(text) for text in sorted(set(texts))] for texts in found],
    }


def test_a_tally_of_many_texts_grows() -> None:
    """More texts than fit at first, over twenty slots; counts of before are kept."""
    accumulator = measured(Kind.TALLY)
    raw = [f"error-{number:04d}".encode() for number in range(1000)]
    data = np.frombuffer(b"".join(raw), np.uint8)
    for last in (60, 1000):
        column = Text(np.arange(0, 10 * last, 10), np.full(last, 10))
        accumulator.add(rows_in(np.arange(last, dtype=np.int32) // 50, column, data))
    for slot, counts in ((0, [2] * 50), (1, [2] * 10 + [1] * 40), (19, [1] * 50)):
        texts = [text.decode() for text in raw[50 * slot : 50 * slot + 50]]
        assert accumulator.show(np.array([slot])) == {"x": [texts], "n": [counts]}


@pytest.mark.parametrize("kind", [Kind.SUM, Kind.DECIMAL_SUM, Kind.MINIMUM, Kind.HISTOGRAM])
def test_a_measure_of_numbers_refuses_texts(kind: Kind) -> None:
    """A signal whose field is of the wrong kind is a defect, and said at once."""
    texts = Text(np.zeros(1, np.int64), np.zeros(1, np.int64))
    with pytest.raises(TypeError, match="of numbers"):
        measured(kind).add(rows_in([0], texts))


def test_a_tally_refuses_numbers() -> None:
    """Likewise."""
    with pytest.raises(TypeError, match="of texts"):
        add(measured(Kind.TALLY), numbers([1.0]), [0])


def test_order_does_not_show_in_any_sum() -> None:
    """Shuffled values of very different sizes add up to the same number."""
    rng = random.Random(7)  # noqa: S311  # no secret: test data
    values = [rng.choice([1e9, -1e9, 1e-6, 0.1, -0.3]) for _ in range(1000)]
    results = set()
    for _ in range(5):
        rng.shuffle(values)
        accumulator = measured(Kind.DECIMAL_SUM)
        add(accumulator, numbers(values), [0] * len(values))
        results.add(shown(accumulator))
    assert len(results) == 1
