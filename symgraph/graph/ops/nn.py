"""Softmax and the losses that are built on it, computed without overflow or loss of digits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.globals import floatx
from symgraph.graph.dims import shape_text
from symgraph.graph.leaves import as_tensor, constant
from symgraph.graph.op import Op, Sample
from symgraph.graph.ops.compare import greater, less, logical_and
from symgraph.graph.ops.elementwise import FLOATS, cast, together, where
from symgraph.graph.ops.shape import expand_dims, squeeze, transpose
from symgraph.graph.ops.sizes import size_tensor
from symgraph.graph.tensor import Tensor, call
from symgraph.graph.types import TensorType, is_float, is_integer, normalize_axis
from symgraph.kernels.buffer import Buffer, Scratch
from symgraph.kernels.machine import Row
from symgraph.kernels.softmax import softmax_rows


class _SoftmaxBase(Op):
    """What softmax and its logarithm share: they work on the last axis."""

    log: ClassVar[bool]

    def infer(self, *types: Any) -> TensorType:
        """The input's type."""
        (source,) = types
        if source.dtype not in FLOATS:
            raise TypeError(f"{self}: expected floats, got {source.dtype}")
        if not source.ndim:
            raise ValueError(f"{self}: expected at least one dimension, got a scalar")
        return TensorType(source.dtype, source.shape)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """Per element: comparison, subtraction, exp, add, division. The logarithm ends in a subtraction."""
        size = int(np.prod(outputs[0], dtype=object))
        lines = int(np.prod(outputs[0][:-1], dtype=object))
        return 5 * size - 2 * lines + (lines if self.log else 0) if size else 0

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """Maximum, exponentials and sum of a line while it is in the cache."""
        return softmax_rows(inputs[0], outputs[0], log=self.log, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Short, odd and empty lines; large numbers."""
        for dtype in FLOATS:
            for shape in ((5,), (3, 7), (1, 33), (2, 3, 10), (4, 1), (0, 3), (3, 0)):
                yield Sample(cls(), (rng.standard_normal(shape).astype(dtype),), True, ((0, 0),))
            yield Sample(cls(), (np.array([[1e4, 0, -1e4], [-1e30, -1e30, -1e30]], dtype),), False)


@dataclass(frozen=True)
class Softmax(_SoftmaxBase):
    """exp(x) / sum(exp(x)) over the last axis, the maximum taken off before."""

    log: ClassVar[bool] = False

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """y (g - sum(g y))."""
        weighted = grad * output
        return (weighted - output * call("sum", weighted, -1, True),)

    def reference(self, *arrays: Any) -> Any:
        """numpy, in float64."""
        with np.errstate(all="ignore"):
            return np.exp(_log_softmax(arrays[0])).astype(arrays[0].dtype)


@dataclass(frozen=True)
class LogSoftmax(_SoftmaxBase):
    """x - log(sum(exp(x))) over the last axis, without overflow."""

    log: ClassVar[bool] = True

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """g - softmax sum(g)."""
        return (grad - Softmax()(inputs[0]) * call("sum", grad, -1, True),)

    def reference(self, *arrays: Any) -> Any:
        """numpy, in float64."""
        with np.errstate(all="ignore"):
            return _log_softmax(arrays[0]).astype(arrays[0].dtype)


def _log_softmax(x: np.ndarray) -> np.ndarray:
    wide = x.astype(np.float64)
    if not wide.size:
        return wide
    wide = wide - wide.max(axis=-1, keepdims=True)
    result: np.ndarray = wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True))
    return result


def _floats(x: Any) -> Tensor:
    x = as_tensor(x)
    return x if is_float(x.dtype) else cast(x, floatx())


def _over_axis(op: Op, x: Any, axis: int) -> Tensor:
    """`op`, which works on the last axis, on another one."""
    x = _floats(x)
    place = normalize_axis(axis, x.ndim)
    order = [a for a in range(x.ndim) if a != place] + [place]
    return transpose(op(transpose(x, order)), [int(a) for a in np.argsort(order)])


def softmax(x: Any, axis: int = -1) -> Tensor:
    """exp(x) over its sum along `axis`."""
    return _over_axis(Softmax(), x, axis)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """The logarithm of `softmax`, without loss of digits."""
    return _over_axis(LogSoftmax(), x, axis)


def _same_shape(what: str, a: Tensor, b: Tensor) -> None:
    """ValueError where two shapes differ for certain: a loss never broadcasts."""
    pairs = zip(a.shape, b.shape, strict=False)
    clash = any(isinstance(m, int) and isinstance(n, int) and m != n for m, n in pairs)
    if a.ndim != b.ndim or clash:
        raise ValueError(
            f"{what}: expected targets of shape {shape_text(a.shape)}, got {shape_text(b.shape)}"
        )


def softmax_cross_entropy(logits: Any, targets: Any, axis: int = -1) -> Tensor:
    """-sum(targets * log(softmax(logits))) over the classes along `axis`; targets are probabilities."""
    logits = _floats(logits)
    targets = cast(as_tensor(targets, logits.dtype), logits.dtype)
    _same_shape("softmax_cross_entropy", logits, targets)
    total = call("sum", targets * log_softmax(logits, axis), axis)
    return -total


def sparse_softmax_cross_entropy(logits: Any, labels: Any, axis: int = -1) -> Tensor:
    """-log(softmax(logits)) at the label: an integer, in the shape of the logits without the class axis.

    A label outside [0, classes) stops the run with an error that names this place.
    """
    logits, labels = _floats(logits), as_tensor(labels)
    place = normalize_axis(axis, logits.ndim)
    if not is_integer(labels.dtype):
        raise TypeError(f"sparse_softmax_cross_entropy: expected integer labels, got {labels.dtype}")
    if labels.ndim != logits.ndim - 1:
        raise ValueError(
            f"sparse_softmax_cross_entropy: expected labels of {logits.ndim - 1} dimensions for logits of "
            f"shape {shape_text(logits.shape)}, got shape {shape_text(labels.shape)}"
        )
    scores = log_softmax(logits, place)
    strict = _no_negative(cast(labels, "int64"), scores, place)
    return -squeeze(call("take_along_axis", scores, expand_dims(strict, place), place), place)


def _no_negative(labels: Tensor, scores: Tensor, axis: int) -> Tensor:
    """Labels with negative ones out of range: where elements are taken, those would count from the end."""
    return where(less(labels, 0), size_tensor(scores.shape[axis]), labels)


def sigmoid_cross_entropy(logits: Any, targets: Any) -> Tensor:
    """-(t log(s) + (1 - t) log(1 - s)) with s = sigmoid(logits), element by element.

    Written as t softplus(-z) + (1 - t) softplus(z): neither it nor its gradient loses digits for large z of
    either sign.
    """
    z = _floats(logits)
    t = cast(as_tensor(targets, z.dtype), z.dtype)
    _same_shape("sigmoid_cross_entropy", z, t)
    return t * call("softplus", -z) + (1 - t) * call("softplus", z)


def in_top_k(predictions: Any, targets: Any, k: int) -> Tensor:
    """Whether fewer than k predictions of a line are larger than that of its target class: bool [N].

    As in TensorFlow, ties count in favour of the target; a target that is no class, or whose prediction is
    not finite, is never among them.
    """
    predictions, targets = as_tensor(predictions), as_tensor(targets)
    if predictions.ndim != 2 or targets.ndim != 1 or not is_integer(targets.dtype):
        raise ValueError(
            "in_top_k: expected predictions [N, classes] and integer targets [N], "
            f"got {predictions.type} and {targets.type}"
        )
    classes = size_tensor(predictions.shape[1])
    targets = cast(targets, "int64")
    valid = logical_and(call("greater_equal", targets, 0), less(targets, classes))
    place = expand_dims(where(valid, targets, constant(0, "int64")), 1)
    score = call("take_along_axis", predictions, place, 1)
    above = call("sum", cast(greater(*together(predictions, score)), "int32"), 1)
    finite = less(call("absolute", squeeze(score, 1)), constant(np.inf, score.dtype))
    return logical_and(logical_and(valid, finite), less(above, k))
