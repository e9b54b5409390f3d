"""The extension `fft` of the Python array API standard 2024.12, as far as it is real: frequencies and shifts.

Transforms are refused by name: their results or operands are complex, and there are no complex dtypes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from symgraph.globals import floatx
from symgraph.graph.dims import Dim, quotient
from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops.create import arange
from symgraph.graph.ops.elementwise import cast, multiply
from symgraph.graph.ops.shape import concatenate
from symgraph.graph.ops.slicing import slice_axis
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import dtype_name, is_float, normalize_axes


def _refused(name: str) -> NoReturn:
    raise NotImplementedError(
        f"{name}: complex dtypes are not supported; cosines and sines can be written as products"
    )


def fft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """Refused: its results are complex."""
    _refused("fft")


def ifft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """Refused: its results are complex."""
    _refused("ifft")


def fftn(
    x: Any, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Tensor:
    """Refused: its results are complex."""
    _refused("fftn")


def ifftn(
    x: Any, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Tensor:
    """Refused: its results are complex."""
    _refused("ifftn")


def rfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """Refused: its results are complex."""
    _refused("rfft")


def irfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """Refused: its operand is complex."""
    _refused("irfft")


def rfftn(
    x: Any, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Tensor:
    """Refused: its results are complex."""
    _refused("rfftn")


def irfftn(
    x: Any, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Tensor:
    """Refused: its operand is complex."""
    _refused("irfftn")


def hfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """Refused: its operand is complex."""
    _refused("hfft")


def ihfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """Refused: its results are complex."""
    _refused("ihfft")


def _frequencies(what: str, n: int, d: float, dtype: Any, device: Any, counts: Any) -> Tensor:
    if isinstance(n, bool) or not hasattr(n, "__index__") or int(n) < 1:
        raise ValueError(f"{what}: expected a positive integer as n, got {n!r}")
    if device not in (None, "cpu"):
        raise ValueError(f"{what}: expected a device of None or 'cpu', got {device!r}")
    kind = dtype_name(dtype or floatx())
    if not is_float(kind):
        raise TypeError(f"{what}: expected a float dtype, got {kind}")
    # In float64, and rounded once.
    return cast(multiply(cast(counts(int(n)), "float64"), 1.0 / (int(n) * d)), kind)


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """Frequencies of the terms of a transform of n samples that lie d apart: 0, 1, ..., -2, -1 over d n."""

    def counts(size: int) -> Tensor:
        return concatenate([arange((size + 1) // 2), arange(-(size // 2), 0)], 0)

    return _frequencies("fftfreq", n, d, dtype, device, counts)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """Frequencies of the terms of a transform of n real samples: 0, 1, ..., n // 2 over d n."""
    return _frequencies("rfftfreq", n, d, dtype, device, lambda size: arange(size // 2 + 1))


def fftshift(x: Any, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """The halves of `axes` exchanged, so that the term of frequency 0 is in the middle; all axes for None."""
    return _shifted(x, axes, lambda size: size - quotient(size, 2))


def ifftshift(x: Any, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """The inverse of `fftshift`."""
    return _shifted(x, axes, lambda size: quotient(size, 2))


def _shifted(x: Any, axes: int | Sequence[int] | None, start: Any) -> Tensor:
    """`x` from element `start(size)` of each axis on, and then those before it."""
    x = x if isinstance(x, Tensor) else as_tensor(x)
    dtype = x.dtype
    for axis in normalize_axes(axes, x.ndim):
        size: Dim = x.shape[axis]
        first = start(size)
        ends = slice_axis(x, axis, first, size - first), slice_axis(x, axis, 0, first)
        x = concatenate(ends, axis)
    return cast(x, dtype)


__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]
