"""Which groups conditions choose, and where groups stand in others: kept from tick to tick."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inferwatch_streams.alerts.matcher import all_match

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from inferwatch_streams.alerts.matcher import Matcher

Groups = tuple[tuple[str, ...], ...]
Indexes = NDArray[np.intp]


class Selections:
    """Indexes that are found in a loop over groups, once while no group comes or goes.

    Groups come as the same object as long. What was not asked for since the last turn is forgotten.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[tuple[Groups, ...], Indexes]] = {}
        self._before = self._kept

    def turn(self) -> None:
        """Begin another tick."""
        self._before, self._kept = self._kept, {}

    def chosen(
        self, dimensions: tuple[str, ...], groups: Groups, where: tuple[Matcher, ...]
    ) -> Indexes:
        """Indexes of the groups that fulfil all conditions."""
        return self.found(
            (dimensions, where),
            (groups,),
            lambda: (
                index
                for index, group in enumerate(groups)
                if all_match(where, dict(zip(dimensions, group, strict=True)))
            ),
        )

    def positions(self, groups: Groups, others: Groups) -> Indexes:
        """Where each group stands among others; -1 where it does not."""

        def find() -> Iterable[int]:
            if groups is others:
                return range(len(groups))
            standing = {group: index for index, group in enumerate(others)}
            return (standing.get(group, -1) for group in groups)

        return self.found("positions", (groups, others), find)

    def found(
        self, key: Hashable, of: tuple[Groups, ...], find: Callable[[], Iterable[int]]
    ) -> Indexes:
        """What was found of groups under a key, or is found now."""
        named = (key, *map(id, of))
        known = self._kept.get(named) or self._before.get(named)
        # The groups are kept with it, as an id may be given again to another object.
        if known is None:
            known = (of, np.fromiter(find(), np.intp))
        self._kept[named] = known
        return known[1]
