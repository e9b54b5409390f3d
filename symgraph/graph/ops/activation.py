"""What matmul and convolution kernels do to their results before storing them: steps, then an activation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.graph.types import TensorType

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda y: y,
    "relu": lambda y: np.where(y < 0, 0, y),
    "relu6": lambda y: np.where(y > 6, 6, np.where(y < 0, 0, y)),
}
"""Name to numpy reference. The kernels of matmul and conv2d know each of these names."""
_STEPS: dict[str, Callable[[Any, Any], Any]] = {"+": np.add, "-": np.subtract, "*": np.multiply}


def epilogue_name(op: str, steps: str, activation: str, added: bool = False) -> str:
    """How a node is listed: ``matmul``, ``matmul[relu]``, ``matmul[*+ relu]``, ``conv2d[*+ add relu]``."""
    inner = " ".join(part for part in (steps, "add" * added, activation) if part and part != "linear")
    return f"{op}[{inner}]" if inner else op


def kernel_epilogue(steps: str, activation: str) -> str:
    """The kernels' word for steps and activation."""
    return f"{steps} {activation}" if steps else activation


def check_vectors(
    op: object, kinds: Sequence[TensorType], like: TensorType, features: Any, steps: str
) -> None:
    """A third input is a bias, or holds one vector for each of the steps; else ValueError."""
    shape = (len(steps), features) if steps else (features,)
    for kind in kinds:
        if kind.shape != shape or kind.dtype != like.dtype:
            raise ValueError(f"{op}: expected a bias of type {TensorType(like.dtype, shape)}, got {kind}")
    if steps and not kinds:
        raise ValueError(f"{op}: expected vectors for the steps {steps}, got none")


def check_addend(op: object, kind: TensorType, result: TensorType) -> None:
    """What is added to a result is of its type, as far as that is known; else ValueError."""
    pairs = zip(kind.shape, result.shape, strict=False)
    differ = any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)
    if kind.ndim != result.ndim or kind.dtype != result.dtype or differ:
        raise ValueError(f"{op}: expected an addend of type {result}, got {kind}")


def finished(
    y: Any, vectors: Sequence[Any], steps: str, activation: str, dtype: Any, addend: Any = None
) -> Any:
    """The numpy reference: a product after bias or steps, addend and activation, all in `dtype`."""
    y = y.astype(dtype)
    for step, vector in zip(steps or "+", vectors[0] if steps else vectors, strict=False):
        y = _STEPS[step](y, vector)
    if addend is not None:
        y = y + addend
    return np.asarray(ACTIVATIONS[activation](y))


def epilogue_flops(inputs: int, steps: str, activation: str) -> int:
    """Operations for each result: one for a bias or each of the steps, one or two for an activation."""
    bounds = {"linear": 0, "relu": 1, "relu6": 2}
    return (len(steps) if steps else int(inputs > 2)) + bounds[activation]
