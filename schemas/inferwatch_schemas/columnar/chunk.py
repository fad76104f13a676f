"""A chunk: a run of consecutive records of one partition, still as bytes.

The Faust transport delivers chunks; whoever processes them keeps to ``ChunkProcessor``, from which
the transport learns how far it may commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

TopicPartition = tuple[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Consecutive records of one partition; the arrays hold one element a record.

    Attributes:
        topic: Topic name.
        partition: Partition number.
        start: Position the chunk was read from. At most the first record's offset: compaction and
            control records leave gaps.
        end: Position to read on from, at least the last record's offset plus one.
        data: The record batches' records, decompressed and joined.
        offsets: Kafka offsets, ascending.
        timestamps: Kafka timestamps in milliseconds since 1970.
        record_starts: Where each record begins in data, after its length.
        value_starts: Where its value begins.
        value_ends: Where its value ends (exclusive); -1 for a null value.
        corrupt: Records that stand for a whole record batch which could not be taken apart; the
            value is the batch.
    """

    topic: str
    partition: int
    start: int
    end: int
    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    record_starts: NDArray[np.int64]
    value_starts: NDArray[np.int64]
    value_ends: NDArray[np.int64]
    corrupt: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.offsets)

    def value(self, index: int) -> bytes | None:
        """Value of one record, None for a tombstone."""
        end = int(self.value_ends[index])
        return None if end < 0 else self.data[int(self.value_starts[index]) : end].tobytes()


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where reading of one partition begins after an assignment.

    Attributes:
        topic_id: Kafka's id of the topic.
        start: First offset that will be read.
        lost_from: First offset whose results are not known to be durable. Where it is below start,
            retention has removed the records between before they were processed.
        note: What the application had committed beside the offset; empty where it had nothing.
    """

    topic_id: str
    start: int
    lost_from: int
    note: str = ""


class ChunkProcessor(Protocol):
    """What the transport of chunks asks of a Faust app, as the app's attribute ``processor``.

    Beside it the app has a ``watchdog``, a ``Watchdog``, which the transport shows the partitions.
    """

    @property
    def read_again(self) -> bool:
        """Whether the partitions must be begun anew at their floors: something was lost."""
        ...

    def fetched(self, positions: Mapping[TopicPartition, int]) -> None:
        """Hear how far each partition was fetched; told once a second."""
        ...

    def topic_ids(self, names: frozenset[str]) -> Mapping[str, str]:
        """Kafka's ids of topics, by name; may block, as it is called in a thread."""
        ...

    def assign(self, assignments: Mapping[TopicPartition, Assignment]) -> None:
        """Forget every partition held so far and begin these."""
        ...

    async def drain(self) -> None:
        """Make everything processed so far durable, or give up within a bounded time."""
        ...

    def floors(self) -> Mapping[TopicPartition, int]:
        """Offset from which each partition would have to be read again: what may be committed."""
        ...

    def durable(self) -> Mapping[TopicPartition, int]:
        """Offset up to which each partition's results are durable, its floor or above it."""
        ...
