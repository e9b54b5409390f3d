"""Bits of integers: and, or, exclusive or, not, shifts. On bools the first four are logic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops.compare import LogicalAnd, LogicalNot, LogicalOr, LogicalXor
from symgraph.graph.ops.elementwise import Elementwise, NoGradient, cast, together
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import INTEGERS, is_float


class _Bits(NoGradient):
    """A function of the bits of integers."""

    accepts: ClassVar[tuple[str, ...]] = INTEGERS
    domain: ClassVar[tuple[float, float]] = (-99.0, 99.0)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """No floating-point operation."""
        return 0


@dataclass(frozen=True)
class BitwiseAnd(_Bits):
    """a & b of integers, bit by bit."""

    kernel: ClassVar[str] = "bitwise_and"
    function: ClassVar[Callable[..., Any]] = np.bitwise_and


@dataclass(frozen=True)
class BitwiseOr(_Bits):
    """a | b of integers, bit by bit."""

    kernel: ClassVar[str] = "bitwise_or"
    function: ClassVar[Callable[..., Any]] = np.bitwise_or


@dataclass(frozen=True)
class BitwiseXor(_Bits):
    """a ^ b of integers, bit by bit."""

    kernel: ClassVar[str] = "bitwise_xor"
    function: ClassVar[Callable[..., Any]] = np.bitwise_xor


@dataclass(frozen=True)
class BitwiseNot(_Bits):
    """~a of integers: every bit turned."""

    kernel: ClassVar[str] = "bitwise_not"
    function: ClassVar[Callable[..., Any]] = np.bitwise_not
    arity: ClassVar[int] = 1


class _Shift(_Bits):
    """A shift; an amount below 0, or of at least the dtype's width, shifts every bit out, as in numpy."""

    @classmethod
    def draw(cls, rng: np.random.Generator, shape: tuple[int, ...], dtype: str, index: int) -> np.ndarray:
        """Amounts that are mostly within the width."""
        drawn = super().draw(rng, shape, dtype, index)
        return drawn if index == 0 else (drawn % 37 - (0 if dtype.startswith("u") else 2)).astype(dtype)


@dataclass(frozen=True)
class LeftShift(_Shift):
    """a << b of integers; 0 where b is negative or at least the width of the dtype."""

    kernel: ClassVar[str] = "left_shift"
    function: ClassVar[Callable[..., Any]] = np.left_shift


@dataclass(frozen=True)
class RightShift(_Shift):
    """a >> b of integers, the sign kept; 0 (-1 of a negative a) where b is negative or at least the width."""

    kernel: ClassVar[str] = "right_shift"
    function: ClassVar[Callable[..., Any]] = np.right_shift


def _whole(name: str, *values: Any) -> list[Tensor]:
    """`values` as integer or bool tensors of one dtype; TypeError for floats."""
    tensors = together(*values)
    if is_float(tensors[0].dtype):
        got = " and ".join(as_tensor(v).dtype for v in values)
        raise TypeError(f"{name}: expected integers or bools, got {got}; use K.cast")
    return tensors


def _bitwise(name: str, op: type[Elementwise], logical: type[Elementwise]) -> Callable[..., Tensor]:
    def build(*values: Any) -> Tensor:
        tensors = _whole(name, *values)
        return (logical if tensors[0].dtype == "bool" else op)()(*tensors)

    build.__doc__ = f"{op.__doc__} Of bools it is logic; floats are refused with a TypeError."
    build.__name__ = name
    return build


def _shift(name: str, op: type[Elementwise]) -> Callable[[Any, Any], Tensor]:
    def build(a: Any, b: Any) -> Tensor:
        whole = _whole(name, a, b)
        return op()(*(cast(x, "int32") if x.dtype == "bool" else x for x in whole))

    build.__doc__ = f"{op.__doc__} Bools count as int32; floats are refused with a TypeError."
    build.__name__ = name
    return build


bitwise_and = _bitwise("bitwise_and", BitwiseAnd, LogicalAnd)
bitwise_or = _bitwise("bitwise_or", BitwiseOr, LogicalOr)
bitwise_xor = _bitwise("bitwise_xor", BitwiseXor, LogicalXor)
bitwise_not = _bitwise("bitwise_not", BitwiseNot, LogicalNot)
left_shift = _shift("left_shift", LeftShift)
right_shift = _shift("right_shift", RightShift)
