"""Raw memory inside numba kernels: typed loads and stores at an address, and array views of addresses."""

from __future__ import annotations

import numpy as np
from numba import carray

from symgraph.kernels.run.jit import helper, intrinsic, types
from symgraph.kernels.tile import builder as code
from symgraph.kernels.tile.builder import ELEMENT, INT, pointer_to


@intrinsic
def pointer(typing, address):
    """An int64 address as an untyped pointer, for `carray`."""

    def emit(context, builder, signature, args):
        return builder.inttoptr(args[0], pointer_to("int8"))

    return types.voidptr(types.int64), emit


@intrinsic
def load_int(typing, address):
    """The int64 stored at `address`."""

    def emit(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], pointer_to("int64")))

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
        byte = builder.load(builder.inttoptr(args[0], pointer_to("int8")))
        return builder.zext(byte, INT)

    return types.int64(types.int64), emit


@intrinsic
def store_int(typing, address, value):
    """Store the int64 `value` at `address`."""

    def emit(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], pointer_to("int64")))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


@intrinsic
def as_float(typing, bits):
    """The float64 whose bits an int64 operand holds."""

    def emit(context, builder, signature, args):
        return builder.bitcast(args[0], ELEMENT["float64"])

    return types.float64(types.int64), emit


@intrinsic
def fetch_add(typing, address, amount):
    """Atomically add `amount` to the int64 at `address`; the value before."""

    def emit(context, builder, signature, args):
        return builder.atomic_rmw("add", builder.inttoptr(args[0], pointer_to("int64")), args[1], "monotonic")

    return types.int64(types.int64, types.int64), emit


@intrinsic
def copy_bytes(typing, target, source, count):
    """Copy `count` bytes between places that do not overlap."""

    def emit(context, builder, signature, args):
        code.copy_bytes(builder, *args)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit


@intrinsic
def clear_bytes(typing, target, count):
    """Set `count` bytes to zero."""

    def emit(context, builder, signature, args):
        code.clear_bytes(builder, *args)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


@helper
def vector_at(address, count, dtype):
    """A one-dimensional contiguous array view of `count` elements of `dtype` at `address`."""
    return carray(pointer(address), (count,), dtype)


def float_bits(value: float) -> int:
    """The bits of a Python float as int64: how a scalar travels in an operand (see `as_float`)."""
    return int(np.float64(value).view(np.int64))
