"""Every element-wise function over its whole range, against numpy and scipy in higher precision.

Samples hold every exponent of the dtype, subnormal numbers too. The truth of float32 and float64 is computed
in x86's 80-bit format (erf: in float64).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import scipy.special

from symgraph.graph.op import registered_ops
from symgraph.graph.ops.elementwise import Cast, Elementwise
from symgraph.kernels.elementwise import Instruction, elementwise, elementwise_rows
from symgraph.kernels.maths.functions import FUNCTIONS
from symgraph.kernels.run.buffer import launch

LONG = np.longdouble
FLOATS = ("float32", "float64")
ULPS = 4.0
UNARY = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "expm1": np.expm1,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "sqrt": np.sqrt,
    "sigmoid": lambda x: np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x))),
    "softplus": lambda x: np.logaddexp(LONG(0), x),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "square": np.square,
    "erf": lambda x: scipy.special.erf(x.astype("float64")),
}
EXACT = {
    "neg": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,
    "trunc": np.trunc,
    "relu": lambda x: np.where(x < 0, 0, x),
    "isnan": np.isnan,
    "isinf": np.isinf,
    "signbit": np.signbit,
    "logical_not": np.logical_not,
}
PAIRS = {"div": np.divide, "pow": np.power, "atan2": np.arctan2, "hypot": np.hypot}
EXACT_PAIRS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "mod": np.mod,
    "copysign": np.copysign,
    "nextafter": np.nextafter,
    "floordiv": np.floor_divide,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}
OF_BITS = ("bitwise_", "left_shift", "right_shift")
TESTED_ELSEWHERE = {"clip", "where", "cast", "lgamma", "digamma"} | {
    name for name in FUNCTIONS if name.startswith(OF_BITS)
}
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def specials(dtype):
    f = np.finfo(dtype)
    ends = [87, 89, 104, 709, 711, 746]
    whole = [1e3, 2.0**24 - 1, 2.0**24, 2.0**53 - 1, 2.0**53, 2.0**60]
    tiny = [f.tiny, f.tiny / 8, f.smallest_subnormal, f.eps]
    values = np.array([0, 0.5, 1, 1.5, 2, 2.5, 3, 1 + f.eps, 1 - f.eps / 2, *tiny, *ends, *whole, f.max])
    return np.array([*values, *-values, np.inf, -np.inf, np.nan], dtype)


@cache
def samples(dtype):
    """Numbers of every exponent, the first and last of each among them, and of the usual ranges."""
    rng = np.random.default_rng(0)
    digits = np.finfo(dtype).nmant
    bits = np.dtype(dtype).itemsize * 8
    exponents = np.arange(2 ** (bits - 1 - digits) - 1, dtype=f"uint{bits}")
    rest = rng.integers(0, 2**digits, (exponents.size, 12 if bits == 32 else 4), exponents.dtype)
    rest[:, 0], rest[:, 1] = 0, 2**digits - 1
    every = ((exponents[:, None] << np.uint8(digits).astype(exponents.dtype)) | rest).ravel().view(dtype)
    usual = [rng.uniform(-a, a, 2000) for a in (1, 8, 110, 750)]
    turns = np.arange(-2000, 2000) * np.pi / 4
    return np.concatenate([specials(dtype), every, -every, *usual, turns]).astype(dtype)


@cache
def pairs(dtype):
    """Every pair of special numbers, pairs of any two, and bases with exponents that keep powers finite."""
    rng = np.random.default_rng(1)
    special, any_ = specials(dtype), samples(dtype)
    with np.errstate(all="ignore"):
        range_ = np.finfo(dtype).maxexp / np.abs(np.log2(np.abs(any_)))
        exponents = (rng.uniform(-1, 1, any_.size) * np.minimum(range_, 1e30)).astype(dtype)
    left = np.concatenate([np.repeat(special, special.size), any_, any_])
    return left, np.concatenate([np.tile(special, special.size), rng.permutation(any_), exponents])


def assert_within(actual, expected, ulps):
    """Within units in the last place of the expected value; NaN, infinities and signs where expected."""
    rounded = np.asarray(expected).astype(actual.dtype)
    finite = np.isfinite(rounded) & np.isfinite(actual)
    np.testing.assert_array_equal(actual[~finite], rounded[~finite])
    known = ~np.isnan(rounded)
    np.testing.assert_array_equal(np.signbit(actual[known]), np.signbit(rounded[known]))
    unit = np.spacing(np.abs(rounded[finite])).astype(LONG)
    error = np.abs(actual[finite].astype(LONG) - expected[finite]) / np.where(np.isfinite(unit), unit, 1)
    worst = int(error.argmax())
    assert error[worst] <= ulps, (error[worst], actual[finite][worst], expected[finite][worst])


def assert_same(actual, expected):
    """The same dtype and bits, but for what NaNs carry."""
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
    if expected.dtype.kind == "f":
        known = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(actual[known]), np.signbit(expected[known]))


def test_every_function_is_here():
    assert set(FUNCTIONS) == {*UNARY, *EXACT, *PAIRS, *EXACT_PAIRS} | TESTED_ELSEWHERE


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", UNARY)
def test_function_is_accurate_everywhere(name, dtype):
    x = samples(dtype)
    assert_within(elementwise(name, x), UNARY[name](x.astype(LONG)), ULPS)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", PAIRS)
def test_function_of_pairs_is_accurate_everywhere(name, dtype):
    x, y = pairs(dtype)
    assert_within(elementwise(name, x, y), PAIRS[name](x.astype(LONG), y.astype(LONG)), ULPS)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", EXACT)
def test_exact_function_equals_numpy(name, dtype):
    x = samples(dtype)
    assert_same(elementwise(name, x), EXACT[name](x))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", EXACT_PAIRS)
def test_exact_function_of_pairs_equals_numpy(name, dtype):
    x, y = pairs(dtype)
    assert_same(elementwise(name, x, y), EXACT_PAIRS[name](x, y))


def test_sine_of_the_number_nearest_to_a_multiple_of_half_pi():
    """6381956970095103 * 2**797 is within 2**-60 of one (Muller, Elementary Functions, 2006, table 11.1)."""
    x = np.array([np.ldexp(6381956970095103.0, 797), np.ldexp(6381956970095103.0, -53)])
    cosine = elementwise("cos", x)
    np.testing.assert_allclose(cosine[0], -4.68716592425462761112e-19, rtol=1e-15)
    np.testing.assert_allclose(cosine[1], np.cos(x[1]), rtol=1e-15)


def _lgamma(x):
    """scipy's; near 1 and 2, where it is not accurate, -γt + ζ(2)/2 t² - ζ(3)/3 t³ ... at 1 + t."""
    expected = scipy.special.gammaln(x).astype(LONG)
    for zero in (1, 2):
        near = np.abs(x - zero) < 0.7
        t = x[near].astype(LONG) - zero
        series = -LONG("0.57721566490153286060651209008240243") * t
        for k in range(2, 120):
            series += scipy.special.zeta(k) * (-t) ** k / k
        expected[near] = series + (np.log1p(t) if zero == 2 else 0)
    return expected


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["lgamma", "digamma"])
def test_gamma_functions_are_accurate_everywhere(name, dtype):
    """In units of the last place where x is positive, of 1 or the value near the zeros below."""
    truth = {"lgamma": _lgamma, "digamma": scipy.special.digamma}[name]
    x = samples(dtype)
    x = x[(np.abs(x) < np.inf) & (x != 0)]
    x = x[(x > 0) | ((x > -100) & (x != np.floor(x)))]
    wide = x.astype("float64")
    expected = truth(wide)
    finite = np.isfinite(expected.astype(dtype))
    x, wide, expected = x[finite], wide[finite], expected[finite]
    # Near digamma's root, and near poles of negative numbers, scipy's are worse than these.
    far = (wide > 0) | (np.abs(wide - np.rint(wide)) > 0.1)
    far &= (np.abs(wide - 1.4616321449683622) > 1e-3) | (name == "lgamma")
    x, wide, expected = x[far], wide[far], expected[far]
    found = elementwise(name, x)
    unit = np.spacing(np.abs(expected).astype(dtype)).astype("float64")
    unit = np.where(wide < 0, np.maximum(unit, 20 * np.finfo(dtype).eps), unit)
    error = np.abs(found.astype(LONG) - expected) / unit
    worst = int(error.argmax())
    assert error[worst] <= ULPS, (error[worst], x[worst], found[worst], expected[worst])


def test_gamma_functions_at_special_points():
    x = np.array([0.0, -0.0, -1.0, -2.0, np.inf, -np.inf, np.nan, 1.0, 2.0, 1.4616321449683622])
    found = elementwise("lgamma", x)
    np.testing.assert_array_equal(found[:9], [np.inf] * 6 + [np.nan, 0.0, 0.0])
    # The slopes at the zeros are -0.5772156649015329 and 0.42278433509846713 (Euler's constant).
    beside = elementwise("lgamma", np.array([1 - 2.0**-53, 2 - 2.0**-52]))
    np.testing.assert_allclose(
        beside, [0.5772156649015329 * 2**-53, -0.42278433509846713 * 2**-52], rtol=1e-14
    )
    found = elementwise("digamma", x)
    np.testing.assert_array_equal(found[:7], [-np.inf, np.inf, np.nan, np.nan, np.inf, np.nan, np.nan])
    # The root is 1.4616321449683622 + 9.549995429965697e-17, the slope there 0.9676722454476212 (mpmath).
    np.testing.assert_allclose(found[9], -9.549995429965697e-17 * 0.9676722454476212, rtol=1e-9)


REFERENCES = [
    op
    for op in registered_ops()
    if issubclass(op, Elementwise) and op is not Cast and op.kernel in {*UNARY, *PAIRS, *EXACT, *EXACT_PAIRS}
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op", REFERENCES, ids=lambda op: op.kernel)
def test_reference_is_accurate_everywhere(op, dtype):
    """Constants are folded by references: they have to be as good as kernels."""
    arrays = pairs(dtype) if op.arity == 2 else (samples(dtype),)
    if dtype in op.accepts:
        truth = (UNARY | PAIRS).get(op.kernel)
        if truth is None:
            assert_same(op().reference(*arrays), (EXACT | EXACT_PAIRS)[op.kernel](*arrays))
        else:
            assert_within(op().reference(*arrays), truth(*(a.astype(LONG) for a in arrays)), ULPS)


@pytest.mark.parametrize("name", [*UNARY, *EXACT])
def test_result_does_not_depend_on_the_place(name):
    """Tails, strided and single elements have the bits that whole vectors have."""
    x = np.random.default_rng(2).permutation(samples("float32"))[:300]
    whole = elementwise(name, x)
    for part in (slice(0, 1), slice(3, 20), slice(5, 38), slice(1, 290, 3), slice(290, 7, -7)):
        np.testing.assert_array_equal(elementwise(name, x[part]), whole[part])
    np.testing.assert_array_equal(elementwise(name, np.broadcast_to(x[7], (5,))), whole[[7] * 5])


@pytest.mark.parametrize("dtype", FLOATS)
def test_fused_steps_have_the_bits_of_single_ones(dtype):
    names = ("sin", "exp", "log1p", "tanh", "sqrt", "erf", "cos", "softplus", "reciprocal", "mul", "add")
    x = samples(dtype)
    steps, values = [], [x]
    for name in names:
        last = len(values) - 1
        args = (last, 0) if name in ("mul", "add") else (last,)
        steps.append(Instruction(name, args, dtype))
        values.append(elementwise(name, *(values[a] for a in args)))
    out = np.empty_like(x)
    program = tuple(steps)
    launch(lambda x, out, **o: elementwise_rows(program, (len(names),), [x], [out], **o), x, out)
    np.testing.assert_array_equal(out, values[-1])
