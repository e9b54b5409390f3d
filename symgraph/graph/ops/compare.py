"""Comparisons, and logic on bools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.leaves import as_tensor, constant
from symgraph.graph.ops.elementwise import Elementwise, NoGradient, cast, together
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import DTYPES, TensorType, is_float


class _Comparison(NoGradient):
    """A comparison: bool result."""

    accepts: ClassVar[tuple[str, ...]] = DTYPES

    def infer(self, *types: Any) -> TensorType:
        """Broadcast shape, bool."""
        return TensorType("bool", super().infer(*types).shape)

    def reference(self, *arrays: Any) -> Any:
        """numpy's comparison."""
        return np.asarray(type(self).function(*arrays))


@dataclass(frozen=True)
class Equal(_Comparison):
    """a == b."""

    kernel: ClassVar[str] = "equal"
    function: ClassVar[Callable[..., Any]] = np.equal


@dataclass(frozen=True)
class NotEqual(_Comparison):
    """a != b."""

    kernel: ClassVar[str] = "not_equal"
    function: ClassVar[Callable[..., Any]] = np.not_equal


@dataclass(frozen=True)
class Less(_Comparison):
    """a < b."""

    kernel: ClassVar[str] = "less"
    function: ClassVar[Callable[..., Any]] = np.less


@dataclass(frozen=True)
class LessEqual(_Comparison):
    """a <= b."""

    kernel: ClassVar[str] = "less_equal"
    function: ClassVar[Callable[..., Any]] = np.less_equal


@dataclass(frozen=True)
class Greater(_Comparison):
    """a > b."""

    kernel: ClassVar[str] = "greater"
    function: ClassVar[Callable[..., Any]] = np.greater


@dataclass(frozen=True)
class GreaterEqual(_Comparison):
    """a >= b."""

    kernel: ClassVar[str] = "greater_equal"
    function: ClassVar[Callable[..., Any]] = np.greater_equal


class _Logical(NoGradient):
    """Logic on bools."""

    accepts: ClassVar[tuple[str, ...]] = ("bool",)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """No floating-point operation."""
        return 0


@dataclass(frozen=True)
class LogicalAnd(_Logical):
    """a and b, of bools."""

    kernel: ClassVar[str] = "logical_and"
    function: ClassVar[Callable[..., Any]] = np.logical_and


@dataclass(frozen=True)
class LogicalOr(_Logical):
    """a or b, of bools."""

    kernel: ClassVar[str] = "logical_or"
    function: ClassVar[Callable[..., Any]] = np.logical_or


@dataclass(frozen=True)
class LogicalXor(_Logical):
    """Exactly one of a and b, of bools."""

    kernel: ClassVar[str] = "logical_xor"
    function: ClassVar[Callable[..., Any]] = np.logical_xor


@dataclass(frozen=True)
class LogicalNot(_Logical):
    """not a, of bools."""

    kernel: ClassVar[str] = "logical_not"
    function: ClassVar[Callable[..., Any]] = np.logical_not
    arity: ClassVar[int] = 1


def _logical(op: type[Elementwise]) -> Callable[..., Tensor]:
    def build(*values: Any) -> Tensor:
        return op()(*(cast(v, "bool") for v in values))

    build.__doc__ = f"{op.__doc__} Numbers count as true where they are not zero."
    build.__name__ = op.__name__.lower()
    return build


def _comparison(op: type[_Comparison], mirrored: type[_Comparison]) -> Callable[[Any, Any], Tensor]:
    def build(a: Any, b: Any) -> Tensor:
        for x, number, way in ((a, b, op), (b, a, mirrored)):
            beyond = _beyond(way, x, number)
            if beyond is not None:
                return beyond
        return op()(*_alike(a, b))

    build.__doc__ = f"{op.__doc__} Broadcasts; bool result. Integers meet numbers and floats as in numpy."
    build.__name__ = op.__name__.lower()
    return build


def _beyond(op: type[_Comparison], x: Any, number: Any) -> Tensor | None:
    """`x op number` for a Python integer that the integer dtype of `x` does not hold; None for any other.

    It is the same for every x, and expressed as a comparison with a limit of the dtype.
    """
    if not isinstance(x, Tensor) or is_float(x.dtype) or type(number) is not int:
        return None
    x = cast(x, "int32") if x.dtype == "bool" else as_tensor(x)
    low, high = np.iinfo(x.dtype).min, np.iinfo(x.dtype).max
    if low <= number <= high:
        return None
    holds = op is NotEqual or (op is not Equal and (number > high) == (op in (Less, LessEqual)))
    return (GreaterEqual if holds else Less)()(x, constant(low, x.dtype))


def _alike(a: Any, b: Any) -> list[Tensor]:
    """`a` and `b` in the dtype in which numpy compares them.

    An integer that meets a float of fewer digits, or a Python float, is compared in float64: in the float's
    own dtype different numbers would be equal.
    """
    values = [v if isinstance(v, (int, float)) else as_tensor(v) for v in (a, b)]
    kinds = [_dtype_beside_integers(v) for v in values]
    known = [k for k in kinds if k is not None]
    if len(known) < 2 or is_float(known[0]) == is_float(known[1]):
        return together(*values)
    common = np.result_type(*known).name
    return [cast(as_tensor(v, common), common) for v in values]


def _dtype_beside_integers(value: Tensor | int | float) -> str | None:
    """The dtype that counts where `value` meets integers; a Python integer has none."""
    if isinstance(value, Tensor):
        return value.dtype
    return "float64" if isinstance(value, float) else None


equal = _comparison(Equal, Equal)
not_equal = _comparison(NotEqual, NotEqual)
less = _comparison(Less, Greater)
less_equal = _comparison(LessEqual, GreaterEqual)
greater = _comparison(Greater, Less)
greater_equal = _comparison(GreaterEqual, LessEqual)
logical_and = _logical(LogicalAnd)
logical_or = _logical(LogicalOr)
logical_xor = _logical(LogicalXor)
logical_not = _logical(LogicalNot)
