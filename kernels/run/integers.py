"""Whole numbers inside numba kernels: the lesser and the greater of two, shares and parts."""

from __future__ import annotations

from symgraph.kernels.run.jit import inlined, intrinsic, types


@intrinsic
def least(typing, a, b):
    """The lesser of two int64."""

    def emit(context, builder, signature, args):
        return builder.select(builder.icmp_signed("<", *args), *args)

    return types.int64(types.int64, types.int64), emit


@intrinsic
def greatest(typing, a, b):
    """The greater of two int64."""

    def emit(context, builder, signature, args):
        return builder.select(builder.icmp_signed(">", *args), *args)

    return types.int64(types.int64, types.int64), emit


@intrinsic
def over(typing, a, b):
    """The quotient of two int64 of which none is negative, rounded down.

    Python's own ``//`` has to look at the signs.
    """

    def emit(context, builder, signature, args):
        return builder.udiv(*args)

    return types.int64(types.int64, types.int64), emit


@inlined
def share(part, parts, count):
    """First and end of the share of `count` things that part number `part` of `parts` does."""
    return over(part * count, parts), over((part + 1) * count, parts)


@inlined
def parts_of(count, size):
    """How many parts of `size` (the last one may be smaller) `count` things make."""
    return over(count + size - 1, size)


@inlined
def parted(number, size):
    """Quotient and remainder of two numbers that are not negative."""
    quotient = over(number, size)
    return quotient, number - quotient * size
