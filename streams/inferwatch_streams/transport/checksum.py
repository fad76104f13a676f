"""CRC-32C in compiled code, eight bytes at a time.

Kafka protocol guide, "Record Batch": the checksum of Castagnoli's polynomial (RFC 3720, appendix
B.4). Eight bytes at a time by as many tables: Kounavis and Berry, "A Systematic Approach to
Building High Performance Software-based CRC Generators", 2005.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.compiling import compiled
from inferwatch_schemas.columnar.unaligned import load_u64

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The polynomial, its bits reversed.
POLYNOMIAL: Final = 0x82F63B78
STEP: Final = 8


def _tables() -> NDArray[np.uint32]:
    """Row k has the checksum of each byte with k bytes of zeros after it."""
    one = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        one = np.where(one & 1, (one >> 1) ^ np.uint32(POLYNOMIAL), one >> 1).astype(np.uint32)
    rows = [one]
    for _ in range(STEP - 1):
        rows.append((rows[-1] >> 8) ^ one[rows[-1] & 0xFF])
    return np.stack(rows)


TABLES: Final = _tables()


@compiled
def crc32c(data: NDArray[np.uint8], begin: int, end: int) -> np.uint32:
    """Checksum of data[begin:end]; the caller has held both against the array's ends."""
    crc = np.uint32(0xFFFFFFFF)
    pos = begin
    while end - pos >= STEP:
        word = load_u64(data, pos) ^ np.uint64(crc)
        crc = np.uint32(
            TABLES[7, word & 0xFF]
            ^ TABLES[6, (word >> 8) & 0xFF]
            ^ TABLES[5, (word >> 16) & 0xFF]
            ^ TABLES[4, (word >> 24) & 0xFF]
            ^ TABLES[3, (word >> 32) & 0xFF]
            ^ TABLES[2, (word >> 40) & 0xFF]
            ^ TABLES[1, (word >> 48) & 0xFF]
            ^ TABLES[0, word >> 56]
        )
        pos += STEP
    while pos < end:
        crc = np.uint32(TABLES[0, (crc ^ data[pos]) & 0xFF] ^ (crc >> 8))
        pos += 1
    return np.uint32(crc ^ np.uint32(0xFFFFFFFF))
