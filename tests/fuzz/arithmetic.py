"""Element-wise operations of random graphs, and the expressions that rewriting rules look for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from symgraph import backend as K
from symgraph.graph.ops import barrier, compare, elementwise, math, nn
from symgraph.graph.types import is_float, promote
from tests.fuzz.nodes import Node
from tests.fuzz.values import Kind

if TYPE_CHECKING:
    from tests.fuzz.grow import Grower


@dataclass(frozen=True)
class Function:
    """A builder of tensors and numpy's function. See `Node` for `moves` and `jumps`."""

    name: str
    build: Callable[..., Any]
    twin: Callable[..., Any]
    moves: bool = False
    jumps: bool = False
    stabilised: bool = False
    vanishes: bool = False


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _softplus(x: Any) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _relu(x: Any) -> Any:
    return np.where(x < 0, x.dtype.type(0), x)


def _erf(x: Any) -> Any:
    return special.erf(x.astype("float64"))


def _sqrt_of_size(x: Any) -> Any:
    return np.sqrt(np.abs(x))


BINARY = (
    Function("add", elementwise.add, np.add),
    Function("subtract", elementwise.subtract, np.subtract),
    Function("multiply", elementwise.multiply, np.multiply),
    Function("maximum", elementwise.maximum, np.maximum, moves=True),
    Function("minimum", elementwise.minimum, np.minimum, moves=True),
)
COMPARISONS = (
    Function("less", compare.less, np.less, jumps=True),
    Function("less_equal", compare.less_equal, np.less_equal, jumps=True),
    Function("greater", compare.greater, np.greater, jumps=True),
    Function("greater_equal", compare.greater_equal, np.greater_equal, jumps=True),
    Function("equal", compare.equal, np.equal, jumps=True),
    Function("not_equal", compare.not_equal, np.not_equal, jumps=True),
)
# Of numbers of any dtype.
NUMERIC = (
    Function("negative", math.negative, np.negative, moves=True),
    Function("absolute", math.absolute, np.abs, moves=True),
    Function("square", math.square, np.square),
    Function("relu", math.relu, _relu, moves=True),
    Function("sign", math.sign, np.sign, moves=True, jumps=True),
    Function("identity", barrier.identity, lambda x: x, moves=True),
    Function("x * 1", lambda x: x * 1, lambda x: x, moves=True),
    Function("x * -1", lambda x: x * -1, np.negative, moves=True),
    Function("x + 0", lambda x: x + 0, lambda x: x + x.dtype.type(0), moves=True),
    Function("x - 0", lambda x: x - 0, lambda x: x, moves=True),
    Function("-(-x)", lambda x: math.negative(-x), lambda x: x, moves=True),
    Function("x + 1", lambda x: x + 1, lambda x: x + x.dtype.type(1)),
    Function("3 - x", lambda x: 3 - x, lambda x: x.dtype.type(3) - x),
    Function("x ** 2", lambda x: x**2, np.square),
    Function("x + x", lambda x: x + x, lambda x: x + x),
    Function("x - x", lambda x: x - x, lambda x: x - x),
    Function(
        "positive part", lambda x: elementwise.where(x > 0, x, 0), lambda x: np.where(x > 0, x, 0), True, True
    ),
)  # fmt: skip
FLOAT = (
    Function("exp", math.exp, np.exp, vanishes=True),
    Function("log", math.log, np.log),
    Function("tanh", math.tanh, np.tanh),
    Function("sigmoid", math.sigmoid, _sigmoid, vanishes=True),
    Function("softplus", math.softplus, _softplus, vanishes=True),
    Function("sin", math.sin, np.sin),
    Function("cos", math.cos, np.cos),
    Function("erf", math.erf, _erf),
    Function("arctan", math.arctan, np.arctan),
    Function("log1p(abs)", lambda x: math.log1p(math.absolute(x)), lambda x: np.log1p(np.abs(x))),
    Function("expm1", math.expm1, np.expm1, vanishes=True),
    Function("elu", K.elu, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    Function("floor", math.floor, np.floor, moves=True, jumps=True),
    Function("round", math.round, np.rint, moves=True, jumps=True),
    Function("isnan", math.isnan, np.isnan, jumps=True),
    Function("isinf", math.isinf, np.isinf, jumps=True),
    Function("1 / x", lambda x: 1 / x, lambda x: 1 / x),
    Function("reciprocal", math.reciprocal, lambda x: 1 / x),
    Function("x / 1", lambda x: x / 1, lambda x: x, moves=True),
    Function("x / 3", lambda x: x / 3, lambda x: x / x.dtype.type(3)),
    Function("x * 0.5", lambda x: x * 0.5, lambda x: x * x.dtype.type(0.5)),
    Function("x * 0", lambda x: x * 0, lambda x: x * x.dtype.type(0)),
    Function("x + -0.0", lambda x: x + -0.0, lambda x: x, moves=True),
    Function("x ** -1", lambda x: x**-1, lambda x: 1 / x),
    Function("x ** 3", lambda x: x**3, lambda x: x * x * x),
    Function(
        "log(sigmoid)",
        lambda x: math.log(math.sigmoid(x)),
        lambda x: -_softplus(-x),
        stabilised=True,
        vanishes=True,
    ),
    Function(
        "log(1 - sigmoid)",
        lambda x: math.log(1 - math.sigmoid(x)),
        lambda x: -_softplus(x),
        stabilised=True,
        vanishes=True,
    ),
    Function("log(1 + exp)", lambda x: math.log(1 + math.exp(x)), _softplus, stabilised=True, vanishes=True),
    Function(
        "exp(x) - 1", lambda x: math.exp(x) - 1, lambda x: np.expm1(x) + 0, stabilised=True, vanishes=True
    ),
    Function("log(1 + x * x)", lambda x: math.log(1 + x * x), lambda x: np.log1p(x * x), stabilised=True),
    Function("x / (1 + abs(x))", lambda x: x / (1 + math.absolute(x)), lambda x: x / (1 + np.abs(x))),
    Function("1 / (1 + exp(-x))", lambda x: 1 / (1 + math.exp(-x)), _sigmoid, stabilised=True, vanishes=True),
)
# Steep at 0, or unlike their differences.
ROUGH = (
    Function("sqrt(abs)", lambda x: math.sqrt(math.absolute(x)), _sqrt_of_size),
    Function("abs(x) ** 0.5", lambda x: math.absolute(x) ** 0.5, _sqrt_of_size),
    Function("stop_gradient * 2", lambda x: barrier.stop_gradient(x) * 2, lambda x: x * 2),
)


def _as(kind: Kind, array: np.ndarray, *dtypes: str) -> np.ndarray:
    """The array in one dtype after the other."""
    for dtype in dtypes:
        array = array.astype(kind(dtype))
    return array


def _arithmetic(dtype: str) -> str:
    return "int32" if dtype == "bool" else dtype


def binary(g: Grower) -> Node | None:
    """Arithmetic of two tensors that broadcast."""
    a = g.pick()
    b = g.partner(a)
    f = g.choose(BINARY)
    dtype = promote(a.tensor.dtype, b.tensor.dtype)
    moved = _arithmetic(dtype) if f.build not in (elementwise.maximum, elementwise.minimum) else dtype
    if "bool" in (dtype, moved):
        return None
    return g.node(
        f.name, f.build, (a, b), lambda k, x, y: f.twin(_as(k, x, moved), _as(k, y, moved)), f.moves, f.jumps,
        sums=f.name in ("add", "subtract"),
    )  # fmt: skip


def division(g: Grower) -> Node | None:
    """Quotients of floats, and of integers in float32; whole quotients and remainders of integers."""
    a = g.pick(lambda n: n.tensor.dtype != "bool")
    # Small whole numbers would make gradients infinite too often.
    b = g.partner(a, lambda n: n.tensor.dtype != "bool" and (g.mode != "smooth" or is_float(n.tensor.dtype)))
    dtype = promote(a.tensor.dtype, b.tensor.dtype)
    if is_float(dtype) or g.draw(2):
        quotient = dtype if is_float(dtype) else "float32"
        return g.node("divide", elementwise.divide, (a, b),
                      lambda k, x, y: _as(k, x, dtype, quotient) / _as(k, y, dtype, quotient))  # fmt: skip
    build, twin = g.choose(((elementwise.floor_divide, np.floor_divide), (elementwise.mod, np.mod)))
    return g.node(twin.__name__, build, (a, b), lambda k, x, y: twin(x.astype(k(dtype)), y.astype(k(dtype))))


def comparison(g: Grower) -> Node | None:
    """A bool tensor."""
    a = g.pick()
    b = g.partner(a)
    f = g.choose(COMPARISONS)
    # As numpy compares: integers meet float32 in float64.
    dtype = np.result_type(a.tensor.dtype, b.tensor.dtype).name
    return g.node(
        f.name, f.build, (a, b), lambda k, x, y: f.twin(_as(k, x, dtype), _as(k, y, dtype)), f.moves, f.jumps
    )  # fmt: skip


def unary(g: Grower) -> Node | None:
    """A function of one tensor."""
    a = g.pick(lambda n: n.tensor.dtype != "bool")
    f = g.choose(NUMERIC)
    return g.node(f.name, f.build, (a,), lambda k, x: f.twin(x), f.moves, f.jumps)


def of_float(g: Grower) -> Node | None:
    """A function of a float tensor."""
    a = g.pick(lambda n: is_float(n.tensor.dtype))
    f = g.choose(FLOAT if g.mode == "smooth" else FLOAT + ROUGH)
    marks = (f.moves, f.jumps, f.stabilised)
    return g.node(f.name, f.build, (a,), lambda k, x: f.twin(x), *marks, vanishes=f.vanishes)


def logical(g: Grower) -> Node | None:
    """Logic of bools, bits of integers."""
    a = g.pick(lambda n: not is_float(n.tensor.dtype))
    b = g.partner(a, lambda n: not is_float(n.tensor.dtype))
    dtype = promote(a.tensor.dtype, b.tensor.dtype)
    name, f = g.choose(
        (
            ("and", lambda x, y: x & y),
            ("or", lambda x, y: x | y),
            ("xor", lambda x, y: x ^ y),
            ("not", lambda x, y: ~x & y),
        )
    )
    if dtype != a.tensor.dtype and name == "not":
        return None
    return g.node(name, f, (a, b), lambda k, x, y: f(x.astype(k(dtype)), y.astype(k(dtype))), True)


def shift(g: Grower) -> Node | None:
    """Bits moved by up to the width of the dtype and more."""
    a = g.pick(lambda n: n.tensor.dtype in ("uint8", "int32", "int64"))
    count = g.choose((0, 1, 7, 8, 31, 32, 63, 64))
    bits = 8 * np.dtype(a.tensor.dtype).itemsize
    if count > bits:
        return None
    name, f = g.choose((("<<", lambda x: x << count), (">>", lambda x: x >> count)))
    return g.node(f"x {name} {count}", f, (a,), lambda k, x: f(x), True)


def select(g: Grower) -> Node | None:
    """Elements of one tensor or another."""
    c = g.pick(lambda n: n.tensor.dtype == "bool")
    a = g.partner(c)
    b = g.partner(a, lambda n: c.tensor.ndim <= a.tensor.ndim >= n.tensor.ndim and g.fit(c, n))
    dtype = promote(a.tensor.dtype, b.tensor.dtype)
    return g.node("where", elementwise.where, (c, a, b),
                  lambda k, m, x, y: np.where(m, x.astype(k(dtype)), y.astype(k(dtype))), True)  # fmt: skip


def cast(g: Grower) -> Node | None:
    """Another dtype. Floats that no integer type holds are not cast to one."""
    a = g.pick()
    dtype = g.choose(("float32", "float64", "int32", "int64", "uint8", "bool"))
    whole = not is_float(dtype) and is_float(a.tensor.dtype)
    least, limit = (0, 127) if dtype == "uint8" else (-(2**30), 2**30)

    def build(x: Any) -> Any:
        if whole and dtype != "bool":
            held = elementwise.where(math.isnan(x), 0, x)
            x = elementwise.maximum(elementwise.minimum(held, limit), least)
        return elementwise.cast(x, dtype)

    def twin(k: Any, x: Any) -> Any:
        if whole and dtype != "bool":
            x = np.clip(np.where(np.isnan(x), 0, x), least, limit)
        return x.astype(k(dtype))

    moves = is_float(a.tensor.dtype) <= (promote(a.tensor.dtype, dtype) == dtype)
    return g.node(f"cast to {dtype}", build, (a,), twin, moves, whole)


def tame(g: Grower) -> Node | None:
    """A tensor held in a range where later sums stay exact."""
    a = g.pick(lambda n: n.tensor.dtype not in ("bool", "uint8"))
    return g.node(
        "clip", lambda x: elementwise.minimum(elementwise.maximum(x, -16), 16), (a,),
        lambda k, x: np.minimum(np.maximum(x, x.dtype.type(-16)), x.dtype.type(16)), True,
    )  # fmt: skip


def softmax(g: Grower) -> Node | None:
    """Softmax and its logarithm along an axis that is not empty."""
    a = g.pick(lambda n: is_float(n.tensor.dtype) and g.filled(n, -1))

    def log_twin(k: Any, x: Any) -> Any:
        moved = x - x.max(-1, keepdims=True)
        first = moved == 0
        rest = np.where(first, 0, np.exp(moved)).sum(-1, keepdims=True)
        return moved - np.log1p(rest + (first.sum(-1, keepdims=True) - 1).astype(x.dtype))

    def twin(k: Any, x: Any) -> Any:
        return np.exp(log_twin(k, x))

    name, build, other = g.choose(
        (
            ("softmax", nn.softmax, twin),
            ("log_softmax", nn.log_softmax, log_twin),
            ("log(softmax)", lambda x: math.log(nn.softmax(x)), log_twin),
        )
    )
    return g.node(name, build, (a,), other, stabilised=name == "log(softmax)", vanishes=True)


STEPS = (
    *(binary, binary, binary, unary, unary, of_float, of_float, of_float),
    *(division, comparison, logical, shift, select, cast, tame, softmax),
)
