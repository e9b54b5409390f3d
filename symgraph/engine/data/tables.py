"""Users' data as arrays of numbers: tables of pandas and its kind, arrays of objects, tensors of others."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.graph.sparse import is_sparse_matrix
from symgraph.graph.tensor import Tensor


def is_dataset(x: Any) -> bool:
    """Whether `x` is array-like but no numpy array: an HDF5 dataset, or something that is read like one."""
    looks_like_one = hasattr(x, "shape") and hasattr(x, "__getitem__") and not isinstance(x, np.ndarray)
    # Other libraries' tensors have dtypes of their own.
    known = looks_like_one and isinstance(getattr(x, "dtype", None), np.dtype | type | str)
    return known and not is_sparse_matrix(x) and not isinstance(x, Tensor) and not is_table(x)


def is_table(x: Any) -> bool:
    """Whether `x` is a DataFrame, a Series, or another column that can say what it is as an array."""
    return hasattr(x, "to_numpy") or type(x).__name__ in ("DataFrame", "Series")


def numbers(x: Any, label: str) -> Any:
    """`x` as an array; HDF5 datasets and sparse matrices stay what they are.

    Columns of a table may be of different kinds: integers, floats, bools, also those that may lack values,
    which become NaN.

    Parameters
    ----------
    label : str
        What errors say behind "Data", such as " for input_1".

    Raises
    ------
    TypeError
        For categories and objects that are no numbers, naming the column.
    ValueError
        For a list that is no regular array.
    """
    if isinstance(x, np.ndarray):
        return x if x.dtype != object else _of_objects(x, label)
    if is_sparse_matrix(x) or (is_dataset(x) and not isinstance(x, np.generic)):
        return x
    if is_table(x):
        return _of_table(x, label)
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"Data should be a regular array{label}: {error}") from error
    return array if array.dtype != object else _of_objects(array, label)


def _of_table(table: Any, label: str) -> np.ndarray:
    if not hasattr(table, "iloc"):
        return np.asarray(numbers(table.to_numpy() if hasattr(table, "to_numpy") else table.values, label))
    if not hasattr(table, "columns"):
        return _of_column(table, label)
    kinds = [getattr(kind, "kind", "O") for kind in table.dtypes]
    if all(isinstance(kind, np.dtype) for kind in table.dtypes) and set(kinds) <= set("biuf"):
        # A bool among numbers makes pandas give objects.
        return np.asarray(table.to_numpy(np.result_type(*table.dtypes) if kinds else None))
    columns = [
        _of_column(table.iloc[:, i], f" (column {name!r}){label}") for i, name in enumerate(table.columns)
    ]
    return np.stack(columns, axis=1) if columns else np.zeros(table.shape)


def _of_column(column: Any, label: str) -> np.ndarray:
    if str(column.dtype) == "category":
        raise TypeError(
            f"Data should be an array of numbers{label}, got categories: use their codes, or one column each"
        )
    kind = getattr(column.dtype, "numpy_dtype", column.dtype)
    if isinstance(kind, np.dtype) and kind.kind in "biuf" and column.isna().any():
        return np.asarray(column.to_numpy(np.result_type(kind, np.float32), na_value=np.nan))
    array = np.asarray(column.to_numpy(kind) if isinstance(kind, np.dtype) else column.to_numpy())
    if array.dtype == object:
        return _of_objects(array, label)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"Data should be an array of numbers{label}, got dtype {array.dtype}")
    return array


def _of_objects(array: np.ndarray, label: str) -> np.ndarray:
    """Numbers that lie in an array as objects, or arrays of one shape that do."""
    try:
        found = np.array([np.asarray(item) for item in array.flat]) if array.size else np.zeros(0)
    except ValueError as error:
        raise ValueError(f"Data should be a regular array{label}: {error}") from error
    if found.dtype.kind not in "biuf":
        wrong = next((v for v in array.flat if np.asarray(v).dtype.kind not in "biuf"), array.flat[0])
        raise TypeError(f"Data should be an array of numbers{label}, got dtype object with {wrong!r} in it")
    return found.reshape(*array.shape, *found.shape[1:])
