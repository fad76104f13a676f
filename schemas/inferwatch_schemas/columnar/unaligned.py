"""Little-endian loads from any position of a byte array, for compiled code.

Indexing a byte array eight times, or viewing a slice of it, costs many times what one machine load
does. Nothing is checked here: the caller has held the position against the end.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _loader(machine: ir.Type, loaded: Any) -> Any:
    def typer(_typing: Any, data: Any, pos: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            byte = cgutils.gep(builder, array.data, args[1], inbounds=False)
            word = builder.bitcast(byte, machine.as_pointer())
            value = builder.load(word, typ=machine)
            value.align = 1
            return value

        return loaded(data, pos), codegen

    return intrinsic(typer)


# Each is called as load(data, pos), with an array of uint8.
load_u64 = _loader(ir.IntType(64), types.uint64)
load_f64 = _loader(ir.DoubleType(), types.float64)
load_f32 = _loader(ir.FloatType(), types.float32)
