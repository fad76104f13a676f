"""An answer to a question of rules, from the sums of one signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_streams.windows.labels import BinLabels, TextLabels
from inferwatch_streams.windows.layout import Merge
from inferwatch_streams.windows.reading import Bins, Totals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inferwatch_streams.alerts.matcher import Matcher
    from inferwatch_streams.windows.contents import Contents
    from inferwatch_streams.windows.groups import Grouping

#: Between a tally and the label that is asked for: ``error_types:circuit_open``.
LABEL: Final = ":"
_REDUCTIONS: Final = {Merge.ADD: np.add, Merge.LEAST: np.fmin, Merge.GREATEST: np.fmax}


def answer(  # noqa: PLR0913, PLR0917  # a question has so many parts
    contents: Contents,
    first: int,
    end: int,
    by: tuple[str, ...],
    where: tuple[Matcher, ...],
    wanted: tuple[str, ...] | None,
) -> Totals:
    """Totals of the windows from first up to end; see ``Windows``.

    Raises:
        ValueError: A dimension or measure is none of the signal's.
    """
    layout = contents.layout
    grouping = contents.groups.grouping(by, where)
    places = {value.name: k for k, value in enumerate(layout.values)}
    lists = {each.name: k for k, each in enumerate(layout.counts)}
    if wanted is None:
        wanted = (*places, *(each.name for each in layout.counts if not each.text))
    measures: dict[str, NDArray[np.float64]] = {}
    histograms: dict[str, Bins] = {}
    for name in wanted:
        tally, separator, label = name.partition(LABEL)
        if name in places:
            k = places[name]
            column = contents.values(first, end)[:, k]
            merged = grouping.reduce(_REDUCTIONS[layout.values[k].merge], column)
            measures[name] = (
                merged if layout.values[k].unit == 1.0 else merged / layout.values[k].unit
            )
        elif name in lists and not layout.counts[lists[name]].text:
            histograms[name] = _bins(contents, lists[name], first, end, grouping)
        elif separator and tally in lists and layout.counts[lists[tally]].text:
            measures[name] = _label(contents, lists[tally], label, first, end, grouping)
        else:
            known = ", ".join((*places, *lists))
            raise ValueError(f"{layout.signal} has no measure {name}; it has {known}")
    return Totals(by, grouping.names, measures, histograms)


def _label(  # noqa: PLR0913, PLR0917  # as answer
    contents: Contents, index: int, text: str, first: int, end: int, grouping: Grouping
) -> NDArray[np.float64]:
    labels = contents.labels[index]
    assert isinstance(labels, TextLabels)  # noqa: S101  # the layout says so
    number = labels.find(text)
    if number is None:
        return np.zeros(len(grouping.names))
    return grouping.reduce(np.add, contents.count_of(index, number, first, end))


def _bins(contents: Contents, index: int, first: int, end: int, grouping: Grouping) -> Bins:
    labels = contents.labels[index]
    assert isinstance(labels, BinLabels)  # noqa: S101  # the layout says so
    counts = grouping.reduce(np.add, contents.counts(index, first, end))
    used = np.flatnonzero(counts.any(axis=0))
    used = used[np.argsort(labels.bins()[used])]
    return Bins(counts[:, used], labels.values(used))
