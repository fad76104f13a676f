"""One measure: how a number, or the histogram behind it, is made of totals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from inferwatch_streams.signals import (
    CONVERSION_SIGNAL,
    EVALUATION_SIGNAL,
    EXPOSURE_SIGNAL,
    REQUEST_SIGNAL,
    RESOURCE_SIGNAL,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferwatch_streams.alerts.matcher import Matcher
    from inferwatch_streams.signals import Signal
    from inferwatch_streams.windows.reading import Bins, Totals

Floats = NDArray[np.float64]

SIGNALS: Final[Mapping[str, Signal]] = {
    "requests": REQUEST_SIGNAL,
    "resources": RESOURCE_SIGNAL,
    "evaluations": EVALUATION_SIGNAL,
    "exposures": EXPOSURE_SIGNAL,
    "conversions": CONVERSION_SIGNAL,
}
"""Signals by the name that rules call them by."""
#: The field of a signal's rows that counts its events.
EVENTS: Final = {
    "requests": "requests",
    "resources": "samples",
    "evaluations": "evaluations",
    "exposures": "exposures",
    "conversions": "conversions",
}


def dimensions_of(signal: str) -> tuple[str, ...]:
    """Names of the dimensions of a signal's groups."""
    found = SIGNALS[signal]
    names = tuple(dimension.name for dimension in found.dimensions)
    return (*names, "metric") if found.unpivot else names


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measure:
    """One measure.

    Attributes:
        name: As rules name it.
        signal: Whose totals it is made of, a key of ``SIGNALS``.
        unit: What a value is in: a key of ``texts.UNITS``.
        about: One line for people.
        fields: Of the totals, those it needs.
        value: From totals over so many seconds, one value a group.
        samples: How many events the value of each group is made of.
        where: What belongs to its name: the metric of resources, the kind of evaluations.
        distribution: The histogram behind it, where there is one; a share is one of two bins.
        quantile: With a histogram, which of its quantiles the value is; None of a share.
        over: Name of the measure that it is divided by, of the same dimensions.
        grows: Whether its value is that of the events that came in the span, so that it is low
            where a group began within it.
    """

    name: str
    signal: str
    unit: str
    about: str
    fields: tuple[str, ...]
    value: Callable[[Totals, float], Floats]
    samples: Callable[[Totals], Floats]
    where: tuple[Matcher, ...] = ()
    distribution: Callable[[Totals], Bins] | None = None
    quantile: float | None = None
    over: str | None = None
    grows: bool = False


def ratio(part: Floats, whole: Floats) -> Floats:
    """Element by element; NaN where the whole is zero."""
    found: Floats = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole != 0)
    return found


def share_above(bins: Bins, bound: float) -> Floats:
    """Share of each group's values above a bound, to the bins' 1.1 %; NaN without values."""
    above = bins.counts[:, bins.values > bound].sum(axis=1)
    return ratio(above, bins.counts.sum(axis=1))
