"""Ready networks by PyTorch: eager in both layouts, and compiled (`TORCH_VARIANT`: nchw, nhwc, compile)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.engines.torch_layers import PaddedConv, module, parameters
from benchmarks.network_files import Steps, leave, read


def make(folder: str, task: str, batch: str, threads: int) -> Callable[[], object]:
    """Prediction of one batch, or a training step on it, as a call."""
    variant = os.environ.get("TORCH_VARIANT", "nchw")
    torch.set_num_threads(threads)
    layout = torch.contiguous_format if variant == "nchw" else torch.channels_last
    network = read(folder)
    model = module(network, probabilities=task == "predict").to(memory_format=layout)  # type: ignore[call-overload]
    x = torch.from_numpy(network.pictures(int(batch))).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    called: Any = torch.compile(model) if variant == "compile" else model
    if task == "train":
        step = _step(model.train(), called, x, torch.from_numpy(network.classes(int(batch))))
        return Steps(folder, f"torch {variant}", step, parameters(model))
    model.eval()
    predict = _prediction(called, x)
    leave(folder, f"torch {variant}", np.moveaxis(predict().numpy(), 1, -1), parameters(model))
    for part in model.modules():
        if isinstance(part, PaddedConv):
            part.exact = False
    return predict


def _prediction(called: Any, x: torch.Tensor) -> Callable[[], torch.Tensor]:
    # Compiled for these very weights: folded, and in the order that kernels read.
    torch._inductor.config.freezing = True  # type: ignore[attr-defined]

    def predict() -> torch.Tensor:
        with torch.inference_mode():
            return called(x)

    return predict


def _step(
    model: nn.Module, called: Any, x: torch.Tensor, classes: torch.Tensor
) -> Callable[[], torch.Tensor]:
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_function(called(x), classes)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step
