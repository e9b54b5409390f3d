"""What `Flatten` did before Keras 2.1.6: it left channels that come first where they were.

Since then it moves them to the end, if they come first. The features are the same, in another order; so are
the weights of the layers that read them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.engine.layer.node import keras_history
from symgraph.engine.weights.order import is_network
from symgraph.graph.tensor import Tensor

_FIRST_THAT_MOVES = (2, 1, 6)

_BY_FEATURE = ("BatchNormalization", "PReLU")
"""Layers with a number for each feature in every weight."""
_BY_ROW = ("Dense", "SimpleRNN", "GRU", "LSTM")
"""Layers with a row for each feature in their first weight."""


def in_order_of_flatten(
    part: Any, holder: Any, weights: Sequence[np.ndarray], version: str | None
) -> list[np.ndarray]:
    """Stored weights in the order in which `Flatten` gives features today.

    Parameters
    ----------
    part : Layer
        That the weights are of.
    holder : Layer
        The wrapper that calls it, or itself.
    weights : sequence of arrays
        In today's layout otherwise.
    version : str, optional
        Of the Keras that stored them; older ones than 2 tell nothing.
    """
    kind = type(part).__name__
    if kind not in (*_BY_FEATURE, *_BY_ROW) or not _left_channels_first(version):
        return list(weights)
    order = _order_of_input(part if part._inbound_nodes else holder)
    count = len(weights) if kind in _BY_FEATURE else 1
    if order is None or any(array.shape[:1] != order.shape for array in weights[:count]):
        return list(weights)
    return [*(array[order] for array in weights[:count]), *weights[count:]]


def _left_channels_first(version: str | None) -> bool:
    numbers = tuple(int(number) for number in re.findall(r"\d+", version or "1")[:3])
    return bool(numbers) and numbers < _FIRST_THAT_MOVES


def _order_of_input(layer: Any) -> np.ndarray | None:
    """Where feature i of the first input of a layer was; None where nothing has moved."""
    return _order(layer._inbound_nodes[0].input_tensors[0]) if layer._inbound_nodes else None


def _order(tensor: Tensor) -> np.ndarray | None:
    history: Any = keras_history(tensor)
    if history is None:
        return None
    layer, call, output = history
    if is_network(layer):
        return _order(layer.outputs[output])
    node = layer._inbound_nodes[call]
    if not node.inbound_layers:
        return None
    inner = getattr(layer, "layer", layer)
    kind = type(inner).__name__
    if kind == "Flatten":
        sizes = node.input_shapes[0][1 if inner is layer else 2 :]
        return _moved(sizes) if inner.data_format == "channels_first" and all(sizes) else None
    if kind == "Concatenate" and layer.axis in (-1, len(node.output_shapes[0]) - 1):
        return _joined(node)
    # What has other weights makes features of its own, and what has another shape puts them elsewhere.
    keeps = not layer.weights or kind in _BY_FEATURE
    same = all(shape == node.output_shapes[0] for shape in node.input_shapes)
    return _order(node.input_tensors[0]) if keeps and same else None


def _moved(sizes: Sequence[int]) -> np.ndarray:
    """Places in the order channels, rows, columns for those in the order rows, columns, channels."""
    places = np.arange(np.prod(sizes)).reshape(sizes)
    return np.moveaxis(places, 0, -1).reshape(-1)


def _joined(node: Any) -> np.ndarray | None:
    orders = [_order(tensor) for tensor in node.input_tensors]
    counts = [shape[-1] for shape in node.input_shapes]
    if all(order is None for order in orders) or None in counts:
        return None
    starts = np.cumsum([0, *counts[:-1]])
    parts = [
        start + (np.arange(count) if order is None else order)
        for start, count, order in zip(starts, counts, orders, strict=True)
    ]
    return np.concatenate(parts)
