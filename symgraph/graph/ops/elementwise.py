"""Element-wise ops: the shared rules, arithmetic, extrema, selection and casts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.globals import floatx
from symgraph.graph.dims import Dim, product, shape_text
from symgraph.graph.leaves import as_tensor, constant, constant_value
from symgraph.graph.op import Cut, Op, Sample
from symgraph.graph.strict import check_widening
from symgraph.graph.tensor import Tensor, call
from symgraph.graph.types import (
    COMMON,
    DTYPES,
    FLOATS,
    INTEGERS,
    WORKING,
    TensorType,
    dtype_name,
    is_float,
    is_integer,
    promote,
    working_dtype,
)
from symgraph.kernels.elementwise import Instruction, elementwise_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row

NUMBERS = (*INTEGERS, *FLOATS)
_SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (7,), (3, 5), (2, 1, 19), (4, 0, 3), (33, 17))


def broadcast_shapes(shapes: Sequence[tuple[Dim, ...]], what: str) -> tuple[Dim, ...]:
    """The common shape by numpy's rules.

    Only a size known to be 1 is stretched; unknown sizes are taken as equal.
    """
    ndim = max(map(len, shapes))
    result: list[Dim] = []
    for axis in range(-ndim, 0):
        sizes = [s[axis] for s in shapes if len(s) >= -axis]
        fixed = [d for d in sizes if isinstance(d, int) and d != 1]
        if len(set(fixed)) > 1:
            raise ValueError(
                f"{what}: shapes {' and '.join(map(shape_text, shapes))} do not broadcast together"
            )
        others = [d for d in sizes if not isinstance(d, int)]
        result.append(fixed[0] if fixed else others[0] if others else 1)
    return tuple(result)


def broadcast_requirements(shapes: Sequence[tuple[Dim, ...]]) -> Iterator[tuple[Dim, Dim]]:
    """The equalities between sizes that `broadcast_shapes` took for granted."""
    ndim = max(map(len, shapes))
    for axis in range(-ndim, 0):
        sizes = [s[axis] for s in shapes if len(s) >= -axis and s[axis] != 1]
        for other in sizes[1:]:
            if other != sizes[0]:
                yield sizes[0], other


def sum_to(grad: Tensor, like: Tensor) -> Tensor:
    """The gradient of a broadcast: `grad` summed over the axes along which `like` was stretched."""
    missing = grad.ndim - like.ndim
    axes = list(range(missing))
    axes += [a + missing for a, d in enumerate(like.shape) if d == 1 and grad.shape[a + missing] != 1]
    if axes:
        grad = call("sum", grad, tuple(axes))
        if grad.shape != like.shape and grad.ndim != like.ndim:
            grad = call("reshape", grad, like.shape)
    return grad


def cut_samples(inputs: Sequence[tuple[int, ...]], full: tuple[int, ...]) -> Cut | None:
    """The cut of what is computed element by element: inputs that are stretched along samples stay whole."""
    if not full:
        return None
    return Cut(tuple(len(shape) == len(full) and shape[0] == full[0] for shape in inputs))


class Elementwise(Op):
    """An op that works on each element alone, after broadcasting its inputs to one shape."""

    kernel: ClassVar[str] = ""
    function: ClassVar[Callable[..., Any]]
    arity: ClassVar[int] = 2
    accepts: ClassVar[tuple[str, ...]] = NUMBERS
    smooth: ClassVar[bool] = True
    #: Range that samples are drawn from.
    domain: ClassVar[tuple[float, float]] = (-2.0, 2.0)

    def infer(self, *types: Any) -> TensorType:
        """Broadcast shape; inputs have one dtype, which the op accepts."""
        if len(types) != self.arity:
            raise TypeError(f"{self}: expected {self.arity} inputs, got {len(types)}")
        dtype = self.check_dtypes([t.dtype for t in types])
        return TensorType(dtype, broadcast_shapes([t.shape for t in types], str(self)))

    def check_dtypes(self, dtypes: list[str]) -> str:
        """The dtype of the result; TypeError where the inputs' dtypes do not fit."""
        if len(set(dtypes)) > 1:
            raise TypeError(f"{self}: inputs have to be of one dtype, got {', '.join(dtypes)}")
        if dtypes[0] not in self.accepts:
            raise TypeError(f"{self}: expected a dtype of {', '.join(self.accepts)}, got {dtypes[0]}")
        return dtypes[0]

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Sizes that broadcasting took as equal."""
        return broadcast_requirements([t.shape for t in types])

    def reference(self, *arrays: Any) -> Any:
        """numpy's function, in the inputs' dtype."""
        with np.errstate(all="ignore"):
            dtype = self.check_dtypes([a.dtype.name for a in arrays])
            return np.asarray(type(self).function(*arrays)).astype(dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """One per element."""
        return int(np.prod(outputs[0], dtype=object))

    def instruction(self, args: tuple[int, ...], dtype: str) -> Instruction:
        """This op as one step of a fused kernel."""
        return Instruction(self.kernel, args, dtype)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One sweep over memory."""
        count = len(inputs)
        out = outputs[0]
        step = self.instruction(tuple(range(count)), out.dtype.name)
        wide = [b.broadcast(out.shape) for b in inputs]
        return elementwise_rows((step,), (count,), wide, outputs, threads=threads, scratch=scratch)

    def overwritable(self, inputs: Sequence[Buffer]) -> Sequence[Buffer]:
        """All: each element is read before the result takes its place."""
        return inputs

    def cut(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> Cut | None:
        """By samples, if it has any."""
        return cut_samples(inputs, outputs[0])

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every accepted dtype, odd and empty shapes, and broadcasting."""
        op = cls()
        for dtype in cls.accepts:
            for shape in _SHAPES if dtype in COMMON else ((3, 5),):
                arrays = tuple(cls.draw(rng, shape, dtype, i) for i in range(cls.arity))
                yield Sample(op, arrays, cls.smooth, tuple((i, 0) for i in range(cls.arity)) if shape else ())
        if cls.arity > 1:
            shapes = [(4, 1, 5), (3, 1), (1, 3, 5)][: cls.arity]
            yield Sample(
                op, tuple(cls.draw(rng, s, cls.accepts[-1], i) for i, s in enumerate(shapes)), cls.smooth
            )

    @classmethod
    def draw(cls, rng: np.random.Generator, shape: tuple[int, ...], dtype: str, index: int) -> np.ndarray:
        """A random input number `index` inside the op's domain."""
        if dtype == "bool":
            return np.asarray(rng.random(shape) < 0.5)
        low, high = cls.domain
        if dtype.startswith("u"):
            low, high = max(low, 0.0), max(high, 3.0)
        if not is_float(dtype):
            return np.asarray(rng.integers(int(np.ceil(low)), int(high) + 1, shape)).astype(dtype)
        return np.asarray(rng.uniform(low, high, shape)).astype(dtype)


@dataclass(frozen=True)
class Add(Elementwise):
    """a + b."""

    kernel: ClassVar[str] = "add"
    function: ClassVar[Callable[..., Any]] = np.add

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """1 and 1."""
        return sum_to(grad, inputs[0]), sum_to(grad, inputs[1])


@dataclass(frozen=True)
class Subtract(Elementwise):
    """a - b."""

    kernel: ClassVar[str] = "sub"
    function: ClassVar[Callable[..., Any]] = np.subtract

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """1 and -1."""
        return sum_to(grad, inputs[0]), sum_to(-grad, inputs[1])


@dataclass(frozen=True)
class Multiply(Elementwise):
    """a * b."""

    kernel: ClassVar[str] = "mul"
    function: ClassVar[Callable[..., Any]] = np.multiply

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """b and a."""
        a, b = inputs
        return sum_to(grad * b, a), sum_to(grad * a, b)


@dataclass(frozen=True)
class Divide(Elementwise):
    """a / b, for floats."""

    kernel: ClassVar[str] = "div"
    function: ClassVar[Callable[..., Any]] = np.divide
    accepts: ClassVar[tuple[str, ...]] = FLOATS
    domain: ClassVar[tuple[float, float]] = (0.5, 2.0)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """1/b and -a/b²."""
        a, b = inputs
        return sum_to(grad / b, a), sum_to(-(grad * output) / b, b)


class NoGradient(Elementwise):
    """A step function: its gradient is zero wherever it exists, and is treated as not connected."""

    smooth: ClassVar[bool] = False

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Not connected."""
        return (None,) * len(inputs)


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of integers with 0 for a zero divisor, as kernels give it (numpy warns and gives 0 too)."""

    def guarded(a: Any, b: Any) -> Any:
        if np.asarray(b).dtype.kind == "f":
            return function(a, b)
        safe = np.where(b == 0, np.ones_like(b), b)
        return np.where(b == 0, np.zeros_like(b), function(a, safe))

    return guarded


@dataclass(frozen=True)
class FloorDivide(NoGradient):
    """Floor of a / b, with Python's sign rule. An integer divided by zero gives zero."""

    kernel: ClassVar[str] = "floordiv"
    function: ClassVar[Callable[..., Any]] = staticmethod(_guarded(np.floor_divide))
    domain: ClassVar[tuple[float, float]] = (-7.0, 7.0)


@dataclass(frozen=True)
class Mod(Elementwise):
    """a - b·floor(a / b): the remainder with the sign of b. An integer modulo zero gives zero."""

    kernel: ClassVar[str] = "mod"
    function: ClassVar[Callable[..., Any]] = staticmethod(_guarded(np.mod))
    smooth: ClassVar[bool] = False
    domain: ClassVar[tuple[float, float]] = (-7.0, 7.0)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """1 and -floor(a / b)."""
        a, b = inputs
        return sum_to(grad, a), sum_to(-grad * floor_divide(a, b), b)


def _c_power(a: Any, b: Any) -> Any:
    """numpy's power, with C's rules for floats; of integers with b < 0 1 / a**-b as an integer."""
    if np.asarray(b).dtype.kind != "i":
        # For one exponent of 0.5 alone numpy takes roots, which are NaN of minus infinity.
        return np.power(a, b + np.zeros_like(a))
    ones = np.where(b % 2 == 0, np.ones_like(a), a)
    inverse = np.where(np.abs(a) == 1, ones, np.zeros_like(a))
    return np.where(b < 0, inverse, np.power(a, np.maximum(b, 0)))


@dataclass(frozen=True)
class Power(Elementwise):
    """a ** b; of integers with a negative exponent 1 / a**-b without its fraction (0 for a = 0)."""

    kernel: ClassVar[str] = "pow"
    function: ClassVar[Callable[..., Any]] = staticmethod(_c_power)
    domain: ClassVar[tuple[float, float]] = (0.5, 2.5)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """b·a^(b-1), which is 0 for a power of 0, and a^b·ln a (0 where a <= 0, as Theano has it)."""
        a, b = inputs
        positive = a > 0
        log_a = where(positive, call("log", where(positive, a, 1)), 0)
        slope = b * power(_beside_zero(a, b), b - 1)
        return sum_to(grad * slope, a), sum_to(grad * output * log_a, b)


def _beside_zero(a: Tensor, b: Tensor) -> Tensor:
    """`a`, but 1 where it is so small that a^(b-1) is infinite though b is 0: 0·infinity would be NaN."""
    powers = constant_value(b)
    if powers is not None and powers.all():
        return a
    tiny = constant(4 * np.finfo(a.dtype).tiny, a.dtype)
    lost = call("equal", b, 0) & call("less", call("absolute", a), tiny)
    return where(lost, constant(1, a.dtype), a)


class _Extremum(Elementwise):
    """The larger or smaller of two: the gradient goes to the chosen one, half to each in a tie."""

    accepts: ClassVar[tuple[str, ...]] = DTYPES

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """1 for the chosen one, 1/2 for each in a tie."""
        a, b = inputs
        tie = where(call("equal", a, b), 0.5, 1.0)
        share = grad * cast(tie, grad.dtype)
        zero = constant(0, grad.dtype)
        return (
            sum_to(where(call("equal", a, output), share, zero), a),
            sum_to(where(call("equal", b, output), share, zero), b),
        )


@dataclass(frozen=True)
class Maximum(_Extremum):
    """The larger of a and b; NaN where either is NaN."""

    kernel: ClassVar[str] = "maximum"
    function: ClassVar[Callable[..., Any]] = np.maximum


@dataclass(frozen=True)
class Minimum(_Extremum):
    """The smaller of a and b; NaN where either is NaN."""

    kernel: ClassVar[str] = "minimum"
    function: ClassVar[Callable[..., Any]] = np.minimum


@dataclass(frozen=True)
class Where(Elementwise):
    """a where the condition holds, else b."""

    kernel: ClassVar[str] = "where"
    function: ClassVar[Callable[..., Any]] = np.where
    arity: ClassVar[int] = 3
    accepts: ClassVar[tuple[str, ...]] = DTYPES

    def check_dtypes(self, dtypes: list[str]) -> str:
        """A bool condition and two values of one dtype."""
        if dtypes[0] != "bool":
            raise TypeError(f"{self}: expected a bool condition, got {dtypes[0]}")
        return super().check_dtypes(dtypes[1:])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The gradient goes where the value came from."""
        condition, a, b = inputs
        zero = constant(0, grad.dtype)
        return None, sum_to(where(condition, grad, zero), a), sum_to(where(condition, zero, grad), b)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """A choice is no floating-point operation."""
        return 0

    @classmethod
    def draw(cls, rng: np.random.Generator, shape: tuple[int, ...], dtype: str, index: int) -> np.ndarray:
        """A bool condition first."""
        return super().draw(rng, shape, "bool" if index == 0 else dtype, index)


@dataclass(frozen=True)
class Cast(Elementwise):
    """The same number in another dtype. Floats are cut towards zero; to bool is a test for nonzero.

    Integers keep their low bits. A float outside of an integer's range gives its nearest limit, NaN gives 0
    (numpy and TensorFlow leave that to the processor).
    """

    dtype: str
    kernel: ClassVar[str] = "cast"
    arity: ClassVar[int] = 1
    accepts: ClassVar[tuple[str, ...]] = DTYPES

    def __str__(self) -> str:
        return f"cast[{self.dtype}]"

    def infer(self, *types: Any) -> TensorType:
        """The same shape in the new dtype."""
        return TensorType(self.dtype, types[0].shape)

    def reference(self, *arrays: Any) -> Any:
        """numpy's astype, and the limits of integers for floats outside of them."""
        (x,) = arrays
        if not (is_integer(self.dtype) and is_float(x.dtype.name)):
            return x.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        inside = (x > float(limits.min)) & (x < float(limits.max))
        ends = np.where(x > 0, limits.max, np.where(x < 0, limits.min, 0)).astype(self.dtype)
        return np.where(inside, np.where(inside, x, 0).astype(self.dtype), ends)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """A conversion is no floating-point operation."""
        return 0

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Cast back between floats, not to what is stored only; integers and bools are not connected."""
        source = working_dtype(inputs[0].dtype)
        return (cast(grad, source) if is_float(source) and is_float(self.dtype) else None,)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every pair of dtypes that are computed in; those that are stored only, from and to some of them."""
        pairs = [(a, b) for a, b in itertools.product(DTYPES, DTYPES) if a in COMMON or b in COMMON]
        for stored, other in itertools.product(WORKING, ("bool", "int64", *FLOATS)):
            pairs += [(stored, other), (other, stored)]
        for source, target in pairs:
            smooth = is_float(source) and target == "float64"
            array = cls.draw(rng, (3, 7), source, 0)
            if is_float(source) and is_integer(target):
                array[0] = [np.nan, np.inf, -np.inf, 6e4, -6e4, 2.0**15, -(2.0**15)]
                array[1] *= 1e4
            if source in FLOATS and is_integer(target):
                array[2] = [1e30, -1e30, 2.0**31, -(2.0**31), 2.0**63, -(2.0**63), 2.0**64]
            yield Sample(cls(target), (array,), smooth, ((0, 1),))


def cast(x: Any, dtype: str) -> Tensor:
    """`x` in `dtype`; the same tensor where it is already."""
    x = x if isinstance(x, Tensor) else as_tensor(x)
    name = dtype_name(dtype)
    return x if x.dtype == name else Cast(name)(x)


def beside(*values: Any) -> list[Any]:
    """`values` with arrays as tensors: those of floats in the widest float dtype of the tensors they meet.

    Beside no tensor of floats arrays keep their own dtype. Python scalars stay what they are.
    """
    values = tuple(as_tensor(v) if isinstance(v, Tensor) else v for v in values)
    floats = [v.dtype for v in values if isinstance(v, Tensor) and is_float(v.dtype)]
    like = promote(*floats) if floats else None
    return [_of_array(v, like) if _is_array(v) else v for v in values]


def _is_array(value: Any) -> bool:
    # A float64 scalar is what numpy and math functions give for Python floats, and counts as one.
    return isinstance(value, (np.ndarray, np.generic, list, tuple)) and not isinstance(value, float)


def _of_array(value: Any, like: str | None) -> Tensor:
    """An array, or what numpy makes one of, as a tensor; one of floats in the dtype `like`, if any."""
    array = np.asarray(value)
    return constant(array, like) if like is not None and array.dtype.kind == "f" else as_tensor(value)


def together(*values: Any) -> list[Tensor]:
    """`values` as tensors of one dtype: the widest of the tensors'; arrays of floats and scalars follow."""
    values = tuple(beside(*values))
    strong = [v.dtype for v in values if isinstance(v, Tensor)]
    like = promote(*strong) if strong else None
    tensors = [as_tensor(v, like) for v in values]
    dtypes = [t.dtype for t in tensors]
    check_widening(dtypes)
    dtype = promote(*dtypes)
    return [cast(t, dtype) for t in tensors]


def binary(op: type[Elementwise]) -> Callable[[Any, Any], Tensor]:
    """The builder function of an op of two tensors."""

    def build(a: Any, b: Any) -> Tensor:
        a, b = together(a, b)
        if a.dtype == "bool" and "bool" not in op.accepts:
            a, b = cast(a, "int32"), cast(b, "int32")
        return op()(a, b)

    build.__doc__ = f"{op.__doc__} Broadcasts; the wider dtype is the result's."
    build.__name__ = op.__name__.lower()
    return build


add = binary(Add)
subtract = binary(Subtract)
multiply = binary(Multiply)
floor_divide = binary(FloorDivide)
mod = binary(Mod)
maximum = binary(Maximum)
minimum = binary(Minimum)
_power = binary(Power)


def divide(a: Any, b: Any) -> Tensor:
    """a / b. Integers are divided in `K.floatx()`."""
    a, b = together(a, b)
    if not is_float(a.dtype):
        a, b = cast(a, working_dtype(floatx())), cast(b, working_dtype(floatx()))
    return Divide()(a, b)


def power(a: Any, b: Any) -> Tensor:
    """a ** b. Bools count as int32.

    ValueError where an integer gets a negative number as its exponent: the result would be a fraction.
    """
    whole = isinstance(a, Tensor) and not is_float(a.dtype)
    if whole and type(b) is int and b < 0:
        raise ValueError(f"power: integers have no powers of {b}, got {a.type}; cast them to a float")
    return _power(a, b)


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """a where `condition` holds, else b; all three broadcast."""
    a, b = together(a, b)
    return Where()(cast(condition, "bool"), a, b)


def count(shape: Sequence[Dim]) -> Dim:
    """Number of elements of a shape."""
    return product(shape)
