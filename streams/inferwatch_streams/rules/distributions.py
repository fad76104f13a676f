"""Histograms of groups over one span, and what a measure makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inferwatch_streams.rules.measure import ratio
from inferwatch_streams.statistics.change import quantiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from inferwatch_streams.rules.measure import Floats, Measure
    from inferwatch_streams.rules.selections import Groups, Indexes
    from inferwatch_streams.windows.reading import Totals


@dataclass(frozen=True, slots=True, eq=False)
class Distributions:
    """Histograms of groups over one span.

    Attributes:
        groups: Whose they are.
        counts: Of each group and bin.
        bins: What stands for each bin, ascending.
        value: The quantile, or share, that the measure is.
        samples: Events of each group.
        chosen: Indexes of the groups that are meant; None for all.
    """

    groups: Groups
    counts: NDArray[np.int64]
    bins: Floats
    value: Floats
    samples: NDArray[np.int64]
    chosen: Indexes | None = None


def distributions_of(measure: Measure, totals: Totals) -> Distributions:
    """What is behind a measure that has histograms.

    Raises:
        ValueError: It has none.
    """
    if measure.distribution is None:
        raise ValueError(f"{measure.name} has no histogram.")
    found = measure.distribution(totals)
    samples = found.counts.sum(axis=1)
    if measure.quantile is None:
        value = ratio(found.counts[:, 1].astype(float), samples.astype(float))
    else:
        value = quantiles(found.counts, found.values, measure.quantile)
    return Distributions(totals.groups, found.counts, found.values, value, samples)
