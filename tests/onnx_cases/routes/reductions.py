"""Reductions, running sums, products of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph import layers
from symgraph.graph.tensor import Tensor
from tests.onnx_cases.routes.stretch import shape_of
from tests.onnx_cases.translate import Node, NotExpressibleError, Route


def _reduced(function: Callable[..., Tensor], of_none: bool = True) -> Route:
    """By a function; `of_none` says whether it has a value for no elements."""

    def route(node: Node) -> Any:
        if not of_none and 0 in shape_of(node.x()):
            raise NotExpressibleError("arguments: the largest of no elements")
        axes, keep = node.setting("axes", 1), bool(node.get("keepdims", 1))
        if not axes:
            if node.get("noop_with_empty_axes", 0):
                # The op's function of each element is still applied: over an axis of one element.
                return function(K.expand_dims(node.x(), -1), axis=-1, keepdims=False)
            axes = None
        return function(node.x(), axis=axes, keepdims=keep)

    return route


def _extreme(function: Callable[..., Tensor], of_bools: Callable[..., Tensor]) -> Route:
    def route(node: Node) -> Any:
        chosen = of_bools if node.x().dtype == "bool" else function
        return _reduced(chosen, of_none=False)(node)

    return route


def _place(function: Callable[..., Tensor]) -> Route:
    def route(node: Node) -> Any:
        x, axis = node.x(), node.get("axis", 0)
        if node.get("select_last_index", 0):
            axis %= x.ndim
            found = shape_of(x)[axis] - 1 - function(K.reverse(x, axis), axis)
        else:
            found = function(x, axis)
        return K.expand_dims(found, axis) if node.get("keepdims", 1) else found

    return route


def _running(function: Callable[..., Tensor], rest: Callable[[Tensor, Tensor], Tensor] | None) -> Route:
    def route(node: Node) -> Any:
        x, axis = node.x(), int(node.array(1))
        if node.get("reverse", 0):
            found = K.reverse(function(K.reverse(x, axis), axis), axis)
        else:
            found = function(x, axis)
        found = K.cast(found, x.dtype)  # the op keeps the dtype, with which integers wrap around
        if not node.get("exclusive", 0):
            return found
        if rest is None:
            raise NotExpressibleError("arguments: products without the element itself")
        return rest(found, x)

    return route


def _matmul(node: Node) -> list[Any]:
    x, y = node.xs
    found = [x @ y]
    if y.ndim <= 2 <= x.ndim and y.ndim == 2:
        found.append(K.dot(x, y))
    if x.ndim == y.ndim == 3 and shape_of(x)[0] == shape_of(y)[0]:
        found += [K.batch_dot(x, y), layers.Dot((2, 1))([x, y])]
    return found


def _gemm(node: Node) -> list[Any]:
    x, y = (
        K.transpose(node.x(n)) if node.get(name, 0) else node.x(n)
        for n, name in enumerate(["transA", "transB"])
    )
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    product = K.dot(x, y) if alpha == 1 else alpha * K.dot(x, y)
    if not node.has(2):
        return [product]
    added = node.x(2) if beta == 1 else beta * node.x(2)
    found = [product + added]
    kernel, bias = node.array(1), node.array(2)
    if added.ndim == 1 and shape_of(added) == shape_of(product)[-1:]:
        found.append(K.bias_add(product, added))
    if alpha == beta == 1 and bias.size == shape_of(product)[-1]:
        layer = layers.Dense(bias.size)
        layer.build(shape_of(x))
        layer.set_weights([kernel.T if node.get("transB", 0) else kernel, bias.reshape(-1)])
        found.append(layer(x))
    return found


def _norm(x: Tensor, **kwargs: Any) -> Tensor:
    return K.sqrt(K.sum(K.square(x), **kwargs))


def _normalised(node: Node) -> Any:
    """Divided by a norm; the backend has the Euclidean one."""
    x, axis = node.x(), node.get("axis", -1)
    if node.get("p", 2) == 2:
        return K.l2_normalize(x, axis)
    lengths = K.sum(K.abs(x), axis, keepdims=True)
    if (np.abs(node.array(0)).sum(axis) == 0).any():
        raise NotExpressibleError("arguments: a norm of 0")
    return x / lengths


ROUTES: dict[str, Route] = {
    "ArgMax": _place(K.argmax),
    "ArgMin": _place(K.argmin),
    "CumProd": _running(K.cumprod, None),
    "CumSum": _running(K.cumsum, lambda total, x: total - x),
    "Gemm": _gemm,
    "LpNormalization": _normalised,
    "MatMul": _matmul,
    "ReduceL1": _reduced(lambda x, **kwargs: K.sum(K.abs(x), **kwargs)),
    "ReduceL2": _reduced(_norm),
    "ReduceLogSum": _reduced(lambda x, **kwargs: K.log(K.sum(x, **kwargs))),
    "ReduceLogSumExp": _reduced(K.logsumexp, of_none=False),
    "ReduceMax": _extreme(K.max, K.any),
    "ReduceMean": _reduced(K.mean),
    "ReduceMin": _extreme(K.min, K.all),
    "ReduceProd": _reduced(K.prod),
    "ReduceSum": _reduced(K.sum),
    "ReduceSumSquare": _reduced(lambda x, **kwargs: K.sum(K.square(x), **kwargs)),
}
