"""Sparse matrices as tensors, and the arrays that a fed one becomes.

A `SparseTensor` stands beside the graph: its inputs and its values are dense tensors of it, and only the ops
that know sparse matrices (see `ops.csr`) read them. All other ops refuse it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from symgraph.globals import floatx
from symgraph.graph.dims import Dim, unknown
from symgraph.graph.leaves import Placeholder, constant, placeholder
from symgraph.graph.op import Op
from symgraph.graph.origin import current
from symgraph.graph.strict import check_widening
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TensorType, dtype_name, normalize_axis, promote

_MOST_COLUMNS = 2**31
_LEAST_ROOM = 64


class Csr(NamedTuple):
    """A sparse matrix in compressed rows: values, their columns, and where each row begins; see `ops.csr`."""

    values: Tensor
    indices: Tensor
    bounds: Tensor


@dataclass(frozen=True, eq=False)
class Sparse(Op):
    """What a sparse tensor that is no input is; `axis` where it was joined from others."""

    type: TensorType
    axis: int | None = None
    leaf: ClassVar[bool] = True
    pure: ClassVar[bool] = False

    def infer(self, *types: Any) -> TensorType:
        """The declared type."""
        return self.type


class SparseTensor(Tensor):
    """A sparse matrix: `shape` and `dtype` are those of its dense form.

    Attributes
    ----------
    csr : Csr or None
        The matrix; None for one that was joined from `parts` along `axis`.
    extent : Tensor or None
        Of an input: stands for its shape, which its three arrays do not tell.
    """

    __slots__ = ("csr", "extent", "parts")
    sparse: ClassVar[bool] = True

    def __init__(
        self,
        op: Op,
        type: TensorType,
        csr: Csr | None = None,
        parts: tuple[SparseTensor, ...] = (),
        extent: Tensor | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(op, parts, type, current(), name)
        self.csr = csr
        self.parts = parts
        self.extent = extent

    @property
    def axis(self) -> int:
        """The axis along which it was joined."""
        assert isinstance(self.op, Sparse) and self.op.axis is not None
        return self.op.axis

    @property
    def fed(self) -> tuple[Tensor, ...]:
        """The inputs of the graph that a matrix is fed to.

        TypeError where this is a result of other sparse tensors.
        """
        if self.csr is None or self.extent is None:
            raise TypeError(f"{self!r} cannot be fed: only sparse placeholders can")
        return (self.extent, *self.csr)

    def rebuilt(
        self, dtype: str, csr: Csr | None = None, parts: tuple[SparseTensor, ...] = ()
    ) -> SparseTensor:
        """A tensor of the same shape made of other tensors."""
        axis = self.axis if csr is None else None
        kind = TensorType(dtype, self.shape)
        return SparseTensor(Sparse(kind, axis), kind, csr, parts)

    def again(self) -> SparseTensor:
        """The same matrix as a tensor of its own."""
        return self.rebuilt(self.dtype, self.csr, self.parts)


def sparse_placeholder(
    shape: Sequence[Any] | None = None,
    ndim: int | None = None,
    dtype: str | None = None,
    name: str | None = None,
) -> SparseTensor:
    """An input that sparse matrices are fed to; parameters as of `placeholder`.

    Raises
    ------
    ValueError
        If there are not two dimensions, or more columns than 32-bit indices count.
    """
    extent = placeholder(shape, ndim, dtype, name)
    if extent.ndim != 2:
        raise ValueError(
            f"placeholder {name}: a sparse tensor is a matrix: expected 2 dimensions, got {extent.type}"
        )
    _check_columns(extent.shape[1], f"placeholder {name}")
    label = name or "sparse"
    stored = unknown(f"stored_{label}")
    csr = Csr(
        placeholder((stored,), dtype=extent.dtype, name=f"{label}.values"),
        placeholder((stored,), dtype="int32", name=f"{label}.indices"),
        placeholder((extent.shape[0] + 1,), dtype="int64", name=f"{label}.bounds"),
    )
    return SparseTensor(Placeholder(extent.tensor_type), extent.tensor_type, csr, extent=extent, name=name)


def sparse_constant(value: Any, dtype: str | None = None, name: str | None = None) -> SparseTensor:
    """A fixed sparse matrix, from one of scipy's; by default of the dtype `floatx()`.

    ValueError or TypeError where it is broken, or holds no numbers.
    """
    what = f"sparse variable {name}"
    values, indices, bounds, shape = csr_arrays(value, what)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{what}: expected numbers, got dtype {values.dtype}")
    kind = TensorType(dtype_name(dtype or floatx()), shape)
    csr = Csr(constant(values, kind.dtype), constant(indices, "int32"), constant(bounds, "int64"))
    return SparseTensor(Sparse(kind), kind, csr, name=name)


def joined(tensors: Sequence[SparseTensor], axis: int) -> SparseTensor:
    """Sparse tensors joined along an axis, in the widest of their dtypes; the other axes have to be equal."""
    axis = normalize_axis(axis, 2)
    across = [tensor.shape[1 - axis] for tensor in tensors]
    if len({size for size in across if isinstance(size, int)}) > 1:
        shapes = " and ".join(str(tensor.type) for tensor in tensors)
        raise ValueError(f"concatenate: expected equal sizes on axis {1 - axis}, got {shapes}")
    other = next((size for size in across if isinstance(size, int)), across[0])
    length: Dim = sum((tensor.shape[axis] for tensor in tensors[1:]), tensors[0].shape[axis])
    dtypes = [tensor.dtype for tensor in tensors]
    check_widening(dtypes)
    kind = TensorType(promote(*dtypes), (length, other) if axis == 0 else (other, length))
    return SparseTensor(Sparse(kind, axis), kind, parts=tuple(tensors))


def is_sparse_matrix(x: Any) -> bool:
    """Whether `x` is a sparse matrix or a sparse array of scipy, which need not be installed."""
    return hasattr(x, "toarray") and hasattr(x, "tocsr")


def csr_arrays(value: Any, what: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]:
    """Values, int32 columns, int64 bounds and shape of one of scipy's sparse matrices, of any format.

    The first two are as long as what is stored, or longer by numbers that no row has.

    Raises
    ------
    ValueError
        If it is no matrix, or one whose arrays contradict each other; `what` begins the message.
    """
    if len(value.shape) != 2:
        raise ValueError(f"{what}: expected a sparse matrix of 2 dimensions, got shape {tuple(value.shape)}")
    rows, columns = (int(size) for size in value.shape)
    _check_columns(columns, what)
    matrix = value.tocsr()
    values, indices, bounds = (np.asarray(x) for x in (matrix.data, matrix.indices, matrix.indptr))
    stored = int(bounds[-1]) if bounds.shape == (rows + 1,) else -1
    fits = (
        0 <= stored <= min(len(values), len(indices))
        and bounds[0] == 0
        and bool(np.all(np.diff(bounds) >= 0))
    )
    if fits and stored:
        fits = bool(indices[:stored].min() >= 0 and indices[:stored].max() < columns)
    if not fits:
        raise ValueError(
            f"{what}: the sparse matrix of shape {(rows, columns)} is broken: its indices are wrong"
        )
    return (
        values[:stored],
        indices[:stored].astype(np.int32, copy=False),
        bounds.astype(np.int64),
        (rows, columns),
    )


def with_room(array: np.ndarray) -> np.ndarray:
    """The numbers, then zeros up to one of few lengths: a program is planned for each length.

    At most a quarter more, or 64.
    """
    step = max(_LEAST_ROOM, 1 << max(0, (len(array) - 1).bit_length() - 3))
    room = -(-len(array) // step) * step
    if room == len(array) and array.flags.c_contiguous and array.flags.aligned:
        return array
    longer = np.empty(room, array.dtype)
    longer[: len(array)] = array
    longer[len(array) :] = 0
    return longer


def extent_array(shape: tuple[int, int], dtype: str) -> np.ndarray:
    """An array that has the shape of a matrix and takes no memory: nothing reads it."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def _check_columns(columns: Dim, what: str) -> None:
    if isinstance(columns, int) and columns >= _MOST_COLUMNS:
        raise ValueError(f"{what}: a sparse matrix has less than {_MOST_COLUMNS} columns, got {columns}")
