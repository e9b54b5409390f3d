"""Functions of neural networks: activations, cross-entropies, normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.backend.math import clip
from symgraph.backend.movement import flatten
from symgraph.globals import epsilon
from symgraph.graph.leaves import as_tensor
from symgraph.graph.op import Op
from symgraph.graph.ops import elementwise, index, reduce
from symgraph.graph.ops import math as math_ops
from symgraph.graph.ops import nn as nn_ops
from symgraph.graph.ops import shape as shape_ops
from symgraph.graph.ops.moments import moments
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import normalize_axes, normalize_axis

__all__ = [
    "batch_normalization", "binary_crossentropy", "categorical_crossentropy", "elu", "hard_sigmoid",
    "in_top_k", "l2_normalize", "normalize_batch_in_training", "relu", "sigmoid", "softmax", "softplus",
    "softsign", "sparse_categorical_crossentropy", "tanh",
]  # fmt: skip


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """max(x, 0), or a leaky, capped or shifted form of it; NaN stays NaN.

    Parameters
    ----------
    x : tensor
    alpha : float
        Slope below the threshold.
    max_value : float, optional
        Largest result.
    threshold : float
        x itself above it, alpha · (x - threshold) elsewhere.
    """
    x = as_tensor(x)
    above = math_ops.relu(x) if threshold == 0 else elementwise.where(x <= float(threshold), 0, x)
    if max_value is not None:
        above = clip(above, 0.0, float(max_value))
    if alpha == 0:
        return above
    # Without a cap one of the two parts is 0 everywhere, so their sum is exact.
    return above - float(alpha) * math_ops.relu(float(threshold) - x)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha · (exp(x) - 1) elsewhere (arXiv:1511.07289)."""
    x = as_tensor(x)
    # The part that is not chosen must stay finite: its gradient is multiplied by 0.
    below = math_ops.expm1(elementwise.minimum(x, 0))
    return elementwise.where(x > 0, x, below if alpha == 1 else float(alpha) * below)


def softmax(x: Any, axis: int = -1) -> Tensor:
    """exp(x) / Σ exp(x) along `axis`, without overflow."""
    return nn_ops.softmax(x, axis)


def softplus(x: Any) -> Tensor:
    """log(1 + exp(x)), without overflow."""
    return math_ops.softplus(x)


def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    x = as_tensor(x)
    return x / (math_ops.absolute(x) + 1)


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + exp(-x))."""
    return math_ops.sigmoid(x)


def hard_sigmoid(x: Any) -> Tensor:
    """0.2x + 0.5 held between 0 and 1."""
    return clip(0.2 * as_tensor(x) + 0.5, 0.0, 1.0)


def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent."""
    return math_ops.tanh(x)


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """-Σ target · log(output) along the axis of the classes.

    Parameters
    ----------
    target, output : tensor
        Of one shape: one-hot vectors or distributions, and probabilities or logits. Probabilities are scaled
        to sum 1 and held between epsilon and 1 - epsilon, but for those that come straight from `softmax`:
        then its logits are used.
    from_logits : bool
        Whether `output` is what softmax would be applied to.
    axis : int
        The axis of the classes: -1 or an axis of `output`.

    Returns
    -------
    tensor
        The shape without that axis.

    Raises
    ------
    ValueError
        If `axis` is not one of these.
    """
    target, output = elementwise.together(target, output)
    axis = _class_axis(axis, output)
    logits = output if from_logits else _logits(output, nn_ops.Softmax, axis)
    if logits is not None:
        return nn_ops.softmax_cross_entropy(_classes_last(logits, axis), _classes_last(target, axis))
    probabilities = output / reduce.sum(output, axis, True)
    logs = math_ops.log(_inside(probabilities))
    return -reduce.sum(target * logs, axis)


def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """-log of the output for the right class.

    Parameters
    ----------
    target : tensor
        Class numbers, as many as `output` has vectors of classes; floats are cut to integers.
    output : tensor
        Probabilities (held between epsilon and 1 - epsilon, then scaled to sum 1) or logits.
    from_logits : bool
        Whether `output` is what softmax would be applied to.
    axis : int
        The axis of the classes: -1 or an axis of `output`.

    Returns
    -------
    tensor
        The shape of `output` without that axis.

    Raises
    ------
    ValueError
        If `axis` is not one of these; at run time if a class number lies outside [0, classes).
    """
    output = as_tensor(output)
    output = _classes_last(output, _class_axis(axis, output))
    logits = output if from_logits else _logits(output, nn_ops.Softmax, output.ndim - 1)
    logits = math_ops.log(_inside(output)) if logits is None else logits
    labels = shape_ops.reshape(index.whole_numbers(flatten(target)), output.shape[:-1])
    return nn_ops.sparse_softmax_cross_entropy(logits, labels)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """-(target · log(output) + (1 - target) · log(1 - output)), element by element.

    Parameters
    ----------
    target, output : tensor
        Of one shape: targets between 0 and 1, and probabilities (held between epsilon and 1 - epsilon) or
        logits.
    from_logits : bool
        Whether `output` is what sigmoid would be applied to.

    Raises
    ------
    ValueError
        If the shapes differ: neither is stretched.
    """
    target, output = elementwise.together(target, output)
    known = [(a, b) for a, b in zip(target.shape, output.shape, strict=False) if isinstance(a + b, int)]
    if target.ndim != output.ndim or any(a != b for a, b in known):
        raise ValueError(f"binary_crossentropy: expected one shape, got {target.type} and {output.type}")
    logits = output if from_logits else _logits(output, math_ops.Sigmoid, output.ndim - 1)
    if logits is not None:
        return nn_ops.sigmoid_cross_entropy(logits, target)
    probability = _inside(output)
    return -(target * math_ops.log(probability) + (1 - target) * math_ops.log1p(-probability))


def _logits(output: Tensor, op: type[Op], axis: int) -> Tensor | None:
    """What softmax over the last axis, or sigmoid, was applied to; None where `output` is something else.

    Cross-entropy of logits is exact and has a gradient where probabilities have long been rounded to 0 or 1.
    """
    return output.inputs[0] if isinstance(output.op, op) and axis == output.ndim - 1 else None


def _inside(probabilities: Tensor) -> Tensor:
    """Probabilities held where their logarithms, and those of their complements, are finite."""
    return clip(probabilities, epsilon(), 1.0 - epsilon())


def _class_axis(axis: int, output: Tensor) -> int:
    if axis != -1 and axis not in range(output.ndim):
        raise ValueError(
            f"Unexpected channels axis {axis}. Expected to be -1 or one of the axes of `output`, "
            f"which has {output.ndim} dimensions."
        )
    return normalize_axis(axis, output.ndim)


def _classes_last(x: Tensor, axis: int) -> Tensor:
    if axis == x.ndim - 1:
        return x
    return shape_ops.transpose(x, (*range(axis), *range(axis + 1, x.ndim), axis))


def l2_normalize(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """`x` divided by its Euclidean norm along `axis` (None for all); norms below 1e-6 count as 1e-6."""
    x = as_tensor(x)
    squares = reduce.sum(math_ops.square(x), axis, True)
    return x * math_ops.rsqrt(elementwise.maximum(squares, 1e-12))


def in_top_k(predictions: Any, targets: Any, k: int) -> Tensor:
    """Whether each target is among the classes with the `k` highest predictions.

    Parameters
    ----------
    predictions : tensor of shape (samples, classes)
    targets : integer tensor of shape (samples,)
        Class numbers.
    k : int

    Returns
    -------
    bool tensor of shape (samples,)
        Classes with the same prediction as the k-th count as in.
    """
    return nn_ops.in_top_k(predictions, targets, k)


def batch_normalization(
    x: Any, mean: Any, var: Any, beta: Any, gamma: Any, axis: int = -1, epsilon: float = 1e-3
) -> Tensor:
    """(x - mean) / sqrt(var + epsilon) · gamma + beta.

    Parameters
    ----------
    x : tensor
    mean, var : tensor
        Vectors along `axis`, or tensors that broadcast against `x`.
    beta, gamma : tensor or None
        The same; None for 0 and 1.
    axis : int
        The axis of vectors.
    epsilon : float
        Added to the variance.
    """
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim)
    mean, var, beta, gamma = (
        value if value is None else _along(value, x, axis) for value in (mean, var, beta, gamma)
    )
    scale = math_ops.rsqrt(var + epsilon)
    if gamma is not None:
        scale = scale * gamma
    # Subtracting before scaling keeps precision where the mean is large against the deviation.
    result = (x - mean) * scale
    return result if beta is None else result + beta


def _along(value: Any, x: Tensor, axis: int) -> Tensor:
    """A vector laid along one axis of `x`; any other tensor as it is."""
    value = as_tensor(elementwise.beside(x, value)[1])
    if value.ndim != 1 or axis == x.ndim - 1:
        return value
    return shape_ops.reshape(value, tuple(value.shape[0] if a == axis else 1 for a in range(x.ndim)))


def normalize_batch_in_training(
    x: Any, gamma: Any, beta: Any, reduction_axes: Sequence[int], epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise by the mean and the variance of the batch itself.

    Parameters
    ----------
    x : tensor
    gamma, beta : tensor or None
        Scale and centre along the axes that are left; None for 1 and 0.
    reduction_axes : sequence of int
        The axes to take mean and variance over.
    epsilon : float
        Added to the variance.

    Returns
    -------
    (tensor, tensor, tensor)
        The result, the mean and the variance (divided by n), the latter two without the reduced axes.
    """
    x = as_tensor(x)
    axes = normalize_axes(list(reduction_axes), x.ndim)
    wide = tuple(1 if a in axes else size for a, size in enumerate(x.shape))
    centre, spread = moments(x, axes)
    scale, shift = (
        None if p is None else shape_ops.reshape(elementwise.beside(x, p)[1], wide) for p in (gamma, beta)
    )
    normed = batch_normalization(x, centre, spread, shift, scale, -1, epsilon)
    kept = tuple(size for a, size in enumerate(x.shape) if a not in axes)
    return normed, shape_ops.reshape(centre, kept), shape_ops.reshape(spread, kept)
