"""What ops on matrices share: checks, the matrix that numpy refused, triangles, sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim
from symgraph.graph.leaves import as_tensor
from symgraph.graph.op import Sample
from symgraph.graph.ops.compare import equal, greater, less_equal
from symgraph.graph.ops.create import arange
from symgraph.graph.ops.elementwise import cast, together, where
from symgraph.graph.ops.host_call import HostCall
from symgraph.graph.ops.shape import expand_dims, transpose
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import FLOATS, TensorType, is_float

LinAlgError = np.linalg.LinAlgError


def floats(*values: Any) -> list[Tensor]:
    """`values` as tensors of one float dtype. Integers and bools count as float64, as in numpy."""
    tensors = together(*values)
    return tensors if is_float(tensors[0].dtype) else [cast(t, "float64") for t in tensors]


def check_matrices(what: object, kind: Any, square: bool = False) -> None:
    """Refuse what is no stack of float matrices: TypeError for a dtype, ValueError for a shape."""
    if kind.dtype not in FLOATS:
        raise TypeError(f"{what}: expected a dtype of {', '.join(FLOATS)}, got {kind.dtype}")
    if kind.ndim < 2:
        raise ValueError(f"{what}: expected a matrix or a stack of them, [..., M, N], got {kind}")
    rows, columns = kind.shape[-2:]
    if square and isinstance(rows, int) and isinstance(columns, int) and rows != columns:
        raise ValueError(f"{what}: expected square matrices, [..., N, N], got {kind}")


def check_dtypes(what: object, *kinds: Any) -> None:
    """Refuse operands of two dtypes."""
    if len({kind.dtype for kind in kinds}) > 1:
        raise TypeError(f"{what}: expected one dtype, got {' and '.join(kind.dtype for kind in kinds)}")


class SquareOp(HostCall):
    """An op whose first operand is a stack of square matrices."""

    def infer(self, *types: Any) -> Any:
        """The operand's type."""
        check_matrices(self, types[0], square=True)
        return TensorType(types[0].dtype, types[0].shape)

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """As many rows as columns."""
        rows, columns = types[0].shape[-2:]
        if rows != columns:
            yield rows, columns


def matrix_name(index: Sequence[int]) -> str:
    """How an error calls the matrix at a place of a stack."""
    if not index:
        return "the matrix"
    return f"matrix {index[0] if len(index) == 1 else tuple(map(int, index))} of the stack"


def refusal(x: np.ndarray, attempt: Callable[[np.ndarray], Any], what: str) -> np.linalg.LinAlgError:
    """The error for the first matrix of a stack that numpy refuses; `what` is wrong with it."""
    for index in np.ndindex(x.shape[:-2]):
        try:
            attempt(x[index])
        except LinAlgError:
            finite = np.isfinite(x[index]).all()
            return LinAlgError(
                f"{matrix_name(index)} {what if finite else 'has numbers that are not finite'}"
            )
    return LinAlgError(f"a matrix {what}")


# Sizes


def batch(x: np.ndarray | Tensor) -> Any:
    """The axes before the last two."""
    return x.shape[:-2]


def stack_flops(shape: Sequence[int], each: float) -> int:
    """Work on every matrix of a stack of `shape`."""
    return int(prod(shape[:-2]) * each)


def matrix_samples(
    rng: np.random.Generator, shapes: Iterable[tuple[int, ...]], make: Callable[[np.ndarray], np.ndarray]
) -> Iterator[tuple[np.ndarray, tuple[tuple[int, int], ...]]]:
    """Matrices of both float dtypes, and which of their sizes may be unknown (all)."""
    for dtype in FLOATS:
        for shape in shapes:
            x = make(rng.standard_normal(shape)).astype(dtype)
            yield x, tuple((0, axis) for axis in range(len(shape)))


SQUARE = ((3, 3), (1, 1), (2, 4, 4), (0, 0), (0, 3, 3), (2, 0, 0), (2, 3, 2, 2))
"""Shapes of square matrices for samples: single, stacked and empty ones."""
TALL_AND_WIDE = ((4, 3), (3, 5), (3, 3), (2, 4, 2), (2, 2, 5), (0, 3), (3, 0), (0, 2, 3))
"""Shapes of matrices for samples."""


def regular(x: np.ndarray) -> np.ndarray:
    """Far from singular."""
    return x + 3 * np.eye(x.shape[-2], x.shape[-1])


def definite(x: np.ndarray) -> np.ndarray:
    """Symmetric and positive definite, of eigenvalues that lie apart."""
    found: np.ndarray = x @ np.swapaxes(x, -1, -2) + np.diag(1.0 + np.arange(x.shape[-1]))
    return found


def smooth_samples(op: Any, cases: Iterable[tuple[Any, Any]]) -> Iterator[Sample]:
    """A sample for each of `matrix_samples`."""
    for x, free in cases:
        yield Sample(op, (x,), True, free)


# Triangles


def swap(x: Tensor) -> Tensor:
    """The matrices transposed."""
    return transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def matrix_transpose(x: Any) -> Tensor:
    """The matrices of a stack [..., M, N] transposed: [..., N, M]."""
    x = as_tensor(x)
    if x.ndim < 2:
        raise ValueError(f"matrix_transpose: expected at least 2 dimensions, got {x.type}")
    return swap(x)


def _places(x: Tensor) -> tuple[Tensor, Tensor]:
    """The row and column of each element."""
    return expand_dims(arange(x.shape[-2]), 1), expand_dims(arange(x.shape[-1]), 0)


def _checked(x: Any, what: str) -> Tensor:
    found: Tensor = as_tensor(x)
    if found.ndim < 2:
        raise ValueError(f"{what}: expected at least 2 dimensions, got {found.type}")
    return found


def tril(x: Any, k: int = 0) -> Tensor:
    """`x` with zeros above diagonal number k (0: the main one, counted to the right)."""
    x = _checked(x, "tril")
    rows, columns = _places(x)
    return cast(where(less_equal(columns, rows + k), x, 0), x.dtype)


def triu(x: Any, k: int = 0) -> Tensor:
    """`x` with zeros below diagonal number k."""
    x = _checked(x, "triu")
    rows, columns = _places(x)
    return cast(where(less_equal(rows + k, columns), x, 0), x.dtype)


def half_lower(x: Tensor) -> Tensor:
    """Murray's Φ: the lower triangle with half of the diagonal, and zeros above it."""
    rows, columns = _places(x)
    return where(greater(columns, rows), 0, where(equal(columns, rows), x * 0.5, x))


def folded(x: Tensor) -> Tensor:
    """The gradient with respect to a symmetric matrix, as that of the lower triangle it is read from."""
    return half_lower(x + swap(x))


def copy_lower(x: Tensor) -> Tensor:
    """Walter and Lehmann's copyltu: the symmetric matrix with the lower triangle of `x`."""
    half = half_lower(x)
    return half + swap(half)
