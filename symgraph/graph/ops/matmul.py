"""Matrix products: plain, batched, transposed, with a fused bias and activation; dot and tensordot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, product, shape_text
from symgraph.graph.leaves import as_tensor
from symgraph.graph.op import Op, Sample
from symgraph.graph.ops.activation import (
    check_vectors,
    epilogue_flops,
    epilogue_name,
    finished,
    kernel_epilogue,
)
from symgraph.graph.ops.elementwise import (
    NUMBERS,
    beside,
    broadcast_requirements,
    broadcast_shapes,
    cast,
    sum_to,
    together,
)
from symgraph.graph.ops.movement import dense
from symgraph.graph.tensor import Tensor, call
from symgraph.graph.types import FLOATS, INTEGERS, TensorType, normalize_axis
from symgraph.kernels.matmul import matmul_rows
from symgraph.kernels.reduce import whole_product_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row


@dataclass(frozen=True)
class MatMul(Op):
    """a @ b over the last two axes, leading axes broadcast; optionally + bias, then an activation.

    Inputs are a [..., M, K], b [..., K, N] and, where passes fused it, bias [N]. In its place there may be
    `steps` such as ``"-*+"``: one vector each that is subtracted, multiplied or added, in this order, [k, N].
    """

    activation: str = "linear"
    steps: str = ""

    def __str__(self) -> str:
        return epilogue_name("matmul", self.steps, self.activation)

    def infer(self, *types: Any) -> TensorType:
        """[..., M, N]."""
        a, b = types[:2]
        if a.ndim < 2 or b.ndim < 2:
            raise ValueError(f"matmul: expected two tensors of at least 2 dimensions, got {a} and {b}")
        if a.dtype != b.dtype or a.dtype not in NUMBERS:
            raise TypeError(
                f"matmul: expected two tensors of numbers of one dtype, got {a.dtype} and {b.dtype}"
            )
        if isinstance(a.shape[-1], int) and isinstance(b.shape[-2], int) and a.shape[-1] != b.shape[-2]:
            raise ValueError(
                f"matmul: shapes {shape_text(a.shape)} and {shape_text(b.shape)} do not fit: "
                f"expected the second to have {a.shape[-1]} rows, got {b.shape[-2]}"
            )
        check_vectors("matmul", types[2:], a, b.shape[-1], self.steps)
        batch = broadcast_shapes([a.shape[:-2], b.shape[:-2]], "matmul")
        return TensorType(a.dtype, (*batch, a.shape[-2], b.shape[-1]))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """K of both, and the batch axes."""
        a, b = types[:2]
        if a.shape[-1] != b.shape[-2]:
            yield a.shape[-1], b.shape[-2]
        yield from broadcast_requirements([a.shape[:-2], b.shape[:-2]])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """grad·bᵀ and aᵀ·grad. (Bias and activation are fused after differentiation.)"""
        a, b = inputs
        grad_a = sum_to(matmul(grad, _swap(b)), a)
        grad_b = sum_to(matmul(_swap(a), grad), b)
        return grad_a, grad_b

    def reference(self, *arrays: Any) -> Any:
        """numpy's matmul, in float64 for floats."""
        if arrays[0].dtype.kind != "f":
            return np.asarray(np.matmul(*arrays))
        a, b = (x.astype(np.float64) for x in arrays[:2])
        with np.errstate(all="ignore"):
            y = np.matmul(a, b)
            return finished(y, arrays[2:], self.steps, self.activation, arrays[0].dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """A multiply and an add per term, one add per bias element, one per activation value."""
        results = int(np.prod(outputs[0], dtype=object))
        extra = epilogue_flops(len(inputs), self.steps, self.activation)
        return results * (2 * inputs[0][-1] + extra)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """A blocked product; transposed operands are read in place. Integers: sums that wrap around."""
        out = outputs[0]
        a, b = (x.broadcast((*out.shape[:-2], *x.shape[-2:])) for x in inputs[:2])
        if out.dtype.kind != "f":
            return whole_product_rows(a, b, out, threads=threads, scratch=scratch)
        rows: list[Row] = []
        bias = dense(inputs[2], rows, threads=threads, scratch=scratch) if len(inputs) > 2 else None
        epilogue = kernel_epilogue(self.steps, self.activation)
        rows += matmul_rows(a, b, out, bias=bias, activation=epilogue, threads=threads, scratch=scratch)
        return rows

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Odd, empty and batched shapes, vectors as matrices, steps; integers whose products wrap around."""
        shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
            ((3, 4), (4, 5)), ((1, 7), (7, 1)), ((17, 33), (33, 9)), ((0, 3), (3, 2)), ((3, 0), (0, 2)),
            ((2, 3, 4), (2, 4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((3, 4), (6, 4, 2)),
        ]  # fmt: skip
        for dtype in FLOATS:
            for left, right in shapes:
                arrays = (rng.standard_normal(left).astype(dtype), rng.standard_normal(right).astype(dtype))
                yield Sample(cls(), arrays, True, ((0, 0),) if len(left) == len(right) == 2 else ())
            # With a long depth, which is cut into parts.
            for left, right in [*shapes[2:5], ((3, 3000), (3000, 5))]:
                vectors = tuple(rng.standard_normal(s).astype(dtype) for s in (left, right, (3, right[-1])))
                for activation in ("relu", "relu6"):
                    yield Sample(cls(activation, "-*+"), vectors, False)
        for dtype in INTEGERS:
            limits = np.iinfo(dtype)
            for left, right in shapes[:1] + shapes[3:5] + shapes[6:]:
                a, b = (rng.integers(limits.min, limits.max, s, dtype, endpoint=True) for s in (left, right))
                yield Sample(cls(), (a, b), False, ((0, 0),) if len(left) == len(right) == 2 else ())


def _swap(x: Tensor) -> Tensor:
    """`x` with its last two axes exchanged."""
    return call("transpose", x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def matmul(a: Any, b: Any) -> Tensor:
    """Matrix product over the last two axes.

    One-dimensional operands count as a row and a column, as in numpy. Products of integers are exact modulo
    2^bits, those of bools count in int32.
    """
    a, b = together(a, b)
    if a.dtype == "bool":
        a, b = cast(a, "int32"), cast(b, "int32")
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul: expected at least one dimension, got {a.type} and {b.type}")
    if a.ndim == 1:
        row = matmul(call("reshape", a, (1, *a.shape)), b)
        return call("reshape", row, (*row.shape[:-2], row.shape[-1]) if b.ndim > 1 else row.shape[:-1])
    if b.ndim == 1:
        column = MatMul()(a, call("reshape", b, (*b.shape, 1)))
        return call("reshape", column, column.shape[:-1])
    return MatMul()(a, b)


def dot(a: Any, b: Any) -> Tensor:
    """Sum over the last axis of a and the second-last of b, all others side by side, as in numpy."""
    a, b = map(as_tensor, beside(a, b))
    if a.ndim == 0 or b.ndim == 0:
        return call("multiply", a, b)
    if b.ndim <= 2 and a.ndim <= 2:
        return matmul(a, b)
    return tensordot(a, b, ((a.ndim - 1,), (max(b.ndim - 2, 0),)))


def tensordot(a: Any, b: Any, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Tensor:
    """Sum over pairs of axes: the last n of a and first n of b, or ``(axes of a, axes of b)``."""
    a, b = map(as_tensor, beside(a, b))
    left, right = _summed_axes(a, b, axes)
    pairs = [(a.shape[i], b.shape[j]) for i, j in zip(left, right, strict=True)]
    sizes = [known if isinstance(known, int) else size for size, known in pairs]
    a, b = (
        with_sizes(a, dict(zip(left, sizes, strict=True))),
        with_sizes(b, dict(zip(right, sizes, strict=True))),
    )
    kept_a = [i for i in range(a.ndim) if i not in left]
    kept_b = [i for i in range(b.ndim) if i not in right]
    rows = [a.shape[i] for i in kept_a]
    columns = [b.shape[i] for i in kept_b]
    inner = product(a.shape[i] for i in left)
    flat_a = call("reshape", call("transpose", a, (*kept_a, *left)), (product(rows), inner))
    flat_b = call("reshape", call("transpose", b, (*right, *kept_b)), (inner, product(columns)))
    return call("reshape", matmul(flat_a, flat_b), (*rows, *columns))


def _summed_axes(a: Tensor, b: Tensor, axes: Any) -> tuple[list[int], list[int]]:
    """The pairs of axes, counted from the front; ValueError where sizes that are known differ."""
    if isinstance(axes, (int, np.integer)):
        if not 0 <= axes <= min(a.ndim, b.ndim):
            raise ValueError(f"tensordot: expected up to {min(a.ndim, b.ndim)} axes, got {axes}")
        axes = (range(a.ndim - axes, a.ndim), range(axes))
    left, right = (
        [normalize_axis(int(i), x.ndim) for i in ([given] if isinstance(given, (int, np.integer)) else given)]
        for x, given in zip((a, b), axes, strict=True)
    )
    if len(left) != len(right):
        raise ValueError(f"tensordot: expected as many axes of both tensors, got {axes[0]} and {axes[1]}")
    if len(set(left)) < len(left) or len(set(right)) < len(right):
        raise ValueError(f"tensordot: expected each axis once, got {axes[0]} and {axes[1]}")
    for i, j in zip(left, right, strict=True):
        sizes = a.shape[i], b.shape[j]
        if all(isinstance(size, int) for size in sizes) and sizes[0] != sizes[1]:
            raise ValueError(
                f"tensordot: axis {i} of {a.type} and axis {j} of {b.type} are summed together: expected "
                f"equal sizes, got {sizes[0]} and {sizes[1]}"
            )
    return left, right


def with_sizes(x: Tensor, sizes: Mapping[int, Dim]) -> Tensor:
    """`x`, of which some axes are known to have these sizes; where that is not proven it is checked."""
    stated = tuple(sizes.get(axis, size) for axis, size in enumerate(x.shape))
    return x if stated == x.shape else call("broadcast_to", x, stated)
