"""The extension `linalg` of the Python array API standard 2024.12, and what `numpy.linalg` has beside it.

Matrices are the last two axes, all others stack them. Factors, systems and eigenvalues are computed by LAPACK
in the dtype of the operands, float32 or float64 (integers and bools count as float64, as in numpy). What it
refuses (a singular matrix, say) is a LinAlgError when a Function computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops import matmul as products
from symgraph.graph.ops.elementwise import cast
from symgraph.graph.ops.linalg import (
    determinants,
    diagonals,
    factors,
    least_squares,
    matrices,
    norms,
    spectral,
)
from symgraph.graph.ops.linalg import solve as systems
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import dtype_name

LinAlgError = np.linalg.LinAlgError


class EighResult(NamedTuple):
    """What `eigh` gives."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    """What `qr` gives."""

    Q: Tensor
    R: Tensor


class SlogdetResult(NamedTuple):
    """What `slogdet` gives."""

    sign: Tensor
    logabsdet: Tensor


class SVDResult(NamedTuple):
    """What `svd` gives."""

    U: Tensor
    S: Tensor
    Vh: Tensor


_NARROW = ("int8", "int16", "uint16", "uint32", "uint64", "float16")


def _stored(found: Tensor, *operands: Any) -> Tensor:
    """`found` in the dtype in which `operands` meet: narrow ones are computed in wider dtypes."""
    dtypes = [np.dtype(str(operand.dtype)) for operand in operands if hasattr(operand, "dtype")]
    if len(dtypes) < len(operands):
        return found
    meeting = np.result_type(*dtypes).name
    return cast(found, meeting) if meeting in _NARROW else found


# Products


def matmul(x1: Any, x2: Any, /) -> Tensor:
    """Products of matrices [..., M, K] and [..., K, N]; a vector counts as a row, or as a column."""
    return _stored(products.matmul(x1, x2), x1, x2)


def matrix_transpose(x: Any, /) -> Tensor:
    """The matrices transposed: [..., N, M]."""
    return _stored(matrices.matrix_transpose(x), x)


def tensordot(x1: Any, x2: Any, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Tensor:
    """Sums of products over pairs of axes: the last `axes` of x1 and first of x2, or those of two lists."""
    return _stored(products.tensordot(x1, x2, axes), x1, x2)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """Sums of products along one axis of both, which broadcast otherwise."""
    return _stored(norms.vecdot(x1, x2, axis), x1, x2)


def outer(x1: Any, x2: Any, /) -> Tensor:
    """x1[i] x2[j] of two vectors."""
    return _stored(norms.outer(x1, x2), x1, x2)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """Cross products of vectors of three elements along one axis of both, which broadcast otherwise."""
    return _stored(norms.cross(x1, x2, axis), x1, x2)


def matrix_power(x: Any, n: int, /) -> Tensor:
    """The product of n equal square matrices; of their inverses for n below 0."""
    return _stored(norms.matrix_power(x, n), x)


def multi_dot(arrays: Sequence[Any], /) -> Tensor:
    """The product of several matrices, of which the first and last may be vectors, from left to right."""
    if len(arrays) < 2:
        raise ValueError(f"multi_dot: expected at least two arrays, got {len(arrays)}")
    found = matmul(arrays[0], arrays[1])
    for array in arrays[2:]:
        found = matmul(found, array)
    return found


# Diagonals


def diagonal(x: Any, /, *, offset: int = 0) -> Tensor:
    """Elements [..., i, i + offset] of matrices [..., M, N]."""
    return _stored(diagonals.diagonal(x, offset), x)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """The sums of diagonals. Without `dtype` integers are added in int64, unsigned ones in uint64."""
    x = as_tensor(x) if not isinstance(x, Tensor) else x
    if dtype is None and x.dtype.startswith("uint"):
        dtype = "uint64"
    found = diagonals.trace(x, offset, None if dtype is None or dtype == "uint64" else dtype_name(dtype))
    return found if dtype is None else cast(found, dtype_name(dtype))


# Factors


def cholesky(x: Any, /, *, upper: bool = False) -> Tensor:
    """The lower triangular L with L L' = x for positive definite matrices; under `upper` U = L' of U' U = x.

    Only that triangle of x is read, and the gradient is one of that triangle.
    """
    return factors.cholesky(x, upper)


def qr(x: Any, /, *, mode: str = "reduced") -> QRResult:
    """Q with orthonormal columns and upper triangular R, Q R = x; `mode` is 'reduced' or 'complete'."""
    return QRResult(*factors.qr(x, mode))


def eigh(x: Any, /, UPLO: str = "L") -> EighResult:
    """Eigenvalues, rising, and eigenvectors, in columns, of symmetric matrices; one triangle is read."""
    return EighResult(*spectral.eigh(x, _is_upper(UPLO, "eigh")))


def eigvalsh(x: Any, /, UPLO: str = "L") -> Tensor:
    """Eigenvalues of symmetric matrices, rising; one triangle is read."""
    return spectral.eigvalsh(x, _is_upper(UPLO, "eigvalsh"))


def _is_upper(triangle: str, what: str) -> bool:
    if not isinstance(triangle, str) or triangle.upper() not in ("L", "U"):
        raise ValueError(f"{what}: expected a UPLO of 'L' or 'U', got {triangle!r}")
    return triangle.upper() == "U"


def svd(x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    """U, the singular values, falling, and V' with U diag(S) V' = x."""
    return SVDResult(*spectral.svd(x, full_matrices))


def svdvals(x: Any, /) -> Tensor:
    """The singular values, falling."""
    return spectral.svdvals(x)


def eig(x: Any, /) -> Tensor:
    """Refused: its results are complex."""
    raise NotImplementedError("eig: complex dtypes are not supported; eigh is for symmetric matrices")


def eigvals(x: Any, /) -> Tensor:
    """Refused: its results are complex."""
    raise NotImplementedError("eigvals: complex dtypes are not supported; eigvalsh is for symmetric matrices")


# Systems


def solve(x1: Any, x2: Any, /) -> Tensor:
    """The solution x of x1 x = x2 for square matrices x1 and a vector x2 [N] or matrices [..., N, K]."""
    return systems.solve(x1, x2)


def solve_triangular(
    x1: Any, x2: Any, /, *, lower: bool = False, trans: bool = False, unit_diagonal: bool = False
) -> Tensor:
    """As `solve`, where x1 counts as one of its triangles: scipy's (beyond the standard)."""
    return systems.solve_triangular(x1, x2, lower, trans, unit_diagonal)


def inv(x: Any, /) -> Tensor:
    """The inverses of square matrices."""
    return systems.inv(x)


def pinv(x: Any, /, *, rtol: Any = None) -> Tensor:
    """Moore and Penrose's inverses; singular values up to `rtol` times the largest count as 0."""
    return least_squares.pinv(x, rtol)


def lstsq(a: Any, b: Any, rcond: float | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Least squares: solution, sums of squares that are left (never empty), rank, singular values."""
    return least_squares.lstsq(a, b, rcond)


# Numbers


def det(x: Any, /) -> Tensor:
    """The determinants of square matrices."""
    return determinants.det(x)


def slogdet(x: Any, /) -> SlogdetResult:
    """The signs of determinants and the logarithms of their absolute values."""
    return SlogdetResult(*determinants.slogdet(x))


def matrix_rank(x: Any, /, *, rtol: Any = None) -> Tensor:
    """How many singular values exceed `rtol` times the largest: int64."""
    return least_squares.matrix_rank(x, rtol)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """Norms of matrices; `ord` is 'fro', 'nuc', 1, -1, 2, -2, inf or -inf."""
    return norms.matrix_norm(x, keepdims, ord)


def vector_norm(
    x: Any, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, ord: float = 2
) -> Tensor:
    """Norms of vectors: sum(|x|^ord)^(1 / ord) over `axis`, all axes for None."""
    return norms.vector_norm(x, axis, keepdims, ord)


def norm(
    x: Any, ord: Any = None, axis: int | tuple[int, ...] | None = None, keepdims: bool = False
) -> Tensor:
    """numpy's norm: of vectors along one axis, of matrices along two."""
    return norms.norm(x, ord, axis, keepdims)


def cond(x: Any, p: Any = None) -> Tensor:
    """The condition of matrices in a norm, by singular values for None."""
    return norms.cond(x, p)


__all__ = [
    "EighResult",
    "LinAlgError",
    "QRResult",
    "SVDResult",
    "SlogdetResult",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]
