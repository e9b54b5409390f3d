"""The standard's element-wise functions.

Operands broadcast. Python numbers take the dtype of the tensor beside them; integers are computed in
`K.floatx()` where a function is one of floats.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from symgraph.graph.ops import bits, compare, create, floats, logarithms, math, plane
from symgraph.graph.ops import elementwise as ops
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float
from symgraph.numpy.arguments import as_array, operands


def _one(name: str, build: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    """A function of one tensor."""

    def function(x: Any, /) -> Tensor:
        return build(as_array(x))

    return _named(function, name, build)


def _two(name: str, build: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
    """A function of two tensors, or of a tensor and a number."""

    def function(x1: Any, x2: Any, /) -> Tensor:
        return build(*operands(x1, x2))

    return _named(function, name, build)


def _named(function: Callable[..., Tensor], name: str, build: Callable[..., Tensor]) -> Callable[..., Tensor]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = build.__doc__
    return function


def _bool_abs(x: Tensor) -> Tensor:
    """|x|."""
    return x if x.dtype == "bool" else math.absolute(x)


def _same(x: Tensor) -> Tensor:
    """x, as it is."""
    return x


def _imaginary(x: Tensor) -> Tensor:
    """The imaginary part: zeros, as there are no complex dtypes here."""
    return create.zeros_like(x)


abs = _one("abs", _bool_abs)
acos = _one("acos", math.arccos)
acosh = _one("acosh", logarithms.arccosh)
add = _two("add", ops.add)
asin = _one("asin", math.arcsin)
asinh = _one("asinh", logarithms.arcsinh)
atan = _one("atan", math.arctan)
atan2 = _two("atan2", plane.arctan2)
atanh = _one("atanh", logarithms.arctanh)
bitwise_and = _two("bitwise_and", bits.bitwise_and)
bitwise_left_shift = _two("bitwise_left_shift", bits.left_shift)
bitwise_invert = _one("bitwise_invert", bits.bitwise_not)
bitwise_or = _two("bitwise_or", bits.bitwise_or)
bitwise_right_shift = _two("bitwise_right_shift", bits.right_shift)
bitwise_xor = _two("bitwise_xor", bits.bitwise_xor)
ceil = _one("ceil", math.ceil)
conj = _one("conj", _same)
copysign = _two("copysign", floats.copysign)
cos = _one("cos", math.cos)
cosh = _one("cosh", math.cosh)
divide = _two("divide", ops.divide)
equal = _two("equal", compare.equal)
exp = _one("exp", math.exp)
expm1 = _one("expm1", math.expm1)
floor = _one("floor", math.floor)
floor_divide = _two("floor_divide", ops.floor_divide)
greater = _two("greater", compare.greater)
greater_equal = _two("greater_equal", compare.greater_equal)
hypot = _two("hypot", plane.hypot)
imag = _one("imag", _imaginary)
isfinite = _one("isfinite", floats.isfinite)
isinf = _one("isinf", math.isinf)
isnan = _one("isnan", math.isnan)
less = _two("less", compare.less)
less_equal = _two("less_equal", compare.less_equal)
log = _one("log", math.log)
log1p = _one("log1p", math.log1p)
log2 = _one("log2", logarithms.log2)
log10 = _one("log10", logarithms.log10)
logaddexp = _two("logaddexp", logarithms.logaddexp)
logical_and = _two("logical_and", compare.logical_and)
logical_not = _one("logical_not", compare.logical_not)
logical_or = _two("logical_or", compare.logical_or)
logical_xor = _two("logical_xor", compare.logical_xor)
maximum = _two("maximum", ops.maximum)
minimum = _two("minimum", ops.minimum)
multiply = _two("multiply", ops.multiply)
negative = _one("negative", math.negative)
nextafter = _two("nextafter", floats.nextafter)
not_equal = _two("not_equal", compare.not_equal)
positive = _one("positive", _same)
pow = _two("pow", ops.power)
real = _one("real", _same)
reciprocal = _one("reciprocal", math.reciprocal)
remainder = _two("remainder", ops.mod)
round = _one("round", math.round)
sign = _one("sign", math.sign)
signbit = _one("signbit", floats.signbit)
sin = _one("sin", math.sin)
sinh = _one("sinh", math.sinh)
sqrt = _one("sqrt", math.sqrt)
square = _one("square", math.square)
subtract = _two("subtract", ops.subtract)
tan = _one("tan", math.tan)
tanh = _one("tanh", math.tanh)
trunc = _one("trunc", math.trunc)


def clip(x: Any, /, min: Any = None, max: Any = None) -> Tensor:
    """x held between `min` and `max`, in its own dtype; None is no bound. NaN stays NaN.

    Bounds are numbers, or tensors that broadcast with x. Integer bounds beyond the dtype of an integer x hold
    nothing back.
    """
    x = as_array(x)
    low, high = (_bound(x, bound) for bound in (min, max))
    return math.clip(x, low, high)


def _bound(x: Tensor, bound: Any) -> Any:
    if bound is None or isinstance(bound, builtins.int):
        return bound
    if isinstance(bound, float):
        if not is_float(x.dtype):
            raise TypeError(f"clip: expected integer bounds of {x.dtype}, got {bound}; cast x first")
        return bound
    tensor = as_array(bound)
    if is_float(tensor.dtype) and not is_float(x.dtype):
        raise TypeError(f"clip: expected integer bounds of {x.dtype}, got {tensor.dtype}; cast x first")
    return tensor if tensor.dtype == x.dtype else ops.cast(tensor, x.dtype)


__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "clip",
    "conj",
    "copysign",
    "cos",
    "cosh",
    "divide",
    "equal",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "hypot",
    "imag",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "nextafter",
    "not_equal",
    "positive",
    "pow",
    "real",
    "reciprocal",
    "remainder",
    "round",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "trunc",
]  # fmt: skip
