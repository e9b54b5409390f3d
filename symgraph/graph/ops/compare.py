"""Comparisons, and logic on bools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.ops.elementwise import Elementwise, NoGradient, binary, cast
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import DTYPES, TensorType


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


equal = binary(Equal)
not_equal = binary(NotEqual)
less = binary(Less)
less_equal = binary(LessEqual)
greater = binary(Greater)
greater_equal = binary(GreaterEqual)
logical_and = _logical(LogicalAnd)
logical_or = _logical(LogicalOr)
logical_xor = _logical(LogicalXor)
logical_not = _logical(LogicalNot)
