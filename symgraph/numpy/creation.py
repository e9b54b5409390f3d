"""The standard's creation functions. A shape may hold sizes of tensors that data will tell.

`device` may be None or ``"cpu"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.globals import floatx
from symgraph.graph.leaves import constant
from symgraph.graph.ops import create, elementwise
from symgraph.graph.ops.linalg import matrices
from symgraph.graph.ops.shape import broadcast_to, reshape
from symgraph.graph.ops.slicing import pad, slice_axis
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import dtype_name, is_float, promote, working_dtype
from symgraph.numpy.arguments import as_array, check_device, checked_dtype


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor of an array, of numbers, or of (nested) lists of numbers and tensors.

    Arrays keep their dtype; Python integers are int64, floats `K.floatx()`. Tensors never change, so `copy`
    makes no difference.
    """
    check_device(device)
    if dtype is not None and not isinstance(obj, (Tensor, list, tuple)):
        return constant(obj, dtype_name(dtype))
    made = as_array(obj)
    return made if dtype is None else elementwise.cast(made, dtype_name(dtype))


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A constant of what another library holds in memory; tensors come back as they are."""
    check_device(device)
    return x if isinstance(x, Tensor) else constant(np.from_dlpack(x))


def _default(*values: Any) -> str:
    """The dtype of Python numbers: bool, int64 or `K.floatx()`; that of tensors."""
    found = [as_array(v).dtype for v in values if v is not None]
    return promote(*(working_dtype(d) for d in found))


def arange(
    start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """Numbers from `start` (0 where only one bound is given) up to but without `stop`.

    int64 of integers, else `K.floatx()`.
    """
    check_device(device)
    kind = checked_dtype(dtype, _default(start, stop, step))
    if stop is None:
        start, stop = 0, start
    return create.arange(start, stop, step, dtype="int64" if kind == "bool" else kind)


def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros: nothing here has undefined numbers."""
    return zeros(shape, dtype=dtype, device=device)


def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros of the shape of `x`."""
    return zeros_like(x, dtype=dtype, device=device)


def eye(n_rows: Any, n_cols: Any = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Tensor:
    """A matrix with ones on diagonal `k` (above the main one for k > 0), and zeros elsewhere."""
    check_device(device)
    columns = n_rows if n_cols is None else n_cols
    kind = checked_dtype(dtype, floatx())
    if not k:
        return create.eye(n_rows, columns, kind)
    # Columns of a wider or taller identity matrix, of which the diagonal has moved out.
    if k > 0:
        wide = create.eye(n_rows, columns, kind)
        moved = pad(wide, [(0, 0), (k, 0)])
        return slice_axis(moved, 1, 0, columns)
    return slice_axis(pad(create.eye(n_rows, columns, kind), [(-k, 0), (0, 0)]), 0, 0, n_rows)


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """One number everywhere: bool, int64 or `K.floatx()` as the number is, where no dtype is given."""
    check_device(device)
    kind = checked_dtype(dtype, _default(fill_value))
    return create.full(_shape(shape), fill_value, kind)


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """One number everywhere, in the shape and (without another) the dtype of `x`."""
    x = as_array(x)
    return full(x.shape, fill_value, dtype=dtype or x.dtype, device=device)


def linspace(
    start: Any,
    stop: Any,
    /,
    num: int,
    *,
    dtype: Any = None,
    device: Any = None,
    endpoint: bool = True,
) -> Tensor:
    """`num` numbers at equal distances from `start` to `stop`, which is one of them or (without) the next."""
    check_device(device)
    default = _default(start, stop)
    kind = checked_dtype(dtype, default if is_float(default) else floatx())
    if all(isinstance(v, (int, float)) for v in (start, stop)):
        return constant(np.linspace(start, stop, num, endpoint=endpoint).astype(kind))
    if num < 0:
        raise ValueError(f"linspace: expected at least 0 numbers, got {num}")
    working = working_dtype(kind) if is_float(kind) else working_dtype(floatx())
    parts = max(num - 1 if endpoint else num, 1)
    first, last = (elementwise.cast(as_array(v), working) for v in (start, stop))
    places = create.arange(num, dtype=working) / parts
    made = first * (1 - places) + last * places
    return elementwise.cast(made, kind)


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Tensor]:
    """Coordinates of a grid: each vector stretched along the axes of all others.

    With `indexing` "xy" the first two axes are exchanged: rows are those of the second vector.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: expected an indexing of 'xy' or 'ij', got {indexing!r}")
    tensors = [as_array(a) for a in arrays]
    if any(t.ndim > 1 for t in tensors):
        raise ValueError(f"meshgrid: expected vectors, got {[str(t.type) for t in tensors]}")
    vectors = [reshape(t, (-1,)) if t.ndim else reshape(t, (1,)) for t in tensors]
    count = len(vectors)
    places = list(range(count))
    if indexing == "xy" and count > 1:
        places[:2] = [1, 0]
    shape = [vectors[i].shape[0] for i in places]
    made = []
    for vector, place in zip(vectors, places, strict=True):
        thin = tuple(vector.shape[0] if a == place else 1 for a in range(count))
        made.append(broadcast_to(reshape(vector, thin), shape))
    return made


def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones; of `K.floatx()` where no dtype is given."""
    return full(shape, 1, dtype=dtype or floatx(), device=device)


def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones in the shape and (without another) the dtype of `x`."""
    return full_like(x, 1, dtype=dtype, device=device)


def tril(x: Any, /, *, k: int = 0) -> Tensor:
    """The elements of each matrix on diagonal `k` and below, zeros above."""
    return matrices.tril(as_array(x), k)


def triu(x: Any, /, *, k: int = 0) -> Tensor:
    """The elements of each matrix on diagonal `k` and above, zeros below."""
    return matrices.triu(as_array(x), k)


def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros; of `K.floatx()` where no dtype is given."""
    return full(shape, 0, dtype=dtype or floatx(), device=device)


def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros in the shape and (without another) the dtype of `x`."""
    return full_like(x, 0, dtype=dtype, device=device)


def _shape(shape: Any) -> Any:
    """A shape; an integer is that of a vector."""
    return shape if isinstance(shape, (Sequence, np.ndarray)) else (shape,)


__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "linspace",
    "meshgrid", "ones", "ones_like", "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip
