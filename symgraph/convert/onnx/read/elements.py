"""Operators of single elements: activations, arithmetic with constants and of several tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph import layers as L
from symgraph.convert.builder import sizes
from symgraph.convert.onnx.read.entries import Entry, Sequence
from symgraph.convert.onnx.read.node import Node
from symgraph.graph.tensor import Tensor

_SELU = {"alpha": 1.6732631921768188, "gamma": 1.0507010221481323}
# Opsets from which on a softmax is along one axis, and constants meet the last axes.
_OLD_SOFTMAX, _BROADCASTS = 13, 7


def activation(function: str) -> Callable[[Node], list[Entry]]:
    """The reader of an operator without attributes that is an activation of Keras."""

    def read(node: Node) -> list[Entry]:
        return [node.layer(L.Activation, node.tensor(), activation=function)]

    return read


def passed_on(node: Node) -> list[Entry]:
    """The input itself, which may be anything."""
    return [node.entry(0)]


def dropout(node: Node) -> list[Entry]:
    """Kept, so that training can go on."""
    rate = node.attribute("ratio")
    node.attribute("seed")
    if rate is None and node.has(1):
        rate = float(node.constant(1, "the ratio").ravel()[0])
    if node.has(2) and node.constant(2, "training_mode").any():
        raise node.error("training_mode cannot be read")
    if len(node.proto.output) > 1 and node.reading.used(node.proto.output[1]):
        raise node.error("its mask, a second output, cannot be read")
    x = node.entry(0)
    rate = 0.5 if rate is None else rate
    if isinstance(x, Sequence):
        return [Sequence(node.layer(L.Dropout, x.tensor, rate=rate), x.time_first, x.turned)]
    return [node.layer(L.Dropout, node.tensor(), rate=rate)]


def leaky_relu(node: Node) -> list[Entry]:
    """A slope below 0."""
    return [node.layer(L.LeakyReLU, node.tensor(), alpha=node.attribute("alpha", 0.01))]


def elu(node: Node) -> list[Entry]:
    """An exponential below 0."""
    return [node.layer(L.ELU, node.tensor(), alpha=node.attribute("alpha", 1.0))]


def selu(node: Node) -> list[Entry]:
    """With the constants of the paper only."""
    for name, value in _SELU.items():
        if abs(node.attribute(name, value) - value) > 1e-4:
            raise node.error(f"expected {name} {value}, got {node.attribute(name)}")
    return [node.layer(L.Activation, node.tensor(), activation="selu")]


def thresholded_relu(node: Node) -> list[Entry]:
    """x above alpha."""
    return [node.layer(L.ThresholdedReLU, node.tensor(), theta=node.attribute("alpha", 1.0))]


def hard_sigmoid(node: Node) -> list[Entry]:
    """alpha · x + beta, held between 0 and 1."""
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    if abs(alpha - 0.2) < 1e-7 and beta == 0.5:
        return [node.layer(L.Activation, node.tensor(), activation="hard_sigmoid")]
    return [_held(node, node.tensor(), alpha, beta)]


def _held(node: Node, x: Tensor, alpha: float, beta: float) -> Tensor:
    return node.layer(L.ReLU, node.layer(L.Power, x, scale=alpha, shift=beta), max_value=1.0)


def hard_swish(node: Node) -> list[Entry]:
    """x · min(max(x / 6 + 1/2, 0), 1)."""
    x = node.tensor()
    return [node.layer(L.Multiply, [x, _held(node, x, 1 / 6, 0.5)])]


def softmax(node: Node) -> list[Entry]:
    """Along an axis; before opset 13 along all from an axis on."""
    x = node.tensor()
    old = node.reading.opset < _OLD_SOFTMAX
    axis = node.axis(x, node.attribute("axis", 1 if old else -1))
    if old and any(size != 1 for size in sizes(x)[axis + 1 :]):
        raise node.error(
            f"a softmax of opset {node.reading.opset} over the axes from {axis} on cannot be read"
        )
    if axis == x.ndim - 1:
        return [node.layer(L.Activation, x, activation="softmax")]
    return [node.layer(L.Softmax, x, axis=axis)]


def prelu(node: Node) -> list[Entry]:
    """A slope below 0 that was learned."""
    x, given = node.tensor(), node.constant(1, "the slope")
    if node.reading.opset < _BROADCASTS and given.ndim == 1:
        given = given.reshape(-1, *(1,) * (x.ndim - 2))
    slope = _aligned(node, given, x)[0]
    shared = [axis for axis in range(1, x.ndim) if slope.shape[axis - 1] == 1]
    return [node.layer(L.PReLU, x, [slope], shared_axes=shared or None)]


def clip(node: Node) -> list[Entry]:
    """Held between two numbers."""
    low, high = (_bound(node, name, place) for name, place in (("min", 1), ("max", 2)))
    x = node.tensor()
    if low == -np.inf and high == np.inf:
        return [x]
    if low == -np.inf:
        # min(x, high) = -max(-x, -high)
        turned = node.layer(L.Power, x, scale=-1.0, shift=high)
        return [node.layer(L.Power, node.layer(L.ReLU, turned), scale=-1.0, shift=high)]
    most = None if high == np.inf else high - low
    if low == 0:
        return [node.layer(L.ReLU, x, max_value=most)]
    moved = node.layer(L.ReLU, node.layer(L.Power, x, shift=-low), max_value=most)
    return [node.layer(L.Power, moved, shift=low)]


def _bound(node: Node, name: str, place: int) -> float:
    found = node.attribute(name)
    if found is None and node.has(place):
        found = node.constant(place, name).ravel()[0]
    if found is None or abs(float(found)) > 3e38:
        return -np.inf if name == "min" else np.inf
    return float(found)


def negative(node: Node) -> list[Entry]:
    """-x."""
    return [node.layer(L.Power, node.tensor(), scale=-1.0)]


def root(node: Node) -> list[Entry]:
    """The square root."""
    return [node.layer(L.Power, node.tensor(), power=0.5)]


def reciprocal(node: Node) -> list[Entry]:
    """1 / x."""
    return [node.layer(L.Power, node.tensor(), power=-1.0)]


def power(node: Node) -> list[Entry]:
    """With a constant number as the exponent."""
    exponent = node.constant(1, "the exponent")
    if exponent.size != 1:
        raise node.error(f"expected one exponent, got shape {exponent.shape}")
    return [node.layer(L.Power, node.tensor(), power=float(exponent.ravel()[0]))]


def _aligned(node: Node, array: np.ndarray, x: Tensor) -> tuple[np.ndarray, list[int]]:
    """A constant with all axes of a sample, and those axes along which it differs.

    Raises
    ------
    ValueError
        If it differs between samples, or does not suit their shape.
    """
    if array.ndim > x.ndim or (array.ndim == x.ndim and array.shape[0] != 1):
        raise node.error(f"a constant of shape {array.shape} beside a tensor of shape {sizes(x)}")
    wide = array.reshape((1,) * (x.ndim - array.ndim) + array.shape)[0]
    for size, wanted in zip(wide.shape, sizes(x)[1:], strict=True):
        if size not in (1, wanted):
            raise node.error(f"a constant of shape {array.shape} beside a tensor of shape {sizes(x)}")
    return wide, [axis for axis in range(1, x.ndim) if wide.shape[axis - 1] > 1]


def _affine(node: Node, x: Tensor, scale: np.ndarray | None, shift: np.ndarray | None) -> Tensor:
    """scale · x + shift with constants, one of which may be missing."""
    for given in (scale, shift):
        if given is not None and given.dtype.kind != "f":
            raise node.error(f"a constant of {given.dtype} beside a tensor of {x.dtype}")
    arrays = [array for array in (scale, shift) if array is not None]
    if all(array.size == 1 and array.ndim <= x.ndim for array in arrays):
        numbers = [None if array is None else float(array.ravel()[0]) for array in (scale, shift)]
        factor, constant = numbers
        return node.layer(L.Power, x, scale=1.0 if factor is None else factor, shift=constant or 0.0)
    (array,) = arrays
    wide, axes = _aligned(node, array, x)
    weight = wide.reshape([wide.shape[axis - 1] for axis in axes])
    return node.layer(L.Scale, x, [weight], axis=axes, scale=scale is not None, center=shift is not None)


def _two(node: Node) -> tuple[Any, Any]:
    """Both inputs: one tensor at least, the other one or a constant."""
    first, second = node.entry(0), node.entry(1)
    for place, found in enumerate((first, second)):
        if not isinstance(found, np.ndarray):
            node.tensor(place)
    return first, second


def add(node: Node) -> list[Entry]:
    """A sum."""
    a, b = _two(node)
    if isinstance(b, np.ndarray):
        return [_affine(node, a, None, b)]
    if isinstance(a, np.ndarray):
        return [_affine(node, b, None, a)]
    return merged(L.Add)(node)


def subtract(node: Node) -> list[Entry]:
    """A difference."""
    a, b = _two(node)
    if isinstance(b, np.ndarray):
        return [_affine(node, a, None, -b)]
    if isinstance(a, np.ndarray):
        return [_affine(node, node.layer(L.Power, b, scale=-1.0), None, a)]
    return merged(L.Subtract)(node)


def multiply(node: Node) -> list[Entry]:
    """A product."""
    a, b = _two(node)
    if isinstance(b, np.ndarray):
        return [_affine(node, a, b, None)]
    if isinstance(a, np.ndarray):
        return [_affine(node, b, a, None)]
    return merged(L.Multiply)(node)


def divide(node: Node) -> list[Entry]:
    """A quotient."""
    a, b = _two(node)
    if isinstance(b, np.ndarray):
        with np.errstate(divide="ignore"):
            return [_affine(node, a, 1 / b, None)]
    inverse = node.layer(L.Power, b, power=-1.0)
    if isinstance(a, np.ndarray):
        return [_affine(node, inverse, a, None)]
    return [node.layer(L.Multiply, _same_rank(node, [a, inverse]))]


def merged(cls: type[L.Layer]) -> Callable[[Node], list[Entry]]:
    """The reader of an operator of several tensors."""

    def read(node: Node) -> list[Entry]:
        tensors = [node.tensor(place) for place in range(len(node.proto.input))]
        return [node.layer(cls, _same_rank(node, tensors)) if len(tensors) > 1 else tensors[0]]

    return read


def _same_rank(node: Node, tensors: list[Tensor]) -> list[Tensor]:
    if len({x.ndim for x in tensors}) > 1:
        # ONNX aligns the last axes, so that samples would meet other ones.
        shapes = ", ".join(str(sizes(x)) for x in tensors)
        raise node.error(f"expected tensors of one number of axes, got {shapes}")
    return tensors
