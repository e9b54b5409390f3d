"""The operators RNN, GRU and LSTM."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph import layers as L
from symgraph.convert.builder import sizes
from symgraph.convert.onnx.read.entries import Directions, Entry, Filled, Sequence
from symgraph.convert.onnx.read.node import Node
from symgraph.graph.tensor import Tensor

# Places of Keras' gates in the order of ONNX: of i o f c as i f c o.
_GATES = {"RNN": (0,), "GRU": (0, 1, 2), "LSTM": (0, 2, 3, 1)}
_LAYERS: dict[str, Any] = {"RNN": L.SimpleRNN, "GRU": L.GRU, "LSTM": L.LSTM}
_DEFAULTS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}

#: Functions with the alpha and beta that layers have; and how many of the two the operators read.
_FUNCTIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "Affine": ("linear", (1.0, 0.0)), "Relu": ("relu", ()), "Tanh": ("tanh", ()), "Sigmoid": ("sigmoid", ()),
    "HardSigmoid": ("hard_sigmoid", (0.2, 0.5)), "Elu": ("elu", (1.0,)), "Softplus": ("softplus", ()),
    "Softsign": ("softsign", ()),
}  # fmt: skip


def recurrent(node: Node) -> list[Entry]:
    """A layer of one direction, or of both."""
    x = node.entry(0)
    if not isinstance(x, Sequence) or not x.time_first or x.turned:
        raise node.error(
            "expected a sequence (time, samples, features), a transposition of (samples, time, features)"
        )
    _check(node)
    direction = node.attribute("direction", "forward")
    count = 2 if direction == "bidirectional" else 1
    units = int(node.attribute("hidden_size", 0))
    weights, after = _weights(node, count, units, sizes(x.tensor)[2])
    arguments = {"units": units, **_activations(node, count)}
    if node.op == "GRU":
        arguments["reset_after"] = after
    states = _states(node, count)
    names = [*node.proto.output, "", "", ""][:3]
    steps, state = node.reading.used(names[0]), any(map(node.reading.used, names[1:]))
    arguments |= {"return_sequences": steps, "return_state": state and (steps or node.reading.used(names[2]))}
    if count == 1:
        results = _one(node, x.tensor, arguments, weights[0], states, direction == "reverse")
    else:
        results = _both(node, x.tensor, arguments, [*weights[0], *weights[1]], states)
    return _entries(node, results, count, steps, turned=direction == "reverse")


def _check(node: Node) -> None:
    """ValueError for what layers do not have."""
    if node.attribute("clip") is not None:
        raise node.error("its attribute clip cannot be read")
    node.demand("layout", 0, 0)
    node.demand("input_forget", 0, 0)
    node.attribute("output_sequence")
    if node.has(4):
        raise node.error("lengths of sequences (sequence_lens) cannot be read")
    if node.op == "LSTM" and node.has(7) and node.constant(7, "peepholes").any():
        raise node.error("peepholes (P) cannot be read")


def _weights(node: Node, count: int, units: int, features: int | None) -> tuple[list[list[np.ndarray]], bool]:
    """Kernel, recurrent kernel and bias of each direction, and whether a GRU resets behind the product."""
    gates = _GATES[node.op]
    width = len(gates) * units
    w, r, b = node.constant(1, "W"), node.constant(2, "R"), node.constant_or_none(3, "B")
    b = np.zeros((count, 2 * width), w.dtype) if b is None else b
    expected = [(count, width, features), (count, width, units), (count, 2 * width)]
    if units < 1 or [w.shape, r.shape, b.shape] != expected:
        raise node.error(f"expected W, R, B of shapes {expected}, got {[w.shape, r.shape, b.shape]}")
    after, found = bool(node.attribute("linear_before_reset", 0)), []
    for place in range(count):
        kernel, own = (
            np.concatenate([a[place].reshape(len(gates), units, -1)[gate] for gate in gates]).T
            for a in (w, r)
        )
        halves = b[place].reshape(2, len(gates), units)[:, list(gates)].reshape(2, width)
        found.append([kernel, own, halves if after and node.op == "GRU" else halves[0] + halves[1]])
    return found, after


def _activations(node: Node, count: int) -> dict[str, str]:
    """The activations of a layer, which are the same in both directions."""
    each = len(_DEFAULTS[node.op])
    given = node.attribute("activations") or [name.encode() for name in _DEFAULTS[node.op] * count]
    names = [name.decode("utf-8", "replace") for name in given]
    alphas, betas = (iter(node.attribute(f"activation_{key}", [])) for key in ("alpha", "beta"))
    found = []
    for name in names:
        if name not in _FUNCTIONS:
            raise node.error(f"its activation {name} cannot be read")
        function, expected = _FUNCTIONS[name]
        values = [next(source, value) for source, value in zip((alphas, betas), expected, strict=False)]
        if any(abs(value - wanted) > 1e-6 for value, wanted in zip(values, expected, strict=True)):
            raise node.error(f"expected {expected} for alpha and beta of {name}, got {values}")
        found.append(function)
    one = found[:each]
    if len(found) != each * count or found != one * count or (node.op == "LSTM" and one[1] != one[2]):
        raise node.error(f"activations {names} are none that a layer has")
    if node.op == "RNN":
        return {"activation": one[0]}
    return {"recurrent_activation": one[0], "activation": one[1]}


def _states(node: Node, count: int) -> list[Tensor]:
    """The states to begin with, direction by direction; none for zeros."""
    found = []
    for place in (5, 6) if node.op == "LSTM" else (5,):
        if not node.has(place):
            continue
        given = node.entry(place)
        zeros = isinstance(given, np.ndarray) and not given.any()
        if zeros or (isinstance(given, Filled) and given.value == 0):
            continue
        if not isinstance(given, Directions) or given.axes != "dnh" or len(given.tensors) != count:
            raise node.error(f"input {place}: expected zeros or a state (directions, samples, units)")
        found.append(given.tensors)
    if node.op == "LSTM" and len(found) == 1:
        raise node.error("expected both states or none")
    return [state for direction in zip(*found, strict=True) for state in direction]


def _one(
    node: Node, x: Tensor, arguments: dict[str, Any], weights: list[np.ndarray], states: list[Tensor],
    turned: bool,
) -> list[Tensor]:  # fmt: skip
    """Outputs, then states."""
    layer = _LAYERS[node.op](name=node.reading.unique(node.name), go_backwards=turned, **arguments)
    results = layer(x, initial_state=states) if states else layer(x)
    layer.set_weights(weights)
    return results if isinstance(results, list) else [results]


def _both(
    node: Node, x: Tensor, arguments: dict[str, Any], weights: list[np.ndarray], states: list[Tensor]
) -> list[Tensor]:  # fmt: skip
    """Outputs of both directions, then states of both."""
    inner = _LAYERS[node.op](name=node.reading.unique(f"{node.name}_cell"), **arguments)
    layer = L.Bidirectional(inner, merge_mode=None, name=node.reading.unique(node.name))
    results = layer(x, initial_state=states) if states else layer(x)
    layer.set_weights(weights)
    return list(results)


def _entries(node: Node, results: list[Tensor], count: int, steps: bool, turned: bool) -> list[Entry]:
    """Results as the operator lays them."""
    outputs, states = results[:count], results[count:]
    last = [states[place :: len(states) // count] for place in range(len(states) // count)]
    last = last or [outputs]
    found: list[Entry] = [Directions(tuple(outputs), "tdnh", turned)] if steps else [Filled(0.0)]
    return [*found, *(Directions(tuple(tensors), "dnh") for tensors in last)]
