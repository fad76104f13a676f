"""What rules read: the totals of groups over a span of event time.

The live store of the rules worker and the store that a backtest fills from ClickHouse answer alike,
so that the same rules run in the present and in the past.

Measures are named by the rows' fields: a number by its own (``requests``, ``duration_micros``,
``value_min``), a histogram by its field of counts (``duration_bin_counts``), and the events of one
text of a tally by field and text (``error_types:circuit_open``). Of a tally all texts are too many,
so that they are given only where they are named. Decimals (``value_sum``) are in their own unit,
sums of squares in the square of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from inferwatch_streams.alerts.matcher import Matcher


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Exponential histograms of groups, base 2^(1/32), over one span (``blocks/histogram.py``).

    Attributes:
        counts: Events of each group and bin, (groups, bins).
        values: What stands for each bin, ascending; 0.0 for the bin of zeros.
    """

    counts: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """Groups over one span.

    Attributes:
        dimensions: Names of the dimensions that groups are told apart by.
        groups: Values of these dimensions, one tuple a group. The same object again for the same
            question while no group came or went, so that what is made of it can be kept.
        measures: By name, one value a group: counts and sums (of money, durations and scores in
            millionths, as in the rows), 0 where there is none; minima and maxima NaN.
        histograms: By name of the row's field of counts (``duration_bin_counts``).
    """

    dimensions: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    measures: Mapping[str, NDArray[np.float64]]
    histograms: Mapping[str, Bins]


class Windows(Protocol):
    """Aggregate rows, read over spans. Times are microseconds of event time since 1970 (UTC)."""

    def totals(  # noqa: PLR0913  # a question has so many parts
        self,
        signal: str,
        start: int,
        end: int,
        by: tuple[str, ...],
        where: tuple[Matcher, ...] = (),
        *,
        measures: tuple[str, ...] | None = None,
    ) -> Totals:
        """Totals over [start, end) of the groups that match; a group stays while any slot has it.

        Bounds fall on slots: 10 seconds near the present, a minute and an hour further back. The
        slot that holds ``start`` counts whole, and the slot that holds ``end`` with what it has.

        Args:
            signal: Name and version: ``requests.v1``.
            start: Where the span begins.
            end: Where it ends.
            by: Dimensions to keep; groups that differ only in others are added up.
            where: Conditions on dimensions.
            measures: Numbers, histograms and texts of tallies that are wanted; all numbers and
                histograms when None.

        Raises:
            ValueError: The signal has no such dimension or measure.
        """
        ...

    def last_seen(
        self, signal: str, by: tuple[str, ...], where: tuple[Matcher, ...] = ()
    ) -> Mapping[tuple[str, ...], int]:
        """Start of the newest window in which each group had an event."""
        ...
