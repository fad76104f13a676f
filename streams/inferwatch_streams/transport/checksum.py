"""CRC-32C in compiled code, eight bytes at a time.

Kafka protocol guide, "Record Batch": the checksum of Castagnoli's polynomial (RFC 3720, appendix
B.4). Processors of the x86-64 family have an instruction for it (SSE 4.2). Elsewhere eight bytes at
a time by as many tables: Kounavis and Berry, "A Systematic Approach to Building High Performance
Software-based CRC Generators", 2005.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from inferwatch_schemas.columnar.compiling import compiled
from inferwatch_schemas.columnar.unaligned import load_u64

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The polynomial, its bits reversed.
POLYNOMIAL: Final = 0x82F63B78
STEP: Final = 8
#: Whether numba compiles for a processor that has the instruction.
INSTRUCTION: Final[bool] = "+sse4.2" in cpu_target.target_context.codegen().magic_tuple()[2]


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


def _instruction(_typing: Any, crc: Any, word: Any) -> Any:
    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        number = ir.IntType(64)
        kind = ir.FunctionType(number, [number, number])
        function = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]  # numba ships no types here
            builder.module, kind, "llvm.x86.sse42.crc32.64.64"
        )
        return builder.call(function, args)

    return types.uint64(crc, word), codegen


# Called as crc_of_word(crc, word), both of 64 bits, as is what it returns.
crc_of_word: Any = intrinsic(_instruction)


@compiled
def by_instruction(
    data: NDArray[np.uint8], crc: np.uint32, begin: int, end: int
) -> tuple[np.uint32, int]:
    """Take words in; the checksum so far, and where less than a word is left."""
    so_far = np.uint64(crc)
    pos = begin
    while end - pos >= STEP:
        so_far = crc_of_word(so_far, load_u64(data, pos))
        pos += STEP
    return np.uint32(so_far), pos


@compiled
def by_tables(
    data: NDArray[np.uint8], crc: np.uint32, begin: int, end: int
) -> tuple[np.uint32, int]:
    """As by_instruction."""
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
    return crc, pos


# Never compiled where there is no such instruction: nothing calls it there.
by_words = by_instruction if INSTRUCTION else by_tables


@compiled
def crc32c(data: NDArray[np.uint8], begin: int, end: int) -> np.uint32:
    """Checksum of data[begin:end]; the caller has held both against the array's ends."""
    crc, pos = by_words(data, np.uint32(0xFFFFFFFF), begin, end)
    while pos < end:
        crc = np.uint32(TABLES[0, (crc ^ data[pos]) & 0xFF] ^ (crc >> 8))
        pos += 1
    return np.uint32(crc ^ np.uint32(0xFFFFFFFF))
