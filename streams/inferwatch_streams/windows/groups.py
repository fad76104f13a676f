"""The groups of one signal: their dimensions, when they were seen last, and as rules group them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inferwatch_streams.alerts.matcher import all_match
from inferwatch_streams.windows.table import NEVER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inferwatch_streams.alerts.matcher import Matcher

FIRST_ROOM: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Groups as one question tells them apart.

    Attributes:
        names: Values of the dimensions asked for, ascending.
        members: Groups that match, ascending by the name that they go to.
        begins: Where the members of each name begin among them.
        whole: Whether each name has one member, so that nothing is to be added up.
    """

    names: tuple[tuple[str, ...], ...]
    members: NDArray[np.int64]
    begins: NDArray[np.int64]
    whole: bool

    def reduce(self, merge: np.ufunc, each: NDArray[Any]) -> NDArray[Any]:
        """What is known of each number of a group, merged to one a name."""
        members: NDArray[Any] = each[self.members]
        if self.whole:
            return members
        return merge.reduceat(members, self.begins, axis=0)


class Groups:
    """Numbers for groups; a number is used again when its group was forgotten.

    Attributes:
        dimensions: Names of the dimensions.
        changes: Raised when groups come or go.
        names: Dimensions of each number.
        newest: Number of the newest window in which each group had an event; ``NEVER`` in a free
            number's place.
    """

    def __init__(self, dimensions: tuple[str, ...]) -> None:
        self.dimensions = dimensions
        self.changes = 0
        self.newest = np.full(FIRST_ROOM, NEVER)
        self.names: list[tuple[str, ...]] = []
        self._numbers: dict[tuple[str, ...], int] = {}
        self._free: list[int] = []
        self._groupings: dict[tuple[tuple[str, ...], tuple[Matcher, ...]], Grouping] = {}
        self._of_changes = 0

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def room(self) -> int:
        """Above every number in use."""
        return len(self.names)

    def number(self, names: tuple[str, ...]) -> int:
        """Number of a group, a new one where it has none; the group comes when it is seen."""
        found = self._numbers.get(names)
        if found is None:
            if self._free:
                found = self._free.pop()
                self.names[found] = names
            else:
                found = len(self.names)
                self.names.append(names)
            self._numbers[names] = found
            if found >= len(self.newest):
                more = np.full(len(self.newest), NEVER)
                self.newest = np.concatenate([self.newest, more])
        return found

    def see(self, groups: NDArray[np.int32], newest: NDArray[np.int64]) -> None:
        """Note windows in which groups had an event."""
        self.changes += bool((self.newest[groups] == NEVER).any())
        np.maximum.at(self.newest, groups, newest)

    def forget_before(self, window: int) -> int:
        """Forget groups without an event since a window; their rows must be gone.

        Returns:
            How many.
        """
        gone = [
            (names, number) for names, number in self._numbers.items()
            if self.newest[number] < window
        ]  # fmt: skip
        for names, number in gone:
            del self._numbers[names]
            self._free.append(number)
            self.newest[number] = NEVER
        if gone:
            self.changes += 1
        return len(gone)

    def grouping(self, by: tuple[str, ...], where: tuple[Matcher, ...]) -> Grouping:
        """The groups that match, told apart by some dimensions; kept while none comes or goes.

        Raises:
            ValueError: There is no such dimension.
        """
        if self._of_changes != self.changes:
            self._groupings.clear()
            self._of_changes = self.changes
        found = self._groupings.get((by, where))
        if found is None:
            found = self._groupings[by, where] = self._grouped(by, where)
        return found

    def _grouped(self, by: tuple[str, ...], where: tuple[Matcher, ...]) -> Grouping:
        asked = {*by, *(matcher.name for matcher in where)}
        if unknown := sorted(asked - set(self.dimensions)):
            raise ValueError(f"no dimensions of this signal: {', '.join(unknown)}")
        places = [self.dimensions.index(name) for name in by]
        members: dict[tuple[str, ...], list[int]] = {}
        for names, number in self._numbers.items():
            if self.newest[number] == NEVER:
                continue
            if not where or all_match(where, dict(zip(self.dimensions, names, strict=True))):
                members.setdefault(tuple(names[k] for k in places), []).append(number)
        ordered = sorted(members.items())
        sizes = np.array([len(numbers) for _, numbers in ordered], np.int64)
        return Grouping(
            tuple(names for names, _ in ordered),
            np.array([number for _, numbers in ordered for number in numbers], np.int64),
            np.cumsum(sizes) - sizes,
            bool((sizes == 1).all()),
        )
