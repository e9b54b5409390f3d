"""Bias, the sum that closes a residual block, and activation move into the product that they follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from symgraph.graph.ops.conv import Conv2D, Conv2DInputGradient
from symgraph.graph.ops.elementwise import Add, Maximum, Minimum, Where
from symgraph.graph.ops.math import Relu
from symgraph.graph.ops.matmul import MatMul
from symgraph.graph.ops.shape import Reshape
from symgraph.graph.tensor import Tensor, consumers, topological
from symgraph.graph.types import is_float
from symgraph.passes.masks import relu_gate
from symgraph.passes.rewrite import replace_nodes, single_use
from symgraph.passes.simplify import scalar

_SIX = 6.0
"""The upper bound that kernels know."""


def fuse_epilogues(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """Matmul or conv2d, bias, residual and activation become one node where nothing else reads between."""
    readers = consumers(topological(roots))
    results = {id(r) for r in roots}

    def visit(old: Tensor, new: Tensor) -> Tensor:
        better = None
        if isinstance(new.op, Where):
            better = _with_gate(old, new, readers, results)
        elif isinstance(new.op, Add):
            better = _with_bias(old, new, readers, results)
            if better is None:
                better = _with_addend(old, new, readers, results)
        elif old.inputs and single_use(old.inputs[0], readers, results):
            better = _with_activation(new)
        if better is None:
            return new
        hits[f"{better.op}"] += 1
        return better

    return replace_nodes(roots, visit)


def _with_bias(
    old: Tensor, new: Tensor, readers: dict[int, list[Tensor]], results: set[int]
) -> Tensor | None:
    for product, before, bias in zip(new.inputs, old.inputs, new.inputs[::-1], strict=True):
        op = product.op
        plain = _has_epilogue(product) and len(product.inputs) == 2
        vector = _as_vector(bias, product) if plain and single_use(before, readers, results) else None
        if vector is not None:
            origins = tuple(dict.fromkeys(product.origins + new.origins))
            return Tensor(op, (*product.inputs, vector), new.type, origins, new.name)
    return None


def _with_addend(
    old: Tensor, new: Tensor, readers: dict[int, list[Tensor]], results: set[int]
) -> Tensor | None:
    """conv(x, w) + y -> conv[add](x, w, y), for y of the result's type: a shortcut past the convolution"""
    for product, before, addend in zip(new.inputs, old.inputs, new.inputs[::-1], strict=True):
        op = product.op
        if not (isinstance(op, Conv2D) and _has_epilogue(product) and single_use(before, readers, results)):
            continue
        depthwise = op.groups > 1 and product.inputs[1].shape[2] == 1  # its kernel adds nothing
        if not op.added and not depthwise and product.type == addend.type == new.type:
            origins = tuple(dict.fromkeys(product.origins + new.origins))
            return Tensor(replace(op, added=True), (*product.inputs, addend), new.type, origins, new.name)
    return None


def _has_epilogue(product: Tensor) -> bool:
    """Whether a node's kernel can add and activate before it stores; products of integers cannot."""
    op = product.op
    return isinstance(op, (MatMul, Conv2D)) and op.activation == "linear" and is_float(product.dtype)


def _as_vector(bias: Tensor, product: Tensor) -> Tensor | None:
    """`bias` as a vector over the last axis of `product`, None where it is something else."""
    if (
        isinstance(bias.op, Reshape)
        and bias.ndim
        and bias.inputs[0].ndim == 1
        and bias.shape[-1] == bias.inputs[0].shape[0]
    ):
        bias = bias.inputs[0]
    return bias if bias.ndim == 1 and bias.shape[0] == product.shape[-1] != 1 else None


def _with_gate(
    old: Tensor, new: Tensor, readers: dict[int, list[Tensor]], results: set[int]
) -> Tensor | None:
    """The gradient of a convolution that goes through a ReLU next: zeroed where it is stored."""
    gate = relu_gate(new)
    if gate is None or not single_use(old.inputs[1], readers, results):
        return None
    output, flow = gate
    if not isinstance(flow.op, Conv2DInputGradient) or len(flow.inputs) > 2:
        return None
    origins = tuple(dict.fromkeys(flow.origins + new.origins))
    return Tensor(flow.op, (*flow.inputs, output), new.type, origins, new.name)


def _with_activation(new: Tensor) -> Tensor | None:
    """max(product, 0) -> product[relu], min(product[relu], 6) -> product[relu6]"""
    after = _activation_with(new)
    product = new.inputs[0]
    if after is None or product.type != new.type or not is_float(product.dtype):
        return None  # products of integers have no epilogue
    op = product.op
    assert isinstance(op, (MatMul, Conv2D))
    origins = tuple(dict.fromkeys(product.origins + new.origins))
    return Tensor(replace(op, activation=after), product.inputs, new.type, origins, new.name)


def _activation_with(new: Tensor) -> str | None:
    """The activation that a product has if its kernel does what `new` does, too; None if it cannot."""
    op = new.inputs[0].op
    if not isinstance(op, (MatMul, Conv2D)):
        return None
    if isinstance(new.op, Relu) or (isinstance(new.op, Maximum) and scalar(new.inputs[1]) == 0):
        # Held at 0 twice is held once.
        return "relu" if op.activation == "linear" else op.activation
    six = isinstance(new.op, Minimum) and scalar(new.inputs[1]) == _SIX
    return "relu6" if six and op.activation in ("relu", "relu6") else None
