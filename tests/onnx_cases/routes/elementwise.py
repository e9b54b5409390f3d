"""Ops that work element by element: arithmetic, comparisons, activations."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph import activations, layers
from symgraph import backend as K
from symgraph.graph.tensor import Tensor
from tests.onnx_cases.routes.stretch import shape_of, stretched
from tests.onnx_cases.translate import Node, NotExpressibleError, Route


def _with_layer(
    function: Callable[[Tensor], Tensor], name: str | Callable[[Tensor], Tensor], layer: Any = None
) -> Route:
    """A function of the backend, the activation, and a layer of its own."""

    def route(node: Node) -> list[Any]:
        x = node.x()
        found = [function(x), activations.get(name)(x), layers.Activation(name)(x)]
        return found if layer is None else [*found, layer()(x)]

    return route


def _unary(function: Callable[[Tensor], Tensor]) -> Route:
    return lambda node: function(node.x())


def _old_broadcast(node: Node) -> tuple[Tensor, Tensor]:
    """Both inputs; before opset 7 the second one is laid along the axes from `axis` on."""
    x, y = node.xs
    if node.opset < 7 and node.get("broadcast", 0) and node.get("axis") is not None:
        y = K.reshape(y, [*shape_of(y), *[1] * (x.ndim - node.get("axis") - y.ndim)])
    return x, y


def _binary(function: Callable[[Any, Any], Any], layer: Callable[[], layers.Layer] | None = None) -> Route:
    def route(node: Node) -> list[Any]:
        x, y = _old_broadcast(node)
        found = [function(x, y)]
        if layer is not None and _mergeable([x, y]):
            found.append(layer()([x, y]))
        return found

    return route


def _mergeable(xs: list[Tensor]) -> bool:
    """Whether a layer that merges takes these: two at least, with samples in their first axis."""
    return len(xs) > 1 and xs[0].ndim > 1 and len({shape_of(x) for x in xs}) == 1


def _several(function: Callable[[Any, Any], Any], layer: Callable[[], layers.Layer]) -> Route:
    def route(node: Node) -> list[Any]:
        xs = node.xs
        return [functools.reduce(function, xs), *([layer()(xs)] if _mergeable(xs) else [])]

    return route


def _mean(node: Node) -> list[Any]:
    xs = node.xs
    return [K.mean(K.stack(xs), axis=0), *([layers.Average()(xs)] if _mergeable(xs) else [])]


def _divide(node: Node) -> Any:
    x, y = _old_broadcast(node)
    if x.dtype in ("float32", "float64"):
        return x / y
    if node.alone and ((node.array(0) < 0) != (node.array(1) < 0)).any():
        raise NotExpressibleError("arguments: whole quotients of negative numbers are rounded towards zero")
    return x // y


def _mod(node: Node) -> Any:
    if node.get("fmod", 0):
        raise NotExpressibleError("arguments: remainders with the sign of the dividend")
    return node.x(0) % node.x(1)


def _pow(node: Node) -> list[Any]:
    x, y = node.xs
    if (x.dtype.startswith("int"), y.dtype.startswith("float")) == (True, True):
        raise NotExpressibleError("arguments: whole numbers to a fractional power, cut to whole numbers")
    if x.dtype != y.dtype:
        return [K.pow(x, K.cast(y, x.dtype))]
    return [K.pow(x, y), x**y]


def _clip(node: Node) -> Any:
    if node.opset < 11:
        return K.clip(node.x(), node.get("min"), node.get("max"))
    bounds = [node.x(number) if node.has(number) else None for number in (1, 2)]
    return K.clip(node.x(), *bounds)


def _where(node: Node) -> Any:
    condition, x, y = node.xs
    shape = np.broadcast_shapes(*map(shape_of, node.xs))
    return K.switch(stretched(condition, shape), stretched(x, shape), stretched(y, shape))


def _cast(node: Node) -> Any:
    to = {1: "float32", 2: "uint8", 6: "int32", 7: "int64", 9: "bool", 11: "float64"}
    dtype = to.get(node.get("to")) if node.op == "Cast" else node.x(1).dtype
    if dtype is None:
        raise NotExpressibleError(f"type: number {node.get('to')} of ONNX")
    return K.cast(node.x(), dtype)


def _elu(node: Node) -> list[Any]:
    x, alpha = node.x(), node.get("alpha", 1.0)
    return [K.elu(x, alpha), activations.elu(x, alpha), layers.ELU(alpha)(x)]


def _selu(node: Node) -> list[Any]:
    x = node.x()
    if node.attributes:
        return [node.get("gamma") * K.elu(x, node.get("alpha"))]
    return [activations.selu(x), layers.Activation("selu")(x)]


def _celu(node: Node) -> Any:
    alpha = node.get("alpha", 1.0)
    return alpha * K.elu(node.x() / alpha)


def _leaky_relu(node: Node) -> list[Any]:
    x, alpha = node.x(), node.get("alpha", 0.01)
    return [K.relu(x, alpha), layers.LeakyReLU(alpha)(x), layers.ReLU(negative_slope=alpha)(x)]


def _prelu(node: Node) -> list[Any]:
    x, slope = node.xs
    if node.opset < 7 and slope.ndim == 1:  # a vector of the channels
        slope = K.reshape(slope, (-1, *[1] * (x.ndim - 2)))
    found = [K.relu(x) - slope * K.relu(-x)]
    sizes = (1,) * (x.ndim - slope.ndim) + shape_of(slope)
    if x.ndim > 1 and sizes[0] == 1:
        layer = layers.PReLU(shared_axes=[a for a in range(1, x.ndim) if sizes[a] == 1])
        layer.build(shape_of(x))
        layer.set_weights([node.array(1).reshape(sizes[1:])])
        found.append(layer(x))
    return found


def _thresholded_relu(node: Node) -> list[Any]:
    x, alpha = node.x(), node.get("alpha", 1.0)
    return [
        K.relu(x, threshold=alpha),
        layers.ThresholdedReLU(alpha)(x),
        layers.ReLU(threshold=alpha)(x),
    ]


def _hard_sigmoid(node: Node) -> list[Any]:
    x, alpha, beta = node.x(), node.get("alpha", 0.2), node.get("beta", 0.5)
    found = [K.clip(alpha * x + beta, 0.0, 1.0)]
    if (alpha, beta) == (0.2, 0.5):
        found += [K.hard_sigmoid(x), layers.Activation("hard_sigmoid")(x)]
    return found


def _swish(node: Node) -> Any:
    return node.x() * K.sigmoid(node.get("alpha", 1.0) * node.x())


def _softmax_axis(node: Node, x: Tensor) -> tuple[Tensor, int]:
    """Before opset 13, `axis` and all axes behind it are one."""
    axis = node.get("axis", -1 if node.opset >= 13 else 1)
    if node.opset >= 13 or axis in (-1, x.ndim - 1):
        return x, axis
    sizes = shape_of(x)
    return K.reshape(x, (*sizes[:axis], int(np.prod(sizes[axis:])))), axis


def _logs(x: Tensor, axis: int) -> Tensor:
    """Logarithms of softmax; large numbers are shifted first, or their last digits would be lost."""
    shifted = x - K.max(x, axis, keepdims=True)
    return shifted - K.logsumexp(shifted, axis, keepdims=True)


def _softmax(node: Node) -> list[Any]:
    given = node.x()
    x, axis = _softmax_axis(node, given)
    found = [K.softmax(x, axis), K.exp(_logs(x, axis))]
    if x.ndim > 1:
        found += [activations.softmax(x, axis), layers.Softmax(axis)(x)]
    return [K.reshape(y, shape_of(given)) for y in found]


def _log_softmax(node: Node) -> Any:
    x, axis = _softmax_axis(node, node.x())
    return K.reshape(_logs(x, axis), shape_of(node.x()))


def _sqrt(node: Node) -> Any:
    if node.alone and (node.array(0) < 0).any():
        raise NotExpressibleError("arguments: roots of negative numbers, which are 0 in Keras")
    return K.sqrt(node.x())


def _hardmax(node: Node) -> Any:
    x, axis = node.x(), node.get("axis", -1) % node.x().ndim
    rows = K.one_hot(K.argmax(x, axis), shape_of(x)[axis])
    order = list(range(x.ndim - 1))
    order.insert(axis, x.ndim - 1)
    return K.permute_dimensions(rows, order)


def _dropout(node: Node) -> list[Any]:
    """At test time; the mask that ONNX gives beside is all True then."""
    if node.has(2) and bool(node.array(2)) and float(node.array(1) if node.has(1) else 0.5):
        raise NotExpressibleError("arguments: random numbers")
    rate = float(node.setting("ratio", 1, 0.5))
    found = [layers.Dropout(rate)(node.x(), training=False), K.identity(node.x())]
    return [(y, *[None] * (node.outputs - 1)) for y in found]


ROUTES: dict[str, Route] = {
    "Abs": lambda node: [K.abs(node.x()), abs(node.x())],
    "Add": _binary(operator.add, layers.Add),
    "And": _binary(operator.and_),
    "Cast": _cast,
    "CastLike": _cast,
    "Celu": _celu,
    "Clip": _clip,
    "Cos": _unary(K.cos),
    "Div": _divide,
    "Dropout": _dropout,
    "Elu": _elu,
    "Ceil": _unary(lambda x: -(-x // 1)),
    "Equal": _binary(K.equal),
    "Exp": _with_layer(K.exp, "exponential"),
    "Floor": _unary(lambda x: x // 1),
    "Greater": lambda node: [K.greater(*node.xs), node.x(0) > node.x(1)],
    "GreaterOrEqual": lambda node: [K.greater_equal(*node.xs), node.x(0) >= node.x(1)],
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda node: node.x() * K.relu(node.x() / 6 + 0.5, max_value=1.0),
    "Hardmax": _hardmax,
    "Identity": _with_layer(K.identity, "linear"),
    "IsNaN": lambda node: K.not_equal(node.x(), node.x()),
    "LeakyRelu": _leaky_relu,
    "Less": lambda node: [K.less(*node.xs), node.x(0) < node.x(1)],
    "LessOrEqual": lambda node: [K.less_equal(*node.xs), node.x(0) <= node.x(1)],
    "Log": _unary(K.log),
    "LogSoftmax": _log_softmax,
    "Max": _several(K.maximum, layers.Maximum),
    "Mean": _mean,
    "Min": _several(K.minimum, layers.Minimum),
    "Mish": lambda node: node.x() * K.tanh(K.softplus(node.x())),
    "Mod": _mod,
    "Mul": _binary(operator.mul, layers.Multiply),
    "Neg": _unary(operator.neg),
    "Not": _unary(operator.invert),
    "Or": _binary(operator.or_),
    "PRelu": _prelu,
    "Pow": _pow,
    "Reciprocal": _unary(lambda x: 1 / x),
    "Relu": _with_layer(K.relu, "relu", layers.ReLU),
    "Round": _unary(K.round),
    "Selu": _selu,
    "Sigmoid": _with_layer(K.sigmoid, "sigmoid"),
    "Sign": _unary(K.sign),
    "Sin": _unary(K.sin),
    "Softmax": _softmax,
    "Softplus": _with_layer(K.softplus, "softplus"),
    "Softsign": _with_layer(K.softsign, "softsign"),
    "Sqrt": _sqrt,
    "Sub": _binary(operator.sub, layers.Subtract),
    "Sum": _several(operator.add, layers.Add),
    "Swish": _swish,
    "Tanh": _with_layer(K.tanh, "tanh"),
    "ThresholdedRelu": _thresholded_relu,
    "Where": _where,
    "Xor": _binary(operator.xor),
}
