"""Whole numbers inside numba kernels, none of them negative where they are divided.

Each is a few instructions, written here as such: a helper in Python would take numba longer to put in its
place, and Python's own ``//`` and ``%`` look at signs.
"""

from __future__ import annotations

from symgraph.kernels.run.jit import intrinsic, types
from symgraph.kernels.tile.builder import INT

_PAIR = types.UniTuple(types.int64, 2)


@intrinsic
def least(typing, a, b):
    """The lesser of two numbers."""

    def emit(context, builder, signature, args):
        return builder.select(builder.icmp_signed("<", *args), *args)

    return types.int64(types.int64, types.int64), emit


@intrinsic
def greatest(typing, a, b):
    """The greater of two numbers."""

    def emit(context, builder, signature, args):
        return builder.select(builder.icmp_signed(">", *args), *args)

    return types.int64(types.int64, types.int64), emit


@intrinsic
def over(typing, a, b):
    """The quotient of two numbers, rounded down."""

    def emit(context, builder, signature, args):
        return builder.udiv(*args)

    return types.int64(types.int64, types.int64), emit


@intrinsic
def parted(typing, number, size):
    """Quotient and remainder of two numbers."""

    def emit(context, builder, signature, args):
        return context.make_tuple(builder, _PAIR, [builder.udiv(*args), builder.urem(*args)])

    return _PAIR(types.int64, types.int64), emit


@intrinsic
def parts_of(typing, count, size):
    """How many parts of `size` (the last one may be smaller) `count` things make."""

    def emit(context, builder, signature, args):
        count, size = args
        return builder.udiv(builder.sub(builder.add(count, size), INT(1)), size)

    return types.int64(types.int64, types.int64), emit


@intrinsic
def share(typing, part, parts, count):
    """First and end of the share of `count` things that part number `part` of `parts` does."""

    def emit(context, builder, signature, args):
        part, parts, count = args
        following = builder.add(part, INT(1))
        edges = [builder.udiv(builder.mul(number, count), parts) for number in (part, following)]
        return context.make_tuple(builder, _PAIR, edges)

    return _PAIR(types.int64, types.int64, types.int64), emit
