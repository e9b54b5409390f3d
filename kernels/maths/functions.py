"""The element-wise functions: name -> how its formula is emitted over vectors, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from symgraph.kernels.maths import exponential, floats, gamma, logarithm, trigonometric
from symgraph.kernels.tile.vector import ITEMSIZE, Vec, lowest, maximum, minimum, repeat_while, where


class Function(NamedTuple):
    """How a function is emitted.

    Attributes
    ----------
    emit : callable
        ``emit(*arguments)`` gives the result.
    cost : float
        Vector instructions it takes, roughly: weighs whether threads are worth it.
    casts : bool
        Whether the arguments are first converted to the result's dtype.
    """

    emit: Callable[..., Vec]
    cost: float = 1.0
    casts: bool = True


def _sign(x: Vec) -> Vec:
    one = x.constant(1)
    negative = where(x < 0, -one, where(x.equals(0), x.constant(0), x))
    return where(x > 0, one, negative)


def _safe_divisor(a: Vec, b: Vec) -> Vec:
    """`b`, with 1 where dividing `a` by it would trap."""
    unsafe = b.equals(0)
    if _is_signed(a):
        unsafe = unsafe | (b.equals(-1) & a.equals(lowest(a.dtype)))
    return where(unsafe, 1, b)


def _float_remainder(a: Vec, b: Vec) -> Vec:
    """C's fmod, exact: multiples of the divisor are taken away that need no rounding."""
    if a.dtype == "float32":
        return _exact_remainder(a.cast("float64"), b.cast("float64"), 28).cast("float32")
    return _exact_remainder(a, b, 23)


def _exact_remainder(a: Vec, b: Vec, bits: int) -> Vec:
    divisor = abs(b)
    regular = (abs(a) < float("inf")) & (divisor > 0.0)
    start = where(regular, abs(a), 0.0)
    # Zero lanes are done at once whatever the divisor.
    step = where(regular & (divisor < float("inf")), divisor, float("inf"))

    def take(rest: Vec) -> list[Vec]:
        # The largest 2**e * divisor with at most 2**bits of it in rest; two leaps where the quotient
        # overflows.
        base = step
        for _ in range(2 if bits < 28 else 0):
            base = where((rest / base).equals(float("inf")), base * 2.0**600, base)
        ratio = rest / base
        exponent = ((ratio.bits() >> 52) & 2047) - (1023 + bits - 1)
        many = ratio >= 2.0**bits
        multiple = base * where(many, exponential.power_of_two(where(many, exponent, 0), "float64"), 1.0)
        count = (rest / multiple).rint()
        # Half of everything where a product could overflow.
        half = where(rest > 1.0, rest.constant(0.5), rest.constant(1.0))
        head = exponential.head(multiple)
        count = count * half
        left = (rest * half - count * head) - count * (multiple - head)
        left = where(rest > 1.0, 2.0 * left, left)
        left = where(left < 0.0, left + multiple, left)
        return [where(rest >= step, left, rest)]

    (rest,) = repeat_while(lambda rest: rest >= step, take, [start])
    rest = where(regular | divisor.is_nan(), rest, float("nan"))
    rest = where(a.is_nan() | b.is_nan(), float("nan"), rest)
    return rest.copysign(a)


def _is_signed(x: Vec) -> bool:
    return x.dtype.startswith("int")


def _mod(a: Vec, b: Vec) -> Vec:
    """Remainder with the divisor's sign, as Python has it; of an integer by 0: 0."""
    if not a.is_float:
        rest = a.remainder(_safe_divisor(a, b))
        rest = where(b.equals(0), 0, rest)
        return where(rest.differs(0) & ((rest ^ b) < 0), rest + b, rest) if _is_signed(a) else rest
    rest = _float_remainder(a, b)
    return where(rest.equals(0.0), rest.copysign(b), where(_signs_differ(rest, b), rest + b, rest))


def _signs_differ(rest: Vec, divisor: Vec) -> Vec:
    return rest.differs(0.0) & ((rest < 0.0) ^ (divisor < 0.0))


def _floordiv(a: Vec, b: Vec) -> Vec:
    """Quotient rounded down (of an integer by 0: 0); floats as numpy: whole ``(a - fmod(a, b)) / b``."""
    if not a.is_float:
        quotient = a / _safe_divisor(a, b)
        if _is_signed(a):
            inexact = (quotient * b).differs(a)
            quotient = where(inexact & ((a ^ b) < 0), quotient - 1, quotient)
        return where(b.equals(0), 0, quotient)
    rest = _float_remainder(a, b)
    quotient = (a - rest) / b
    quotient = where(_signs_differ(rest, b), quotient - 1.0, quotient)
    whole = quotient.floor()
    whole = where(quotient - whole > 0.5, whole + 1.0, whole)
    result = where(quotient.equals(0.0), (quotient * 0.0).copysign(a / b), whole)
    return where(b.equals(0.0), a / b, result)


def _divide(a: Vec, b: Vec) -> Vec:
    return a / b if a.is_float else a / _safe_divisor(a, b)


def _power(x: Vec, y: Vec) -> Vec:
    """Power; of integers by repeated squaring, negative exponents as 1 / x**-y truncated."""
    if x.is_float:
        return exponential.power(x, y)
    one = x.constant(1)

    def step(base: Vec, exponent: Vec, total: Vec) -> list[Vec]:
        total = where((exponent & 1).differs(0), total * base, total)
        return [base * base, exponent >> 1, total]

    exponent = where(y < 0, 0, y) if _is_signed(y) else y
    _, _, total = repeat_while(lambda base, exponent, total: exponent.differs(0), step, [x, exponent, one])
    if not _is_signed(y):
        return total
    odd = (y & 1).differs(0)
    inverse = where(x.equals(1) | (x.equals(-1) & ~odd), one, where(x.equals(-1), -one, x.constant(0)))
    return where(y < 0, inverse, total)


def _reciprocal(x: Vec) -> Vec:
    if x.is_float:
        return 1.0 / x
    unit = x.equals(1) | x.equals(-1) if _is_signed(x) else x.equals(1)
    return where(unit, x, 0)


def _relu(x: Vec) -> Vec:
    # The order of the operands matters: one instruction, and NaN comes through.
    zero = x.constant(0)
    return where(zero > x, zero, x)


def _isinf(x: Vec) -> Vec:
    return abs(x).equals(float("inf")) if x.is_float else x.constant(0, "bool")


def _left_shift(a: Vec, b: Vec) -> Vec:
    """Bits moved up; none are left where the amount is negative or at least the width."""
    inside = (b >= 0) & (b < _width(a))
    return where(inside, a << where(inside, b, 0), 0)


def _right_shift(a: Vec, b: Vec) -> Vec:
    """Bits moved down, the sign kept; only it is left where the amount is negative or at least the width."""
    inside = (b >= 0) & (b < _width(a))
    if _is_signed(a):
        return a >> where(inside, b, _width(a) - 1)
    return where(inside, a >> where(inside, b, 0), 0)


def _width(x: Vec) -> int:
    """Bits of an integer."""
    return 8 * ITEMSIZE[x.dtype]


def _where(condition: Vec, yes: Vec, no: Vec) -> Vec:
    return where(condition.truth(), yes, no)


def _comparison(operator: str) -> Callable[[Vec, Vec], Vec]:
    return lambda a, b: a._compare(b, operator)


def _of_floats(formula: Callable[[Vec], Vec]) -> Callable[[Vec], Vec]:
    """A formula for floats as it is; integers come out unchanged."""
    return lambda x: formula(x) if x.is_float else x


FUNCTIONS: dict[str, Function] = {
    "add": Function(lambda a, b: a | b if a.dtype == "bool" else a + b),
    "sub": Function(lambda a, b: a - b),
    "mul": Function(lambda a, b: a & b if a.dtype == "bool" else a * b),
    "div": Function(_divide, 4),
    "floordiv": Function(_floordiv, 40),
    "mod": Function(_mod, 30),
    "pow": Function(_power, 80),
    "atan2": Function(trigonometric.atan2, 40),
    "hypot": Function(floats.hypot, 12),
    "copysign": Function(lambda a, b: a.copysign(b), 2),
    "nextafter": Function(floats.nextafter, 6),
    "maximum": Function(maximum, 2),
    "minimum": Function(minimum, 2),
    "clip": Function(lambda x, low, high: minimum(maximum(x, low), high), 4),
    "neg": Function(lambda x: -x),
    "abs": Function(abs),
    "sign": Function(_sign, 3),
    "square": Function(lambda x: x & x if x.dtype == "bool" else x * x),
    "sqrt": Function(Vec.sqrt, 5),
    "rsqrt": Function(lambda x: 1.0 / x.sqrt(), 9),
    "reciprocal": Function(_reciprocal, 4),
    "relu": Function(_relu),
    "exp": Function(exponential.exp, 20),
    "log": Function(exponential.log, 25),
    "log2": Function(logarithm.log2, 30),
    "log10": Function(logarithm.log10, 60),
    "log1p": Function(exponential.log1p, 35),
    "expm1": Function(exponential.expm1, 20),
    "sinh": Function(exponential.sinh, 35),
    "cosh": Function(exponential.cosh, 25),
    "tanh": Function(exponential.tanh, 25),
    "sigmoid": Function(exponential.sigmoid, 25),
    "softplus": Function(exponential.softplus, 60),
    "erf": Function(exponential.erf, 40),
    "lgamma": Function(gamma.lgamma, 150),
    "digamma": Function(gamma.digamma, 120),
    "sin": Function(trigonometric.sin, 35),
    "cos": Function(trigonometric.cos, 35),
    "tan": Function(trigonometric.tan, 40),
    "asin": Function(trigonometric.asin, 25),
    "acos": Function(trigonometric.acos, 25),
    "atan": Function(trigonometric.atan, 25),
    "asinh": Function(logarithm.asinh, 50),
    "acosh": Function(logarithm.acosh, 50),
    "atanh": Function(logarithm.atanh, 45),
    "floor": Function(_of_floats(Vec.floor)),
    "ceil": Function(_of_floats(Vec.ceil)),
    "round": Function(_of_floats(Vec.rint)),
    "trunc": Function(_of_floats(Vec.trunc)),
    "where": Function(_where, 1, casts=False),
    "equal": Function(_comparison("=="), 1, casts=False),
    "not_equal": Function(_comparison("!="), 1, casts=False),
    "less": Function(_comparison("<"), 1, casts=False),
    "less_equal": Function(_comparison("<="), 1, casts=False),
    "greater": Function(_comparison(">"), 1, casts=False),
    "greater_equal": Function(_comparison(">="), 1, casts=False),
    "logical_and": Function(lambda a, b: a.truth() & b.truth(), 1, casts=False),
    "logical_or": Function(lambda a, b: a.truth() | b.truth(), 1, casts=False),
    "logical_xor": Function(lambda a, b: a.truth() ^ b.truth(), 1, casts=False),
    "logical_not": Function(lambda a: ~a.truth(), 1, casts=False),
    "isnan": Function(Vec.is_nan, 1, casts=False),
    "signbit": Function(floats.signbit, 1, casts=False),
    "isinf": Function(_isinf, 1, casts=False),
    "bitwise_and": Function(lambda a, b: a & b),
    "bitwise_or": Function(lambda a, b: a | b),
    "bitwise_xor": Function(lambda a, b: a ^ b),
    "bitwise_not": Function(lambda a: ~a),
    "left_shift": Function(_left_shift, 4),
    "right_shift": Function(_right_shift, 4),
    "cast": Function(lambda x: x, 1),
}


def emit_function(name: str, dtype: str, arguments: Sequence[Vec]) -> Vec:
    """Emit the function `name` with a result of `dtype`."""
    function = FUNCTIONS[name]
    if function.casts:
        arguments = [a.cast(dtype) for a in arguments]
    elif name == "where":
        arguments = [arguments[0], *(a.cast(dtype) for a in arguments[1:])]
    result = function.emit(*arguments)
    return result.cast(dtype)
