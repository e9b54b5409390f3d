"""Products with matrices, tables of vectors, batch normalisation."""

from __future__ import annotations

import numpy as np

from symgraph import layers as L
from symgraph.convert.builder import channels, sizes
from symgraph.convert.onnx.read.entries import Entry, Numbers
from symgraph.convert.onnx.read.node import Node
from symgraph.graph.tensor import Tensor


def gemm(node: Node) -> list[Entry]:
    """alpha · x · W + beta · b."""
    x = node.tensor()
    node.demand("transA", 0, 0)
    node.attribute("broadcast")  # of opset 6, where the shape of the bias tells the same
    kernel = node.constant(1, "the matrix") * np.float32(node.attribute("alpha", 1.0))
    kernel = kernel.T if node.attribute("transB", 0) else kernel
    beta = np.float32(node.attribute("beta", 1.0))
    bias = None
    if node.has(2):
        bias = node.constant(2, "the bias") * beta
        if bias.size not in (1, kernel.shape[-1]) or (bias.ndim == 2 and bias.shape[0] != 1):
            raise node.error(f"a bias of shape {bias.shape} beside a matrix of shape {kernel.shape}")
        bias = np.broadcast_to(bias.ravel(), kernel.shape[-1:])
    if x.ndim != 2:
        raise node.error(f"expected a tensor of two axes, got {sizes(x)}")
    return [_dense(node, x, kernel, bias)]


def _dense(node: Node, x: Tensor, kernel: np.ndarray, bias: np.ndarray | None) -> Tensor:
    if kernel.ndim != 2 or kernel.shape[0] != sizes(x)[-1] or kernel.size == 0:
        raise node.error(f"a matrix of shape {kernel.shape} behind a tensor of shape {sizes(x)}")
    weights = [kernel] if bias is None else [kernel, bias]
    return node.layer(L.Dense, x, weights, units=kernel.shape[1], use_bias=bias is not None)


def matmul(node: Node) -> list[Entry]:
    """A product with a matrix, to which a bias behind it belongs; or of two tensors, sample by sample."""
    first, second = node.entry(0), node.entry(1)
    if isinstance(second, np.ndarray):
        return [_dense(node, node.tensor(), second, _bias_behind(node, second))]
    if isinstance(first, np.ndarray):
        raise node.error("a constant in front of a tensor cannot be read")
    a, b = node.tensor(0), node.tensor(1)
    if (a.ndim, b.ndim) != (3, 3):
        raise node.error(f"products of tensors of shapes {sizes(a)} and {sizes(b)} cannot be read")
    return [node.layer(L.Dot, [a, b], axes=(2, 1))]


def _bias_behind(node: Node, kernel: np.ndarray) -> np.ndarray | None:
    """The vector that the only reader of a product adds to it; that node is done then."""
    reading, output = node.reading, node.proto.output[0]
    reader = reading.only_reader(output)
    if reader is None or reader.op_type != "Add" or len(reader.input) != 2 or reader.attribute:
        return None
    (other,) = [name for name in reader.input if name != output] or [""]
    bias = reading.values.get(other)
    if not isinstance(bias, np.ndarray) or kernel.ndim != 2 or bias.shape != kernel.shape[1:]:
        return None
    reading.done.add(id(reader))
    return bias


def gather(node: Node) -> list[Entry]:
    """Rows of a table."""
    node.demand("axis", 0, 0)
    table, numbers = node.entry(0), node.entry(1)
    if not isinstance(table, np.ndarray) or table.ndim != 2:
        raise node.error("expected a constant matrix, of which rows are taken")
    x = numbers.tensor if isinstance(numbers, Numbers) else node.tensor(1)
    return [node.layer(L.Embedding, x, [table], input_dim=len(table), output_dim=table.shape[1])]


def batch_normalization(node: Node) -> list[Entry]:
    """By averages that were kept; axis 1 is that of the channels."""
    x = node.tensor()
    for name, value in (("training_mode", 0), ("spatial", 1), ("is_test", 1)):
        node.demand(name, value, value)
    for name in ("momentum", "consumed_inputs"):
        node.attribute(name)
    if any(node.reading.used(name) for name in node.proto.output[1:]):
        raise node.error("statistics of the batch, further outputs, cannot be read")
    weights = [node.constant(place, "its weights") for place in range(1, 5)]
    if any(w.shape != (channels(x),) for w in weights):
        raise node.error(f"weights of shapes {[w.shape for w in weights]} for {channels(x)} channels")
    axis = 1 if x.ndim > 2 else -1
    return [node.layer(L.BatchNormalization, x, weights, axis=axis, epsilon=node.attribute("epsilon", 1e-5))]


def einsum(node: Node) -> list[Entry]:
    """Products of samples along one axis of each of two tensors."""
    equation = node.attribute("equation", "").replace(" ", "")
    a, b = node.tensor(0), node.tensor(1)
    inputs, _, result = equation.partition("->")
    first, _, second = inputs.partition(",")
    common = [letter for letter in first[1:] if letter in second[1:]]
    if len(common) == 1 and (len(first), len(second)) == (a.ndim, b.ndim) and first[0] == second[0]:
        rest = [letter for letter in first[1:] + second[1:] if letter not in common]
        if result == first[0] + "".join(rest) and len(set(rest)) == len(rest) and rest:
            return [node.layer(L.Dot, [a, b], axes=(first.index(common[0]), second.index(common[0])))]
    raise node.error(f"an equation {equation!r} cannot be read")
