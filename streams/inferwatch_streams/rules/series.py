"""A measure of groups over many spans: what forecasts and anomalies look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inferwatch_streams.alerts.matcher import Matcher
    from inferwatch_streams.rules.measure import Floats
    from inferwatch_streams.rules.spans import Span
    from inferwatch_streams.rules.tick import Tick, Values


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Values of groups over spans.

    Attributes:
        newest: The newest span's, with the groups.
        values: (groups, spans), oldest first; NaN where there is none.
        samples: (groups, spans).
    """

    newest: Values
    values: Floats
    samples: NDArray[np.float64]


def series(
    tick: Tick, measure: str, spans: list[Span], by: tuple[str, ...], where: tuple[Matcher, ...]
) -> Series:
    """A measure over spans, oldest first. Before a group's first event it has no values, not 0."""
    columns = [tick.measured(measure, span, by, where) for span in spans]
    newest = columns[-1]
    values, samples = [], []
    for each in columns:
        positions = tick.selections.positions(newest.groups, each.groups)
        # What is not there has position -1, the last.
        values.append(np.append(each.value, np.nan)[positions])
        samples.append(np.append(each.samples, 0.0)[positions])
    known = np.stack(samples, axis=1)
    began = np.cumsum(known, axis=1) > 0
    return Series(newest, np.where(began, np.stack(values, axis=1), np.nan), known)
