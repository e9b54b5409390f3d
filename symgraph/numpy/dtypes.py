"""The standard's dtypes, which are names here, and its functions of dtypes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.globals import floatx
from symgraph.graph.ops import elementwise
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import FLOATS, INTEGERS, dtype_name, promote, working_dtype
from symgraph.numpy.arguments import as_array, check_device

bool = "bool"
int8, int16, int32, int64 = "int8", "int16", "int32", "int64"
uint8, uint16, uint32, uint64 = "uint8", "uint16", "uint32", "uint64"
float16, float32, float64 = "float16", "float32", "float64"

SIGNED = tuple(d for d in INTEGERS if not d.startswith("u"))
UNSIGNED = tuple(d for d in INTEGERS if d.startswith("u"))
_KINDS: dict[str, tuple[str, ...]] = {
    "bool": ("bool",),
    "signed integer": SIGNED,
    "unsigned integer": UNSIGNED,
    "integral": INTEGERS,
    "real floating": ("float16", *FLOATS),
    "complex floating": (),
    "numeric": (*INTEGERS, "float16", *FLOATS),
}


@dataclass(frozen=True)
class finfo_object:
    """What is known of a floating-point dtype."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: str


@dataclass(frozen=True)
class iinfo_object:
    """What is known of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: str


def _dtype_of(value: Any) -> str:
    return value.dtype if isinstance(value, Tensor) else dtype_name(getattr(value, "dtype", value))


def finfo(type: Any, /) -> finfo_object:
    """Width, precision and limits of a floating-point dtype, or that of a tensor."""
    name = _dtype_of(type)
    if name not in _KINDS["real floating"]:
        raise ValueError(f"finfo: expected a floating-point dtype, got {name}")
    known: Any = np.finfo(name)
    return finfo_object(
        int(known.bits),
        float(known.eps),
        float(known.max),
        float(known.min),
        float(known.smallest_normal),
        name,
    )


def iinfo(type: Any, /) -> iinfo_object:
    """Width and limits of an integer dtype, or that of a tensor."""
    name = _dtype_of(type)
    if name not in INTEGERS:
        raise ValueError(f"iinfo: expected an integer dtype, got {name}")
    known: Any = np.iinfo(name)
    return iinfo_object(int(known.bits), int(known.max), int(known.min), name)


def isdtype(dtype: Any, kind: Any) -> Any:
    """Whether `dtype` is `kind`: a dtype, the name of a kind ("integral", ...), or a tuple of these."""
    name = dtype_name(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(name, k) for k in kind)
    if isinstance(kind, str) and kind in _KINDS:
        return name in _KINDS[kind]
    try:
        return name == dtype_name(kind)
    except TypeError:
        kinds = ", ".join(_KINDS)
        raise ValueError(f"isdtype: expected a dtype or one of {kinds}, got {kind!r}") from None


def result_type(*arrays_and_dtypes: Any) -> str:
    """The dtype in which tensors, dtypes and Python numbers meet.

    TypeError for uint64 beside a signed integer, which no integer dtype holds together.
    """
    if not arrays_and_dtypes:
        raise ValueError("result_type: expected at least one tensor or dtype, got none")
    strong: list[Any] = []
    weak: list[Any] = []
    for value in arrays_and_dtypes:
        number = type(value) in (int, float) or value is True or value is False
        (weak if number else strong).append(value)
    found = [working_dtype(_dtype_of(v)) for v in strong] or ["bool"]
    common = promote(*found)
    if any(type(v) is float for v in weak) and common not in FLOATS:
        return working_dtype(floatx())
    if any(type(v) is int for v in weak) and common == "bool":
        return "int32" if strong else "int64"
    return common


def can_cast(from_: Any, to: Any, /) -> Any:
    """Whether a tensor or dtype promotes to `to`, without another kind of dtype."""
    source, target = _dtype_of(from_), dtype_name(to)
    try:
        return source == target or (_kind(source) <= _kind(target) and promote(source, target) == target)
    except TypeError:
        return False


def _kind(name: str) -> int:
    return 0 if name == "bool" else 1 if name in INTEGERS else 2


def astype(x: Any, dtype: Any, /, *, copy: Any = True, device: Any = None) -> Tensor:
    """The same numbers in another dtype (see `K.cast`).

    Tensors never change, so `copy` makes no difference.
    """
    check_device(device)
    return elementwise.cast(as_array(x), dtype_name(dtype))


__all__ = [
    "astype", "bool", "can_cast", "finfo", "float16", "float32", "float64", "iinfo", "int8", "int16",
    "int32", "int64", "isdtype", "result_type", "uint8", "uint16", "uint32", "uint64",
]  # fmt: skip
