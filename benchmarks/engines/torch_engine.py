"""PyTorch: eager in both memory layouts, and compiled (`TORCH_VARIANT`: nchw, nhwc, compile)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks.workloads import WORKLOADS, Workload


class _LastStep(nn.LSTM):
    """An LSTM that gives its last output."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """(batch, steps, features) to (batch, units)."""
        return super().forward(x)[0][:, -1]


def _network(workload: Workload) -> nn.Sequential:
    """The network without the last activation, which the loss contains."""
    modules: list[nn.Module] = []
    dtype = torch.int64 if workload.vocabulary else torch.float32
    shape = torch.zeros(1, *_torch_shape(workload.input_shape), dtype=dtype)
    for kind, *rest in workload.layers:
        layer: list[nn.Module]
        if kind == "conv":
            layer = [nn.Conv2d(shape.shape[1], rest[0], rest[1], padding=rest[2]), nn.ReLU()]  # type: ignore[arg-type]
        elif kind == "pool":
            layer = [nn.MaxPool2d(rest[0])]  # type: ignore[arg-type]
        elif kind == "dropout":
            layer = [nn.Dropout(rest[0])]  # type: ignore[arg-type]
        elif kind == "embedding":
            layer = [nn.Embedding(*rest)]  # type: ignore[arg-type]
        elif kind == "lstm":
            layer = [_LastStep(shape.shape[2], rest[0], batch_first=True)]  # type: ignore[arg-type]
        elif kind == "flatten":
            layer = [nn.Flatten()]
        else:
            layer = [nn.Linear(shape.shape[1], rest[0])]  # type: ignore[arg-type]
            if rest[1] == "relu":
                layer.append(nn.ReLU())
            elif rest[1] == "softmax" and workload.loss == "mse":
                layer.append(nn.Softmax(1))
        for module in layer:
            with torch.no_grad():
                shape = module(shape)
        modules += layer
    return nn.Sequential(*modules)


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[-1], *shape[:-1]) if len(shape) == 3 else shape


def make(name: str, mode: str, threads: int) -> Callable[[], object]:
    """The workload as a call."""
    variant = os.environ.get("TORCH_VARIANT", "nchw")
    torch.set_num_threads(threads)
    workload = WORKLOADS[name]
    layout = (
        torch.channels_last
        if variant != "nchw" and len(workload.input_shape) == 3
        else torch.contiguous_format
    )
    model: Any = _network(workload).to(memory_format=layout)
    x, y = (torch.from_numpy(a) for a in workload.data())
    x = x.long() if workload.vocabulary else x
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=layout)
    losses: dict[str, Any] = {
        "categorical_crossentropy": nn.CrossEntropyLoss(),
        "mse": nn.MSELoss(),
        "binary_crossentropy": nn.BCEWithLogitsLoss(),
    }
    loss_function = losses[workload.loss]
    targets = y.argmax(1) if workload.loss == "categorical_crossentropy" else y
    kind, rate = workload.optimizer
    classes: dict[object, Any] = {
        "adadelta": torch.optim.Adadelta,
        "sgd": torch.optim.SGD,
        "rmsprop": torch.optim.RMSprop,
        "adam": torch.optim.Adam,
    }
    optimizer = classes[kind](model.parameters(), lr=rate)
    if variant == "compile":
        model = torch.compile(model)
    starts = range(0, len(x), workload.batch)

    def train() -> None:
        model.train()
        for i in starts:
            optimizer.zero_grad()
            loss = loss_function(model(x[i : i + workload.batch]), targets[i : i + workload.batch])
            loss.backward()
            optimizer.step()

    def predict() -> None:
        model.eval()
        with torch.inference_mode():
            for i in starts:
                model(x[i : i + workload.batch])

    return train if mode == "train" else predict
