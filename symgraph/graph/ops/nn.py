"""Softmax and the losses that are built on it, computed without overflow or loss of digits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.globals import floatx
from symgraph.graph.dims import Dim, shape_text
from symgraph.graph.leaves import as_tensor, constant
from symgraph.graph.op import Cut, Op, Sample
from symgraph.graph.ops.compare import greater, less, logical_and
from symgraph.graph.ops.elementwise import cast, together, where
from symgraph.graph.ops.shape import expand_dims, squeeze, transpose
from symgraph.graph.ops.sizes import size_tensor
from symgraph.graph.tensor import Tensor, call
from symgraph.graph.types import FLOATS, TensorType, is_float, is_integer, normalize_axis
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row
from symgraph.kernels.softmax import (
    softmax_cross_entropy_gradient_rows,
    softmax_cross_entropy_rows,
    softmax_rows,
)


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
        """g - softmax sum(g), as the gradient of a cross-entropy with targets g: it keeps 1 - softmax."""
        lines = call("zeros_like", call("sum", grad, -1))
        return (SoftmaxCrossEntropyGradient()(inputs[0], grad, lines - 1),)

    def reference(self, *arrays: Any) -> Any:
        """numpy, in float64."""
        with np.errstate(all="ignore"):
            return _log_softmax(arrays[0]).astype(arrays[0].dtype)


def _log_softmax(x: np.ndarray) -> np.ndarray:
    gaps, excess = _gaps_and_excess(x)
    result: np.ndarray = gaps - np.log1p(excess)
    return result


def _gaps_and_excess(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x less its largest element, and the sum of the exponentials of that less 1, which one of them has."""
    wide = x.astype(np.float64)
    if wide.size:
        wide = wide - wide.max(axis=-1, keepdims=True)
    top = wide == 0
    rest = np.where(top, 0, np.exp(wide)).sum(axis=-1, keepdims=True)
    return wide, rest + (top.sum(axis=-1, keepdims=True) - 1)


class _OfSoftmax(Op):
    """What both ops share: inputs are logits and targets of one shape, classes along the last axis."""

    def check(self, types: Sequence[TensorType]) -> tuple[Dim, ...]:
        """The common shape."""
        logits, targets = types[:2]
        if logits.dtype not in FLOATS or any(t.dtype != logits.dtype for t in types):
            raise TypeError(f"{self}: expected floats of one dtype, got {', '.join(t.dtype for t in types)}")
        if not logits.ndim or targets.ndim != logits.ndim:
            raise ValueError(f"{self}: expected logits and targets of one shape, got {logits} and {targets}")
        return logits.shape

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Equal shapes; a gradient for each line."""
        shape = types[0].shape
        for other in types[1:]:
            yield from ((a, b) for a, b in zip(shape, other.shape, strict=False) if a != b)

    def cut(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> Cut | None:
        """By samples."""
        return Cut((True,) * len(inputs)) if len(inputs[0]) > 1 else None


def _draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal(shape).astype(dtype), rng.uniform(0.0, 1.0, shape).astype(dtype)


_SHAPES = ((5,), (3, 7), (1, 33), (2, 3, 10), (4, 1), (0, 3))


@dataclass(frozen=True)
class SoftmaxCrossEntropy(_OfSoftmax):
    """-sum(t log(softmax(x))) over the last axis; targets t need not sum to 1."""

    def infer(self, *types: Any) -> TensorType:
        """The shape without the last axis."""
        return TensorType(types[0].dtype, self.check(types)[:-1])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """g (softmax sum(t) - t); to the targets -g log(softmax)."""
        x, targets = inputs
        to_targets = -(LogSoftmax()(x) * expand_dims(grad, -1))
        return SoftmaxCrossEntropyGradient()(x, targets, grad), to_targets

    def reference(self, *arrays: Any) -> Any:
        """numpy, in float64."""
        x, targets = arrays
        with np.errstate(all="ignore"):
            return np.asarray(-(targets * _log_softmax(x)).sum(axis=-1)).astype(x.dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """Per element: comparison, difference, exp, product, three additions; four a line at the end."""
        size, lines = (int(np.prod(s, dtype=object)) for s in (inputs[0], outputs[0]))
        return 7 * size - 4 * lines + 3 * lines if size else 0

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """All of a line while it is in the cache."""
        x, targets = inputs
        return softmax_cross_entropy_rows(x, targets, outputs[0], threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Short, odd and empty lines; large numbers."""
        for dtype in FLOATS:
            for shape in _SHAPES:
                free = ((0, 0), (1, 0)) if len(shape) > 1 else ()
                yield Sample(cls(), _draw(rng, shape, dtype), True, free)
            large = np.array([[1e4, 0, -1e4], [-1e30, -1e30, -1e30]], dtype)
            yield Sample(cls(), (large, np.eye(3, dtype=dtype)[:2]), False)


@dataclass(frozen=True)
class SoftmaxCrossEntropyGradient(_OfSoftmax):
    """g (softmax(x) sum(t) - t), the gradient of `SoftmaxCrossEntropy`; g has one number a line."""

    def infer(self, *types: Any) -> TensorType:
        """The logits' type."""
        shape = self.check(types)
        if types[2].ndim != len(shape) - 1:
            raise ValueError(f"{self}: expected one gradient for each line of {types[0]}, got {types[2]}")
        return TensorType(types[0].dtype, shape)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """With s = softmax(x), T = sum(t): g T s (u - sum(u s)), g (sum(u s) - u), sum(u (s T - t))."""
        x, targets, flow = inputs
        chances = Softmax()(x)
        flow, weight = expand_dims(flow, -1), call("sum", targets, -1, True)
        mean = call("sum", grad * chances, -1, True)
        to_logits = flow * weight * chances * (grad - mean)
        return to_logits, flow * (mean - grad), call("sum", grad * (chances * weight - targets), -1)

    def reference(self, *arrays: Any) -> Any:
        """numpy, in float64."""
        x, targets, flow = arrays
        with np.errstate(all="ignore"):
            gaps, excess = _gaps_and_excess(x)
            weights = targets.astype(np.float64).sum(axis=-1, keepdims=True)
            slope = (np.exp(gaps) * weights - targets - targets * excess) / (1 + excess)
            return (slope * flow[..., None]).astype(x.dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """Per element: comparison, difference, exp, two additions, two products, a difference; a division."""
        size, lines = int(np.prod(inputs[0], dtype=object)), int(np.prod(inputs[0][:-1], dtype=object))
        return 8 * size - 3 * lines + lines if size else 0

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """All of a line while it is in the cache."""
        x, targets, grad = inputs
        return softmax_cross_entropy_gradient_rows(
            x, targets, grad, outputs[0], threads=threads, scratch=scratch
        )

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Short, odd and empty lines; large numbers."""
        for dtype in FLOATS:
            for shape in _SHAPES:
                free = ((0, 0), (1, 0), (2, 0)) if len(shape) > 1 else ()
                flow = rng.standard_normal(shape[:-1]).astype(dtype)
                yield Sample(cls(), (*_draw(rng, shape, dtype), flow), True, free)
            large = np.array([[1e4, 0, -1e4], [-1e30, -1e30, -1e30]], dtype)
            yield Sample(cls(), (large, np.eye(3, dtype=dtype)[:2], np.ones(2, dtype)), False)


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
    place = normalize_axis(axis, logits.ndim)
    order = [a for a in range(logits.ndim) if a != place] + [place]
    return SoftmaxCrossEntropy()(transpose(logits, order), transpose(targets, order))


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

    As in TensorFlow, ties count in favour of the target; a target that is no class, or in a line with
    predictions that are not finite, is never among them.
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
    if is_float(predictions.dtype):
        finite = less(call("absolute", predictions), constant(np.inf, predictions.dtype))
        valid = logical_and(valid, call("equal", call("sum", cast(finite, "int32"), 1), classes))
    return logical_and(valid, less(above, k))
