"""From the user's values to the arrays that placeholders need, or one clear error."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from symgraph.graph.evaluate import bind_shape
from symgraph.graph.sparse import (
    SparseTensor,
    csr_arrays,
    extent_array,
    is_sparse_matrix,
    with_room,
)
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float


def as_feeds(value: Any, target: Tensor) -> list[np.ndarray]:
    """`value` as the arrays that `target` is fed with: one, or for a sparse tensor its shape and its arrays.

    Raises as `as_feed`; TypeError where a sparse tensor gets something else, ValueError for a broken matrix.
    """
    if not isinstance(target, SparseTensor):
        return [as_feed(value, target)]
    if not is_sparse_matrix(value):
        is_array = isinstance(value, np.ndarray)
        got = f"a dense array of shape {value.shape}" if is_array else type(value).__name__
        raise TypeError(f"{label(target)}: expected a sparse matrix of scipy, got {got}")
    bind_shape(target, value.shape, {})
    values, indices, bounds, shape = csr_arrays(value, label(target))
    arrays = with_room(as_feed(values, target)), with_room(indices), bounds
    return [extent_array(shape, target.dtype), *arrays]


def is_plain(value: Any, dtype: np.dtype) -> bool:
    """Whether `value` is an array of this very dtype (numpy has one object each) that needs no copy."""
    return (
        type(value) is np.ndarray
        and value.dtype is dtype
        and (flags := value.flags).c_contiguous
        and flags.aligned
    )


def as_feed(value: Any, target: Tensor) -> np.ndarray:
    """`value` as a C-contiguous array of the placeholder's dtype.

    Numbers and bools are converted as Keras does. TypeError or ValueError where `value` is none (objects,
    text, complex), where a fraction would be cut into an integer, or where a number is too large.
    """
    array = value if isinstance(value, np.ndarray) else _as_array(value, target)
    if _name(array.dtype) != target.dtype:
        array = _converted(array, target)
    if array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative:
        return array
    return np.array(array, dtype=target.dtype, order="C")


@cache
def _name(dtype: np.dtype) -> str:
    """``dtype.name``, which numpy puts together anew every time."""
    return dtype.name


def label(target: Tensor) -> str:
    """How errors name a fed tensor."""
    return f"input {target.name!r}" if target.name else f"input {target!r}"


def _as_array(value: Any, target: Tensor) -> np.ndarray:
    if isinstance(value, Tensor):
        raise TypeError(f"{label(target)}: expected an array, got the symbolic tensor {value!r}")
    if is_sparse_matrix(value):
        raise TypeError(
            f"{label(target)}: expected a dense array, got a sparse matrix; give its toarray(), or make the "
            "input with sparse=True"
        )
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"{label(target)}: expected an array of {target.type}, got ragged data: {error}"
        ) from error
    return array


def _converted(array: np.ndarray, target: Tensor) -> np.ndarray:
    wanted = target.dtype
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{label(target)}: expected numbers of dtype {wanted}, got dtype {array.dtype}")
    if is_float(wanted) or wanted == "bool":
        try:
            with np.errstate(over="raise"):
                return array.astype(wanted)
        except FloatingPointError as error:
            raise ValueError(
                f"{label(target)}: a value of dtype {array.dtype} is too large for {wanted}"
            ) from error
    with np.errstate(invalid="ignore"):
        converted = array.astype(wanted)
    if not np.array_equal(converted, array):
        raise ValueError(f"{label(target)}: values of dtype {array.dtype} do not fit into {wanted} unchanged")
    return converted
