"""Exponentials, logarithms, powers and what is made of them, as formulas over vectors (no math library).

Float32 and float64 alike: split the argument, evaluate a near-minimax polynomial (Remez, fitted to 60
digits) and put the parts together. Errors stay within 4 units in the last place. The splitting follows Cody
and Waite, "Software Manual for the Elementary Functions" (1980); the float64 logarithm and the constants of
ln 2 follow fdlibm (Sun Microsystems, 1993).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from symgraph.kernels.tile.vector import Vec, maximum, polynomial, where


class Format(NamedTuple):
    """What the formulas need to know of a floating-point format."""

    mantissa: int
    bias: int
    magic: float
    ln2_high: float
    ln2_low: float
    exp_range: tuple[float, float]
    exp: tuple[float, ...]
    tiny: float
    integer: str


FORMAT = {
    "float32": Format(
        mantissa=23, bias=127, magic=1.5 * 2.0**23, ln2_high=0.693359375, ln2_low=-2.12194440e-4,
        exp_range=(-104.0, 89.0),
        exp=(0.5, 1.6666512e-1, 4.166619e-2, 8.3695995e-3, 1.395151e-3),
        tiny=2.0**-126, integer="int32",
    ),
    "float64": Format(
        mantissa=52, bias=1023, magic=1.5 * 2.0**52, ln2_high=6.93147180369123816490e-01,
        ln2_low=1.90821492927058770002e-10, exp_range=(-746.0, 710.0),
        exp=(0.5, 0.16666666666666685, 0.041666666666666734, 0.008333333333315382, 0.0013888888888855624,
             0.00019841269900451548, 2.480158737869823e-05, 2.7557230821312183e-06, 2.755722949005068e-07,
             2.511343750172037e-08, 2.0928054247257695e-09),
        tiny=2.0**-1022, integer="int64",
    ),
}  # fmt: skip
# (log(1 + f) - f + f**2 / 2) / f**3 for 1 + f between sqrt(1/2) and sqrt(2).
_LOG_32 = (3.333331e-1, -2.4999987e-1, 2.0002225e-1, -1.666924e-1, 1.4218669e-1, -1.23845294e-1, 1.1873107e-1,
           -1.17888965e-1, 6.914017e-2)  # fmt: skip
# fdlibm's log: (log(1 + s) - log(1 - s) - 2 s) / s as a polynomial in s**2.
_LOG_64 = (6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
           2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
           1.479819860511658591e-01)  # fmt: skip
# (log(1 + s) - log(1 - s) - 2 s - 2 s**3 / 3) / s**5 as a polynomial in s**2, for s up to 3 - sqrt(8).
_LOG_LONG = (0.4, 0.2857142857142937, 0.222222222216545, 0.1818181833570672, 0.1538459492898411,
             0.133348065173055, 0.11706187519978795, 0.11723689023649224)  # fmt: skip
# 2 / 3 in two parts.
_TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
# Polynomials of the logarithm and the exponential for float32 powers, to 36 and 28 bits.
_LOG_SHORT = (0.666666656038159, 0.40000345471262005, 0.2853660739400538, 0.23596275013502913)
_EXP_SHORT = (0.5000000099228292, 0.16666512875659784, 0.041666191253171884, 0.00836959973429419,
              0.0013951510123288429)  # fmt: skip
# (sinh(sqrt(z)) / sqrt(z) - 1) / z for z up to 1.
_SINH = {
    "float32": (1.6666667e-1, 8.3333505e-3, 1.9836068e-4, 2.8174347e-6),
    "float64": (0.16666666666666669, 0.008333333333333139, 0.00019841269841437654, 2.7557319155340915e-06,
                2.5052123398450672e-08, 1.6057240318987106e-10, 7.759313550554788e-13),
}  # fmt: skip
# erf(sqrt(z)) / sqrt(z) - 1 for z up to 1.
_ERF_SMALL = {
    "float32": (1.2837917e-1, -3.7612626e-1, 1.12836e-1, -2.6854446e-2, 5.1895385e-3, -8.020864e-4,
                7.889184e-5),
    "float64": (0.12837916709551256, -0.3761263890318355, 0.11283791670945253, -0.026866170643276226,
                0.00522397760742345, -0.0008548325989695343, 0.00012055295320451667, -1.4924744662548714e-05,
                1.644751766863494e-06, -1.6209175844956196e-07, 1.3722975994930047e-08,
                -7.801188402270242e-10),
}  # fmt: skip
# log(1 - erf(x)) for x between 0.95 and 4.
_ERF_LARGE_32 = (
    -2.5644564e-4,
    -1.127426,
    -6.376002e-1,
    -1.0356668e-1,
    2.2051847e-2,
    -2.9994906e-3,
    1.9149769e-4,
)
# exp(x**2) (1 - erf(x)) as a polynomial in (x - 2) / (x + 2) for x between 1 and 6.
_ERF_LARGE_64 = (0.2553956763105071, -0.42718584741394283, 0.24165819424104082, -0.07897858103683911,
                 0.003732892504261622, 0.006997464543950132, -0.0008471351691148763, -0.0009820557226223458,
                 4.304322517596168e-05, 0.0001740833928559963, 3.275297446731859e-05,
                 -1.1923155829571297e-05)  # fmt: skip
INFINITY = float("inf")


def clamp(x: Vec, low: float, high: float) -> Vec:
    """`x` kept between two numbers; NaN stays NaN."""
    x = where(x < low, low, x)
    return where(x > high, high, x)


def power_of_two(exponent: Vec, dtype: str) -> Vec:
    """``2.0 ** exponent`` for exponents of normal numbers."""
    form = FORMAT[dtype]
    return ((exponent + form.bias) << form.mantissa).as_float(dtype)


def scale(x: Vec, exponent: Vec) -> Vec:
    """``x * 2 ** exponent``, in two steps so that results may be subnormal or infinite."""
    half = exponent >> 1
    return x * power_of_two(half, x.dtype) * power_of_two(exponent - half, x.dtype)


def _nearest_power(x: Vec) -> tuple[Vec, Vec]:
    """``x / ln 2`` as a whole number: an integer vector and a float one."""
    form = FORMAT[x.dtype]
    # Adding 1.5 * 2**mantissa rounds to a whole number and leaves it in the low bits (no undefined cast of
    # NaN).
    shifted = x.multiply_add(1.0 / math.log(2.0), form.magic)
    whole = shifted - form.magic
    return shifted.bits() - shifted.constant(form.magic).bits(), whole


def _split_exponent(x: Vec) -> tuple[Vec, Vec]:
    """``(k, r)`` with ``x = k ln 2 + r`` and abs(r) <= ln(2) / 2; `k` an integer vector."""
    form = FORMAT[x.dtype]
    k, whole = _nearest_power(x)
    r = whole.multiply_add(-form.ln2_high, x)
    return k, whole.multiply_add(-form.ln2_low, r)


def _exp_minus_one_of_small(r: Vec) -> Vec:
    """``exp(r) - 1`` for abs(r) <= ln(2) / 2."""
    return (r * r).multiply_add(polynomial(r, FORMAT[r.dtype].exp), r)


def exp_scaled(x: Vec, shift: int) -> Vec:
    """``exp(x) * 2 ** shift`` without overflow on the way."""
    low, high = FORMAT[x.dtype].exp_range
    k, r = _split_exponent(clamp(x, low, high + 1))
    return scale(1.0 + _exp_minus_one_of_small(r), k + shift)


def exp(x: Vec) -> Vec:
    """``e ** x``."""
    return exp_scaled(x, 0)


def expm1(x: Vec) -> Vec:
    """``e ** x - 1``, accurate near 0."""
    form = FORMAT[x.dtype]
    k, r = _split_exponent(clamp(x, -(form.mantissa + 5.0), form.exp_range[1]))
    # Half of everything, so that 2**k does not overflow one step too early.
    half = power_of_two(k - 1, x.dtype)
    total = 2.0 * _exp_minus_one_of_small(r).multiply_add(half, half - 0.5)
    return where(abs(x) < form.tiny, x, total)


def log_parts(x: Vec) -> tuple[Vec, Vec]:
    """``(k, f)``: positive finite ``x = 2**k (1 + f)`` with ``1 + f`` between sqrt(1/2) and sqrt(2)."""
    form = FORMAT[x.dtype]
    small = x < form.tiny
    bits = where(small, x * 2.0**form.mantissa, x).bits()
    base = x.constant(math.sqrt(0.5)).bits()
    k = (bits - base) >> form.mantissa
    f = (bits - (k << form.mantissa)).as_float(x.dtype) - 1.0
    return where(small, k - form.mantissa, k), f


def small_float(k: Vec, dtype: str) -> Vec:
    """A small integer as a float: few processors convert 64-bit integers, all can subtract."""
    if dtype == "float32":
        return k.cast(dtype)
    magic = k.constant(FORMAT[dtype].magic, dtype)
    return (k + magic.bits()).as_float(dtype) - magic


def log_positive(x: Vec) -> Vec:
    """Logarithm of positive finite numbers."""
    form = FORMAT[x.dtype]
    k, f = log_parts(x)
    exponent = small_float(k, x.dtype)
    square = f * f
    if x.dtype == "float32":
        tail = exponent.multiply_add(form.ln2_low, polynomial(f, _LOG_32) * f * square)
        return exponent.multiply_add(form.ln2_high, f + square.multiply_add(-0.5, tail))
    s = f / (2.0 + f)
    half = 0.5 * square
    rest = s * (half + s * s * polynomial(s * s, _LOG_64))
    return exponent.multiply_add(form.ln2_high, f - (half - exponent.multiply_add(form.ln2_low, rest)))


def log(x: Vec) -> Vec:
    """Natural logarithm: minus infinity at 0, NaN below."""
    # Infinities and NaN come out as x * x or x + x would have them: inf, NaN.
    result = where(x < INFINITY, log_positive(x), x)
    result = where(x.equals(0.0), -INFINITY, result)
    return where(x < 0.0, float("nan"), result)


def log1p(x: Vec) -> Vec:
    """``log(1 + x)``, accurate near 0: the rounding of ``1 + x`` is put right to first order."""
    u = 1.0 + x
    correction = (x - (u - 1.0)) / u
    usable = (u > 0.0) & (u < INFINITY)
    result = log(u) + where(usable, correction, 0.0)
    return where(x.equals(0.0), x, result)


def sinh(x: Vec) -> Vec:
    """Hyperbolic sine."""
    size = abs(x)
    half = exp_scaled(size, -1)
    large = half - 0.25 / half
    small = (size * size * size).multiply_add(polynomial(size * size, _SINH[x.dtype]), size)
    return where(size < 1.0, small, large).copysign(x)


def cosh(x: Vec) -> Vec:
    """Hyperbolic cosine."""
    half = exp_scaled(abs(x), -1)
    return half + 0.25 / half


def tanh(x: Vec) -> Vec:
    """Hyperbolic tangent, from ``exp(-2 |x|) - 1``."""
    t = expm1(-2.0 * abs(x))
    return (-t / (2.0 + t)).copysign(x)


def sigmoid(x: Vec) -> Vec:
    """``1 / (1 + exp(-x))``, accurate on both sides."""
    e = exp(-abs(x))
    return where(x < 0.0, e, 1.0) / (1.0 + e)


def softplus(x: Vec) -> Vec:
    """``log(1 + exp(x))`` without overflow."""
    return maximum(x, 0.0) + log1p(exp(-abs(x)))


def erf(x: Vec) -> Vec:
    """Error function."""
    size = abs(x)
    small = size.multiply_add(polynomial(size * size, _ERF_SMALL[x.dtype]), size)
    if x.dtype == "float32":
        bounded = clamp(size, 0.0, 4.5)
        large = -_expm1_negative(polynomial(bounded, _ERF_LARGE_32))
    else:
        bounded = clamp(size, 0.0, 6.0)
        ratio = (bounded - 2.0) / (bounded + 2.0)
        large = 1.0 - exp(-bounded * bounded) * polynomial(ratio, _ERF_LARGE_64)
    return where(size < 1.0, small, large).copysign(x)


def _expm1_negative(x: Vec) -> Vec:
    """``exp(x) - 1`` for x well below 0, where the plain difference is accurate."""
    return exp(x) - 1.0


def _two_sum(a: Vec, b: Vec) -> tuple[Vec, Vec]:
    """``a + b`` and its rounding error, for abs(a) >= abs(b)."""
    total = a + b
    return total, b - (total - a)


def head(x: Vec) -> Vec:
    """The upper 26 bits of a float64's significand: products of two heads are exact."""
    return (x.bits() & -(1 << 27)).as_float("float64")


def two_product(a: Vec, b: Vec) -> tuple[Vec, Vec]:
    """``a * b`` and its rounding error (Dekker, 1971), without a fused multiply-add."""
    high_a, high_b = head(a), head(b)
    low_a, low_b = a - high_a, b - high_b
    product = a * b
    error = high_a * high_b - product
    return product, ((error + high_a * low_b) + low_a * high_b) + low_a * low_b


def log_double(x: Vec) -> tuple[Vec, Vec]:
    """The logarithm of a positive float64 as the unevaluated sum of two."""
    form = FORMAT["float64"]
    k, f = log_parts(x)
    exponent = small_float(k, "float64")
    # s = f / (2 + f) to twice the precision; log(1 + f) = 2 s + 2/3 s**3 + s**5 P(s**2), in which s**3 is
    # worth twice the precision too.
    denominator, denominator_low = _two_sum(f.constant(2.0), f)
    s = f / denominator
    product, product_low = two_product(s, denominator)
    s_low = (((f - product) - product_low) - s * denominator_low) / denominator
    square, square_low = two_product(s, s)
    square_low = square_low + 2.0 * s * s_low
    third, third_low = two_product(square, s.constant(_TWO_THIRDS[0]))
    third_low = third_low + (square * _TWO_THIRDS[1] + square_low * _TWO_THIRDS[0])
    cubic, cubic_low = two_product(s, third)
    cubic_low = cubic_low + (s * third_low + s_low * third)
    rest = cubic_low + s * (square * square) * polynomial(square, _LOG_LONG)
    high, low = _two_sum(exponent * form.ln2_high, 2.0 * s)
    at_zero = k.equals(0)
    high = where(at_zero, 2.0 * s, high)
    low = where(at_zero, 0.0, low) + (rest + (2.0 * s_low + exponent * form.ln2_low))
    high, more = _two_sum(high, cubic)
    return _two_sum(high, more + low)


def power(x: Vec, y: Vec) -> Vec:
    """``x ** y`` of floats, with C's rules for zeros, infinities and negative bases.

    Float32 goes through float64; float64 through a logarithm of twice the precision.
    """
    if x.dtype == "float32":
        return _signed_power(x, y, _power_32(abs(x), y))
    return _signed_power(x, y, _power_64(abs(x), y))


def _power_32(x: Vec, y: Vec) -> Vec:
    """``x ** y`` of a non-negative float32, by shorter polynomials in float64."""
    k, f = log_parts(x)
    f = f.cast("float64")
    s = f / (2.0 + f)
    square = s * s
    logarithm = (s * square).multiply_add(polynomial(square, _LOG_SHORT), 2.0 * s)
    logarithm = k.cast("float64").multiply_add(math.log(2.0), logarithm)
    logarithm = where(x.equals(0.0), -INFINITY, where(x < INFINITY, logarithm, x.cast("float64")))
    # float32 ends long before 2**±300, float64 long after it: one power of two is enough.
    exponent, r = _split_exponent(clamp(logarithm * y.cast("float64"), -200.0, 200.0))
    result = (r * r).multiply_add(polynomial(r, _EXP_SHORT), r)
    return ((1.0 + result) * power_of_two(exponent, "float64")).cast("float32")


def _power_64(x: Vec, y: Vec) -> Vec:
    regular = (x > 0.0) & (x < INFINITY)
    high, low = log_double(where(regular, x, 1.0))
    high = where(regular, high, log(x))
    product, error = two_product(y, high)
    error = error + y * low
    # Far beyond overflow and underflow only the leading part counts.
    sane = regular & (abs(product) < 1e4)
    return _exp_of_sum(where(sane, product, y * high), where(sane, error, 0.0))


def _exp_of_sum(x: Vec, low: Vec) -> Vec:
    """``exp(x + low)`` of a float64 and its tail: only the last addition rounds, so that 9.0 ** 3 is 729."""
    form = FORMAT["float64"]
    x = clamp(x, form.exp_range[0], form.exp_range[1] + 1)
    k, whole = _nearest_power(x)
    r = whole.multiply_add(-form.ln2_high, x)
    low = whole.multiply_add(-form.ln2_low, low)
    total, error = _two_sum(x.constant(1.0), r)
    near = r + low
    return scale(total + (error + (near * near).multiply_add(polynomial(near, form.exp), low)), k)


def _signed_power(x: Vec, y: Vec, size: Vec) -> Vec:
    """`size` = abs(x) ** y with its sign, and the exceptional cases."""
    whole = y.trunc().equals(y)
    half = y * 0.5
    odd = whole & half.trunc().differs(half) & (abs(y) < INFINITY)
    # The sign bit, not x < 0, so that (-0.0) ** -1 is minus infinity.
    result = where(odd, size.copysign(x), size)
    invalid = (x < 0.0) & ~whole & (x > -INFINITY)
    result = where(invalid, float("nan"), result)
    one = x.equals(1.0) | y.equals(0.0) | (x.equals(-1.0) & abs(y).equals(INFINITY))
    result = where(x.is_nan() | y.is_nan(), float("nan"), result)
    return where(one, 1.0, result)
