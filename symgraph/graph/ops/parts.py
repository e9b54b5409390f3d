"""Tensors with parts of them changed: ``x.at[key].set(v)`` as in JAX, `set_subtensor` as in Theano."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.graph.dims import product, shape_text
from symgraph.graph.leaves import as_tensor, constant
from symgraph.graph.ops.create import arange
from symgraph.graph.ops.elementwise import cast, maximum, minimum
from symgraph.graph.ops.index import Gather, as_indices, gather, getitem
from symgraph.graph.ops.scatter import HOWS, changed
from symgraph.graph.ops.shape import Reshape, broadcast_to, reshape, transpose
from symgraph.graph.ops.slicing import Slice, add_slice, set_slice
from symgraph.graph.symbolic import brief
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float, normalize_axis, promote


class At:
    """The parts of a tensor: ``x.at[key]`` is one of them, to be changed."""

    def __init__(self, x: Tensor) -> None:
        self._x = as_tensor(x)

    def __getitem__(self, key: Any) -> Places:
        return Places(self._x, key)

    def __repr__(self) -> str:
        return f"<at of {self._x!r}>"


class Places:
    """The places ``x[key]``: methods give x with these changed, and leave x as it is.

    Values are tensors, arrays or numbers that broadcast to the shape of ``x[key]``, of a dtype that x's can
    hold. Where a key names a place more than once, `set` keeps the last value, the others take all of them.

    Raises
    ------
    TypeError
        x cannot hold the dtype of the values.
    ValueError
        They do not broadcast; when the graph runs: an index is out of range.
    """

    def __init__(self, x: Tensor, key: Any) -> None:
        self._x = x
        self._key = key
        self._part = getitem(x, key)

    def __repr__(self) -> str:
        return f"<places {self._key!r} of {self._x!r}>"

    def get(self) -> Tensor:
        """``x[key]``."""
        return self._part

    def set(self, values: Any) -> Tensor:
        """``x[key] = values``."""
        return self._changed("set", self._values("set", values))

    def add(self, values: Any) -> Tensor:
        """``x[key] += values``, once for each time that a place is named."""
        return self._changed("add", self._numbers("add", values))

    def subtract(self, values: Any) -> Tensor:
        """``x[key] -= values``, once for each time that a place is named."""
        return self._changed("add", -self._numbers("subtract", values))

    def multiply(self, values: Any) -> Tensor:
        """``x[key] *= values``, once for each time that a place is named."""
        return self._changed("multiply", self._numbers("multiply", values))

    def divide(self, values: Any) -> Tensor:
        """``x[key] /= values``, once for each time that a place is named. TypeError for integers."""
        if not is_float(self._x.dtype):
            raise TypeError(f"x.at[key].divide: expected floats, got {self._x!r}")
        return self._changed("multiply", 1 / self._numbers("divide", values))

    def min(self, values: Any) -> Tensor:
        """The least of ``x[key]`` and all values for each place; NaN where one of them is."""
        return self._changed("min", self._values("min", values))

    def max(self, values: Any) -> Tensor:
        """The greatest of ``x[key]`` and all values for each place; NaN where one of them is."""
        return self._changed("max", self._values("max", values))

    def _numbers(self, how: str, values: Any) -> Tensor:
        if self._x.dtype == "bool":
            raise TypeError(f"x.at[key].{how}: expected numbers, got {self._x!r}")
        return self._values(how, values)

    def _values(self, how: str, values: Any) -> Tensor:
        """The values in the dtype of x and the shape of the part."""
        what = f"x.at[key].{how}"
        made = _held_values(what, values, self._x)
        try:
            return broadcast_to(made, self._part.shape)
        except ValueError:
            raise ValueError(
                f"{what}: expected values that broadcast to {shape_text(self._part.shape)}, got {made.type}"
            ) from None

    def _changed(self, how: str, made: Tensor) -> Tensor:
        """x after the change: rows, slices, or single places, found by where their numbers go."""
        x, part = self._x, self._part
        if isinstance(part.op, Gather) and part.op.axis == 0 and part.inputs[0] is x:
            return changed(how, x, part.inputs[1], made)
        if self._is_slice():
            return self._sliced(how, made)
        numbers = reshape(arange(product(x.shape), dtype="int64"), x.shape)
        flat = changed(how, reshape(x, (product(x.shape),)), getitem(numbers, self._key), made)
        return reshape(flat, x.shape)

    def _is_slice(self) -> bool:
        """Whether the key is made of slices and integers, so that no place is named twice."""
        node = self._part
        if node is not self._x and isinstance(node.op, Reshape):  # which takes axes away, or adds them
            node = node.inputs[0]
        return node is self._x or (isinstance(node.op, Slice) and node.inputs == (self._x,))

    def _sliced(self, how: str, made: Tensor) -> Tensor:
        if how == "add":
            return add_slice(self._x, self._key, made)
        if how == "multiply":
            made = self._part * made
        elif how != "set":
            made = (maximum if how == "max" else minimum)(self._part, made)
        return set_slice(self._x, self._key, made)


def at(x: Any) -> At:
    """The parts of `x`: see `Places`."""
    return At(x)


def _held_values(what: str, values: Any, x: Tensor) -> Tensor:
    """Values in the dtype of `x`. TypeError where that cannot hold them."""
    if isinstance(values, Tensor):
        made = as_tensor(values)
        if promote(x.dtype, made.dtype) == x.dtype:
            return cast(made, x.dtype)
        kind = made.dtype
    else:
        array = np.asarray(values)
        letters = "biuf" if is_float(x.dtype) else "b" if x.dtype == "bool" else "biu"
        if array.dtype.kind in letters:
            return constant(array, x.dtype)
        kind = array.dtype.name
    raise TypeError(f"{what}: {x.type} cannot hold values of dtype {kind}, got {brief(values)}; use K.cast")


def set_subtensor(part: Tensor, values: Any) -> Tensor:
    """x after ``x[key] = values``, for a `part` that was written as ``x[key]``.

    Raises
    ------
    TypeError
        `part` is nothing of the kind, or x cannot hold the dtype of the values.
    """
    return _places("set_subtensor", part).set(values)


def inc_subtensor(part: Tensor, values: Any, ignore_duplicates: bool = False) -> Tensor:
    """x after ``x[key] += values``, for a `part` that was written as ``x[key]``.

    A place that the key names more than once gets all its values, under `ignore_duplicates` the last one, as
    in numpy.
    """
    places = _places("inc_subtensor", part)
    return places.set(places.get() + values) if ignore_duplicates else places.add(values)


def _places(what: str, part: Any) -> Places:
    """What a tensor was picked from. One that was not, such as ``x[:]``, is the whole of itself."""
    if not isinstance(part, Tensor):
        raise TypeError(f"{what}: expected x[key], got {brief(part)}")
    picked = getattr(part, "_picked", None)
    if picked is None and part.inputs:
        raise TypeError(f"{what}: expected x[key], got {part!r}")
    x, key = (part, ...) if picked is None else picked
    return Places(as_tensor(x), key)


def scatter(x: Any, indices: Any, updates: Any, axis: int = 0, how: str = "set") -> Tensor:
    """`x` with slices along an axis replaced, or combined with others: the reverse of `gather`.

    Parameters
    ----------
    x : Tensor [a..., n, b...]
    indices : Tensor of integers [i...]
        Places on the axis; negative ones count from the end. A ValueError when the graph runs, if one is out
        of range.
    updates : Tensor [a..., i..., b...], or what broadcasts to that
    axis : int
    how : {'set', 'add', 'multiply', 'min', 'max'}
        Where an index is repeated, 'set' keeps the last update, the others take all of them.
    """
    x, indices = as_tensor(x), as_indices(indices, "scatter")
    if how not in HOWS:
        raise ValueError(f"scatter: expected a how of {HOWS}, got {how!r}")
    place = normalize_axis(axis, x.ndim)
    picked = gather(x, indices, place)
    made = broadcast_to(_held_values("scatter", updates, x), picked.shape)
    if not place:
        return changed(how, x, indices, made)
    # The axis, and what stands for it in the updates, to the front.
    behind = range(place + indices.ndim, made.ndim)
    lines = transpose(made, [*range(place, place + indices.ndim), *range(place), *behind])
    front = transpose(x, [place, *(a for a in range(x.ndim) if a != place)])
    stored = changed(how, front, indices, lines)
    return transpose(stored, [*range(1, place + 1), 0, *range(place + 1, x.ndim)])
