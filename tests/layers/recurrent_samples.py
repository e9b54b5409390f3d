"""Examples of use of recurrent layers and of layers around layers, and what numpy says they compute."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph import layers as L
from tests.layer_checkers import LayerSample as Sample
from tests.layers import recurrent_truth as truth


def _recurrent(layer: Any, *inputs: np.ndarray) -> np.ndarray:
    """A recurrent layer of one cell; its outputs of all steps, or the last one."""
    x, *states = inputs
    weights = [w.astype("float64") for w in layer.get_weights()]
    if len(weights) == 2:
        weights.append(np.zeros(weights[0].shape[1]))
    cell, functions = layer.cell, [layer.cell.activation.__name__]
    if not isinstance(cell, L.SimpleRNNCell):
        functions.append(cell.recurrent_activation.__name__)
    if isinstance(cell, L.LSTMCell):
        step, count = truth.lstm_step(weights, *functions), 2
    elif isinstance(cell, L.GRUCell):
        step, count = truth.gru_step(weights, *functions, after=cell.reset_after), 1
    else:
        step, count = truth.simple_step(weights, *functions), 1
    start = states or truth.zeros(x, *[weights[1].shape[0]] * count)
    outputs, last, _ = truth.run(step, x, start, backwards=layer.go_backwards)
    return outputs if layer.return_sequences else last


def _stacked(layer: Any, x: np.ndarray) -> np.ndarray:
    w = [v.astype("float64") for v in layer.get_weights()]
    step = truth.stacked_step([truth.lstm_step(w[:3]), truth.simple_step(w[3:])], [2, 1])
    return truth.run(step, x, truth.zeros(x, 4, 4, 3))[1]


_SEQUENCE = ((5, 3),)
_SEQUENCES = {"return_sequences": True}
RECURRENT_SAMPLES: dict[Any, list[Sample]] = {
    L.SimpleRNN: [
        Sample({"units": 4}, _SEQUENCE, _recurrent, free=(1,)),
        Sample({"units": 4, "activation": "relu", "use_bias": False, **_SEQUENCES}, _SEQUENCE, _recurrent),
    ],
    L.GRU: [
        Sample({"units": 4}, _SEQUENCE, _recurrent, free=(1,)),
        Sample({"units": 4, "reset_after": True, "implementation": 2, **_SEQUENCES}, _SEQUENCE, _recurrent),
        Sample({"units": 4, "unroll": True, "dropout": 0.3, "recurrent_dropout": 0.2}, _SEQUENCE, _recurrent),
    ],
    L.LSTM: [
        Sample({"units": 4}, _SEQUENCE, _recurrent, free=(1,)),
        Sample({"units": 4, "recurrent_activation": "sigmoid", **_SEQUENCES}, _SEQUENCE, _recurrent),
        Sample({"units": 4, "go_backwards": True, "implementation": 2}, ((5, 3), (4,), (4,)), _recurrent),
        Sample({"units": 4, "dropout": 0.3, "recurrent_regularizer": "l2"}, _SEQUENCE, _recurrent),
    ],
    L.RNN: [
        Sample({"cell": L.SimpleRNNCell(4)}, _SEQUENCE, _recurrent, free=(1,)),
        Sample({"cell": L.GRUCell(4, reset_after=True), **_SEQUENCES}, _SEQUENCE, _recurrent),
        Sample({"cell": L.LSTMCell(4), "unroll": True}, _SEQUENCE, _recurrent),
        Sample({"cell": [L.LSTMCell(4), L.SimpleRNNCell(3)]}, _SEQUENCE, _stacked),
    ],
}
