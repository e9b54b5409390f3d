"""Sine, cosine, tangent and their inverses as formulas over vectors (no math library).

Arguments are reduced by multiples of pi / 2 with a constant split into parts whose products are exact (Cody
and Waite, 1980): float32 in float64 up to 2.6e8, float64 up to 5.2e5. Vectors with a larger one among them go
through the bits of 2 / pi that count for each (Payne and Hanek, 1983), which is exact for every number. The
polynomials are near-minimax (Remez, fitted to 60 digits).
"""

from __future__ import annotations

import math

from symgraph.kernels.tile.nest import lookup
from symgraph.kernels.tile.vector import Vec, maximum, minimum, polynomial, where, where_any

_MAGIC = 1.5 * 2.0**52
# pi / 2 in parts of 24 bits, for quotients below 2**29.
_HALF_PI_32 = (1.570796251296997, 7.549789415861596e-08, 5.390302858158119e-15)
# pi / 2 in parts of 33 bits (as fdlibm has them), for quotients below 2**20.
_HALF_PI_64 = (1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624871116645580e-21,
               8.47842766036889956997e-32)  # fmt: skip
# Where the quotients end that these parts are good for.
_LARGE = {"float32": 2.0**28, "float64": 2.0**19}
# (sin(sqrt(z)) / sqrt(z) - 1) / z and (cos(sqrt(z)) - 1 + z / 2) / z**2 for z up to (pi / 4)**2.
_SIN = {
    "float32": (-1.6666654e-1, 8.332131e-3, -1.9510869e-4),
    "float64": (-0.16666666666666627, 0.008333333333321289, -0.00019841269828872296, 2.7557313356427697e-06,
                -2.5050704066047052e-08, 1.5893583866596886e-10),
}  # fmt: skip
_COS = {
    "float32": (4.1666646e-2, -1.3887305e-3, 2.4431138e-5),
    "float64": (0.041666666666666526, -0.001388888888886137, 2.480158728160732e-05, -2.755731211100285e-07,
                2.087542389112104e-09, -1.1344444098589631e-11),
}  # fmt: skip
# (asin(sqrt(z)) / sqrt(z) - 1) / z for z up to 1 / 4.
_ASIN = {
    "float32": (1.666666e-1, 7.500511e-2, 4.4515703e-2, 3.1817794e-2, 1.44018745e-2, 3.7566256e-2),
    "float64": (0.16666666666666763, 0.07499999999970308, 0.044642857175079674, 0.030381942685491936,
                0.022372215610281056, 0.017351600937017448, 0.013980951989954492, 0.011397847795279744,
                0.010786157960342699, 0.0036843274033800445, 0.021760645450202412, -0.02107362533020664,
                0.032674817840627),
}  # fmt: skip
# (atan(sqrt(z)) / sqrt(z) - 1) / z for z up to tan(pi / 8)**2.
_ATAN = {
    "float32": (-3.3333313e-1, 1.9998434e-1, -1.4242746e-1, 1.0587398e-1, -6.060609e-2),
    "float64": (-0.33333333333333187, 0.19999999999949758, -0.14285714279791578, 0.1111111076236996,
                -0.09090897129685918, 0.07692048697040445, -0.0666296954299834, 0.058468867236490314,
                -0.050346882472928386, 0.0379449506489919, -0.01777387442768993),
}  # fmt: skip
# What the constants above lose when they are rounded to float64.
_HALF_PI_LOW = 6.123233995736766e-17


def _reduced(x: Vec) -> tuple[Vec, Vec]:
    """``(quadrant, r)``: `x` less the nearest multiple of pi / 2, and which multiple it was."""
    wide = x.cast("float64")
    shifted = wide.multiply_add(2.0 / math.pi, _MAGIC)
    whole = shifted - _MAGIC
    rest = wide
    for part in _HALF_PI_32 if x.dtype == "float32" else _HALF_PI_64:
        rest = whole.multiply_add(-part, rest)
    size = abs(wide)
    large = (size > _LARGE[x.dtype]) & (size < math.inf)
    quadrant, rest = where_any(large, lambda: _reduced_by_bits(wide, large), [shifted.bits(), rest])
    return (quadrant.cast("int32") if x.dtype == "float32" else quadrant), rest.cast(x.dtype)


def _arctan_of_inverse(n: int, one: int) -> int:
    """``atan(1 / n)`` in units of ``1 / one``."""
    power, total, k = one // n, 0, 1
    while power:
        total += power // k if k % 4 == 1 else -(power // k)
        power //= n * n
        k += 2
    return total


def _two_over_pi() -> tuple[int, ...]:
    """The bits of 2 / pi, after 64 zeros: word number k holds 64 of them from number 32 k on."""
    one = 1 << (_BITS + 64)
    pi = 4 * (4 * _arctan_of_inverse(5, one) - _arctan_of_inverse(239, one))  # Machin, 1706
    bits = (2 * one << _BITS) // pi
    return tuple((bits >> (_BITS - 32 * k)) & (2**64 - 1) for k in range(_BITS // 32 + 1))


_WORDS = 6
# The largest number's window: 32 words to skip, then its own, read in pairs.
_BITS = 32 * (32 + _WORDS - 1)
_TABLE = _two_over_pi()
_WORD = (1 << 32) - 1


def _reduced_by_bits(x: Vec, used: Vec) -> tuple[Vec, Vec]:
    """Quadrant and rest of float64 numbers from 2**17 on (in the lanes of `used`).

    x is m 2**e with a whole m. Bits of 2 / pi that stand for multiples of 4 / 2**e fall away from the
    product with m, since they give whole turns. The next 192 tell it to 2**-137, while no float64 number
    comes closer to a multiple of pi / 2 than 2**-60.
    """
    bits = where(used, abs(x), 2.0**60).bits()
    # The bit of 2 / pi whose product with m counts twice; m is the number in units of 2**(exponent - 52).
    first = (bits >> 52) - (1023 + 52) + 62
    place, shift = first >> 5, (first & 31).unsigned()
    mantissa = ((bits & ((1 << 52) - 1)) | (1 << 52)).unsigned()
    window = [(lookup("two_over_pi", _TABLE, place + k) << shift) >> 32 for k in range(_WORDS)]
    digits = _product_words(mantissa, window[::-1])
    high = (digits[-1] << 32) | digits[-2]
    low = (digits[-3] << 32) | digits[-4]
    quadrant = (high + (1 << 61)) >> 62
    fraction = (high - (quadrant << 62)).signed().cast("float64") * 2.0**-62
    fraction = low.cast("float64").multiply_add(2.0**-126, fraction)
    r = fraction.multiply_add(math.pi / 2, fraction * _HALF_PI_LOW)
    negative = x < 0.0
    quadrant = quadrant.signed()
    return where(negative, -quadrant, quadrant), where(negative, -r, r)


def _product_words(number: Vec, words: list[Vec]) -> list[Vec]:
    """The lowest words of a product of unsigned integers: `words` of 32 bits, the lowest first."""
    low, high = number & _WORD, number >> 32
    by_low, by_high = ([part * word for word in words] for part in (low, high))
    carry, digits = number.constant(0), []
    for k in range(len(words)):
        total = carry + (by_low[k] & _WORD)
        if k >= 1:
            total = total + (by_low[k - 1] >> 32) + (by_high[k - 1] & _WORD)
        if k >= 2:
            total = total + (by_high[k - 2] >> 32)
        digits.append(total & _WORD)
        carry = total >> 32
    return digits


def sin_cos(r: Vec) -> tuple[Vec, Vec]:
    """Sine and cosine for abs(r) <= pi / 4."""
    square = r * r
    sine = (square * r).multiply_add(polynomial(square, _SIN[r.dtype]), r)
    cosine = (square * square).multiply_add(polynomial(square, _COS[r.dtype]), square.multiply_add(-0.5, 1.0))
    return sine, cosine


def _of_quadrant(quadrant: Vec, r: Vec) -> Vec:
    """``sin(r + quadrant * pi / 2)``."""
    sine, cosine = sin_cos(r)
    value = where((quadrant & 1).equals(0), sine, cosine)
    return where((quadrant & 2).equals(0), value, -value)


def sin(x: Vec) -> Vec:
    """Sine; NaN of infinities."""
    quadrant, r = _reduced(x)
    return where(x.equals(0.0), x, _of_quadrant(quadrant, r))


def cos(x: Vec) -> Vec:
    """Cosine; NaN of infinities."""
    quadrant, r = _reduced(x)
    return _of_quadrant(quadrant + 1, r)


def tan(x: Vec) -> Vec:
    """Tangent; NaN of infinities."""
    quadrant, r = _reduced(x)
    sine, cosine = sin_cos(r)
    even = (quadrant & 1).equals(0)
    ratio = where(even, sine, -cosine) / where(even, cosine, sine)
    return where(x.equals(0.0), x, ratio)


def _asin_small(x: Vec) -> Vec:
    """Arc sine for abs(x) <= 1 / 2."""
    square = x * x
    return (square * x).multiply_add(polynomial(square, _ASIN[x.dtype]), x)


def asin(x: Vec) -> Vec:
    """Arc sine; NaN outside [-1, 1]."""
    size = abs(x)
    large = size > 0.5
    part = _asin_small(where(large, (0.5 - 0.5 * size).sqrt(), size))
    result = where(large, math.pi / 2 - (2.0 * part - _low(x)), part)
    return result.copysign(x)


def _low(x: Vec) -> Vec:
    """What ``pi / 2`` in the format of `x` lacks to the true value."""
    return x.constant(_HALF_PI_LOW if x.dtype == "float64" else -4.371139000186241e-08)


def acos(x: Vec) -> Vec:
    """Arc cosine; NaN outside [-1, 1]."""
    size = abs(x)
    large = size > 0.5
    part = _asin_small(where(large, (0.5 - 0.5 * size).sqrt(), x))
    near = 2.0 * part
    far = math.pi - (near - 2.0 * _low(x))
    return where(large, where(x < 0.0, far, near), math.pi / 2 - (part - _low(x)))


def _atan_ratio(y: Vec, x: Vec) -> Vec:
    """``atan(y / x)`` for non-negative arguments, with one division."""
    steep = y > (1.0 + math.sqrt(2.0)) * x
    middle = ~steep & (y > (math.sqrt(2.0) - 1.0) * x)
    numerator = where(steep, -x, where(middle, y - x, y))
    denominator = where(steep, y, where(middle, y + x, x))
    t = numerator / denominator
    square = t * t
    angle = (square * t).multiply_add(polynomial(square, _ATAN[x.dtype]), t)
    zero = x.constant(0.0)
    turn = where(steep, math.pi / 2, where(middle, x.constant(math.pi / 4), zero))
    low = where(steep, _low(x), where(middle, 0.5 * _low(x), zero))
    return turn + (angle + low)


def atan(x: Vec) -> Vec:
    """Arc tangent."""
    size = abs(x)
    # At infinity the middle range must not see inf / inf: 2**60 has the same arc tangent.
    bounded = where(size > 2.0**60, 2.0**60, size)
    return _atan_ratio(bounded, x.constant(1.0)).copysign(x)


def atan2(y: Vec, x: Vec) -> Vec:
    """The angle of the point (x, y), with C's rules for zeros and infinities."""
    height, width = abs(y), abs(x)
    both = height.equals(width)
    biggest, least = maximum(height, width), minimum(height, width)
    # Away from overflow: the ranges of _atan_ratio add the two; an infinite one stands for a steep or flat
    # line.
    shrink = where(biggest > 2.0**100, x.constant(2.0**-64), x.constant(1.0))
    steep_or_flat = biggest.equals(math.inf)
    height = where(
        steep_or_flat, where(abs(y).equals(math.inf), x.constant(1.0), x.constant(0.0)), height * shrink
    )
    width = where(
        steep_or_flat, where(abs(x).equals(math.inf), x.constant(1.0), x.constant(0.0)), width * shrink
    )
    zero = both & biggest.equals(0.0)
    angle = _atan_ratio(where(zero, 0.0, height), where(zero, 1.0, width))
    # The sign bit of x, so that -0.0 lies on the negative side.
    negative = x.constant(1.0).copysign(x) < 0.0
    angle = where(negative, math.pi - (angle - 2.0 * _low(x)), angle).copysign(y)
    return where(x.is_nan() | y.is_nan(), least + biggest, angle)
