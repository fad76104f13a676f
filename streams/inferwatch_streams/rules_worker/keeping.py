"""The windows of the rules, and how they outlive this worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferwatch_streams.windows.store import WindowStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inferwatch_schemas.columnar.chunk import Assignment, Chunk, TopicPartition
    from inferwatch_schemas.columnar.reader import BadRecord, Part


class WindowKeeper:
    """Rows of the aggregates as windows.

    Attributes:
        windows: What rules read.
    """

    def __init__(self) -> None:
        self.windows = WindowStore()

    async def load(self, assignments: Mapping[TopicPartition, Assignment]) -> int | None:
        """Begin anew; the event time up to which rules have looked, None where nobody knows."""
        del assignments
        self.windows = WindowStore()
        return None

    def take(self, chunk: Chunk, parts: Sequence[Part], bad: list[BadRecord]) -> None:
        """See ``WindowStore.take``."""
        self.windows.take(chunk, parts, bad)

    async def checkpoint(self, evaluated_until: int | None) -> Mapping[TopicPartition, int]:
        """Write down what is needed after a restart, and from where each partition is read then."""
        del evaluated_until
        return {}
