"""The blocks of one partition under way: pure, one a partition and assignment.

    floor                          position
      |                               |
      v                               v
  ----[ closed ][ closed ][ open ......   (offsets)

Everything below the floor has been acknowledged by the broker, row by row. The floor is always a
block's start, so that whoever reads on from it counts every block from its start.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from inferwatch_streams.blocks.block import Block
from inferwatch_streams.rows.row_format import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inferwatch_schemas.columnar.chunk import Assignment, Chunk
    from inferwatch_schemas.columnar.reader import Part
    from inferwatch_streams.rows.row_format import Columns
    from inferwatch_streams.signals import Signal


class PartitionBlocks:
    """Counts the chunks of one partition.

    Attributes:
        topic_id: Kafka's id of the topic.
        partition: Partition number.
        position: Offset after everything taken in.
    """

    def __init__(
        self,
        assignment: Assignment,
        partition: int,
        signals: tuple[Signal, ...],
        block_length: int,
    ) -> None:
        self.topic_id = assignment.topic_id
        self.partition = partition
        self.position = assignment.start
        self._length = block_length
        self._signals = signals
        # False for good where a chunk was counted by half: an error broke it off.
        self._whole = True
        self._blocks: deque[Block] = deque(
            [Block(assignment.start // block_length, assignment.start, signals)]
        )

    @property
    def floor(self) -> int:
        """Offset from which another reader would have to read to come to the same rows."""
        return self._blocks[0].first_offset

    @property
    def waiting(self) -> int:
        """Closed blocks whose rows have not been acknowledged."""
        return len(self._blocks) - 1

    def add(self, chunk: Chunk, parts: Sequence[Part]) -> None:
        """Count a chunk that begins at the position.

        Raises:
            ValueError: It begins elsewhere: what lies between was not delivered.
        """
        if chunk.start != self.position:
            raise ValueError(f"the chunk begins at {chunk.start}, not at {self.position}")
        self._whole = False
        begin = 0
        while begin < len(chunk):
            number = int(chunk.offsets[begin]) // self._length
            end = int(np.searchsorted(chunk.offsets, (number + 1) * self._length))
            block = self._open(number)
            for part in parts:
                first, last = np.searchsorted(part.rows, [begin, end]).tolist()
                if last > first:
                    block.add(chunk, part, first, last)
            begin = end
        self.position = chunk.end
        self._open(self.position // self._length)
        self._whole = True

    def _open(self, number: int) -> Block:
        """The block under way of that number; the ones before it are closed.

        Blocks whose offsets compaction or transactions left empty are passed over: a hole in the
        offsets, however long, costs nothing.
        """
        if number > self._blocks[-1].number:
            self._blocks.append(Block(number, number * self._length, self._signals))
        return self._blocks[-1]

    def take_changed(self) -> Iterator[tuple[Signal, Place, Columns]]:
        """Rows that changed since the last call, of every block that is under way now.

        Chunks may be added while the rows are taken, between one signal's rows of a block and the
        next. Where one was counted by half, no more rows are given out.
        """
        for block in tuple(self._blocks):
            place = Place(self.topic_id, self.partition, block.number, block.first_offset)
            for signal, columns in block.take_changed(lambda: self._whole):
                yield signal, place, columns

    def acknowledge(self, closed: int) -> None:
        """Forget so many closed blocks: the broker has their rows."""
        for _ in range(closed):
            self._blocks.popleft()

    def mark_all(self) -> None:
        """Make every row count as changed: the broker may not have what was sent."""
        for block in self._blocks:
            block.mark_all()
