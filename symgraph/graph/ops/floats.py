"""What floating-point numbers are made of: signs, neighbours, and whether they are finite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.leaves import as_tensor, constant
from symgraph.graph.ops.compare import less
from symgraph.graph.ops.create import full
from symgraph.graph.ops.elementwise import Elementwise, NoGradient, sum_to, together
from symgraph.graph.ops.math import FloatTest, absolute
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import FLOATS, is_float


@dataclass(frozen=True)
class Signbit(FloatTest):
    """Whether the sign is minus, that of -0.0 and of NaN too."""

    kernel: ClassVar[str] = "signbit"
    function: ClassVar[Callable[..., Any]] = np.signbit


@dataclass(frozen=True)
class Copysign(Elementwise):
    """|a| with the sign of b."""

    kernel: ClassVar[str] = "copysign"
    function: ClassVar[Callable[..., Any]] = np.copysign
    accepts: ClassVar[tuple[str, ...]] = FLOATS

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """1 where the sign stays, -1 where it turns."""
        a, b = inputs
        one = constant(1, grad.dtype)
        turned = Copysign()(one, a) * Copysign()(one, b)
        return sum_to(grad * turned, a), None


@dataclass(frozen=True)
class Nextafter(NoGradient):
    """The next number of the dtype from a towards b."""

    kernel: ClassVar[str] = "nextafter"
    function: ClassVar[Callable[..., Any]] = np.nextafter
    accepts: ClassVar[tuple[str, ...]] = FLOATS


def _of_floats(op: type[Elementwise]) -> Callable[[Any, Any], Tensor]:
    name = op.__name__.lower()

    def build(a: Any, b: Any) -> Tensor:
        a, b = together(a, b)
        if not is_float(a.dtype):
            raise TypeError(f"{name}: expected floats, got {a.dtype}; use K.cast")
        return op()(a, b)

    build.__doc__ = f"{op.__doc__} Broadcasts; integers are refused with a TypeError."
    build.__name__ = name
    return build


copysign = _of_floats(Copysign)
nextafter = _of_floats(Nextafter)


def signbit(x: Any) -> Tensor:
    """Whether the sign is minus, that of -0.0 and of NaN too."""
    x = as_tensor(x)
    return Signbit()(x) if is_float(x.dtype) else less(x, 0)


def isfinite(x: Any) -> Tensor:
    """Whether x is neither infinite nor NaN."""
    x = as_tensor(x)
    if not is_float(x.dtype):
        return full(x.shape, True, "bool")
    return less(absolute(x), constant(np.inf, x.dtype))
