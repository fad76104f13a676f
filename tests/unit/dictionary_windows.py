"""Windows kept in plain lists, and read by plain loops: what rules are held against."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from inferwatch_streams.alerts.matcher import Matcher, all_match
from inferwatch_streams.blocks.histogram import bin_indexes, bin_value
from inferwatch_streams.rules.measure import SIGNALS, dimensions_of
from inferwatch_streams.signals import Kind
from inferwatch_streams.windows.reading import Bins, Totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SECOND = 1_000_000
SLOT = 10 * SECOND
NOW = 1_790_000_400 * SECOND
"""Twenty minutes past an hour."""


# It is compiled at the first call, which hypothesis would take for a slow example.
bin_indexes(np.zeros(1))


@dataclass
class Row:
    """One window of one group: fields of the aggregate row, and events of each histogram's bins."""

    group: Mapping[str, str]
    start: int
    fields: Mapping[str, float]
    bins: Mapping[str, Counter[int]] = field(default_factory=dict)


class DictionaryWindows:
    """Rows by signal, as ``Windows``."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = defaultdict(list)
        self._groups: dict[object, tuple[tuple[str, ...], ...]] = {}
        self.asked = 0

    def add(  # a row has these parts
        self,
        signal: str,
        group: Mapping[str, str],
        at: int,
        *,
        durations: Iterable[float] = (),
        first_tokens: Iterable[float] = (),
        **fields: float,
    ) -> None:
        """Add events of a window; dimensions that are not named are empty."""
        whole = {name: group.get(name, "") for name in dimensions_of(signal)}
        bins = {}
        for name, values in (
            ("duration_bin_counts", list(durations)),
            ("first_token_bin_counts", list(first_tokens)),
        ):
            bins[name] = Counter(bin_indexes(np.array(values, float)).tolist())
            count = name.replace("_bin_counts", "s")
            if values:
                fields.setdefault(count, len(values))
        self.rows[SIGNALS[signal].name].append(Row(whole, at // SLOT * SLOT, fields, bins))

    def calls(  # noqa: PLR0913, PLR0917  # a call has these parts
        self,
        group: Mapping[str, str],
        at: int,
        count: int,
        errors: int = 0,
        blocked: int = 0,
        seconds: float = 1.0,
        usd: float = 0.0,
    ) -> None:
        """Add calls of a window, all of one duration."""
        self.add(
            "requests",
            group,
            at,
            durations=[seconds] * count,
            requests=count,
            errors=errors + blocked,
            cost_usd_micros=usd * 1e6,
            **{"error_types:circuit_open": blocked},
        )

    def samples(self, group: Mapping[str, str], at: int, value: float, count: int = 1) -> None:
        """Add samples of a resource in a window, all alike."""
        self.add(
            "resources",
            group,
            at,
            samples=count,
            value_sum=value * count,
            value_min=value,
            value_max=value,
        )

    def totals(  # noqa: PLR0913  # as the protocol
        self,
        signal: str,
        start: int,
        end: int,
        by: tuple[str, ...],
        where: tuple[Matcher, ...] = (),
        *,
        measures: tuple[str, ...] | None = None,
    ) -> Totals:
        """As ``Windows``; all slots are 10 seconds."""
        self.asked += 1
        assert measures is not None
        kinds = _kinds(signal)
        rows = [row for row in self.rows[signal] if all_match(where, row.group)]
        found = tuple(sorted({tuple(row.group[name] for name in by) for row in rows}))
        groups = self._groups.setdefault((signal, by, where), found)
        if groups != found:
            groups = self._groups[signal, by, where] = found
        inside: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in rows:
            if start // SLOT * SLOT <= row.start < end:
                inside[tuple(row.group[name] for name in by)].append(row)
        numbers, histograms = {}, {}
        for name in measures:
            if name in kinds and kinds[name] is Kind.HISTOGRAM:
                histograms[name] = _bins([inside[group] for group in groups], name)
            else:
                assert name in kinds or name.partition(":")[0] in kinds, name
                numbers[name] = np.array(
                    [_merged(kinds.get(name), inside[group], name) for group in groups], float
                )
        return Totals(by, groups, numbers, histograms)

    def last_seen(
        self, signal: str, by: tuple[str, ...], where: tuple[Matcher, ...] = ()
    ) -> dict[tuple[str, ...], int]:
        """As ``Windows``."""
        seen: dict[tuple[str, ...], int] = {}
        for row in self.rows[signal]:
            if all_match(where, row.group):
                group = tuple(row.group[name] for name in by)
                seen[group] = max(seen.get(group, 0), row.start)
        return seen


def _kinds(signal: str) -> dict[str, Kind]:
    found = next(each for each in SIGNALS.values() if each.name == signal)
    return {
        measure.counts if measure.kind is Kind.HISTOGRAM else measure.name: measure.kind
        for measure in found.measures
    }


def _merged(kind: Kind | None, rows: list[Row], name: str) -> float:
    values = [row.fields.get(name, 0.0) for row in rows]
    if kind in {Kind.MINIMUM, Kind.MINIMUM_OR_NULL}:
        return min(values, default=np.nan)
    if kind in {Kind.MAXIMUM, Kind.MAXIMUM_OR_NULL}:
        return max(values, default=np.nan)
    return sum(values)


def _bins(rows: list[list[Row]], name: str) -> Bins:
    merged = [sum((row.bins[name] for row in each), Counter[int]()) for each in rows]
    indexes = sorted({index for counter in merged for index in counter})
    counts = [[counter[index] for index in indexes] for counter in merged]
    return Bins(
        np.array(counts, np.int64).reshape(len(rows), len(indexes)),
        np.array([bin_value(index) for index in indexes]),
    )
