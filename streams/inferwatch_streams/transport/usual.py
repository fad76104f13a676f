"""A response whose batches are all usual: their records and where they lie, in a few calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inferwatch_streams.transport import inflate
from inferwatch_streams.transport.sweep import (
    CODEC,
    FROM,
    HEADER_BYTES,
    INFLATE,
    INFLATED,
    NEXT,
    ODD,
    ROWS,
    STATE_WIDTH,
    TO,
    USED,
    sweep,
)
from inferwatch_streams.transport.walk import BATCH_WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inferwatch_streams.transport.inflate import Scratch


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """Batches of one response.

    Attributes:
        end: Position to read on from.
        data: Their records, decompressed and joined.
        batches: The table of batches, as ``walk_batches`` takes it.
    """

    end: int
    data: NDArray[np.uint8]
    batches: NDArray[np.int64]


def take_usual(response: bytes, start: int, scratch: Scratch, full: int) -> Taken | None:
    """The batches from an offset on, as many as fill a chunk; None where one of them is odd.

    Args:
        response: Bytes of one partition in a fetch response.
        start: Batches that end at or before this offset are left out.
        scratch: Its contents are lost.
        full: Bytes, compressed and not, at which a chunk is full.
    """
    scratch.clear()
    data = np.frombuffer(response, np.uint8)
    batches = np.empty((len(data) // HEADER_BYTES + 1, BATCH_WIDTH), np.int64)
    state = np.zeros(STATE_WIDTH, np.int64)
    state[NEXT], state[INFLATED] = start, -1
    functions = scratch.functions()
    room = (scratch.memory.ctypes.data, inflate.MAX_INFLATED_BYTES, full)
    while True:
        came_to = sweep(data, data.ctypes.data, functions, scratch.memory, room, state, batches)
        if came_to == ODD:
            return None
        scratch.used = int(state[USED])
        if came_to != INFLATE:
            break
        packed = memoryview(response)[state[FROM] : state[TO]]
        try:
            state[INFLATED] = len(scratch.inflate(int(state[CODEC]), packed))
        except ValueError:
            return None
    records = scratch.memory[: scratch.used].copy()
    # As those of the slow way are, or all that reads them would be compiled twice.
    records.flags.writeable = False
    return Taken(int(state[NEXT]), records, batches[: state[ROWS]])
