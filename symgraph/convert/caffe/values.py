"""Activations, element-wise maps of one and of several blobs, and layers that pass their blob on."""

from __future__ import annotations

from typing import Any

from symgraph import layers as L
from symgraph.convert.builder import channels, sizes
from symgraph.convert.caffe.context import Context
from symgraph.convert.caffe.network import LOSSES, CaffeLayer
from symgraph.graph.tensor import Tensor


def relu(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """max(x, 0), with a slope below 0 if asked for."""
    x = context.only_input(layer)
    slope = layer.parameters("relu_param", ("negative_slope",), ("engine",)).number("negative_slope", 0.0)
    if slope == 0:
        return [context.place(L.Activation, layer, x, activation="relu")]
    return [context.place(L.LeakyReLU, layer, x, alpha=slope)]


def prelu(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """A slope below 0 for each channel, or one for all."""
    x = context.only_input(layer)
    given = layer.parameters("prelu_param", ("channel_shared",), ("filler",))
    shared = given.flag("channel_shared", False)
    arrays = context.arrays(layer, (1,) if shared else (channels(x),))
    axes = list(range(1 if shared else 2, x.ndim))
    alpha = [arrays[0].reshape([-1] + [1] * (x.ndim - 2))] if arrays else None
    return [context.place(L.PReLU, layer, x, alpha, shared_axes=axes or None)]


def elu(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """x above 0, alpha · (exp(x) - 1) below."""
    alpha = layer.parameters("elu_param", ("alpha",)).number("alpha", 1.0)
    return [context.place(L.ELU, layer, context.only_input(layer), alpha=alpha)]


def sigmoid(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """1 / (1 + exp(-x)); also what becomes of a loss that contains it."""
    layer.parameters("sigmoid_param", (), ("engine",))
    return [context.place(L.Activation, layer, context.input(layer), activation="sigmoid")]


def tanh(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """Hyperbolic tangent."""
    layer.parameters("tanh_param", (), ("engine",))
    return [context.place(L.Activation, layer, context.only_input(layer), activation="tanh")]


def softmax(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """Along an axis, that of channels by default; also what becomes of a loss that contains it."""
    x = context.input(layer)
    given = layer.parameters("softmax_param", ("axis",), ("engine",))
    axis = context.axis(layer, x, given.integer("axis", 1))
    if axis == x.ndim - 1:
        y = context.place(L.Activation, layer, x, activation="softmax")
    else:
        y = context.place(L.Softmax, layer, x, axis=axis)
    # A loss may hand on the softmax as its second top.
    return [y] * (len(layer.tops) if layer.type in LOSSES else 1)


def power(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """(shift + scale · x)^power."""
    given = layer.parameters("power_param", ("power", "scale", "shift"))
    options: dict[str, Any] = {
        "power": given.number("power", 1.0), "scale": given.number("scale", 1.0),
        "shift": given.number("shift", 0.0),
    }  # fmt: skip
    return [context.place(L.Power, layer, context.only_input(layer), **options)]


def eltwise(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """Products, sums with factors, or maxima of several blobs."""
    given = layer.parameters("eltwise_param", ("operation", "coeff"), ("stable_prod_grad",))
    operation = given.choice("operation", ("PROD", "SUM", "MAX"), "SUM")
    tensors, factors = context.inputs(layer), given.numbers("coeff")
    if len(tensors) < 2:
        raise layer.error(f"expected at least two bottoms, got {len(tensors)}")
    if len({sizes(x)[1:] for x in tensors}) > 1:
        raise layer.error(f"expected blobs of one shape, got {', '.join(str(sizes(x)) for x in tensors)}")
    if factors and (operation != "SUM" or len(factors) != len(tensors)):
        raise layer.error(
            f"eltwise_param: expected a coeff for each of {len(tensors)} blobs of a SUM, "
            f"got {len(factors)} with {operation}"
        )
    if factors == [1.0, -1.0]:
        return [context.place(L.Subtract, layer, tensors)]
    for number, factor in enumerate(factors):
        if factor != 1:
            name = context.unique(f"{layer.name}_coeff{number}")
            tensors[number] = context.apply(L.Power, name, tensors[number], scale=factor)
    cls = {"PROD": L.Multiply, "SUM": L.Add, "MAX": L.Maximum}[operation]
    return [context.place(cls, layer, tensors)]


def dropout(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """Kept, so that training can go on: what is left is scaled in training, as in Keras."""
    given = layer.parameters("dropout_param", ("dropout_ratio", "scale_train"))
    if not given.flag("scale_train", True):
        raise layer.error("dropout_param { scale_train: false } cannot be converted")
    ratio = given.number("dropout_ratio", 0.5)
    if not 0 <= ratio < 1:
        raise layer.error(f"dropout_param: expected a dropout_ratio from 0 to below 1, got {ratio}")
    return [context.place(L.Dropout, layer, context.only_input(layer), rate=ratio)]


def passed_on(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """The blob itself, under each name of a top."""
    return [context.only_input(layer)] * len(layer.tops)
