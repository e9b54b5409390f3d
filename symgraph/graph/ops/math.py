"""Element-wise functions of one number: exponentials, roots, trigonometry, rounding, activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.globals import floatx
from symgraph.graph.leaves import as_tensor, constant
from symgraph.graph.ops.elementwise import NUMBERS, Elementwise, cast, maximum, minimum, where
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import FLOATS, is_float, is_integer, working_dtype

_erf = np.vectorize(math.erf, otypes=[np.float64])


class Unary(Elementwise):
    """A function of one float."""

    arity: ClassVar[int] = 1
    accepts: ClassVar[tuple[str, ...]] = FLOATS

    def derivative(self, x: Tensor, y: Tensor) -> Tensor | None:
        """dy/dx in terms of x and y; None where it is zero almost everywhere."""
        raise NotImplementedError

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The chain rule."""
        slope = self.derivative(inputs[0], output)
        return (None if slope is None else grad * slope,)


class Stairs(Unary):
    """A function that is constant but for jumps: its derivative is zero almost everywhere."""

    smooth: ClassVar[bool] = False
    domain: ClassVar[tuple[float, float]] = (-9.0, 9.0)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor | None:
        """Zero: not connected."""
        return None


@dataclass(frozen=True)
class Negative(Unary):
    """-x."""

    kernel: ClassVar[str] = "neg"
    function: ClassVar[Callable[..., Any]] = np.negative
    accepts: ClassVar[tuple[str, ...]] = NUMBERS

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """-1."""
        return (-grad,)


@dataclass(frozen=True)
class Absolute(Unary):
    """|x|; its derivative at 0 is 0."""

    kernel: ClassVar[str] = "abs"
    function: ClassVar[Callable[..., Any]] = np.abs
    accepts: ClassVar[tuple[str, ...]] = NUMBERS

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """sign(x)."""
        return sign(x)


@dataclass(frozen=True)
class Sign(Stairs):
    """-1, 0 or 1 as x is negative, zero or positive."""

    kernel: ClassVar[str] = "sign"
    function: ClassVar[Callable[..., Any]] = np.sign
    accepts: ClassVar[tuple[str, ...]] = NUMBERS


@dataclass(frozen=True)
class Exp(Unary):
    """e^x."""

    kernel: ClassVar[str] = "exp"
    function: ClassVar[Callable[..., Any]] = np.exp

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """e^x."""
        return y


@dataclass(frozen=True)
class Expm1(Unary):
    """e^x - 1, accurate near 0."""

    kernel: ClassVar[str] = "expm1"
    function: ClassVar[Callable[..., Any]] = np.expm1

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """e^x."""
        return y + 1


@dataclass(frozen=True)
class Log(Unary):
    """Natural logarithm."""

    kernel: ClassVar[str] = "log"
    function: ClassVar[Callable[..., Any]] = np.log
    domain: ClassVar[tuple[float, float]] = (0.3, 3.0)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """1/x."""
        return reciprocal(x)


@dataclass(frozen=True)
class Log1p(Unary):
    """ln(1 + x), accurate near 0."""

    kernel: ClassVar[str] = "log1p"
    function: ClassVar[Callable[..., Any]] = np.log1p
    domain: ClassVar[tuple[float, float]] = (-0.5, 3.0)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """1/(1 + x)."""
        return reciprocal(x + 1)


@dataclass(frozen=True)
class Sqrt(Unary):
    """Square root."""

    kernel: ClassVar[str] = "sqrt"
    function: ClassVar[Callable[..., Any]] = np.sqrt
    domain: ClassVar[tuple[float, float]] = (0.3, 3.0)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """1/(2√x)."""
        return 0.5 / y


@dataclass(frozen=True)
class Rsqrt(Unary):
    """1/√x."""

    kernel: ClassVar[str] = "rsqrt"
    function: ClassVar[Callable[..., Any]] = staticmethod(lambda x: 1 / np.sqrt(x))
    domain: ClassVar[tuple[float, float]] = (0.3, 3.0)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """-1/(2x√x)."""
        return -0.5 * y / x


@dataclass(frozen=True)
class Square(Unary):
    """x²."""

    kernel: ClassVar[str] = "square"
    function: ClassVar[Callable[..., Any]] = np.square
    accepts: ClassVar[tuple[str, ...]] = NUMBERS

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """2x."""
        return 2 * x


@dataclass(frozen=True)
class Reciprocal(Unary):
    """1/x."""

    kernel: ClassVar[str] = "reciprocal"
    function: ClassVar[Callable[..., Any]] = np.reciprocal
    domain: ClassVar[tuple[float, float]] = (0.3, 3.0)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """-1/x²."""
        return -y * y


@dataclass(frozen=True)
class Sin(Unary):
    """Sine of radians."""

    kernel: ClassVar[str] = "sin"
    function: ClassVar[Callable[..., Any]] = np.sin

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """cos x."""
        return cos(x)


@dataclass(frozen=True)
class Cos(Unary):
    """Cosine of radians."""

    kernel: ClassVar[str] = "cos"
    function: ClassVar[Callable[..., Any]] = np.cos

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """-sin x."""
        return -sin(x)


@dataclass(frozen=True)
class Tan(Unary):
    """Tangent of radians."""

    kernel: ClassVar[str] = "tan"
    function: ClassVar[Callable[..., Any]] = np.tan
    domain: ClassVar[tuple[float, float]] = (-1.2, 1.2)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """1 + tan² x."""
        return 1 + y * y


@dataclass(frozen=True)
class Arcsin(Unary):
    """Inverse sine, in radians."""

    kernel: ClassVar[str] = "asin"
    function: ClassVar[Callable[..., Any]] = np.arcsin
    domain: ClassVar[tuple[float, float]] = (-0.9, 0.9)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """1/√(1 - x²)."""
        return rsqrt(1 - x * x)


@dataclass(frozen=True)
class Arccos(Unary):
    """Inverse cosine, in radians."""

    kernel: ClassVar[str] = "acos"
    function: ClassVar[Callable[..., Any]] = np.arccos
    domain: ClassVar[tuple[float, float]] = (-0.9, 0.9)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """-1/√(1 - x²)."""
        return -rsqrt(1 - x * x)


@dataclass(frozen=True)
class Arctan(Unary):
    """Inverse tangent, in radians."""

    kernel: ClassVar[str] = "atan"
    function: ClassVar[Callable[..., Any]] = np.arctan

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """1/(1 + x²)."""
        return reciprocal(1 + x * x)


@dataclass(frozen=True)
class Sinh(Unary):
    """Hyperbolic sine."""

    kernel: ClassVar[str] = "sinh"
    function: ClassVar[Callable[..., Any]] = np.sinh

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """cosh x."""
        return cosh(x)


@dataclass(frozen=True)
class Cosh(Unary):
    """Hyperbolic cosine."""

    kernel: ClassVar[str] = "cosh"
    function: ClassVar[Callable[..., Any]] = np.cosh

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """sinh x."""
        return sinh(x)


@dataclass(frozen=True)
class Tanh(Unary):
    """Hyperbolic tangent."""

    kernel: ClassVar[str] = "tanh"
    function: ClassVar[Callable[..., Any]] = np.tanh

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """1 - tanh² x."""
        return 1 - y * y


@dataclass(frozen=True)
class Sigmoid(Unary):
    """1/(1 + e^-x)."""

    kernel: ClassVar[str] = "sigmoid"
    function: ClassVar[Callable[..., Any]] = staticmethod(
        # Without the overflow that 1 / (1 + exp(-x)) has far below 0.
        lambda x: np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))
    )

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """y(1 - y)."""
        return y * (1 - y)


@dataclass(frozen=True)
class Softplus(Unary):
    """ln(1 + e^x), without overflow."""

    kernel: ClassVar[str] = "softplus"
    function: ClassVar[Callable[..., Any]] = staticmethod(lambda x: np.logaddexp(x, np.zeros_like(x)))

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """sigmoid(x)."""
        return sigmoid(x)


@dataclass(frozen=True)
class Erf(Unary):
    """The error function 2/√π ∫₀ˣ e^(-t²) dt."""

    kernel: ClassVar[str] = "erf"
    function: ClassVar[Callable[..., Any]] = staticmethod(
        lambda x: _erf(x) if np.size(x) else np.zeros_like(x)
    )

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """2/√π e^(-x²)."""
        return 2 / math.sqrt(math.pi) * exp(-x * x)


@dataclass(frozen=True)
class Relu(Unary):
    """max(x, 0); NaN and -0.0 stay as they are; its derivative at 0 is 0."""

    kernel: ClassVar[str] = "relu"
    function: ClassVar[Callable[..., Any]] = staticmethod(lambda x: np.where(x < 0, np.zeros_like(x), x))
    accepts: ClassVar[tuple[str, ...]] = NUMBERS

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The gradient where the output is positive (so the input need not be kept)."""
        return (where(output > 0, grad, constant(0, grad.dtype)),)


@dataclass(frozen=True)
class Floor(Stairs):
    """The largest integer not above x."""

    kernel: ClassVar[str] = "floor"
    function: ClassVar[Callable[..., Any]] = np.floor


@dataclass(frozen=True)
class Ceil(Stairs):
    """The smallest integer not below x."""

    kernel: ClassVar[str] = "ceil"
    function: ClassVar[Callable[..., Any]] = np.ceil


@dataclass(frozen=True)
class Round(Stairs):
    """The nearest integer, halves to even."""

    kernel: ClassVar[str] = "round"
    function: ClassVar[Callable[..., Any]] = np.round


@dataclass(frozen=True)
class Trunc(Stairs):
    """The integer part of x."""

    kernel: ClassVar[str] = "trunc"
    function: ClassVar[Callable[..., Any]] = np.trunc


class FloatTest(Stairs):
    """A test of a float: bool result."""

    def infer(self, *types: Any) -> Any:
        """The same shape, bool."""
        return super().infer(*types).__class__("bool", types[0].shape)

    def reference(self, *arrays: Any) -> Any:
        """numpy's test."""
        return np.asarray(type(self).function(*arrays))


@dataclass(frozen=True)
class IsNan(FloatTest):
    """Whether x is NaN."""

    kernel: ClassVar[str] = "isnan"
    function: ClassVar[Callable[..., Any]] = np.isnan


@dataclass(frozen=True)
class IsInf(FloatTest):
    """Whether x is infinite."""

    kernel: ClassVar[str] = "isinf"
    function: ClassVar[Callable[..., Any]] = np.isinf


def unary(op: type[Elementwise]) -> Callable[[Any], Tensor]:
    """The builder function of an op of one tensor."""

    def build(x: Any) -> Tensor:
        x = as_tensor(x, floatx())
        if x.dtype not in op.accepts:
            x = cast(x, "int32" if "int32" in op.accepts else working_dtype(floatx()))
        return op()(x)

    build.__doc__ = f"{op.__doc__} Integers are computed in `K.floatx()` where the op is for floats."
    build.__name__ = op.__name__.lower()
    return build


negative = unary(Negative)
absolute = unary(Absolute)
sign = unary(Sign)
exp = unary(Exp)
expm1 = unary(Expm1)
log = unary(Log)
log1p = unary(Log1p)
sqrt = unary(Sqrt)
rsqrt = unary(Rsqrt)
square = unary(Square)
reciprocal = unary(Reciprocal)
sin = unary(Sin)
cos = unary(Cos)
tan = unary(Tan)
arcsin = unary(Arcsin)
arccos = unary(Arccos)
arctan = unary(Arctan)
sinh = unary(Sinh)
cosh = unary(Cosh)
tanh = unary(Tanh)
sigmoid = unary(Sigmoid)
softplus = unary(Softplus)
erf = unary(Erf)
relu = unary(Relu)
isnan = unary(IsNan)
isinf = unary(IsInf)


def _rounding(op: type[Elementwise]) -> Callable[[Any], Tensor]:
    def build(x: Any) -> Tensor:
        x = as_tensor(x, floatx())
        return op()(x) if is_float(x.dtype) else x

    build.__doc__ = f"{op.__doc__} Integers stay as they are."
    build.__name__ = op.__name__.lower()
    return build


floor = _rounding(Floor)
ceil = _rounding(Ceil)
round = _rounding(Round)
trunc = _rounding(Trunc)


def clip(x: Any, low: Any, high: Any) -> Tensor:
    """x held between `low` and `high`; NaN stays NaN. The gradient is 1 inside, 0 outside.

    None is no bound, and neither is a Python integer that no value of x's integer dtype can pass.
    """
    x = as_tensor(x)
    if not _is_idle(x, low, -1):
        x = maximum(x, low)
    return x if _is_idle(x, high, 1) else minimum(x, high)


def _is_idle(x: Tensor, bound: Any, side: int) -> bool:
    """Whether a lower (side -1) or upper (side 1) bound changes no value of the dtype of `x`."""
    if bound is None or not is_integer(x.dtype) or type(bound) is not int:
        return bound is None
    limits = np.iinfo(x.dtype)
    return bound <= limits.min if side < 0 else bound >= limits.max
