"""One evaluation: windows at a time, and what several rules read alike, read once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inferwatch_streams.rules.distributions import Distributions, distributions_of
from inferwatch_streams.rules.finding import Finding
from inferwatch_streams.rules.measure import SIGNALS, Floats, dimensions_of, ratio
from inferwatch_streams.rules.measures import MEASURES, events
from inferwatch_streams.rules.selections import Groups, Indexes, Selections
from inferwatch_streams.rules.spans import PAST, Span, past_span, slot_before, span_until

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from inferwatch_streams.alerts.matcher import Matcher
    from inferwatch_streams.rules.completeness import Gaps
    from inferwatch_streams.rules.definition import Rule
    from inferwatch_streams.rules.measure import Measure
    from inferwatch_streams.windows.reading import Totals, Windows


MOST_DISTRIBUTIONS: Final = 8
"""Histograms of a thousand groups are a few megabytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """A measure of groups over one span.

    Attributes:
        dimensions: Names of the groups' dimensions.
        groups: Values of these dimensions.
        value: One a group; NaN where there is none.
        samples: How many events it was made of.
        chosen: Indexes of the groups that are meant; None for all.
    """

    dimensions: tuple[str, ...]
    groups: Groups
    value: Floats
    samples: Floats
    chosen: Indexes | None = None

    def indexes(self, holds: NDArray[np.bool_], min_samples: int) -> list[int]:
        """Which of the groups that are meant fulfil a condition, and have enough samples."""
        holds = holds & (self.samples >= min_samples)
        if self.chosen is None:
            found: list[int] = np.flatnonzero(holds).tolist()
        else:
            found = self.chosen[holds[self.chosen]].tolist()
        return found

    def finding(self, rule: Rule, index: int, threshold: float, **details: Any) -> Finding:
        """What a rule found of one group."""
        return Finding(
            labels=labels_of(rule, self.dimensions, self.groups[index]),
            value=float(self.value[index]),
            threshold=threshold,
            samples=int(self.samples[index]),
            details=details,
        )


def labels_of(rule: Rule, dimensions: tuple[str, ...], group: tuple[str, ...]) -> dict[str, str]:
    """Labels of a finding: its group's dimensions, and what the rule adds."""
    return {**dict(zip(dimensions, group, strict=True)), **dict(rule.labels)}


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """When the newest window of each group began.

    Attributes:
        groups: Values of their dimensions.
        starts: In microseconds since 1970.
        chosen: Indexes of the groups that are meant.
    """

    groups: Groups
    starts: NDArray[np.int64]
    chosen: Indexes


class Tick:
    """What rules are evaluated on.

    Attributes:
        windows: Where totals come from.
        at: Event time of the evaluation, in microseconds since 1970.
        gaps: Where missing events are known from, if anywhere.
        selections: What is kept from tick to tick of groups.
    """

    def __init__(
        self,
        windows: Windows,
        at: int,
        gaps: Gaps | None = None,
        selections: Selections | None = None,
    ) -> None:
        self.windows = windows
        self.at = at
        self.gaps = gaps
        self.selections = selections or Selections()
        self._values: dict[Hashable, Values] = {}
        self._distributions: dict[Hashable, Distributions] = {}
        self._seen: dict[Hashable, tuple[Groups, NDArray[np.int64]]] = {}

    def until_now(self, window: int) -> Span:
        """The span of a window that ends now."""
        return span_until(self.at, window)

    def earlier(self, past: int, window: int) -> Span:
        """The span of a window that ended so long ago, and before the window that ends now."""
        return past_span(self.at, past, window)

    def last_seen(self, signal: str, by: tuple[str, ...], where: tuple[Matcher, ...]) -> Seen:
        """When the groups of a signal that fulfil conditions had their newest window."""
        asked = tuple(matcher for matcher in where if matcher.name not in by)
        key = (signal, by, asked)
        known = self._seen.get(key)
        if known is None:
            found = self.windows.last_seen(SIGNALS[signal].name, by, asked)
            starts = np.fromiter(found.values(), np.int64, len(found))
            known = self._seen[key] = tuple(found), starts
        groups, starts = known
        return Seen(groups, starts, self._chosen(by, groups, where))

    def earlier_events(
        self, signal: str, until: int, by: tuple[str, ...] = (), where: tuple[Matcher, ...] = ()
    ) -> Values:
        """How many events each group had from as far back as is known up to a time."""
        end = slot_before(self.at, until)
        return self.values(events(signal), Span(self.at - PAST, end), by, where)

    def measured(
        self, name: str, span: Span, by: tuple[str, ...], where: tuple[Matcher, ...] = ()
    ) -> Values:
        """A measure, by its name."""
        return self.values(MEASURES[name], span, by, where)

    def values(
        self, measure: Measure, span: Span, by: tuple[str, ...], where: tuple[Matcher, ...] = ()
    ) -> Values:
        """A measure of the groups that fulfil conditions; the same question is asked once.

        Conditions on dimensions that groups are told apart by choose among the groups that all
        rules read; only others are asked of the windows.
        """
        asked = tuple(matcher for matcher in where if matcher.name not in by)
        key = (measure.name, span, by, asked)
        values = self._values.get(key)
        if values is None:
            values = self._values[key] = self._computed(measure, span, by, asked)
        if len(asked) == len(where):
            return values
        return replace(values, chosen=self._chosen(by, values.groups, where))

    def _chosen(self, by: tuple[str, ...], groups: Groups, where: tuple[Matcher, ...]) -> Indexes:
        """Of groups for which the windows were asked, those that the other conditions choose."""
        chosen = tuple(matcher for matcher in where if matcher.name in by)
        return self.selections.chosen(by, groups, chosen)

    def distributions(
        self, measure: str, span: Span, by: tuple[str, ...], where: tuple[Matcher, ...]
    ) -> Distributions:
        """The histograms behind a measure that has one. Of these, only a few are kept."""
        found = MEASURES[measure]
        asked = tuple(matcher for matcher in where if matcher.name not in by)
        key = (measure, span, by, asked)
        known = self._distributions.pop(key, None)
        if known is None:
            totals = self._totals(found, span, by, asked)
            known = distributions_of(found, totals)
        while len(self._distributions) >= MOST_DISTRIBUTIONS:
            self._distributions.pop(next(iter(self._distributions)))
        self._distributions[key] = known
        return replace(known, chosen=self._chosen(by, known.groups, where))

    def _totals(
        self, measure: Measure, span: Span, by: tuple[str, ...], where: tuple[Matcher, ...]
    ) -> Totals:
        return self.windows.totals(
            SIGNALS[measure.signal].name,
            span.start,
            span.end,
            by,
            (*measure.where, *where),
            measures=measure.fields,
        )

    def _computed(
        self, measure: Measure, span: Span, by: tuple[str, ...], where: tuple[Matcher, ...]
    ) -> Values:
        totals = self._totals(measure, span, by, where)
        value, samples = measure.value(totals, span.seconds), measure.samples(totals)
        if measure.over is not None:
            whole = MEASURES[measure.over]
            known = dimensions_of(whole.signal)
            others = self.values(
                whole, span, by, tuple(each for each in where if each.name in known)
            )
            value, samples = self._divided(totals.groups, value, others)
        return Values(totals.dimensions, totals.groups, value, samples)

    def _divided(self, groups: Groups, value: Floats, others: Values) -> tuple[Floats, Floats]:
        where = self.selections.positions(groups, others.groups)
        if not len(others.groups):
            return np.full(len(groups), np.nan), np.zeros(len(groups))
        present = where >= 0
        samples = np.where(present, others.samples[where], 0.0)
        return ratio(value, np.where(present, others.value[where], 0.0)), samples
