"""zstd's own function for a frame, for compiled code: what a call from Python adds costs more.

The wheels of ``zstandard`` carry the library a second time, in the module for cffi, whose symbols
can be seen. Where they cannot, ``find_zstd`` finds nothing, and frames go through Python.
"""

from __future__ import annotations

import ctypes
import weakref
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

CARRIER: Final = "zstandard._cffi"
WORD: Final = ir.IntType(64)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Zstd:
    """Addresses that compiled code calls, and a decompressor of one thread.

    Attributes:
        context: The decompressor (ZSTD_DCtx).
        decompress: ZSTD_decompressDCtx, "Explicit context" in zstd.h.
        frame_size: ZSTD_findFrameCompressedSize.
    """

    context: int
    decompress: int
    frame_size: int


def find_zstd() -> Zstd | None:
    """A decompressor that lives as long as what is returned; None where there is none to call."""
    try:
        found = find_spec(CARRIER)
        if found is None or found.origin is None:
            return None
        library = ctypes.CDLL(found.origin)
        create, free = library.ZSTD_createDCtx, library.ZSTD_freeDCtx
        decompress, frame_size = library.ZSTD_decompressDCtx, library.ZSTD_findFrameCompressedSize
    except (ImportError, OSError, AttributeError):
        # Another build of zstandard: its ordinary interface does what is needed.
        return None
    create.restype, free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
    context = create()
    if not context:
        return None
    made = Zstd(context, _address(decompress), _address(frame_size))
    # Not at exit, when a thread may be using it.
    weakref.finalize(made, free, context).atexit = False
    return made


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _caller(words: int) -> Any:
    """A call of a C function of so many machine words, whose address comes first."""

    def typer(_typing: Any, function: Any, arguments: Any) -> Any:
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            kind = ir.FunctionType(WORD, [WORD] * words)
            pointer = builder.inttoptr(args[0], kind.as_pointer())
            return builder.call(
                pointer, [builder.extract_value(args[1], at) for at in range(words)]
            )

        return types.int64(function, arguments), codegen

    return intrinsic(typer)


# Each is called as call_n(address, (word, ...)); errors of zstd come back below zero.
call_2: Callable[[int, tuple[int, int]], int] = _caller(2)
call_5: Callable[[int, tuple[int, int, int, int, int]], int] = _caller(5)
