"""Locations of operands, without their data: the arguments of kernels' planning functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from symgraph.kernels.run.machine import Address, Lease, Row, Table
from symgraph.kernels.run.threads import get_num_threads


@dataclass(frozen=True, slots=True)
class Buffer:
    """A strided array at `offset` bytes into base number `base`; shape in elements, strides in bytes.

    `room` gives memory that is kept between calls, for what is made of this buffer alone: rows that fill it
    are marked as lasting, and run again only after the buffer has changed. None where calls may change it.
    """

    base: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype
    room: Callable[[Sequence[int], Any], Buffer] | None = field(default=None, compare=False, repr=False)

    @property
    def address(self) -> Address:
        """The first element's place."""
        return Address(self.base, self.offset)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=object))

    @property
    def nbytes(self) -> int:
        """Bytes of the elements (not of the gaps between them)."""
        return self.size * self.dtype.itemsize

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie in C order without gaps."""
        return (
            self.strides == contiguous_strides(self.shape, self.dtype.itemsize)
            or self._is_trivially_contiguous()
        )

    def _is_trivially_contiguous(self) -> bool:
        if 0 in self.shape:
            return True
        expected = self.dtype.itemsize
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size != 1 and stride != expected:
                return False
            expected *= size
        return True

    def reshape(self, shape: Sequence[int]) -> Buffer:
        """The same contiguous elements under another shape."""
        assert self.contiguous, "only a contiguous buffer can be reshaped"
        return replace(self, shape=tuple(shape), strides=contiguous_strides(shape, self.dtype.itemsize))

    def transpose(self, axes: Sequence[int]) -> Buffer:
        """The axes in another order: `axes[i]` of this buffer becomes axis i."""
        return replace(
            self, shape=tuple(self.shape[a] for a in axes), strides=tuple(self.strides[a] for a in axes)
        )

    def broadcast(self, shape: Sequence[int]) -> Buffer:
        """Stretched to `shape` by numpy's rules: stretched axes get stride 0."""
        missing = len(shape) - len(self.shape)
        sizes = (1,) * missing + self.shape
        strides = (0,) * missing + self.strides
        return replace(
            self,
            shape=tuple(shape),
            strides=tuple(0 if s == 1 else t for s, t in zip(sizes, strides, strict=True)),
        )


def contiguous_strides(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Byte strides of a C-ordered array of `shape`."""
    strides = [itemsize] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return tuple(strides)


def check_float(dtype: np.dtype) -> None:
    """Refuse what is neither float32 nor float64."""
    if dtype not in (np.dtype("f4"), np.dtype("f8")):
        raise TypeError(f"expected a float32 or float64 operand, got {dtype}")


def check_bias(bias: Buffer | None, features: int, dtype: np.dtype, what: str, steps: str = "") -> None:
    """Refuse a bias that is not one contiguous number of `dtype` for each of `features`, and of `steps`."""
    shape = (len(steps), features) if steps else (features,)
    if bias is None:
        if steps:
            raise ValueError(f"{what}: expected vectors for the steps {steps}, got none")
    elif bias.shape != shape or bias.dtype != dtype or not bias.contiguous:
        raise ValueError(
            f"{what}: expected a contiguous bias of shape {shape} and dtype {dtype}, got shape "
            f"{bias.shape} and dtype {bias.dtype}"
        )


def check_addend(addend: Buffer | None, out: Buffer, what: str) -> None:
    """Refuse what is to be added to `out` and not laid out like it; without elements any layout will do."""
    if addend is None:
        return
    alike = (addend.shape, addend.dtype) == (out.shape, out.dtype)
    if not alike or (out.size and addend.strides != out.strides):
        raise ValueError(
            f"{what}: expected an addend of shape {out.shape}, strides {out.strides} and dtype {out.dtype}, "
            f"got {addend.shape}, {addend.strides} and {addend.dtype}"
        )


def optional(**arrays: np.ndarray | None) -> tuple[list[np.ndarray], Callable[..., dict[str, Any]]]:
    """The arrays that are given, for `launch`, and what gives their buffers their names back."""
    given = {name: array for name, array in arrays.items() if array is not None}
    return list(given.values()), lambda *buffers: dict(zip(given, buffers, strict=True))


class _ArrayInterface:
    """What numpy makes a view of."""

    __slots__ = ("__array_interface__",)

    def __init__(self, address: int, buffer: Buffer) -> None:
        self.__array_interface__: dict[str, Any] = {
            "data": (address, False),
            "shape": buffer.shape,
            "strides": buffer.strides,
            "typestr": buffer.dtype.str,
            "version": 3,
        }


def array_at(address: int, buffer: Buffer) -> np.ndarray:
    """The strided array at an address that is like `buffer`, as a view."""
    if 0 in buffer.shape:
        return np.empty(buffer.shape, buffer.dtype)
    return np.asarray(_ArrayInterface(address, buffer))


class Place:
    """Makes arrays like a buffer at addresses. At the address of the call before it gives the same view."""

    __slots__ = ("_buffer", "_last")

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._last: tuple[int, np.ndarray | None] = (0, None)

    def __call__(self, address: int) -> np.ndarray:
        """As `array_at`. Several threads may call."""
        known, array = self._last
        if array is None or known != address:
            array = array_at(address, self._buffer)
            self._last = (address, array)
        return array


Scratch = Callable[[Sequence[int], np.dtype | type | str], Buffer]
"""Gives a contiguous buffer of a shape and dtype that lives as long as the rows being planned."""


def launch(
    plan: Callable[..., list[Row]], *arrays: np.ndarray, threads: int | None = None, **options: object
) -> None:
    """Plan rows for real arrays and run them at once: what the numpy-callable form of every kernel does.

    ``plan(*buffers, threads=, scratch=, **options)`` gets one `Buffer` per array. Outputs are arrays too.
    """
    threads = threads or get_num_threads()
    held = list(arrays)

    def scratch(shape: Sequence[int], dtype: np.dtype | type | str) -> Buffer:
        array = np.empty(shape, dtype)
        held.append(array)
        return Buffer(
            len(held) - 1, 0, array.shape, contiguous_strides(array.shape, array.itemsize), array.dtype
        )

    buffers = [Buffer(i, 0, a.shape, a.strides, a.dtype) for i, a in enumerate(arrays)]
    rows = plan(*buffers, threads=threads, scratch=scratch, **options)
    lease = Lease(Table(rows, threads), len(held))
    lease.bases[:] = [a.__array_interface__["data"][0] for a in held]
    lease.run()
