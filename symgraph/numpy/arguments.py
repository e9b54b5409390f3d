"""What the functions of this namespace do with their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.graph.leaves import constant
from symgraph.graph.ops.shape import stack
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import FLOATS, dtype_name, is_float

Axis = int | Sequence[int] | None
DEVICE = "cpu"


def check_device(device: Any) -> None:
    """ValueError for a device that is neither None nor ``"cpu"``, the only one."""
    if device is not None and device != DEVICE:
        raise ValueError(f"expected a device of None or {DEVICE!r}, got {device!r}")


def as_array(value: Any) -> Tensor:
    """`value` as a tensor: as it is, or made of an array, of Python numbers, or of a list of these.

    Python integers are int64, floats `K.floatx()`. Lists may hold tensors, which are stacked.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (list, tuple)) and _holds_tensors(value):
        return stack([as_array(item) for item in value])
    if isinstance(value, (np.ndarray, np.generic)) and not isinstance(value, float):
        return constant(value)
    array = np.asarray(value)
    if array.dtype.kind == "O":
        raise TypeError(f"expected a tensor, an array or numbers, got {type(value).__name__}")
    if array.dtype.kind == "i":
        return constant(array, "int64")
    return constant(value)


def _holds_tensors(values: Sequence[Any]) -> bool:
    return any(isinstance(v, Tensor) or (isinstance(v, (list, tuple)) and _holds_tensors(v)) for v in values)


def operands(*values: Any) -> tuple[Any, ...]:
    """Operands of a function of two, ready to meet.

    Beside a tensor arrays and Python numbers stay what they are: they take its dtype as under its operators.
    Beside an array numbers do.
    """
    if any(isinstance(v, Tensor) for v in values):
        lists = [isinstance(v, (list, tuple)) and _holds_tensors(v) for v in values]
        return tuple(as_array(v) if is_list else v for v, is_list in zip(values, lists, strict=True))
    weak = [v for v in values if isinstance(v, (bool, int, float))]
    alone = len(weak) == len(values)
    return tuple(as_array(v) if alone or not isinstance(v, (bool, int, float)) else v for v in values)


def default_sum_dtype(dtype: str) -> str:
    """The dtype of sums and products: int64 of bools and signed integers, uint64 of unsigned ones."""
    if is_float(dtype):
        return dtype
    return "uint64" if dtype.startswith("u") else "int64"


def checked_dtype(dtype: Any, default: str) -> str:
    """The name of `dtype`; the default where it is None."""
    return default if dtype is None else dtype_name(dtype)


def refuse_floats(name: str, *values: Tensor) -> None:
    """TypeError where there are floats."""
    for value in values:
        if value.dtype in FLOATS:
            raise TypeError(f"{name}: expected integers or bools, got {value.dtype}")
