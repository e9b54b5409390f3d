"""What a tensor is: its dtype and its shape, and the rules by which dtypes meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symgraph.graph.dims import Dim, shape_text

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
"""The integer dtypes (bool is none)."""
FLOATS = ("float32", "float64")
"""The floating-point dtypes that are computed in."""
DTYPES = ("bool", *INTEGERS, *FLOATS)
"""The dtypes that are computed in."""
COMMON = ("bool", "uint8", "int32", "int64", *FLOATS)
"""Those of them that ops are sampled in most: the others share the code of one that is as wide."""
WORKING = {"float16": "float32"}
"""The dtypes that values are stored in only, and those that they are computed in."""


def dtype_name(dtype: object) -> str:
    """The canonical name of `dtype`.

    Raises
    ------
    TypeError
        `dtype` is neither one of `DTYPES` nor of those that are stored only.
    """
    try:
        name = str(np.dtype(dtype).name)  # type: ignore[call-overload]
    except (TypeError, ValueError, SyntaxError):  # numpy parses text, which may be anything
        name = str(dtype)[:80]
    if name not in DTYPES and name not in WORKING:
        known = f"{', '.join(DTYPES)}; to store in, {', '.join(WORKING)}"
        raise TypeError(f"dtype {name} is not supported: expected one of {known}")
    return name


def working_dtype(dtype: str) -> str:
    """The dtype that values stored in `dtype` are computed in: for most it is `dtype` itself."""
    return WORKING.get(dtype, dtype)


def promote(*dtypes: str) -> str:
    """The dtype in which `dtypes` meet: the narrowest that holds all; floats are wider than integers.

    Bools and integers meet as the Array API standard has it. TypeError for uint64 beside a signed integer:
    no integer dtype holds both.
    """
    floats = [d for d in dtypes if d in FLOATS]
    if floats:
        return max(floats, key=FLOATS.index)
    common = np.result_type(*dtypes).name
    if common not in DTYPES or is_float(common):
        raise TypeError(
            f"no integer dtype holds all values of {' and '.join(dict.fromkeys(dtypes))}; use K.cast"
        )
    return common


def is_float(dtype: str) -> bool:
    """Whether `dtype` is a floating-point type."""
    return dtype.startswith("float")


def is_integer(dtype: str) -> bool:
    """Whether `dtype` is an integer type (bool is not)."""
    return "int" in dtype


@dataclass(frozen=True, slots=True)
class TensorType:
    """A dtype and a shape; any axis may have an unknown size."""

    dtype: str
    shape: tuple[Dim, ...]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}{shape_text(self.shape)}"


@dataclass(frozen=True, slots=True)
class TupleType:
    """The type of a node with several results: taken apart by the op `Part`, never seen by users."""

    items: tuple[TensorType, ...]

    def __str__(self) -> str:
        return "(" + ", ".join(map(str, self.items)) + ")"


Type = TensorType | TupleType


def normalize_axis(axis: int, ndim: int, what: str = "axis") -> int:
    """`axis` counted from the front. ValueError where it lies outside [-ndim, ndim)."""
    if not -ndim <= axis < ndim:
        raise ValueError(f"{what} {axis} is out of range for a tensor of {ndim} dimensions")
    return axis % ndim


def normalize_axes(axes: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front, sorted, each once; None means all of them."""
    if axes is None:
        return tuple(range(ndim))
    if isinstance(axes, (int, np.integer)):
        axes = (int(axes),)
    chosen = sorted(normalize_axis(int(a), ndim) for a in axes)
    if len(set(chosen)) != len(chosen):
        raise ValueError(f"axis given twice: {tuple(axes)} for a tensor of {ndim} dimensions")
    return tuple(chosen)
