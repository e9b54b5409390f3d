"""Input specs of layers, and their check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from symgraph import backend as K
from symgraph.engine.layer.shapes import Shape
from symgraph.graph.symbolic import brief
from symgraph.graph.tensor import Tensor

_ARRAYS = " Arrays are for `fit` and `predict`; `K.constant` makes a tensor of one."


class InputSpec:
    """Requirements for one input of a layer.

    Parameters
    ----------
    dtype : str, optional
    shape : tuple, optional
        None in it fits any size. It also sets `ndim`.
    ndim : int, optional
        The exact number of axes.
    max_ndim, min_ndim : int, optional
    axes : mapping of int to int or None, optional
        Sizes of single axes.
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
    ) -> None:
        self.dtype = dtype
        self.shape = shape
        self.ndim = ndim if shape is None else len(shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = dict(axes or {})

    def __repr__(self) -> str:
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        return f"InputSpec({', '.join(f'{n}={getattr(self, n)}' for n in names if getattr(self, n))})"

    def problem(self, x: Tensor) -> str | None:
        """What is wrong with `x`, in Keras' words, or None."""
        for expected, found, text in (
            (self.ndim, K.ndim(x), "expected ndim={}, found ndim={}"),
            (self.dtype, K.dtype(x), "expected dtype={}, found dtype={}"),
        ):
            if expected is not None and expected != found:
                return text.format(expected, found)
        if self.max_ndim is not None and K.ndim(x) > self.max_ndim:
            return f"expected max_ndim={self.max_ndim}, found ndim={K.ndim(x)}"
        if self.min_ndim is not None and K.ndim(x) < self.min_ndim:
            return f"expected min_ndim={self.min_ndim}, found ndim={K.ndim(x)}"
        return self._shape_problem(K.int_shape(x))

    def _shape_problem(self, found: Shape) -> str | None:
        for axis, size in self.axes.items():
            outside = not -len(found) <= int(axis) < len(found)
            if size is not None and (outside or found[int(axis)] not in (size, None)):
                return f"expected axis {axis} of input shape to have value {size} but got shape {found}"
        if self.shape is not None:
            for expected, size in zip(self.shape, found, strict=True):
                if expected is not None and size is not None and expected != size:
                    return f"expected shape={tuple(self.shape)}, found shape={found}"
        return None


def check_inputs(layer_name: str, inputs: Sequence[object], specs: object) -> None:
    """Compare the inputs of a layer with its input specs.

    Parameters
    ----------
    layer_name : str
    inputs : sequence
        What the layer was called on.
    specs : InputSpec, sequence of (InputSpec or None), or None
        None accepts any tensors.

    Raises
    ------
    ValueError
        For an input that is no tensor, a wrong number of inputs, or a requirement that is not met.
    """
    for x in inputs:
        if not isinstance(x, Tensor):
            shown = ", ".join(map(brief, inputs))[:200]
            raise ValueError(
                f"Layer {layer_name} was called with an input that isn't a symbolic tensor. Received type: "
                f"{type(x)}. Full input: [{shown}]. All inputs to the layer should be tensors."
                f"{_ARRAYS if isinstance(x, np.ndarray) else ''}"
            )
    if not specs:
        return
    wanted: Sequence[InputSpec | None] = specs if isinstance(specs, (list, tuple)) else [specs]  # type: ignore[list-item]
    if len(inputs) != len(wanted):
        raise ValueError(
            f"Layer {layer_name} expects {len(wanted)} inputs, but it received {len(inputs)} input tensors. "
            f"Input received: {inputs}"
        )
    for index, (x, spec) in enumerate(zip(inputs, wanted, strict=True)):
        problem = spec.problem(x) if spec is not None and isinstance(x, Tensor) else None
        if problem:
            raise ValueError(f"Input {index} is incompatible with layer {layer_name}: {problem}")
