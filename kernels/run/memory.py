"""Raw memory inside numba kernels: typed loads and stores at an address, and array views of addresses."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import carray

from symgraph.kernels.run.jit import INT, helper, intrinsic, types


@intrinsic
def pointer(typing, address):
    """An int64 address as an untyped pointer, for `carray`."""

    def emit(context, builder, signature, args):
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), emit


@intrinsic
def load_int(typing, address):
    """The int64 stored at `address`."""

    def emit(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], INT.as_pointer()))

    return types.int64(types.int64), emit


@intrinsic
def address_of(typing, operands):
    """The address of a kernel's operands."""

    def emit(context, builder, signature, args):
        return builder.ptrtoint(args[0], INT)

    return types.int64(types.CPointer(types.int64)), emit


@intrinsic
def load_byte(typing, address):
    """The byte stored at `address`, as an int64."""

    def emit(context, builder, signature, args):
        byte = builder.load(builder.inttoptr(args[0], ir.IntType(8).as_pointer()))
        return builder.zext(byte, INT)

    return types.int64(types.int64), emit


@intrinsic
def store_int(typing, address, value):
    """Store the int64 `value` at `address`."""

    def emit(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], INT.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


@intrinsic
def as_float(typing, bits):
    """The float64 whose bits an int64 operand holds."""

    def emit(context, builder, signature, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), emit


@intrinsic
def fetch_add(typing, address, amount):
    """Atomically add `amount` to the int64 at `address`; the value before."""

    def emit(context, builder, signature, args):
        return builder.atomic_rmw("add", builder.inttoptr(args[0], INT.as_pointer()), args[1], "monotonic")

    return types.int64(types.int64, types.int64), emit


@intrinsic
def copy_bytes(typing, target, source, count):
    """Copy `count` bytes between places that do not overlap."""

    def emit(context, builder, signature, args):
        byte = ir.IntType(8).as_pointer()
        places = [builder.inttoptr(a, byte) for a in args[:2]]
        copy = builder.module.declare_intrinsic("llvm.memcpy", [byte, byte, INT])
        builder.call(copy, [*places, args[2], ir.IntType(1)(0)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit


@intrinsic
def clear_bytes(typing, target, count):
    """Set `count` bytes to zero."""

    def emit(context, builder, signature, args):
        byte = ir.IntType(8)
        clear = builder.module.declare_intrinsic("llvm.memset", [byte.as_pointer(), INT])
        place = builder.inttoptr(args[0], byte.as_pointer())
        builder.call(clear, [place, byte(0), args[1], ir.IntType(1)(0)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


@helper
def vector_at(address, count, dtype):
    """A one-dimensional contiguous array view of `count` elements of `dtype` at `address`."""
    return carray(pointer(address), (count,), dtype)


def float_bits(value: float) -> int:
    """The bits of a Python float as int64: how a scalar travels in an operand (see `as_float`)."""
    return int(np.float64(value).view(np.int64))
