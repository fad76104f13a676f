"""Numbers as Kafka and the network write them, for compiled code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferwatch_schemas.columnar.compiling import inlined

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@inlined
def big_endian(data: NDArray[np.uint8], pos: int, size: int) -> int:
    """An integer without a sign, of fewer than eight bytes or below 2^63."""
    value = 0
    for at in range(pos, pos + size):
        value = (value << 8) | int(data[at])
    return value
