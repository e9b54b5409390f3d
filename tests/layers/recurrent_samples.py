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


def _both_ways(layer: Any, x: np.ndarray) -> np.ndarray:
    """LSTMs forwards and backwards, joined."""
    w = [v.astype("float64") for v in layer.get_weights()]
    steps = truth.lstm_step(w[:3]), truth.lstm_step(w[3:])
    found = [
        truth.run(s, x, truth.zeros(x, 4, 4), backwards=b) for s, b in zip(steps, (False, True), strict=True)
    ]
    if not layer.return_sequences:
        return np.concatenate([last for _, last, _ in found], -1)
    ahead, behind = (whole for whole, _, _ in found)
    return ahead + behind[:, ::-1] if layer.merge_mode == "sum" else (ahead + behind[:, ::-1]) / 2


def _dense_steps(layer: Any, x: np.ndarray) -> np.ndarray:
    kernel, bias = layer.get_weights()
    return x @ kernel.astype("float64") + bias


def _rows(layer: Any, x: np.ndarray) -> np.ndarray:
    return layer.get_weights()[0].astype("float64")[x.astype(int)]


def _numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(0, 7, shape)


RECURRENT_SAMPLES |= {
    L.Wrapper: [Sample({"layer": L.Dense(3)}, ((4,),), lambda _, x: x)],
    L.TimeDistributed: [
        Sample({"layer": L.Dense(2)}, _SEQUENCE, _dense_steps, free=(1,)),
        Sample({"layer": L.Flatten()}, ((5, 3, 2),), lambda _, x: x.reshape(3, 5, 6), free=(1,)),
        Sample({"layer": L.Lambda(lambda x: x * 2)}, _SEQUENCE, lambda _, x: x * 2),
    ],
    L.Bidirectional: [
        Sample({"layer": L.LSTM(4)}, _SEQUENCE, _both_ways, free=(1,)),
        Sample({"layer": L.LSTM(4, **_SEQUENCES), "merge_mode": "sum"}, _SEQUENCE, _both_ways),
        Sample({"layer": L.LSTM(4, **_SEQUENCES), "merge_mode": "ave"}, _SEQUENCE, _both_ways),
    ],
    L.Embedding: [
        Sample({"input_dim": 7, "output_dim": 4}, ((5,),), _rows, free=(1,), inputs=_numbers),
        Sample(
            {
                "input_dim": 7,
                "output_dim": 4,
                "input_length": 5,
                "mask_zero": True,
                "activity_regularizer": "l2",
            },
            ((5,),),
            _rows,
            inputs=_numbers,
        ),
        Sample(
            {"input_dim": 7, "output_dim": 2, "embeddings_initializer": "ones"},
            ((2, 3),),
            _rows,
            inputs=_numbers,
        ),
    ],
}


def _pictures(layer: Any, x: np.ndarray) -> np.ndarray:
    """A convolutional LSTM: patches of the pictures times matrices."""
    kernel, recurrent, bias = (w.astype("float64") for w in layer.get_weights())
    cell = layer.cell
    x = np.moveaxis(x, 2, -1) if cell.data_format == "channels_first" else x
    step = truth.conv_lstm_step((kernel, recurrent, bias), cell.strides, cell.padding, cell.dilation_rate)
    rows, columns = truth.convolved(x[:, 0], kernel, cell.strides, cell.padding, cell.dilation_rate).shape[
        1:3
    ]
    start = [np.zeros((len(x), rows, columns, recurrent.shape[2]))] * 2
    outputs, last, _ = truth.run(step, x, start, backwards=layer.go_backwards)
    y = outputs if layer.return_sequences else last
    return np.moveaxis(y, -1, y.ndim - 3) if cell.data_format == "channels_first" else y


def _cudnn(layer: Any, *inputs: np.ndarray) -> np.ndarray:
    x, *states = inputs
    kernel, recurrent, bias = (w.astype("float64") for w in layer.get_weights())
    halves = bias.reshape(2, -1)
    kernel, recurrent = truth.as_cudnn_reads(kernel, 4), truth.as_cudnn_reads(recurrent, 4)
    if isinstance(layer, L.CuDNNLSTM):
        step = truth.lstm_step((kernel, recurrent, halves.sum(0)), gate="sigmoid")
        start = states or truth.zeros(x, 4, 4)
    else:
        step = truth.gru_step((kernel, recurrent, halves), gate="sigmoid", after=True)
        start = states or truth.zeros(x, 4)
    outputs, last, _ = truth.run(step, x, start, backwards=layer.go_backwards)
    return outputs if layer.return_sequences else last


_MOVIE = ((3, 5, 4, 2),)
RECURRENT_SAMPLES |= {
    L.ConvLSTM2D: [
        Sample({"filters": 2, "kernel_size": 3}, _MOVIE, _pictures, free=(1, 2)),
        Sample(
            {"filters": 3, "kernel_size": (2, 3), "strides": 2, "padding": "same", **_SEQUENCES},
            _MOVIE,
            _pictures,
            free=(1,),
        ),
        Sample(
            {"filters": 2, "kernel_size": 2, "dilation_rate": 2, "go_backwards": True, "dropout": 0.3},
            _MOVIE,
            _pictures,
        ),
        Sample(
            {"filters": 2, "kernel_size": 2, "data_format": "channels_first", **_SEQUENCES},
            ((3, 2, 5, 4),),
            _pictures,
        ),
    ],
    L.ConvRNN2D: [Sample({"cell": L.ConvLSTM2DCell(2, 3, padding="same")}, _MOVIE, _pictures)],
    L.CuDNNLSTM: [
        Sample({"units": 4}, _SEQUENCE, _cudnn, free=(1,)),
        Sample({"units": 4, "go_backwards": True, **_SEQUENCES}, ((5, 3), (4,), (4,)), _cudnn),
    ],
    L.CuDNNGRU: [
        Sample({"units": 4}, _SEQUENCE, _cudnn, free=(1,)),
        Sample({"units": 4, "bias_regularizer": "l2", **_SEQUENCES}, ((5, 3), (4,)), _cudnn),
    ],
}
