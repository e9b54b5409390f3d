"""Layers that join blobs, or give them another shape; the inner product, which flattens."""

from __future__ import annotations

import math

from symgraph import layers as L
from symgraph.convert.builder import Size, sizes
from symgraph.convert.caffe.context import Context
from symgraph.convert.caffe.network import CaffeLayer
from symgraph.convert.caffe.prototxt import Message
from symgraph.convert.reshaped import sample_target
from symgraph.graph.tensor import Tensor


def inner_product(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """W · x + b, where the axes from `axis` on are one; weights are stored as (outputs, inputs)."""
    x = context.only_input(layer)
    given = layer.parameters(
        "inner_product_param",
        ("num_output", "bias_term", "axis", "transpose"),
        ("weight_filler", "bias_filler", "engine"),
    )
    axis = context.axis(layer, x, given.integer("axis", 1))
    units, use_bias = given.integer("num_output", least=1), given.flag("bias_term", True)
    shape = sizes(x)
    inputs = _product(layer, shape, axis)
    stored = (inputs, units) if given.flag("transpose", False) else (units, inputs)
    arrays = context.arrays(layer, stored, *([(units,)] if use_bias else []))
    if arrays and not given.flag("transpose", False):
        arrays[0] = arrays[0].T
    if axis < x.ndim - 1:
        name = context.unique(f"{layer.name}_flatten")
        x = _flat(context, name, x, layer, axis, x.ndim - 1)
    return [context.place(L.Dense, layer, x, arrays, units=units, use_bias=use_bias)]


def _product(layer: CaffeLayer, shape: tuple[Size, ...], axis: int, end: int | None = None) -> int:
    known = shape[axis:end]
    if None in known:
        raise layer.error(f"expected known sizes from axis {axis} on, got {shape}")
    return math.prod(size for size in known if size is not None)


def _flat(context: Context, name: str, x: Tensor, layer: CaffeLayer, first: int, last: int) -> Tensor:
    """The axes from `first` to `last` as one, in the order in which they lie in memory."""
    if (first, last) == (1, x.ndim - 1):
        # This layout keeps the order of the elements; with 'channels_first' Keras moves the channels.
        return context.apply(L.Flatten, name, x, data_format="channels_last")
    shape = sizes(x)
    joined = _product(layer, shape, first, last + 1)
    target = [*shape[1:first], joined, *shape[last + 1 :]]
    return context.apply(L.Reshape, name, x, target_shape=_target(layer, target))


def _target(layer: CaffeLayer, target: list[Size]) -> tuple[int, ...]:
    """Sizes as Reshape takes them: one may be unknown."""
    if target.count(None) > 1:
        raise layer.error(f"expected at most one unknown size, got {target}")
    return tuple(-1 if size is None else size for size in target)


def flatten(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """Several axes as one."""
    x = context.only_input(layer)
    given = layer.parameters("flatten_param", ("axis", "end_axis"))
    first, last = (context.axis(layer, x, given.integer(k, d)) for k, d in (("axis", 1), ("end_axis", -1)))
    if last < first:
        raise layer.error(f"flatten_param: axis {first} lies behind end_axis {last}")
    return [x if first == last else _flat(context, context.unique(layer.name), x, layer, first, last)]


def reshape(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """Other sizes for some axes: 0 copies one, -1 is what is left. Samples stay apart."""
    x = context.only_input(layer)
    given = layer.parameters("reshape_param", ("shape", "axis", "num_axes"))
    shape = sizes(x)
    wanted = [value for message in given.messages("shape") for value in _dims(layer, message)]
    first = given.integer("axis", 0)
    first += x.ndim + 1 if first < 0 else 0
    count = given.integer("num_axes", -1)
    end = x.ndim if count == -1 else first + count
    if not 0 <= first <= end <= x.ndim or count < -1:
        raise layer.error(f"reshape_param: axis and num_axes do not suit a blob of shape {shape}")
    if first == 0:
        target = sample_target([*wanted, *shape[end:]], shape, context.batches)
        if target is None:
            raise layer.error(f"reshape_param: {wanted} mixes the samples of shape {shape}")
        return [context.place(L.Reshape, layer, x, target_shape=target)]
    if wanted.count(-1) > 1 or any(size < -1 for size in wanted):
        raise layer.error(f"reshape_param: expected sizes, 0 and at most one -1, got {wanted}")
    new: list[Size] = []
    for place, size in enumerate(wanted):
        if size == 0 and first + place >= x.ndim:
            raise layer.error(f"reshape_param: there is no axis {first + place} to copy in shape {shape}")
        new.append(shape[first + place] if size == 0 else size)
    resulting = [*shape[1:first], *new, *shape[end:]]
    return [context.place(L.Reshape, layer, x, target_shape=_target(layer, resulting))]


def _dims(layer: CaffeLayer, message: Message) -> list[int]:
    values = message.get("dim", [])
    if not all(isinstance(value, int) for value in values):
        raise layer.error(f"reshape_param: expected integers for dim, got {values}")
    return values  # type: ignore[return-value]


def concat(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """Blobs one after the other along an axis."""
    given = layer.parameters("concat_param", ("axis", "concat_dim"))
    tensors = context.inputs(layer)
    if not tensors:
        raise layer.error("expected bottoms, got none")
    axis = context.axis(layer, tensors[0], given.integer("axis", given.integer("concat_dim", 1)))
    if len(tensors) == 1:
        return tensors
    return [context.place(L.Concatenate, layer, tensors, axis=axis)]
