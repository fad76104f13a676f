"""What a table holds against what the oracle says, and in which way the two differ."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
QUOTED = 2


@dataclass(frozen=True)
class Difference:
    """One identity of which a table does not hold what it must.

    Attributes:
        table: Where.
        kind: ``lost``: fewer events than were produced. ``doubled``: more. ``wrong``: as many, but
            another row.
        found: Rows of the identity in the table.
        expected: The oracle's; None where it knows none.
    """

    table: str
    kind: str
    found: tuple[Row, ...]
    expected: Row | None


class DiffersError(AssertionError):
    """The tables do not hold what the oracle says.

    Attributes:
        differences: All of them.
        kinds: In which ways they differ.
    """

    def __init__(self, differences: Sequence[Difference]) -> None:
        self.differences = differences
        self.kinds = frozenset(difference.kind for difference in differences)
        counts = Counter((difference.table, difference.kind) for difference in differences)
        summary = ", ".join(f"{table}: {n} {kind}" for (table, kind), n in sorted(counts.items()))
        quoted = "\n".join(map(str, differences[:QUOTED]))
        super().__init__(f"{summary}\n{quoted}")


@dataclass(frozen=True)
class Table:
    """How the rows of a table are told apart and what they count.

    Attributes:
        name: The table.
        identity: Columns of which no two rows may have the same values.
        measure: Column of how many events a row counts; every row counts one when None.
    """

    name: str
    identity: tuple[str, ...]
    measure: str | None = None

    def differences(self, found: Iterable[Row], expected: Iterable[Row]) -> list[Difference]:
        """All differences of what was found from what the oracle expects."""
        told: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in found:
            told[self._identify(row)].append(row)
        right = {self._identify(row): row for row in expected}
        return [
            Difference(self.name, kind, tuple(told.get(identity, ())), right.get(identity))
            for identity in told.keys() | right.keys()
            if (kind := self._kind(told.get(identity, []), right.get(identity)))
        ]

    def _identify(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[column] for column in self.identity)

    def _kind(self, found: Sequence[Row], expected: Row | None) -> str | None:
        if [expected] == list(found):
            return None
        counted = sum(self._count(row) for row in found)
        due = 0 if expected is None else self._count(expected)
        if counted < due:
            return "lost"
        return "doubled" if counted > due or len(found) > 1 else "wrong"

    def _count(self, row: Row) -> int:
        return 1 if self.measure is None else int(row[self.measure])
