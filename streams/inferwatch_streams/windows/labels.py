"""The labels of counts as small numbers: bins of histograms, texts of tallies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_streams.blocks.histogram import bin_value
from inferwatch_streams.signals import OTHER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Texts of one tally that are told apart; what comes beyond counts as ``OTHER``. A service that
#: puts an id into each error's type would otherwise fill the memory (docs/decisions/0016).
MAX_TEXTS: Final = 10_000
#: Bins are numbers of 16 bits (``blocks/histogram.py``).
LEAST_BIN: Final = -(2**15)
MOST_BINS: Final = 2**16


class BinLabels:
    """The bins that came so far, numbered as they came: few of 65,536 ever do."""

    def __init__(self) -> None:
        self._columns = np.full(MOST_BINS, -1, np.int32)
        self._bins: list[int] = []

    def __len__(self) -> int:
        return len(self._bins)

    def columns(self, bins: NDArray[np.int64]) -> NDArray[np.int32]:
        """Number of each bin; bins are of 16 bits."""
        found = self._columns[bins - LEAST_BIN]
        if len(found) and found.min() < 0:
            for new in np.unique(bins[found < 0]).tolist():
                self._columns[new - LEAST_BIN] = len(self._bins)
                self._bins.append(new)
            found = self._columns[bins - LEAST_BIN]
        return found

    def bins(self) -> NDArray[np.int64]:
        """The bin of each number."""
        return np.array(self._bins, np.int64)

    def values(self, columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """What stands for each bin, by number."""
        return np.array([bin_value(self._bins[k]) for k in columns.tolist()], np.float64)


class TextLabels:
    """The texts that came so far, numbered as they came, up to ``MAX_TEXTS``.

    Attributes:
        texts: The text of each number.
    """

    def __init__(self, first: Sequence[str] = ()) -> None:
        self.texts: list[str] = []
        self._numbers: dict[bytes, int] = {}
        for text in (OTHER, *first):
            self.number(text.encode())

    def __len__(self) -> int:
        return len(self.texts)

    def number(self, text: bytes) -> int:
        """Number of a text in UTF-8."""
        found = self._numbers.get(text)
        if found is None:
            if len(self.texts) >= MAX_TEXTS:
                return 0
            found = self._numbers[text] = len(self.texts)
            self.texts.append(text.decode())
        return found

    def find(self, text: str) -> int | None:
        """Number of a text, None where it never came."""
        return self._numbers.get(text.encode())
