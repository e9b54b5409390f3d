"""Recurrent layers in numpy, float64: what symgraph's are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import special

States = tuple[np.ndarray, ...]
Step = Callable[[np.ndarray, States], tuple[np.ndarray, States]]

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": special.expit,
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "linear": lambda x: x,
}


def simple_step(w: Sequence[np.ndarray], activation: str = "tanh") -> Step:
    """Weights: kernel, recurrent kernel, bias."""

    def step(x: np.ndarray, states: States) -> tuple[np.ndarray, States]:
        h = FUNCTIONS[activation](x @ w[0] + states[0] @ w[1] + w[2])
        return h, (h,)

    return step


def lstm_step(w: Sequence[np.ndarray], activation: str = "tanh", gate: str = "hard_sigmoid") -> Step:
    """Weights: kernel, recurrent kernel, bias; parts in the order i, f, c, o."""
    act, rec = FUNCTIONS[activation], FUNCTIONS[gate]

    def step(x: np.ndarray, states: States) -> tuple[np.ndarray, States]:
        i, f, new, o = np.split(x @ w[0] + states[0] @ w[1] + w[2], 4, axis=1)
        c = rec(f) * states[1] + rec(i) * act(new)
        h = rec(o) * act(c)
        return h, (h, c)

    return step


def gru_step(
    w: Sequence[np.ndarray], activation: str = "tanh", gate: str = "hard_sigmoid", after: bool = False
) -> Step:
    """Weights: kernel, recurrent kernel, bias ((2, n) with `after`); parts in the order z, r, new."""
    act, rec = FUNCTIONS[activation], FUNCTIONS[gate]
    kernels, inner = np.split(w[0], 3, axis=1), np.split(w[1], 3, axis=1)
    rows = w[2] if after else np.stack([w[2], np.zeros_like(w[2])])
    biases, inner_biases = np.split(rows[0], 3), np.split(rows[1], 3)

    def step(x: np.ndarray, states: States) -> tuple[np.ndarray, States]:
        h = states[0]
        z = rec(x @ kernels[0] + biases[0] + h @ inner[0] + inner_biases[0])
        r = rec(x @ kernels[1] + biases[1] + h @ inner[1] + inner_biases[1])
        rest = r * (h @ inner[2] + inner_biases[2]) if after else (r * h) @ inner[2]
        new = act(x @ kernels[2] + biases[2] + rest)
        h = z * h + (1 - z) * new
        return h, (h,)

    return step


def stacked_step(steps: Sequence[Step], counts: Sequence[int]) -> Step:
    """Several steps, each fed by the one before; `counts` of states each."""

    def step(x: np.ndarray, states: States) -> tuple[np.ndarray, States]:
        after: States = ()
        for inner, count in zip(steps, counts, strict=True):
            x, new = inner(x, states[:count])
            states, after = states[count:], (*after, *new)
        return x, after

    return step


def run(
    step: Step,
    x: np.ndarray,
    states: Sequence[np.ndarray],
    mask: np.ndarray | None = None,
    backwards: bool = False,
) -> tuple[np.ndarray, np.ndarray, States]:
    """Outputs [samples, time, ...] in the order of the steps, the last output, the last states."""
    now, outputs = tuple(states), []
    output: Any = states[0]
    for t in range(x.shape[1])[:: -1 if backwards else 1]:
        made, after = step(x[:, t], now)
        if mask is not None:
            keep = mask[:, t].reshape(-1, *(1,) * (made.ndim - 1)).astype(bool)
            made = np.where(keep, made, output)
            after = tuple(np.where(keep, new, old) for new, old in zip(after, now, strict=True))
        output, now = made, after
        outputs.append(made)
    return np.stack(outputs, 1), output, now


def zeros(x: np.ndarray, *sizes: int) -> list[np.ndarray]:
    """First states for samples like `x`."""
    return [np.zeros((len(x), size)) for size in sizes]


def convolved(
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Sequence[int] = (1, 1),
    padding: str = "same",
    dilation: Sequence[int] = (1, 1),
) -> np.ndarray:
    """Cross-correlation of pictures (samples, rows, columns, channels); 'same' by TensorFlow's rule."""
    borders, lengths = [], []
    for size, taps, stride, apart in zip(x.shape[1:3], kernel.shape[:2], strides, dilation, strict=True):
        reach = (taps - 1) * apart + 1
        count = -(-size // stride) if padding == "same" else (size - reach) // stride + 1
        missing = max((count - 1) * stride + reach - size, 0) if padding == "same" else 0
        borders.append((missing // 2, missing - missing // 2))
        lengths.append(count)
    wide = np.pad(x, [(0, 0), *borders, (0, 0)])
    y = np.zeros((len(x), *lengths, kernel.shape[3]))
    for i, row in enumerate(kernel):
        for j, tap in enumerate(row):
            part = wide[:, i * dilation[0] :, j * dilation[1] :]
            y += part[:, :: strides[0], :: strides[1]][:, : lengths[0], : lengths[1]] @ tap
    return y


def conv_lstm_step(
    w: Sequence[np.ndarray], strides: Sequence[int], padding: str, dilation: Sequence[int]
) -> Step:
    """Weights: kernel, recurrent kernel, bias; parts in the order i, f, c, o."""
    gate = FUNCTIONS["hard_sigmoid"]

    def step(x: np.ndarray, states: States) -> tuple[np.ndarray, States]:
        whole = convolved(x, w[0], strides, padding, dilation) + w[2] + convolved(states[0], w[1])
        i, f, new, o = np.split(whole, 4, axis=-1)
        c = gate(f) * states[1] + gate(i) * np.tanh(new)
        h = gate(o) * np.tanh(c)
        return h, (h, c)

    return step


def as_cudnn_reads(weights: np.ndarray, units: int) -> np.ndarray:
    """Matrices side by side, each of which cuDNN reads as one of (units, rows)."""
    blocks = np.split(weights, weights.shape[1] // units, axis=1)
    return np.hstack([block.reshape(units, -1).T for block in blocks])
