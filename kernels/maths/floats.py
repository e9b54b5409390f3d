"""Functions of the bits of floats, and the distance that must not overflow."""

from __future__ import annotations

from symgraph.kernels.maths.exponential import INFINITY
from symgraph.kernels.tile.vector import Vec, maximum, minimum, where


def signbit(x: Vec) -> Vec:
    """Whether the sign is minus; that of -0.0 and of NaN too."""
    return x.bits() < 0 if x.is_float else x < 0


def nextafter(x: Vec, y: Vec) -> Vec:
    """The next number from x towards y: one up or down in the order of the bits."""
    bits = x.bits()
    away = (x < y) ^ (x < 0.0)
    moved = where(away, bits + 1, bits - 1).as_float(x.dtype)
    least = (bits & 0 | 1).as_float(x.dtype).copysign(y)
    result = where(x.equals(0.0), least, moved)
    result = where(x.equals(y), y, result)
    return where(x.is_nan() | y.is_nan(), x + y, result)


def hypot(x: Vec, y: Vec) -> Vec:
    """``sqrt(x**2 + y**2)`` without overflow or underflow of the squares; infinite beside NaN too."""
    x, y = abs(x), abs(y)
    infinite = x.equals(INFINITY) | y.equals(INFINITY)
    if x.dtype == "float32":
        a, b = x.cast("float64"), y.cast("float64")
        return where(infinite, INFINITY, a.multiply_add(a, b * b).sqrt().cast("float32"))
    most, least = maximum(x, y), minimum(x, y)
    up, down = x.constant(2.0**600), x.constant(2.0**-600)
    factor = where(most > 2.0**500, down, where(most < 2.0**-400, up, x.constant(1.0)))
    back = where(most > 2.0**500, up, where(most < 2.0**-400, down, x.constant(1.0)))
    a, b = most * factor, least * factor
    return where(infinite, INFINITY, a.multiply_add(a, b * b).sqrt() * back)
