"""Sizes as data and back: shapes that users compute with tensors, and what can be proven of unknown sizes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.graph.dims import (
    Call,
    Dim,
    Expression,
    Unknown,
    any_measured,
    larger,
    measured,
    product,
    smaller,
)
from symgraph.graph.leaves import Constant, DimValue, constant
from symgraph.graph.op import Op
from symgraph.graph.ops.elementwise import Add, Cast, FloorDivide, Maximum, Minimum, Multiply, Subtract
from symgraph.graph.ops.movement import Movement
from symgraph.graph.ops.reduce import Product, Reduction, Sum
from symgraph.graph.tensor import Tensor, call
from symgraph.graph.types import TupleType, is_integer

_ARITHMETIC: dict[type[Op], Callable[[Any, Any], Any]] = {
    Add: operator.add,
    Subtract: operator.sub,
    Multiply: operator.mul,
    FloorDivide: operator.floordiv,
    Minimum: smaller,
    Maximum: larger,
}
# Longer vectors, and deeper arithmetic, are data: no shape is that long.
_MOST_SIZES = 64
_MOST_STEPS = 64


def never_negative(dim: Dim) -> bool:
    """Whether `dim` is proven to be at least 0; sizes themselves are."""
    if isinstance(dim, int):
        return dim >= 0
    if all(factor > 0 and all(map(_not_below_zero, monomial)) for monomial, factor in dim.terms):
        return True
    for monomial, factor in dim.terms:
        atom = monomial[0] if len(monomial) == 1 else None
        # -min(a, b) is at least -a and -b; max(a, b) is at least a and b.
        if isinstance(atom, Call) and atom.function == ("min" if factor < 0 else "max"):
            rest = dim - factor * Expression((((atom,), 1),))
            return any(never_negative(rest + factor * other) for other in atom.arguments)
    return False


def _not_below_zero(atom: Unknown | Call) -> bool:
    """Whether an atom is at least 0, as sizes are; the value of a tensor may be anything."""
    if isinstance(atom, Unknown):
        return atom.source is None
    if atom.function in ("place", "behind") or not any(map(any_measured, atom.arguments)):
        return True
    proven = map(never_negative, atom.arguments)
    return any(proven) if atom.function == "max" else all(proven)


def at_most(a: Dim, b: Dim) -> bool:
    """Whether a <= b is proven."""
    return never_negative(b - a)


def clipped(a: Dim, limit: Dim) -> Dim:
    """The smaller of `a` and `limit`: `a` itself where that is proven."""
    return a if at_most(a, limit) else smaller(a, limit)


def size_values(
    tensor: Tensor, depth: int = 0, known: dict[int, np.ndarray | None] | None = None
) -> np.ndarray | None:
    """The dimensions that an integer tensor holds, as an array of objects; None where it holds data.

    Sees through what users do with shapes: picking, joining, arithmetic and products. `known` has the values
    of tensors, by identity, that were looked at before: one may be met along many paths.
    """
    known = {} if known is None else known
    if id(tensor) not in known:
        known[id(tensor)] = _size_values(tensor, depth, known)
    return known[id(tensor)]


def _size_values(tensor: Tensor, depth: int, known: dict[int, np.ndarray | None]) -> np.ndarray | None:
    op = tensor.op
    if depth > _MOST_STEPS or not _may_hold_sizes(tensor):
        return None
    if isinstance(op, DimValue):
        return _boxed(op.dim)
    if isinstance(op, Constant):
        return _boxed(op.array.astype(object))
    if not isinstance(op, (Cast, Movement, Product, Sum)) and type(op) not in _ARITHMETIC:
        return None
    found = [size_values(source, depth + 1, known) for source in tensor.inputs]
    values = [v for v in found if v is not None]
    if len(values) < len(found):
        return None
    return _boxed(_apply(op, values))


def _may_hold_sizes(tensor: Tensor) -> bool:
    """Whether dtype and shape are those of a size or a short vector of sizes."""
    if isinstance(tensor.type, TupleType) or not is_integer(tensor.dtype):
        return False
    count = product(tensor.shape)
    return isinstance(count, int) and count <= _MOST_SIZES


def _apply(op: Op, values: list[np.ndarray]) -> Any:
    if isinstance(op, Cast):
        return values[0]
    if isinstance(op, Reduction):
        return type(op).function(values[0], axis=op.axes, keepdims=op.keepdims)
    if isinstance(op, Movement):
        return op.reference(*values)
    return np.frompyfunc(_ARITHMETIC[type(op)], 2, 1)(*values)


def _boxed(value: Any) -> np.ndarray:
    """`value` as an array of objects with plain Python integers, whatever its rank."""
    array = np.empty(value.shape if isinstance(value, np.ndarray) else (), object)
    array[...] = value
    for place, item in np.ndenumerate(array):
        if isinstance(item, np.integer):
            array[place] = int(item)
    return array


def as_dim(value: Any, what: str) -> Dim:
    """A size given as an integer, a dimension, or an integer tensor of one element.

    What is made of shapes is known with them; of any other tensor the value is found out when the graph runs.

    Raises
    ------
    TypeError
        It is none of these.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, Expression):
        return value
    if isinstance(value, Tensor):
        return _tensor_dim(value, what)
    raise TypeError(f"{what}: expected an integer or a dimension, got {value!r}")


def _tensor_dim(tensor: Tensor, what: str) -> Dim:
    if isinstance(tensor.type, TupleType) or tensor.sparse or not is_integer(tensor.dtype):
        raise TypeError(f"{what}: expected an integer as a size, got {tensor!r}")
    if any(size != 1 for size in tensor.shape):
        raise TypeError(f"{what}: expected a size, got {tensor!r}, which is not a single number")
    known = size_values(tensor)
    if known is not None:
        result: Dim = known.reshape(-1)[0]
        return result
    scalar = call("reshape", tensor, ()) if tensor.ndim else tensor
    return measured(_source_text(scalar), scalar.serial, scalar)


_SIGNS: dict[type[Op], str] = {Add: "+", Subtract: "-", Multiply: "*", FloorDivide: "//"}


def _source_text(tensor: Tensor, depth: int = 0) -> str:
    """How a size that is the value of `tensor` is shown: a name, or short arithmetic."""
    if tensor.name:
        return tensor.name
    if isinstance(tensor.op, Constant) and tensor.op.array.size == 1:
        return str(tensor.op.array.item())
    if isinstance(tensor.op, DimValue):
        return str(tensor.op.dim)
    if isinstance(tensor.op, Cast):
        return _source_text(tensor.inputs[0], depth)
    sign = _SIGNS.get(type(tensor.op))
    if sign is None or depth > 2:
        return f"value of {str(tensor.op).split('[')[0]}" if tensor.inputs else "value"
    left, right = (_source_text(source, depth + 1) for source in tensor.inputs)
    return f"({left}{sign}{right})"


def as_dims(shape: Any, what: str) -> tuple[Dim, ...]:
    """A shape given as a size, a sequence of sizes, or an integer vector (``K.shape(x)``, or fed).

    TypeError for anything else, and for a vector of unknown length.
    """
    if isinstance(shape, Tensor) and shape.ndim == 1:
        return tuple(_vector_dims(shape, what))
    if isinstance(shape, (int, np.integer, Expression, Tensor)):
        return (as_dim(shape, what),)
    if not isinstance(shape, (Sequence, np.ndarray)) or isinstance(shape, str):
        raise TypeError(f"{what}: expected a shape, got {shape!r}")
    return tuple(as_dim(size, what) for size in shape)


def _vector_dims(tensor: Tensor, what: str) -> list[Dim]:
    """The dimensions that a vector holds; of one joined of others each for itself."""
    known = size_values(tensor)
    if known is not None:
        return list(known)
    if not is_integer(tensor.dtype):
        raise TypeError(f"{what}: expected integers as sizes, got {tensor!r}")
    (length,) = tensor.shape
    if not isinstance(length, int) or length > _MOST_SIZES:
        raise TypeError(f"{what}: expected a shape of known length, got {tensor!r}")
    if type(tensor.op).__name__ == "Concatenate":
        return [dim for part in tensor.inputs for dim in _vector_dims(part, what)]
    if tensor.inputs and length == 1 and isinstance(tensor.op, Movement):
        (source, *others) = tensor.inputs
        if not others and all(size == 1 for size in source.shape):
            return [as_dim(source, what)]
    return [as_dim(call("getitem", tensor, number), what) for number in range(length)]


def checked_shape(shape: Any, what: str) -> tuple[Dim, ...]:
    """`as_dims` without negative sizes. ValueError names the size."""
    dims = as_dims(shape, what)
    for size in dims:
        if isinstance(size, int) and size < 0:
            raise ValueError(f"{what}: expected sizes of at least 0, got {size} in {tuple(map(str, dims))}")
    return dims


def size_tensor(dim: Dim, dtype: str = "int64") -> Tensor:
    """A size as a scalar tensor."""
    return constant(dim, dtype) if isinstance(dim, int) else DimValue(dim, dtype)()


def known(dim: Dim) -> int:
    """A dimension that has become an integer: what references see (see `evaluate.concrete_op`)."""
    assert isinstance(dim, int), f"size {dim} has to be known here"
    return dim


def known_shape(shape: Sequence[Dim]) -> tuple[int, ...]:
    """A shape whose sizes have all become integers."""
    return tuple(known(d) for d in shape)
