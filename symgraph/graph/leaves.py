"""The nodes that graphs start from: placeholders, variables and constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any, ClassVar

import numpy as np

from symgraph.globals import floatx
from symgraph.graph.dims import Dim, Unknown, evaluate, unknown, unknowns
from symgraph.graph.op import Op
from symgraph.graph.origin import Origin, current
from symgraph.graph.tensor import Tensor, call
from symgraph.graph.types import WORKING, TensorType, Type, dtype_name, is_float, working_dtype

_ALIGNMENT = 64


def aligned_empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """An uninitialised C-ordered array whose data start on a cache line."""
    kind = np.dtype(dtype)
    size = int(np.prod(tuple(shape), dtype=np.int64)) * kind.itemsize
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    array: np.ndarray = raw[start : start + size].view(kind).reshape(tuple(shape))
    return array


@dataclass(frozen=True, eq=False)
class Placeholder(Op):
    """An input, fed at every call.

    `static` placeholders (the learning phase) are part of the choice of Program: each value compiles its own.
    """

    type: TensorType
    static: bool = False
    leaf: ClassVar[bool] = True
    pure: ClassVar[bool] = False

    def infer(self, *types: Any) -> Type:
        """The declared type."""
        return self.type


@dataclass(frozen=True)
class Unmade:
    """A value that is made when it is first needed: never, where another one is stored before.

    `make` gives a new array of this shape and dtype.
    """

    make: Callable[[], np.ndarray]
    shape: tuple[int, ...]
    dtype: str


class Storage:
    """The memory of a variable.

    Once `array` was asked for it never moves, so compiled programs may hold its address. Every write
    increments `version`, which invalidates what was derived from the old value.
    """

    __slots__ = ("_array", "_lock", "_make", "_placed", "dtype", "name", "shape", "version")

    def __init__(self, value: np.ndarray | Unmade, name: str | None, own: bool = False) -> None:
        self.name = name
        self.shape = value.shape
        self.dtype = np.dtype(value.dtype)
        self.version = 0
        self._array: np.ndarray | None = None
        self._make: Callable[[], np.ndarray] | None = None
        self._placed = False
        # Two threads may plan Programs that read the variable.
        self._lock = RLock()
        if isinstance(value, Unmade):
            self._make = value.make
        else:
            self._put(value, own)

    @property
    def array(self) -> np.ndarray:
        """The array, in its lasting place."""
        with self._lock:
            self._placed = True
            return self._made()

    def copy(self) -> np.ndarray:
        """A copy of the value."""
        with self._lock:
            return self._made().copy()

    def store(self, value: np.ndarray, own: bool = False) -> None:
        """Replace the value by another one of the same shape.

        `own`: nobody else holds `value`, which then becomes the memory itself if that was not asked for yet.
        """
        with self._lock:
            self._put(value, own)
            self.version += 1

    def _made(self) -> np.ndarray:
        if self._array is None:
            assert self._make is not None
            self._put(self._make(), own=True)
        assert self._array is not None
        return self._array

    def _put(self, value: np.ndarray, own: bool) -> None:
        placed = self._placed and self._array is not None
        if own and not placed and self._suits(value):
            self._array = value
        else:
            if self._array is None:
                self._array = aligned_empty(self.shape, self.dtype)
            self._array[...] = value
        self._make = None

    def _suits(self, value: np.ndarray) -> bool:
        """Whether `value` can be the memory as it is."""
        usable = value.dtype == self.dtype and value.flags.c_contiguous and value.flags.writeable
        return usable and value.ctypes.data % _ALIGNMENT == 0


@dataclass(frozen=True, eq=False)
class VariableRead(Op):
    """The present value of a variable."""

    storage: Storage
    leaf: ClassVar[bool] = True
    pure: ClassVar[bool] = False

    def __str__(self) -> str:
        return "variable"

    def infer(self, *types: Any) -> Type:
        """The type of the stored array."""
        return TensorType(self.storage.dtype.name, self.storage.shape)

    def reference(self, *arrays: Any) -> Any:
        """A copy of the stored array."""
        return self.storage.copy()


class Variable(Tensor):
    """A tensor with a value that lives on between calls.

    Attributes
    ----------
    default_update : Tensor or None
        New value that every Function which reads this variable stores after its own outputs (random states).
    constraint : callable or None
        Keras' projection, applied by optimizers after an update.
    first_value : callable or None
        Makes a value such as the variable began with; None where that is not kept.

    Parameters
    ----------
    value : array-like or Unmade
    own : bool
        Whether nobody else holds the array, which need not be copied then.
    """

    __slots__ = ("constraint", "default_update", "first_value", "trainable")

    def __init__(
        self,
        value: Any,
        dtype: str | None = None,
        name: str | None = None,
        constraint: Any = None,
        own: bool = False,
    ) -> None:
        if not isinstance(value, Unmade):
            array = np.asarray(value)
            value = _held(array, dtype_name(dtype or array.dtype), "variable")
        op = VariableRead(Storage(value, name, own))
        super().__init__(op, (), op.infer(), current(), name)
        self.default_update: Tensor | None = None
        self.constraint = constraint
        self.first_value: Callable[[], Any] | None = None
        self.trainable = True

    @property
    def initializer(self) -> FirstValue:
        """What starts this variable anew: ``variable.initializer.run()``, as in TensorFlow 1."""
        return FirstValue(self)

    @property
    def storage(self) -> Storage:
        """Where the value lies."""
        assert isinstance(self.op, VariableRead)
        return self.op.storage

    def get_value(self) -> np.ndarray:
        """A copy of the value."""
        return self.storage.copy()

    def set_value(self, value: Any) -> None:
        """Replace the value; see `checked`, nothing is stored where that raises."""
        self.storage.store(self.checked(value))

    def checked(self, value: Any) -> np.ndarray:
        """`value` as an array that can be stored.

        ValueError where the shape differs, or where an integer or bool variable cannot hold the numbers as
        they are; TypeError where it is not made of numbers.
        """
        array = np.asarray(value)
        if array.shape != self.storage.shape:
            raise ValueError(
                f"variable {self.name}: expected a value of shape {self.storage.shape}, got {array.shape}"
            )
        if array.dtype.kind not in "biuf":
            raise TypeError(f"variable {self.name}: expected numbers, got dtype {array.dtype}")
        if is_float(self.dtype):
            return array
        with np.errstate(invalid="ignore"):
            converted = array.astype(self.storage.dtype)
        if not np.array_equal(converted, array):
            raise ValueError(
                f"variable {self.name}: values of dtype {array.dtype} do not fit into {self.dtype}"
            )
        return converted


@dataclass(frozen=True)
class FirstValue:
    """The act of starting a variable anew, with a value made (random ones: drawn) as its first one was."""

    variable: Variable

    def run(self, feed_dict: Any = None, session: Any = None) -> None:
        """Store the value. ValueError where the variable does not know how its first one was made."""
        if self.variable.first_value is None:
            raise ValueError(f"variable {self.variable.name}: its first value was not kept; use K.set_value")
        self.variable.set_value(self.variable.first_value())


@dataclass(frozen=True, eq=False)
class Constant(Op):
    """A fixed array.

    Equal only to a constant of the same dtype, shape and bits: 1, 1.0, True and -0.0 stay apart.
    """

    array: np.ndarray
    leaf: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"constant {self.array[()]}" if self.array.ndim == 0 else "constant"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, tuple[int, ...], bytes]:
        return self.array.dtype.name, self.array.shape, self.array.tobytes()

    def infer(self, *types: Any) -> Type:
        """The array's type."""
        return TensorType(self.array.dtype.name, self.array.shape)

    def reference(self, *arrays: Any) -> Any:
        """The array."""
        return self.array


@dataclass(frozen=True)
class DimValue(Op):
    """A size as a scalar: known when a plan is made, so it costs nothing at run time."""

    dim: Dim
    dtype: str
    leaf: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"size {self.dim}"

    def infer(self, *types: Any) -> Type:
        """A scalar."""
        return TensorType(self.dtype, ())

    def value(self, sizes: dict[Unknown, int]) -> np.ndarray:
        """The size as an array, for known `sizes`."""
        return np.asarray(evaluate(self.dim, sizes), self.dtype)


def placeholder(
    shape: Sequence[int | Dim | None] | None = None,
    ndim: int | None = None,
    dtype: str | None = None,
    name: str | None = None,
    static: bool = False,
) -> Tensor:
    """An input of a graph.

    Parameters
    ----------
    shape : sequence of int, None or dimension
        None stands for a size that data will tell; every None is a size of its own.
    ndim : int, optional
        Number of axes of unknown size, where no shape is given.
    dtype : str, optional
        Default: `K.floatx()`.
    """
    for role, given in (("shape", shape), ("ndim", ndim)):
        if isinstance(given, str):
            what = "sizes" if role == "shape" else "a number of axes"
            raise TypeError(
                f"placeholder: {role}: expected {what}, got {given!r}; a name is given as name=..."
            )
    if shape is None:
        if ndim is None:
            raise ValueError("placeholder: give a shape or ndim")
        shape = (None,) * ndim
    label = "N" if name is None else f"N_{name}"
    sizes: list[Dim] = []
    for axis, size in enumerate(shape):
        if size is None:
            sizes.append(unknown(label if axis == 0 else f"{label}{axis}"))
        elif isinstance(size, (int, np.integer)):
            if size < 0:
                raise ValueError(f"placeholder {name}: negative size {size} in shape {tuple(shape)}")
            sizes.append(int(size))
        else:
            dim: Any = call("as_dim", size, f"placeholder {name}")
            sizes.append(dim)
    op = Placeholder(TensorType(dtype_name(dtype or floatx()), tuple(sizes)), static)
    return Tensor(op, (), op.type, current(), name)


def _held(array: np.ndarray, dtype: str, what: str) -> np.ndarray:
    """`array` in another dtype. ValueError where an integer dtype cannot hold its numbers (but fractions)."""
    if is_float(dtype) or dtype in ("bool", array.dtype.name) or not array.size:
        return array.astype(dtype, copy=False)
    if array.dtype.kind in "iuf":
        ends, limits = (array.min(), array.max()), np.iinfo(dtype)
        # Python's integers compare exactly, numpy's with floats do not.
        if not np.isfinite(ends).all() or not limits.min <= int(ends[0]) <= int(ends[1]) <= limits.max:
            raise ValueError(f"{what}: numbers from {ends[0]} to {ends[1]} do not fit into {dtype}")
    return array.astype(dtype)


def constant(
    value: Any, dtype: str | None = None, name: str | None = None, origins: tuple[Origin, ...] | None = None
) -> Tensor:
    """A fixed value. Python floats take `K.floatx()`, Python integers int32 (int64 where they do not fit)."""
    array = np.asarray(value)
    if dtype is None:
        is_array = isinstance(value, (np.ndarray, np.generic))
        if array.dtype.kind == "f" and not is_array:
            dtype = floatx()
        elif array.dtype.kind == "i" and not is_array:
            fits = array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)
            dtype = "int32" if fits else "int64"
        else:
            dtype = array.dtype.name
    array = np.array(_held(array, dtype_name(dtype), "constant"), copy=True, order="C")
    array.flags.writeable = False
    return Constant(array)(name=name, origins=origins)


def as_tensor(value: Any, like: str | None = None) -> Tensor:
    """`value` as a tensor to compute with: in its working dtype where it is only stored in another.

    Python scalars are weak: they take the dtype `like` of what they meet.

    A Python float meeting an integer or bool dtype takes `K.floatx()`; an int meeting bool stays int32.
    ValueError for an int that does not fit into the dtype that it meets.
    """
    tensor = value if isinstance(value, Tensor) else _constant_like(value, like)
    stored = isinstance(tensor.type, TensorType) and tensor.type.dtype in WORKING
    return _widened(tensor) if stored else tensor


def as_stored(value: Any, dtype: str) -> Tensor:
    """`value` as a tensor for a place of `dtype`, cast where that is stored only and computed in another."""
    tensor = value if isinstance(value, Tensor) else as_tensor(value, working_dtype(dtype))
    return call("cast", tensor, dtype) if tensor.dtype == working_dtype(dtype) != dtype else tensor


def _widened(tensor: Tensor) -> Tensor:
    if tensor.sparse:
        raise TypeError(f"{tensor.dtype} is a dtype to store dense tensors in, got {tensor!r}")
    return call("cast", tensor, working_dtype(tensor.dtype))


def _constant_like(value: Any, like: str | None) -> Tensor:
    if like is not None and isinstance(value, (bool, int, float)):
        if isinstance(value, bool):
            return constant(value, "bool")
        if isinstance(value, float):
            return constant(value, like if is_float(like) else floatx())
        dtype = "int32" if like == "bool" else like
        if not is_float(dtype) and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
            raise ValueError(f"the number {value} does not fit into {dtype}, the dtype of the other operand")
        return constant(value, dtype)
    if value is None or isinstance(value, (str, bytes)):
        raise TypeError(f"expected a tensor, an array or a number, got {value!r}")
    return constant(value)


def constant_value(tensor: Tensor) -> np.ndarray | None:
    """The array of a constant node, None for any other node."""
    return tensor.op.array if isinstance(tensor.op, Constant) else None


def free_sizes(tensor: Tensor) -> set[Unknown]:
    """The unknown sizes in a tensor's shape."""
    return {u for dim in tensor.shape for u in unknowns(dim)}
