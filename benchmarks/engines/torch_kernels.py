"""Single kernels of PyTorch, channels last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from benchmarks.cases import every_case


def make(number: str, threads: int) -> Callable[[], object]:
    """Case `number` as a call."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    case = every_case()[int(number)]
    if case.kind == "matmul":
        m, k, n = case.shape
        a, b, out = torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)
        return lambda: torch.mm(a, b, out=out)
    if case.kind == "product":
        m, k, n = case.shape
        a, b = torch.randn(m, k), torch.randn(k, n)
        return lambda: torch.mm(a, b)
    if len(case.shape) == 4:
        return _pictures(case)
    x = torch.randn(case.shape)
    if case.kind == "softmax":
        return lambda: torch.softmax(x, 1)
    if case.kind == "elementwise":
        return lambda: torch.tanh(x * 2.0 + 1.0) * x
    moment, grad = torch.randn(case.shape), torch.randn(case.shape)

    def update() -> None:
        moment.mul_(0.9).add_(grad, alpha=0.1)
        x.sub_(moment, alpha=0.01)

    return update


def _pictures(case: Any) -> Callable[[], object]:
    batch, height, width, channels = case.shape
    x = torch.randn(batch, channels, height, width).contiguous(memory_format=torch.channels_last)
    if case.kind == "max_pool":
        return lambda: functional.max_pool2d(x, case.size, case.stride)
    groups = channels if case.kind == "depthwise" else 1
    w = torch.randn(case.filters or channels, channels // groups, case.size, case.size)
    w = w.contiguous(memory_format=torch.channels_last)
    if case.kind in ("conv", "depthwise"):
        return lambda: functional.conv2d(x, w, None, case.stride, case.padding, 1, groups)
    grad = torch.randn_like(functional.conv2d(x, w, None, case.stride, case.padding))
    mask = [case.kind == "conv_input", case.kind == "conv_weight", False]
    stride, padding = [case.stride] * 2, [case.padding] * 2
    return lambda: torch.ops.aten.convolution_backward(
        grad, x, w, None, stride, padding, [1, 1], False, [0, 0], 1, mask
    )
