"""A PyTorch module from Keras' description of a network, written as PyTorch's users write theirs.

Padding is part of the convolution or pooling behind it, activations change values in place, batch
normalization is a module of its own.
"""

from __future__ import annotations

import operator
from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from benchmarks.network_files import Layer, Network

Padding = tuple[tuple[int, int], tuple[int, int]]


class PaddedConv(nn.Conv2d):
    """A convolution in steps of two with one row and column of zeros at the end only, as TensorFlow has it.

    PyTorch's own networks have such zeros on both sides, which is another function, but takes no extra pass
    over the picture. That is what is timed, in the same shape: once results are compared, `exact` is set to
    False. Training stays exact.
    """

    exact = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, rows, columns) to half the rows and columns."""
        if not self.exact:
            return super().forward(x)
        x = nn.functional.pad(x, (0, 1, 0, 1))
        return nn.functional.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def module(network: Network, probabilities: bool) -> fx.GraphModule:
    """The network with its weights; without `probabilities`, the last softmax is left to the loss."""
    builder = _Builder(network, probabilities)
    for layer, weights in network.walk():
        builder.add(layer, weights)
    return builder.module()


def parameters(model: nn.Module) -> int:
    """How many weights Keras counts: also statistics, but not scales of one."""
    found = [p.numel() for p in model.parameters() if p.requires_grad]
    return sum(found) + sum(b.numel() for name, b in model.named_buffers() if "running" in name)


class _Builder:
    """Takes layers in order and writes a program of calls, from which PyTorch makes Python code."""

    def __init__(self, network: Network, probabilities: bool) -> None:
        self.probabilities = probabilities
        self.last = network.layers[-1].name
        self.readers = Counter(source for layer in network.layers for source in layer.inputs)
        self.modules: dict[str, nn.Module] = {}
        self.graph = fx.Graph()
        # By layer: its value, the channels of that, and zeros that are still to be put around it.
        self.values: dict[str, fx.Node] = {}
        self.channels: dict[str, int] = {}
        self.padding: dict[str, Padding] = {}

    def module(self) -> fx.GraphModule:
        """What was added, with the last value as the output."""
        self.graph.output(self.values[self.last])
        return fx.GraphModule(self.modules, self.graph)

    def add(self, layer: Layer, weights: list[np.ndarray]) -> None:
        """Another layer, whose inputs are there."""
        name, inputs, arguments = layer.name, layer.inputs, layer.arguments
        nodes = [self.values[source] for source in inputs]
        self.channels[name] = self.channels[inputs[0]] if inputs else arguments["batch_input_shape"][-1]
        if layer.kind == "InputLayer":
            self.values[name] = self.graph.placeholder("x")
        elif layer.kind == "ZeroPadding2D":
            self.values[name], self.padding[name] = nodes[0], arguments["padding"]
        elif layer.kind == "Add":
            in_place = self.readers[inputs[0]] == 1
            self.values[name] = self.graph.call_function(
                operator.iadd if in_place else operator.add, tuple(nodes)
            )
        elif layer.kind == "Concatenate":
            self.values[name] = self.graph.call_function(torch.cat, (nodes, 1))
            self.channels[name] = sum(self.channels[source] for source in inputs)
        else:
            self.values[name] = nodes[0]
            for part in self._modules(layer, weights):
                self._call(name, part)

    def _call(self, name: str, part: nn.Module) -> None:
        key = f"m{len(self.modules)}"
        self.modules[key] = part
        self.values[name] = self.graph.call_module(key, (self.values[name],))

    def _modules(self, layer: Layer, weights: list[np.ndarray]) -> list[nn.Module]:
        """What a layer of one input consists of."""
        arguments, (source,) = layer.arguments, layer.inputs
        if layer.kind in ("Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "Dense"):
            part = self._product(layer, weights)
            return [part, *self._activation(layer.name, arguments["activation"], in_place=True)]
        if layer.kind == "BatchNormalization":
            return [_normalization(arguments, weights)]
        if layer.kind in ("Activation", "ReLU", "Softmax"):
            kind = arguments.get("activation") or layer.kind.lower() + str(arguments.get("max_value", ""))
            return self._activation(layer.name, kind, self.readers[source] == 1)
        if layer.kind in ("MaxPooling2D", "AveragePooling2D"):
            return [_pooling(layer, self.padding.get(source))]
        if layer.kind == "GlobalAveragePooling2D":
            return [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        if layer.kind == "Dropout":
            return [nn.Dropout(arguments["rate"])]
        if layer.kind == "Flatten":
            return [nn.Flatten()]
        raise ValueError(f"no {layer.kind} in PyTorch's modules yet")

    def _activation(self, name: str, kind: str, in_place: bool) -> list[nn.Module]:
        if kind == "softmax":
            return [nn.Softmax(1)] if self.probabilities or name != self.last else []
        known = {"linear": [], "relu": [nn.ReLU(in_place)], "relu6.0": [nn.ReLU6(in_place)]}
        return known[kind]  # type: ignore[return-value]

    def _product(self, layer: Layer, weights: list[np.ndarray]) -> nn.Module:
        """A convolution or matrix product; `weights` are the kernel and perhaps the bias."""
        arguments, (source,) = layer.arguments, layer.inputs
        kernel, bias = weights[0], len(weights) > 1
        inputs = self.channels[source]
        part: Any
        if layer.kind == "Dense":
            outputs = kernel.shape[1]
            part = nn.utils.skip_init(nn.Linear, len(kernel), outputs, bias)
            # Flattened pictures have their channels first here.
            kernel = kernel.reshape(-1, inputs, outputs).transpose(2, 1, 0)
        elif layer.kind == "Conv2DTranspose":
            outputs = kernel.shape[2]
            part = nn.utils.skip_init(
                nn.ConvTranspose2d, inputs, outputs, kernel.shape[:2], arguments["strides"], bias=bias
            )
            kernel = kernel.transpose(3, 2, 0, 1)
        else:
            depthwise = layer.kind == "DepthwiseConv2D"
            outputs = inputs if depthwise else kernel.shape[3]
            kind, padding = _convolution(arguments, self.padding.get(source))
            part = nn.utils.skip_init(
                kind, inputs, outputs, kernel.shape[:2], arguments["strides"], padding,
                groups=inputs if depthwise else 1, bias=bias,
            )  # fmt: skip
            kernel = kernel.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
        self.channels[layer.name] = outputs
        _set(part.weight, kernel)
        if bias:
            _set(part.bias, weights[1])
        return part  # type: ignore[no-any-return]


def _convolution(arguments: dict[str, Any], padding: Padding | None) -> tuple[type[nn.Conv2d], Any]:
    """The class of a convolution, and its padding on both sides of rows and columns."""
    size = tuple(arguments["kernel_size"])
    if padding is None:
        same = arguments["padding"] == "same"
        return nn.Conv2d, tuple(s // 2 if same else 0 for s in size)
    if np.array_equal(padding, ((0, 1), (0, 1))) and size == (3, 3):
        return PaddedConv, 1
    (top, bottom), (left, right) = padding
    if (top, left) != (bottom, right):
        raise ValueError(f"no convolution of size {size} with padding {padding} in PyTorch's modules yet")
    return nn.Conv2d, (top, left)


def _pooling(layer: Layer, padding: Padding | None) -> nn.Module:
    """Zeros around pictures count as nothing: pictures are those behind a ReLU."""
    size, strides = layer.arguments["pool_size"], layer.arguments["strides"]
    if padding is not None:
        around: Any = tuple(before for before, _ in padding)
    else:
        around = tuple(s // 2 if layer.arguments["padding"] == "same" else 0 for s in size)
    if layer.kind == "MaxPooling2D":
        return nn.MaxPool2d(size, strides, around)
    return nn.AvgPool2d(size, strides, around, count_include_pad=False)


def _normalization(arguments: dict[str, Any], weights: list[np.ndarray]) -> nn.Module:
    part = nn.BatchNorm2d(len(weights[-1]), arguments["epsilon"], 1 - arguments["momentum"])
    *scale, offset, mean, variance = weights
    if scale:
        _set(part.weight, scale[0])
    else:
        part.weight.requires_grad_(False)
    for variable, array in ((part.bias, offset), (part.running_mean, mean), (part.running_var, variance)):
        _set(variable, array)
    return part


def _set(variable: torch.Tensor | None, array: np.ndarray) -> None:
    assert variable is not None
    with torch.no_grad():
        variable.copy_(torch.from_numpy(array).reshape(variable.shape))
