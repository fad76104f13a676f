"""Machine loads and copies at any position of a byte array, for compiled code.

Indexing a byte array eight times, or viewing a slice of it, costs many times what one machine load
does. Nothing is checked here: the caller has held the positions against the ends.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _address(context: Any, builder: Any, array_type: Any, array: Any, pos: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return cgutils.gep(builder, data, pos, inbounds=False)  # type: ignore[no-untyped-call]  # numba ships no types here


def _loader(machine: ir.Type, loaded: Any) -> Any:
    def typer(_typing: Any, data: Any, pos: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            byte = _address(context, builder, signature.args[0], args[0], args[1])
            word = builder.bitcast(byte, machine.as_pointer())
            value = builder.load(word, typ=machine)
            value.align = 1
            return value

        return loaded(data, pos), codegen

    return intrinsic(typer)


# Each is called as load(data, pos), with an array of uint8; little-endian, as the machine is.
load_u64 = _loader(ir.IntType(64), types.uint64)
load_f64 = _loader(ir.DoubleType(), types.float64)
load_f32 = _loader(ir.FloatType(), types.float32)


def _copier(_typing: Any, out: Any, at: Any, data: Any, begin: Any, size: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = _address(context, builder, signature.args[0], args[0], args[1])
        source = _address(context, builder, signature.args[2], args[2], args[3])
        cgutils.raw_memcpy(builder, target, source, args[4], 1)  # type: ignore[no-untyped-call]  # as above
        return context.get_dummy_value()

    return types.void(out, at, data, begin, size), codegen


# Called as copy_bytes(out, at, data, begin, size); the arrays must not overlap.
copy_bytes: Any = intrinsic(_copier)


def _copier_from(_typing: Any, out: Any, at: Any, address: Any, size: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = _address(context, builder, signature.args[0], args[0], args[1])
        source = builder.inttoptr(args[2], ir.IntType(8).as_pointer())
        cgutils.raw_memcpy(builder, target, source, args[3], 1)  # type: ignore[no-untyped-call]  # as above
        return context.get_dummy_value()

    return types.void(out, at, address, size), codegen


# Called as copy_from(out, at, address, size): from memory that the caller keeps alive.
copy_from: Any = intrinsic(_copier_from)


def _loader_from(_typing: Any, address: Any) -> Any:
    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[0], ir.IntType(64).as_pointer()))

    return types.int64(address), codegen


# Called as load_from(address): an aligned 64-bit number of memory that the caller keeps alive.
load_from: Any = intrinsic(_loader_from)
