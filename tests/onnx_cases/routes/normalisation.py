"""Normalisation by statistics of a batch, a sample or a layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph import layers
from symgraph.graph.tensor import Tensor
from tests.onnx_cases.routes.stretch import shape_of
from tests.onnx_cases.translate import Node, Route


def _batch_normalization(node: Node) -> list[Any]:
    x, scale, shift, mean, variance = node.xs
    epsilon = node.get("epsilon", 1e-5)
    layer = layers.BatchNormalization(axis=1, epsilon=epsilon, momentum=node.get("momentum", 0.9))
    layer.build(shape_of(x))
    layer.set_weights([node.array(n) for n in (1, 2, 3, 4)])
    if not node.get("training_mode", 0):
        y = K.batch_normalization(x, mean, variance, shift, scale, axis=1, epsilon=epsilon)
        return [y, layer(x, training=False)]
    axes = [a for a in range(x.ndim) if a != 1]
    y, now, spread = K.normalize_batch_in_training(x, scale, shift, axes, epsilon)
    kept = node.get("momentum", 0.9)
    moved = [old * kept + new * (1 - kept) for old, new in ((mean, now), (variance, spread))]
    by_layer = layer(x, training=True)
    # The layer's new variance is that of a sample (n - 1), ONNX' that of the batch (n).
    new_mean = dict(layer.updates)[layer.moving_mean]
    return [(y, *moved), (by_layer, new_mean, None)]


def _scaled(x: Tensor, axes: list[int], epsilon: float, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    """By mean and variance over `axes`; scale and shift broadcast against `x`."""
    mean, variance = K.mean(x, axes, keepdims=True), K.var(x, axes, keepdims=True)
    return K.batch_normalization(x, mean, variance, shift, scale, epsilon=epsilon)


def _instance_normalization(node: Node) -> list[Any]:
    """Each channel of each sample: a batch of one, or a vector of channels laid along axis 1."""
    x = node.x()
    wide = (1, -1, *[1] * (x.ndim - 2))
    scale, shift = (K.reshape(node.x(n), wide) for n in (1, 2))
    return [_scaled(x, [*range(2, x.ndim)], node.get("epsilon", 1e-5), scale, shift)]


def _layer_normalization(node: Node) -> tuple[Tensor, ...]:
    x, epsilon = node.x(), node.get("epsilon", 1e-5)
    axes = [*range(node.get("axis", -1) % x.ndim, x.ndim)]
    mean, variance = K.mean(x, axes, keepdims=True), K.var(x, axes, keepdims=True)
    scale = node.x(1)
    shift = node.x(2) if node.has(2) else None
    wide = [1] * (x.ndim - scale.ndim)
    scale, shift = (None if p is None else K.reshape(p, (*wide, *shape_of(p))) for p in (scale, shift))
    y = K.batch_normalization(x, mean, variance, shift, scale, epsilon=epsilon)
    return (y, mean, 1 / K.sqrt(variance + epsilon))[: node.outputs]


def _group_normalization(node: Node) -> Any:
    x, groups = node.x(), node.get("num_groups")
    sizes = shape_of(x)
    parts = K.reshape(x, (sizes[0], groups, sizes[1] // groups, *sizes[2:]))
    normed = K.reshape(_scaled(parts, [*range(2, parts.ndim)], node.get("epsilon", 1e-5), None, None), sizes)
    scale, shift = (K.reshape(node.x(n), (1, -1, *[1] * (x.ndim - 2))) for n in (1, 2))
    return normed * scale + shift


def _mean_variance(node: Node) -> Any:
    x, axes = node.x(), node.get("axes", [0, 2, 3])
    return (x - K.mean(x, axes, keepdims=True)) / (K.std(x, axes, keepdims=True) + 1e-9)


def _root_mean_square(node: Node) -> Any:
    x = node.x()
    axes = [*range(node.get("axis", -1) % x.ndim, x.ndim)]
    squares = K.mean(K.square(x), axes, keepdims=True)
    return x / K.sqrt(squares + np.float32(node.get("epsilon", 1e-5))) * node.x(1)


ROUTES: dict[str, Route] = {
    "BatchNormalization": _batch_normalization,
    "GroupNormalization": _group_normalization,
    "InstanceNormalization": _instance_normalization,
    "LayerNormalization": _layer_normalization,
    "MeanVarianceNormalization": _mean_variance,
    "RMSNormalization": _root_mean_square,
}
