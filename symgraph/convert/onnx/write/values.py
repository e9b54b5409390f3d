"""Activations and other maps of single elements, normalisation, products with matrices, embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.convert.onnx.write.call import Call
from symgraph.convert.onnx.write.graph import Graph, Value

_SELU = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}

#: Operators for activation functions, with their attributes.
_ACTIVATIONS: dict[str, tuple[str, dict[str, float]]] = {
    "relu": ("Relu", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
    "elu": ("Elu", {"alpha": 1.0}),
    "selu": ("Selu", _SELU),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "exponential": ("Exp", {}),
}


def activated(call: Call, x: Value, function: Any) -> Value:
    """The layer's activation applied to a value.

    Raises
    ------
    ValueError
        If the function is none of Keras'.
    """
    name = getattr(function, "__name__", str(function))
    known = getattr(function, "__module__", "") == "symgraph.activations"
    if function is None or (known and name == "linear"):
        return x
    if known and name == "softmax":
        return x.with_name(call.graph.node("Softmax", [x.name], axis=x.stored_axis(-1)))
    if not known or name not in _ACTIVATIONS:
        raise call.error(f"its activation {name!r} is none that ONNX has")
    op, attributes = _ACTIVATIONS[name]
    return x.with_name(call.graph.node(op, [x.name], **attributes))


def activation(call: Call) -> list[Value]:
    """An activation function."""
    return [activated(call, call.x, call.layer.activation)]


def passed_on(call: Call) -> list[Value]:
    """What does something in training only."""
    return [call.x]


def leaky_relu(call: Call) -> list[Value]:
    """A slope below 0."""
    return [call.x.with_name(call.graph.node("LeakyRelu", [call.x.name], alpha=call.layer.alpha))]


def elu(call: Call) -> list[Value]:
    """An exponential below 0."""
    return [call.x.with_name(call.graph.node("Elu", [call.x.name], alpha=call.layer.alpha))]


def thresholded_relu(call: Call) -> list[Value]:
    """x above theta, else 0."""
    return [call.x.with_name(call.graph.node("ThresholdedRelu", [call.x.name], alpha=call.layer.theta))]


def prelu(call: Call) -> list[Value]:
    """A slope below 0 that was learned."""
    slope = call.graph.beside(call.weights()["alpha"][None], call.x)
    return [call.x.with_name(call.graph.node("PRelu", [call.x.name, slope]))]


def softmax(call: Call) -> list[Value]:
    """Along an axis."""
    x = call.x
    return [x.with_name(call.graph.node("Softmax", [x.name], axis=x.stored_axis(call.layer.axis)))]


def relu(call: Call) -> list[Value]:
    """max(x, 0), with a limit, a slope below and a threshold."""
    graph, x, layer = call.graph, call.x, call.layer
    slope, most, threshold = layer.negative_slope, layer.max_value, layer.threshold
    if threshold == 0 and most is None:
        plain = slope == 0
        name = graph.node("Relu", [x.name]) if plain else graph.node("LeakyRelu", [x.name], alpha=slope)
        return [x.with_name(name)]
    kept = x.name
    if threshold != 0:
        above = graph.node("Greater", [x.name, graph.scalar(threshold, x)])
        kept = graph.node("Where", [above, x.name, graph.scalar(0.0, x)])
    if most is not None:
        kept = graph.node("Clip", [kept, graph.scalar(0.0, x), graph.scalar(most, x)])
    elif threshold == 0:
        kept = graph.node("Relu", [kept])
    if slope:
        below = graph.node("Relu", [graph.node("Sub", [graph.scalar(threshold, x), x.name])])
        kept = graph.node("Sub", [kept, graph.node("Mul", [below, graph.scalar(slope, x)])])
    return [x.with_name(kept)]


def power(call: Call) -> list[Value]:
    """(shift + scale · x)^power."""
    graph, x, layer = call.graph, call.x, call.layer
    name = x.name
    for op, number, neutral in (("Mul", layer.scale, 1), ("Add", layer.shift, 0), ("Pow", layer.power, 1)):
        if number != neutral:
            name = graph.node(op, [name, graph.scalar(number, x)])
    return [x.with_name(name)]


def scale(call: Call) -> list[Value]:
    """Factors and shifts along some axes."""
    axes, x = call.layer._axes(call.x.rank), call.x
    factors = call.weights()
    for op, weight in (("Mul", "gamma"), ("Add", "beta")):
        if weight in factors:
            x = x.with_name(call.graph.node(op, [x.name, _along(call.graph, factors[weight], axes, x)]))
    return [x]


def _along(graph: Graph, array: np.ndarray, axes: list[int], like: Value) -> str:
    """A weight that has these axes of a value."""
    moved = array.transpose(np.argsort(axes))
    sizes = dict(zip(sorted(axes), moved.shape, strict=True))
    return graph.beside(moved.reshape([sizes.get(axis, 1) for axis in range(like.rank)]), like)


def batch_normalization(call: Call) -> list[Value]:
    """By the moving averages."""
    graph, x, layer = call.graph, call.x, call.layer
    weights, axis = call.weights(), layer.axis % x.rank
    mean, variance = weights["moving_mean"], weights["moving_variance"]
    gamma, beta = weights.get("gamma", np.ones_like(mean)), weights.get("beta", np.zeros_like(mean))
    if axis in (1, x.rank - 1):
        last = axis == x.rank - 1 and x.rank > 2
        name = graph.channels_first(x, "channels_last") if last else graph.plain(x)
        constants = [graph.constant(w, "weight") for w in (gamma, beta, mean, variance)]
        return [
            call.value(
                graph.node("BatchNormalization", [name, *constants], epsilon=layer.epsilon), first=last
            )
        ]
    factor = gamma.astype("float64") / np.sqrt(variance.astype("float64") + layer.epsilon)
    scaled = graph.node("Mul", [x.name, _along(graph, factor, [axis], x)])
    shift = _along(graph, beta - mean * factor, [axis], x)
    return [x.with_name(graph.node("Add", [scaled, shift]))]


def dense(call: Call) -> list[Value]:
    """A product with a matrix, along the last axis."""
    graph, weights, x = call.graph, call.weights(), call.graph.plain(call.x)
    kernel = graph.constant(weights["kernel"], "kernel")
    bias = [graph.constant(weights["bias"], "bias")] if "bias" in weights else []
    if len(call.shape) == 2:
        name = graph.node("Gemm", [x, kernel, *bias])
    else:
        name = graph.node("MatMul", [x, kernel])
        name = graph.node("Add", [name, *bias]) if bias else name
    return [activated(call, call.value(name), call.layer.activation)]


def embedding(call: Call) -> list[Value]:
    """Rows of a table."""
    graph = call.graph
    (table,) = call.weights().values()
    numbers = graph.node("Cast", [call.graph.plain(call.x)], to=7)  # int64
    name = graph.node("Gather", [graph.constant(table, "embeddings"), numbers], axis=0)
    return [Value(name, call.shape, str(table.dtype))]


def masking(call: Call) -> list[Value]:
    """Zeros for steps of which every value is the mask's."""
    graph, x = call.graph, call.x
    away = graph.node("Abs", [graph.node("Sub", [x.name, graph.scalar(call.layer.mask_value, x)])])
    largest = graph.reduce("ReduceMax", away, [x.stored_axis(-1)], keepdims=True)
    kept = graph.node("Greater", [largest, graph.scalar(0.0, x)])
    return [x.with_name(graph.node("Where", [kept, x.name, graph.scalar(0.0, x)]))]
