"""Polar coordinates of points of the plane: the angle and the distance of (x, y) from the origin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.globals import floatx
from symgraph.graph.leaves import constant
from symgraph.graph.ops.compare import equal
from symgraph.graph.ops.elementwise import Elementwise, cast, sum_to, together, where
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import FLOATS, is_float, working_dtype


class _Polar(Elementwise):
    """A function of two coordinates."""

    accepts: ClassVar[tuple[str, ...]] = FLOATS
    domain: ClassVar[tuple[float, float]] = (0.3, 2.0)


@dataclass(frozen=True)
class Arctan2(_Polar):
    """The angle of the point (b, a) in radians, from -π to π."""

    kernel: ClassVar[str] = "atan2"
    function: ClassVar[Callable[..., Any]] = np.arctan2

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """b/r² and -a/r², with r the distance: two divisions by r, whose square may overflow."""
        y, x = inputs
        distance = hypot(x, y)
        flow = grad / distance
        return sum_to(flow * (x / distance), y), sum_to(-flow * (y / distance), x)


@dataclass(frozen=True)
class Hypot(_Polar):
    """√(a² + b²), without overflow of the squares."""

    kernel: ClassVar[str] = "hypot"
    function: ClassVar[Callable[..., Any]] = np.hypot

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """a/r and b/r; 0 in the origin."""
        a, b = inputs
        distance = where(equal(output, 0), constant(1, output.dtype), output)
        return sum_to(grad * (a / distance), a), sum_to(grad * (b / distance), b)


def _polar(op: type[_Polar]) -> Callable[[Any, Any], Tensor]:
    def build(a: Any, b: Any) -> Tensor:
        a, b = together(a, b)
        if not is_float(a.dtype):
            a, b = cast(a, working_dtype(floatx())), cast(b, working_dtype(floatx()))
        return op()(a, b)

    build.__doc__ = f"{op.__doc__} Broadcasts; integers are computed in `K.floatx()`."
    build.__name__ = op.__name__.lower()
    return build


arctan2 = _polar(Arctan2)
hypot = _polar(Hypot)
