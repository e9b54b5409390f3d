"""Layers that move values: other shapes and orders, borders, several inputs as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.convert.onnx.write.call import Call
from symgraph.convert.onnx.write.graph import Value
from symgraph.utils.conv_utils import spatial_axes

_LAST = np.iinfo("int64").max


def flatten(call: Call) -> list[Value]:
    """All axes but that of the samples as one; of pictures with channels first those go to the end."""
    graph, x = call.graph, call.x
    name = graph.plain(x)
    if call.layer.data_format == "channels_first":
        name = graph.transpose(name, [0, *range(2, x.rank), 1])
    return [call.value(graph.node("Flatten", [name], axis=1))]


def reshape(call: Call) -> list[Value]:
    """The same values in another shape."""
    target = call.layer.target_shape
    if 0 in target:
        raise call.error(f"a size of 0 in its target_shape {target} means another thing there")
    # A size of 0 copies that of the samples.
    return [call.value(_reshaped(call, call.graph.plain(call.x), [0, *target]))]


def _reshaped(call: Call, name: str, sizes: Sequence[int]) -> str:
    return call.graph.node("Reshape", [name, call.graph.integers(sizes)])


def permute(call: Call) -> list[Value]:
    """The axes in another order."""
    return [call.value(call.graph.transpose(call.graph.plain(call.x), [0, *call.layer.dims]))]


def repeat_vector(call: Call) -> list[Value]:
    """Each sample several times."""
    graph = call.graph
    apart = graph.node("Unsqueeze", [graph.plain(call.x), graph.integers([1])])
    return [call.value(graph.node("Tile", [apart, graph.integers([1, call.layer.n, 1])]))]


def _per_axis(call: Call, pairs: Any) -> list[tuple[int, int]]:
    """What happens at both ends of each axis; for layers of sequences, pictures and volumes."""
    if isinstance(pairs[0], int):
        pairs = (pairs,)
    found = [(0, 0)] * call.x.rank
    layout = getattr(call.layer, "data_format", "channels_last")
    for axis, pair in zip(spatial_axes(call.x.rank, layout), pairs, strict=True):
        found[axis] = (pair[0], pair[1])
    return found


def zero_padding(call: Call) -> list[Value]:
    """Zeros around."""
    graph, x = call.graph, call.x
    ends = x.stored(_per_axis(call, call.layer.padding))
    pads = graph.integers([before for before, _ in ends] + [after for _, after in ends])
    name = graph.node("Pad", [x.name, pads, graph.scalar(0.0, x)])
    return [call.value(name, x.first)]


def cropping(call: Call) -> list[Value]:
    """Ends taken away."""
    graph, x = call.graph, call.x
    ends = x.stored(_per_axis(call, call.layer.cropping))
    axes = [axis for axis, pair in enumerate(ends) if pair != (0, 0)]
    if not axes:
        return [x]
    starts, stops = [ends[axis][0] for axis in axes], [-ends[axis][1] or _LAST for axis in axes]
    inputs = [x.name, graph.integers(starts), graph.integers(stops), graph.integers(axes)]
    return [call.value(graph.node("Slice", inputs), x.first)]


def _aligned(call: Call) -> tuple[list[str], bool]:
    """The inputs with one number of axes, and whether they lie with their channels first."""
    rank, graph = max(x.rank for x in call.inputs), call.graph
    if all(x.first and x.rank == rank for x in call.inputs):
        return [x.name for x in call.inputs], True
    names = []
    for x in call.inputs:
        missing = list(range(1, 1 + rank - x.rank))
        name = graph.plain(x)
        names.append(graph.node("Unsqueeze", [name, graph.integers(missing)]) if missing else name)
    return names, False


_MERGES = {
    "Add": "Sum", "Average": "Mean", "Maximum": "Max", "Minimum": "Min", "Subtract": "Sub", "Multiply": "Mul",
}  # fmt: skip


def merge(call: Call) -> list[Value]:
    """Sum, mean and the like, element by element."""
    op = _MERGES[type(call.layer).__name__]
    names, first = _aligned(call)
    if op != "Mul":
        return [call.value(call.graph.node(op, names), first)]
    name = names[0]
    for other in names[1:]:
        name = call.graph.node(op, [name, other])
    return [call.value(name, first)]


def scaled_add(call: Call) -> list[Value]:
    """The first plus `scale` times the second."""
    graph = call.graph
    names, first = _aligned(call)
    scaled = graph.node("Mul", [names[1], graph.scalar(call.layer.scale, call.x)])
    return [call.value(graph.node("Add", [names[0], scaled]), first)]


def concatenate(call: Call) -> list[Value]:
    """One after the other."""
    names, first = _aligned(call)
    value = call.value("", first)
    axis = value.stored_axis(call.layer.axis)
    return [value.with_name(call.graph.node("Concat", names, axis=axis))]


def dot(call: Call) -> list[Value]:
    """Products of the samples along one axis of each."""
    graph, axes = call.graph, call.layer.axes
    pair = (axes, axes) if isinstance(axes, int) else tuple(axes)
    names, terms, letters = [], [], iter("ijklmnopqr")
    for x, axis in zip(call.inputs, pair, strict=True):
        at = axis % x.rank
        names.append(_normalized(call, x, at) if call.layer.normalize else graph.plain(x))
        terms.append("".join("a" if a == 0 else "z" if a == at else next(letters) for a in range(x.rank)))
    result = "a" + "".join(letter for term in terms for letter in term if letter not in "az")
    name = graph.node("Einsum", names, equation=f"{terms[0]},{terms[1]}->{result}")
    if len(result) == 1:
        name = graph.node("Unsqueeze", [name, graph.integers([1])])
    return [call.value(name)]


def _normalized(call: Call, x: Value, axis: int) -> str:
    """x divided by its norm, as `K.l2_normalize` does."""
    graph, name = call.graph, call.graph.plain(x)
    squares = graph.reduce("ReduceSum", graph.node("Mul", [name, name]), [axis], keepdims=True)
    least = graph.node("Max", [squares, graph.scalar(1e-12, x)])
    return graph.node("Div", [name, graph.node("Sqrt", [least])])
