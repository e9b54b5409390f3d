"""Recurrent layers: the operators RNN, GRU and LSTM, which read time before the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.convert.onnx.write.call import Call, weights_of
from symgraph.convert.onnx.write.graph import Graph, Value

# Gates in the order of ONNX, by their places in Keras' weights: z r h stay, i f c o become i o f c.
_GATES = {"RNN": (0,), "GRU": (0, 1, 2), "LSTM": (0, 3, 1, 2)}

#: Activation functions of the operators, with alpha and beta where they have some.
_FUNCTIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "linear": ("Affine", (1.0, 0.0)),
    "relu": ("Relu", ()),
    "tanh": ("Tanh", ()),
    "sigmoid": ("Sigmoid", ()),
    "hard_sigmoid": ("HardSigmoid", (0.2, 0.5)),
    "elu": ("Elu", (1.0,)),
    "softplus": ("Softplus", ()),
    "softsign": ("Softsign", ()),
}


@dataclass(frozen=True)
class _Run:
    """What an operator gives, by directions: outputs (time, samples, units) in order of time; last states."""

    steps: list[str]
    last: list[list[str]]


def recurrent(call: Call) -> list[Value]:
    """SimpleRNN, GRU, LSTM, and those with the weights of cuDNN."""
    layer, graph = call.layer, call.graph
    _check(call, layer)
    run = _run(call, [layer], call.inputs[1:])
    (steps,), (last,) = run.steps, run.last
    output = _sequence(graph, steps, layer.go_backwards) if layer.return_sequences else last[0]
    names = [output, *(last if layer.return_state else [])]
    return [Value(name, shape, call.x.dtype) for name, shape in zip(names, call.shapes, strict=True)]


def bidirectional(call: Call) -> list[Value]:
    """Two layers in opposite directions."""
    layer, graph = call.layer, call.graph
    inner = [layer.forward_layer, layer.backward_layer]
    for one in inner:
        _check(call, one)
    if inner[0].go_backwards:
        raise call.error("its forward layer goes backwards")
    run = _run(call, inner, call.inputs[1:])
    if layer.return_sequences:
        outputs = [_sequence(graph, steps, turned=False) for steps in run.steps]
    else:
        outputs = [last[0] for last in run.last]
    names = _merged(graph, outputs, layer.merge_mode, call)
    if layer.return_state:
        names += [name for last in run.last for name in last]
    return [Value(name, shape, call.x.dtype) for name, shape in zip(names, call.shapes, strict=True)]


def _merged(graph: Graph, outputs: list[str], mode: str | None, call: Call) -> list[str]:
    if mode is None:
        return outputs
    if mode == "concat":
        return [graph.node("Concat", outputs, axis=len(call.shape) - 1)]
    return [graph.node({"sum": "Sum", "ave": "Mean", "mul": "Mul"}[mode], outputs)]


def _check(call: Call, layer: Any) -> None:
    """ValueError for what the operators do not have."""
    if layer.stateful:
        raise call.error("it is stateful: the operators keep no states between batches")
    if layer._num_constants:
        raise call.error("the operators have no constants")
    if type(layer).__name__ not in _OPERATORS:
        raise call.error(f"there is no operator for {type(layer).__name__}")


_OPERATORS = {
    "SimpleRNN": "RNN", "GRU": "GRU", "CuDNNGRU": "GRU", "LSTM": "LSTM", "CuDNNLSTM": "LSTM",
}  # fmt: skip


def _sequence(graph: Graph, steps: str, turned: bool) -> str:
    """Steps as a layer gives them: samples first, and for some from the last step to the first."""
    name = graph.transpose(steps, [1, 0, 2])
    if not turned:
        return name
    every = [graph.integers([value]) for value in (-1, np.iinfo("int64").min, 1, -1)]
    return graph.node("Slice", [name, *every])


def _run(call: Call, layers: Sequence[Any], states: Sequence[Value]) -> _Run:
    """The operator for one layer, or for two in opposite directions."""
    graph, one = call.graph, layers[0]
    op = _OPERATORS[type(one).__name__]
    weights = [_weights(layer, op) for layer in layers]
    stacked = [np.concatenate(arrays) for arrays in zip(*(w for w, _ in weights), strict=True)]
    inputs = [graph.transpose(graph.plain(call.x), [1, 0, 2])]
    inputs += [graph.constant(array, tag) for array, tag in zip(stacked, "WRB", strict=True)]
    kinds = 2 if op == "LSTM" else 1
    if states:
        # Those of the forward layer come first.
        parts = [graph.node("Unsqueeze", [graph.plain(state), graph.integers([0])]) for state in states]
        inputs.append("")
        for kind in range(kinds):
            own = parts[kind::kinds]
            inputs.append(graph.node("Concat", own, axis=0) if len(own) > 1 else own[0])
    attributes = _functions(call, one, op, len(layers))
    if op == "GRU":
        attributes["linear_before_reset"] = int(weights[0][1])
    direction = "bidirectional" if len(layers) > 1 else "reverse" if one.go_backwards else "forward"
    steps, *last = graph.nodes_outputs(
        op, inputs, kinds + 1, hidden_size=one.units, direction=direction, **attributes
    )
    apart = [_apart(graph, name, len(layers), axis=0) for name in last]
    return _Run(
        _apart(graph, steps, len(layers), axis=1), [list(names) for names in zip(*apart, strict=True)]
    )


def _apart(graph: Graph, name: str, count: int, axis: int) -> list[str]:
    """The directions along an axis."""
    parts = [name]
    if count > 1:
        inputs = [name, graph.integers([1] * count)]
        parts = graph.nodes_outputs("Split", inputs, count, axis=axis)
    return [graph.node("Squeeze", [part, graph.integers([axis])]) for part in parts]


def _functions(call: Call, layer: Any, op: str, count: int) -> dict[str, Any]:
    """The attributes that name the activations: of gates, then of what is new, then of the cell's output."""
    if type(layer).__name__.startswith("CuDNN"):
        named = ["sigmoid", "tanh", "tanh"][: {"GRU": 2, "LSTM": 3}[op]]
    else:
        functions = [layer.activation]
        if op != "RNN":
            functions = [
                layer.recurrent_activation,
                *functions,
                *([layer.activation] if op == "LSTM" else []),
            ]
        named = [_name(call, function) for function in functions]
    found = [_FUNCTIONS[name] for name in named] * count
    attributes: dict[str, Any] = {"activations": [name for name, _ in found]}
    for place, key in enumerate(("activation_alpha", "activation_beta")):
        values = [numbers[place] for _, numbers in found if len(numbers) > place]
        if values:
            attributes[key] = values
    return attributes


def _name(call: Call, function: Any) -> str:
    name = getattr(function, "__name__", str(function))
    if getattr(function, "__module__", "") != "symgraph.activations" or name not in _FUNCTIONS:
        raise call.error(f"its activation {name!r} is none that the operators have")
    return name


def _weights(layer: Any, op: str) -> tuple[list[np.ndarray], bool]:
    """W, R and B as ONNX has them, and whether a GRU resets behind the product."""
    weights, units = weights_of(layer), layer.units
    gates = _GATES[op]
    turned = type(layer).__name__.startswith("CuDNN")
    matrices = [
        _stacked(weights[name], units, gates, turned) for name in ("kernel", "recurrent_kernel")
    ]  # fmt: skip
    after = turned or bool(getattr(layer, "reset_after", False))
    bias = weights.get("bias", np.zeros(len(gates) * units, matrices[0].dtype))
    both = bias.reshape(2, -1) if bias.size == 2 * len(gates) * units else np.stack([bias, bias * 0])
    parts = [np.concatenate([row[gate * units : (gate + 1) * units] for gate in gates]) for row in both]
    return [matrices[0][None], matrices[1][None], np.concatenate(parts)[None]], after


def _stacked(matrix: np.ndarray, units: int, gates: Sequence[int], turned: bool) -> np.ndarray:
    """The matrices (rows, units) of the gates, transposed and one below the other.

    Of those of cuDNN the numbers are those of the transposed matrices already.
    """
    rows = len(matrix)
    parts = []
    for gate in gates:
        part = matrix[:, gate * units : (gate + 1) * units]
        parts.append(part.reshape(units, rows) if turned else part.T)
    return np.concatenate(parts)
