"""Constants that a graph computes from constants, and sizes that it computes from shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper

from symgraph.convert.builder import Size, sizes
from symgraph.convert.onnx.read.entries import UNKNOWN, Entry, Filled, Sequence, Sizes
from symgraph.convert.onnx.read.node import Node
from symgraph.convert.onnx.read.tensors import array_of
from symgraph.graph.tensor import Tensor

MOST_ELEMENTS = 1 << 24
"""Elements of a constant that is made of nothing, or of smaller ones."""


def _cast(node: Node, x: np.ndarray) -> np.ndarray:
    return x.astype(helper.tensor_dtype_to_np_dtype(node.attribute("to")))


def _reshape(node: Node, x: np.ndarray, shape: np.ndarray) -> np.ndarray:
    node.demand("allowzero", 0, 0)
    target = [x.shape[place] if size == 0 else int(size) for place, size in enumerate(shape)]
    return x.reshape(target)


def _squeeze(node: Node, x: np.ndarray, *_: Any) -> np.ndarray:
    axes = node.integers("axes", 1)
    return np.squeeze(x, None if axes is None else tuple(axes))


def _unsqueeze(node: Node, x: np.ndarray, *_: Any) -> np.ndarray:
    return np.expand_dims(x, tuple(node.integers("axes", 1) or ()))


def _gather(node: Node, x: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.take(x, places, axis=node.attribute("axis", 0))


def _concat(node: Node, *arrays: np.ndarray) -> np.ndarray:
    return np.concatenate(arrays, axis=node.attribute("axis"))


def _transpose(node: Node, x: np.ndarray) -> np.ndarray:
    return np.transpose(x, node.attribute("perm"))


_FOLDED: dict[str, Callable[..., np.ndarray]] = {
    "Add": lambda node, a, b: a + b, "Cast": _cast, "Concat": _concat,
    "Div": lambda node, a, b: _quotient(a, b), "Gather": _gather, "Identity": lambda node, x: x,
    "Mul": lambda node, a, b: a * b, "Neg": lambda node, x: -x, "Reshape": _reshape,
    "Sqrt": lambda node, x: np.sqrt(x), "Squeeze": _squeeze, "Sub": lambda node, a, b: a - b,
    "Transpose": _transpose, "Unsqueeze": _unsqueeze,
}  # fmt: skip


def _quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind == "f":
        return a / b
    # Whole numbers are cut towards zero.
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)


def folded(node: Node) -> list[Entry] | None:
    """The results of a node that reads constants only; None for any other node.

    Raises
    ------
    ValueError
        If the constants do not suit the operator, or the result would be very large.
    """
    inputs = [node.entry(place) for place in range(len(node.proto.input)) if node.has(place)]
    if node.op not in _FOLDED or not inputs or not all(isinstance(x, np.ndarray) for x in inputs):
        return None
    arrays = [x for x in inputs if isinstance(x, np.ndarray)]
    if math.prod(np.broadcast_shapes(*_shapes(node, arrays))) > MOST_ELEMENTS:
        raise node.error("the constant that it makes is too large")
    try:
        return [np.asarray(_FOLDED[node.op](node, *arrays))]
    except (ValueError, IndexError, TypeError, KeyError) as error:
        raise node.error(f"its constants do not suit it: {error}") from None


def _shapes(node: Node, arrays: list[np.ndarray]) -> list[tuple[int, ...]]:
    """Shapes that are broadcast to that of the result; for operators without that, none."""
    if node.op not in ("Add", "Sub", "Mul", "Div"):
        return []
    try:
        np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError as error:
        raise node.error(f"its constants do not suit it: {error}") from None
    return [array.shape for array in arrays]


def constant(node: Node) -> list[Entry]:
    """A constant that stands in a node."""
    for name in ("value_float", "value_int", "value_floats", "value_ints"):
        found = node.attribute(name)
        if found is not None:
            return [np.array(found, "float32" if "float" in name else "int64")]
    tensor = node.attribute("value")
    if tensor is None:
        raise node.error("expected a value")
    return [array_of(tensor, node.reading.path)]


def shape(node: Node) -> list[Entry]:
    """The sizes of a tensor; of samples it is not known how many there are."""
    x = node.entry(0)
    found: tuple[Size, ...]
    if isinstance(x, np.ndarray):
        found = x.shape
    elif isinstance(x, Sequence):
        samples, time, features = _tensor_sizes(x.tensor)
        found = (time, samples, features) if x.time_first else (samples, time, features)
    else:
        found = _tensor_sizes(node.tensor())
    part = Sizes(found[node.attribute("start", 0) : node.attribute("end", len(found))])
    return [_plain(part)]


def _tensor_sizes(x: Tensor) -> tuple[Size, ...]:
    return (None, *(UNKNOWN if size is None else size for size in sizes(x)[1:]))


def of_sizes(node: Node) -> list[Entry] | None:
    """What an operator makes of sizes; None if it reads none.

    Raises
    ------
    ValueError
        If it computes with the number of samples.
    """
    inputs = [node.entry(place) for place in range(len(node.proto.input)) if node.has(place)]
    if not any(isinstance(x, Sizes) for x in inputs) or node.op not in _OF_SIZES:
        return None
    return [_plain(_OF_SIZES[node.op](node, inputs))]


def _plain(found: Sizes | Filled) -> Entry:
    """Sizes that do not depend on the samples are a constant."""
    if isinstance(found, Filled) or not found.known:
        return found
    return np.array(found.values[0] if found.scalar else found.values, "int64")


def _same(node: Node, inputs: list[Entry]) -> Sizes:
    node.attribute("to")
    return _sizes(node, inputs[0])


def _sizes(node: Node, found: Entry) -> Sizes:
    if isinstance(found, Sizes):
        return found
    if isinstance(found, np.ndarray) and found.ndim < 2 and found.dtype.kind in "iu":
        return Sizes(tuple(int(size) for size in found.ravel()), found.ndim == 0)
    raise node.error("expected sizes of tensors")


def _picked(node: Node, inputs: list[Entry]) -> Sizes:
    node.demand("axis", 0, 0)
    places, values = node.constant(1, "places"), _sizes(node, inputs[0]).values
    if places.size and (places.max() >= len(values) or places.min() < -len(values)):
        raise node.error(f"places {places.tolist()} lie outside {len(values)} sizes")
    return Sizes(tuple(values[int(place)] for place in places.ravel()), places.ndim == 0)


def _unsqueezed(node: Node, inputs: list[Entry]) -> Sizes:
    node.integers("axes", 1)
    return Sizes(_sizes(node, inputs[0]).values)


def _squeezed(node: Node, inputs: list[Entry]) -> Sizes:
    node.integers("axes", 1)
    return Sizes(_sizes(node, inputs[0]).values, scalar=True)


def _joined(node: Node, inputs: list[Entry]) -> Sizes:
    node.demand("axis", 0, 0)
    return Sizes(tuple(size for found in inputs for size in _sizes(node, found).values))


def _cut(node: Node, inputs: list[Entry]) -> Sizes:
    starts, ends = node.integers("starts", 1), node.integers("ends", 2)
    steps = node.constant_or_none(4, "steps")
    node.integers("axes", 3)
    step = 1 if steps is None else int(steps.ravel()[0])
    if not starts or not ends or step == 0:
        raise node.error("expected where to cut sizes")
    return Sizes(_sizes(node, inputs[0]).values[starts[0] : ends[0] : step])


def _filled(node: Node, inputs: list[Entry]) -> Filled:
    """A tensor of one value, of a size that has the samples in it."""
    if node.op == "Expand":
        value = node.constant(0, "what is repeated")
    else:
        tensor = node.attribute("value")
        value = np.zeros(1) if tensor is None else array_of(tensor, node.reading.path)
    if value.size == 0 or (value != value.ravel()[0]).any():
        raise node.error("expected one value")
    return Filled(float(value.ravel()[0]))


_OF_SIZES: dict[str, Callable[[Node, list[Entry]], Sizes | Filled]] = {
    "Cast": _same, "Concat": _joined, "ConstantOfShape": _filled, "Expand": _filled, "Gather": _picked,
    "Identity": _same, "Slice": _cut, "Squeeze": _squeezed, "Unsqueeze": _unsqueezed,
}  # fmt: skip


def constant_of_shape(node: Node) -> list[Entry]:
    """A constant of one value."""
    wanted = [int(size) for size in node.constant(0, "the shape").ravel()]
    tensor = node.attribute("value")
    value = np.zeros(1, "float32") if tensor is None else array_of(tensor, node.reading.path)
    if value.size != 1 or any(size < 0 for size in wanted) or math.prod(wanted) > MOST_ELEMENTS:
        raise node.error(f"a constant of shape {wanted} cannot be made")
    return [np.full(wanted, value.ravel()[0])]
