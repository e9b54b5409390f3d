"""Recurrent layers: sequences of ONNX are (steps, samples, features), with an axis of directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph import layers
from symgraph.graph.tensor import Tensor
from tests.onnx_cases.routes.stretch import shape_of
from tests.onnx_cases.translate import Node, NotExpressibleError, Route

#: The place in ONNX of each part of a kernel, in the order of Keras.
_PARTS = {"RNN": (0,), "GRU": (0, 1, 2), "LSTM": (0, 2, 3, 1)}  # zrh; iofc to ifco
_ACTIVATIONS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}


def _weights(node: Node, direction: int) -> list[np.ndarray]:
    """Kernel, recurrent kernel, bias of one direction, as Keras lays them out."""
    units = node.get("hidden_size")
    parts = _PARTS[node.op]

    def sorted_parts(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([rows[p * units : (p + 1) * units] for p in parts])

    kernel, inner = (sorted_parts(node.array(n)[direction]).T for n in (1, 2))
    both = node.array(3)[direction] if node.has(3) else np.zeros(2 * inner.shape[1], "float32")
    biases = np.stack([sorted_parts(half) for half in np.split(both, 2)])
    return [kernel, inner, biases if node.get("linear_before_reset", 0) else biases.sum(0)]


def _layer(node: Node, **kwargs: Any) -> Any:
    units = node.get("hidden_size")
    names = [name.lower() for name in node.get("activations", _ACTIVATIONS[node.op])]
    if node.op == "RNN":
        return layers.SimpleRNN(units, activation=names[0], **kwargs)
    if node.op == "GRU":
        kwargs["reset_after"] = bool(node.get("linear_before_reset", 0))
    cls = layers.GRU if node.op == "GRU" else layers.LSTM
    return cls(units, activation=names[1], recurrent_activation=names[0], **kwargs)


def _run(node: Node, x: Tensor, direction: int, backwards: bool, **kwargs: Any) -> list[Tensor]:
    """Outputs of all steps in the order of time, and the last states, of one direction."""
    layer = _layer(node, return_sequences=True, return_state=True, go_backwards=backwards, **kwargs)
    layer.build(shape_of(x))
    layer.set_weights(_weights(node, direction))
    outputs, *states = layer(x, initial_state=_start(node, direction))
    return [K.reverse(outputs, 1) if backwards else outputs, *states]


def _start(node: Node, direction: int) -> list[Tensor] | None:
    if not node.has(5):
        return None
    places = (5, 6) if node.op == "LSTM" else (5,)
    return [_states(node, node.x(n))[direction] for n in places]


def _states(node: Node, states: Tensor) -> Tensor:
    """(directions, samples, units)"""
    return K.permute_dimensions(states, (1, 0, 2)) if node.get("layout", 0) else states


def _joined(node: Node, runs: list[list[Tensor]]) -> tuple[Tensor, ...]:
    """The outputs of ONNX: (steps, directions, samples, units), and the last states, or samples first."""
    outputs, *states = (K.stack(list(parts)) for parts in zip(*runs, strict=True))
    if node.get("layout", 0):
        outputs = K.permute_dimensions(outputs, (1, 2, 0, 3))
        states = [K.permute_dimensions(s, (1, 0, 2)) for s in states]
    else:
        outputs = K.permute_dimensions(outputs, (2, 0, 1, 3))
    return (outputs, *states)[: node.outputs]


def _bidirectional(node: Node, x: Tensor) -> list[Tensor]:
    """By the layer around layers: outputs of both directions, joined along the units."""
    layer = layers.Bidirectional(_layer(node, return_sequences=True), merge_mode=None)
    layer.build(shape_of(x))
    layer.set_weights([*_weights(node, 0), *_weights(node, 1)])
    ahead, behind = layer(x)
    return [ahead, behind]


def _recurrent(node: Node) -> list[Any]:
    if node.has(7) or "clip" in node.attributes:
        raise NotExpressibleError("arguments: peepholes, or clipping")
    x = node.x() if node.get("layout", 0) else K.permute_dimensions(node.x(), (1, 0, 2))
    if node.has(4) and (node.array(4) != shape_of(x)[1]).any():
        raise NotExpressibleError("arguments: lengths of sequences")
    ways = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
    directions = ways[node.get("direction", "forward")]
    variants: list[dict[str, Any]] = [{"implementation": 1}, {"implementation": 2}, {"unroll": True}]
    if node.op == "RNN":
        variants = [{}, {"unroll": True}]
    if shape_of(x)[1] == 1:
        variants.pop()  # Keras does not unroll a single step
    build: Callable[..., list[Tensor]] = lambda d, b, kwargs: _run(node, x, d, b, **kwargs)  # noqa: E731
    found: list[Any] = [
        _joined(node, [build(d, b, kwargs) for d, b in enumerate(directions)]) for kwargs in variants
    ]
    if len(directions) == 2 and not node.has(5):
        outputs = _joined(node, [[y] for y in _bidirectional(node, x)])[:1]
        found.append((*outputs, *[None] * (node.outputs - 1)))
    # ONNX may leave outputs out by giving them no name; there they are not compared.
    return [tuple(way) for way in found]


ROUTES: dict[str, Route] = {"GRU": _recurrent, "LSTM": _recurrent, "RNN": _recurrent}
