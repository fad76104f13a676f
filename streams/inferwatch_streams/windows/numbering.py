"""Numbers of texts by their bytes, many at once: what is new among them is looked at, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.arrays import texts_of
from inferwatch_schemas.columnar.reader import Text
from inferwatch_streams.blocks.grouping import Groups
from inferwatch_streams.windows.labels import TextLabels

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from inferwatch_streams.windows.contents import Contents

#: In place of a group's number, where there is none.
NO_GROUP: Final = -1


class Numbering:
    """Remembers what number each text was given."""

    def __init__(self, number: Callable[[bytes], int]) -> None:
        """Begin without texts; number gives one a number, of 32 bits, when it comes first."""
        self._number = number
        self._places = Groups()
        self._numbers = np.empty(0, np.int32)

    def of(self, data: NDArray[np.uint8], column: Text) -> NDArray[np.int32]:
        """Number of each text.

        Args:
            data: Their bytes.
            column: Where they are in them.
        """
        places = self._places.assign(
            data,
            column.starts.reshape(1, -1),
            column.lengths.reshape(1, -1),
            np.zeros(len(column.starts), np.int64),
        )
        known = len(self._numbers)
        if len(self._places) > known:
            # Places are numbered as texts come: each new one is where the highest so far rises.
            highest = np.maximum.accumulate(np.maximum(places, known - 1))
            rows = np.flatnonzero(np.diff(highest, prepend=known - 1))
            starts, lengths = column.starts[rows].tolist(), column.lengths[rows].tolist()
            new = [
                self._number(data[start : start + length].tobytes())
                for start, length in zip(starts, lengths, strict=True)
            ]
            self._numbers = np.concatenate([self._numbers, np.array(new, np.int32)])
        return self._numbers[places]


class SignalNumbers:
    """Groups and labels of one signal, by their bytes in totals.

    Attributes:
        layout: Of the signal.
        labels: Of each of the layout's counts.
        groups: By dimensions, encoded as an array of string; ``NO_GROUP`` where these are not the
            signal's dimensions.
        texts: Of each of the layout's counts, where it is a tally.
    """

    def __init__(self, contents: Contents) -> None:
        """Have the contents number what is new to them."""
        self._known = contents.groups
        self.layout = contents.layout
        self.labels = contents.labels
        self.groups = Numbering(self._group)
        self.texts = tuple(
            Numbering(labels.number) if isinstance(labels, TextLabels) else None
            for labels in contents.labels
        )

    def _group(self, encoded: bytes) -> int:
        whole = Text(np.zeros(1, np.int64), np.array([len(encoded)], np.int64))
        _, names = texts_of(np.frombuffer(encoded, np.uint8), whole)
        if len(names.starts) != len(self.layout.dimensions):
            return NO_GROUP
        places = zip(names.starts.tolist(), names.lengths.tolist(), strict=True)
        return self._known.number(
            tuple(encoded[start : start + length].decode() for start, length in places)
        )
