"""Which groups conditions choose, and where groups stand in others: kept from tick to tick."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from inferwatch_streams.alerts.matcher import Matcher

Groups = tuple[tuple[str, ...], ...]
Indexes = NDArray[np.intp]


class _Column:
    """One dimension of groups: its values, and the number of each group's value."""

    def __init__(self, groups: Groups, place: int) -> None:
        numbers: dict[str, int] = {}
        self.codes: Indexes = np.fromiter(
            (numbers.setdefault(group[place], len(numbers)) for group in groups), np.intp
        )
        self._numbers = numbers

    def that(self, matcher: Matcher) -> NDArray[np.bool_]:
        """Which values fulfil a condition."""
        holds = np.full(len(self._numbers), matcher.operator == "!=")
        if matcher.operator in {"=", "!="}:
            number = self._numbers.get(matcher.value)
            if number is not None:
                holds[number] = matcher.operator == "="
            return holds
        for value, number in self._numbers.items():
            holds[number] = matcher.matches({matcher.name: value})
        return holds


class Selections:
    """Indexes that are found in a loop over groups, once while no group comes or goes.

    Groups come as the same object as long. What was not asked for since the last turn is forgotten.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[tuple[Groups, ...], Indexes]] = {}
        self._columns: dict[tuple[int, int], tuple[Groups, _Column]] = {}
        self._before = self._kept

    def turn(self) -> None:
        """Begin another tick."""
        self._before, self._kept = self._kept, {}
        self._columns = {}

    def chosen(
        self, dimensions: tuple[str, ...], groups: Groups, where: tuple[Matcher, ...]
    ) -> Indexes:
        """Indexes of the groups that fulfil all conditions, which are on these dimensions."""

        def find() -> Indexes:
            holds = np.ones(len(groups), np.bool_)
            for matcher in where:
                column = self._column(groups, dimensions.index(matcher.name))
                # A condition is held to each value once, however many groups have it.
                holds &= column.that(matcher)[column.codes]
            return np.flatnonzero(holds)

        return self.found((dimensions, where), (groups,), find)

    def _column(self, groups: Groups, place: int) -> _Column:
        known = self._columns.get((place, id(groups)))
        # The groups are kept with it, as an id may be given again to another object.
        if known is None:
            known = self._columns[place, id(groups)] = groups, _Column(groups, place)
        return known[1]

    def positions(self, groups: Groups, others: Groups) -> Indexes:
        """Where each group stands among others; -1 where it does not."""

        def find() -> Indexes:
            if groups is others:
                return np.arange(len(groups))
            standing = {group: index for index, group in enumerate(others)}
            return np.fromiter((standing.get(group, -1) for group in groups), np.intp)

        return self.found("positions", (groups, others), find)

    def found(self, key: Hashable, of: tuple[Groups, ...], find: Callable[[], Indexes]) -> Indexes:
        """What was found of groups under a key, or is found now."""
        named = (key, *map(id, of))
        known = self._kept.get(named) or self._before.get(named)
        # The groups are kept with it, as an id may be given again to another object.
        if known is None:
            known = (of, find())
        self._kept[named] = known
        return known[1]
