"""ResNet50 as an ONNX model, made with onnx' own helpers, predicted by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.resnet50_network import CLASSES, EPSILON, SIDE, Weights, pictures, resnet50

Value = tuple[str, int]  # its name, and its channels


class _Builder:
    """Collects nodes and initializers; pictures are NCHW, as ONNX has them."""

    def __init__(self) -> None:
        self.weights = Weights()
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def _constant(self, array: np.ndarray) -> str:
        name = f"w{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _node(self, kind: str, inputs: list[str], channels: int, **attributes: Any) -> Value:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name, channels

    def conv(self, x: Value, filters: int, size: int, stride: int = 1) -> Value:
        kernel, bias = self.weights.conv(size, x[1], filters)
        inputs = [x[0], self._constant(kernel.transpose(3, 2, 0, 1)), self._constant(bias)]
        pads = [size // 2] * 4
        return self._node("Conv", inputs, filters, strides=[stride] * 2, pads=pads, kernel_shape=[size] * 2)

    def norm(self, x: Value, scale: float = 1.0) -> Value:
        inputs = [x[0], *map(self._constant, self.weights.norm(x[1], scale))]
        return self._node("BatchNormalization", inputs, x[1], epsilon=EPSILON)

    def relu(self, x: Value) -> Value:
        return self._node("Relu", [x[0]], x[1])

    def pool(self, x: Value) -> Value:
        """Nothing is below zero here: what is outside may count as nothing."""
        return self._node("MaxPool", [x[0]], x[1], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)

    def add(self, x: Value, y: Value) -> Value:
        return self._node("Add", [x[0], y[0]], x[1])

    def mean(self, x: Value) -> Value:
        return self._node("Flatten", [self._node("GlobalAveragePool", [x[0]], x[1])[0]], x[1])

    def dense(self, x: Value, units: int) -> Value:
        kernel, bias = map(self._constant, self.weights.dense(x[1], units))
        return self._node("Softmax", [self._node("Gemm", [x[0], kernel, bias], units)[0]], units, axis=1)

    def model(self, batch: int, result: Value) -> bytes:
        """The model as a file."""
        graph = helper.make_graph(
            self.nodes,
            "resnet50",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])],
            [helper.make_tensor_value_info(result[0], TensorProto.FLOAT, [batch, CLASSES])],
            self.initializers,
        )
        opset = [helper.make_opsetid("", 17)]
        return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def make(batch: str, folder: str, threads: int) -> Callable[[], object]:
    """Prediction of one batch as a call; what it gives is left in `folder`, to be compared."""
    build = _Builder()
    model = build.model(int(batch), resnet50(build, ("x", 3)))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    feeds = {"x": np.ascontiguousarray(pictures(int(batch)).transpose(0, 3, 1, 2))}
    np.save(Path(folder, "onnxruntime.npy"), session.run(None, feeds)[0])
    return lambda: session.run(None, feeds)
