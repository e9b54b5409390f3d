"""Losses of classes: (samples, classes, places...) and numbers of classes."""

from __future__ import annotations

from typing import Any

from symgraph import backend as K
from symgraph.graph.tensor import Tensor
from tests.onnx_cases.routes.stretch import shape_of
from tests.onnx_cases.translate import Node, Route


def _labels(node: Node) -> tuple[Tensor, Tensor | None]:
    """Class numbers, and a weight for each; what is to be ignored is class 0 with weight 0."""
    numbers = node.x(1)
    weights = K.gather(node.x(2), numbers) if node.has(2) else None
    ignored = node.get("ignore_index")
    if ignored is None:
        return numbers, weights
    keeps = K.not_equal(numbers, ignored)
    inside = numbers * K.cast(keeps, numbers.dtype)
    weights = K.cast(keeps, "float32")
    if node.has(2):
        weights = weights * K.gather(node.x(2), inside)
    return inside, weights


def _total(node: Node, losses: Tensor, weights: Tensor | None) -> Tensor:
    kind = node.get("reduction", "mean")
    losses = losses if weights is None else losses * weights
    if kind == "none":
        return losses
    if kind == "sum":
        return K.sum(losses)
    return K.mean(losses) if weights is None else K.sum(losses) / K.sum(weights)


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    """(samples, classes, places...)"""
    rows = K.one_hot(labels, classes)
    return K.permute_dimensions(rows, (0, rows.ndim - 1, *range(1, rows.ndim - 1)))


def _cross_entropy(node: Node) -> list[Any]:
    scores = node.x()
    labels, weights = _labels(node)
    sparse = K.sparse_categorical_crossentropy(labels, scores, from_logits=True, axis=1)
    wide = _one_hot(labels, shape_of(scores)[1])
    dense = K.categorical_crossentropy(wide, scores, from_logits=True, axis=1)
    probable = K.categorical_crossentropy(wide, K.softmax(scores, 1), axis=1)
    logs = scores - K.logsumexp(scores, 1, keepdims=True)
    return [(_total(node, y, weights), logs)[: node.outputs] for y in (sparse, dense, probable)]


def _likelihood(node: Node) -> Any:
    logs = node.x()
    labels, weights = _labels(node)
    losses = -K.sum(_one_hot(labels, shape_of(logs)[1]) * logs, axis=1)
    return _total(node, losses, weights)


ROUTES: dict[str, Route] = {
    "NegativeLogLikelihoodLoss": _likelihood,
    "SoftmaxCrossEntropyLoss": _cross_entropy,
}
