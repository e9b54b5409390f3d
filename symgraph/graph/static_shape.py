"""What is known of a tensor's shape when the graph is written, in the words of TensorFlow 1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, SupportsIndex

from symgraph.graph.dims import Dim, product, shape_text


class Size(int):
    """A known size: an integer, which `value` gives too."""

    @property
    def value(self) -> int:
        """The plain integer."""
        return int(self)


class Shape(tuple[Dim, ...]):
    """Sizes of axes, a plain tuple that scripts may ask for its list: ``x.shape.as_list()``."""

    __slots__ = ()

    def as_list(self) -> list[int | None]:
        """The sizes as integers, None for those that only data will tell."""
        return [size if isinstance(size, int) else None for size in self]


class StaticShape(tuple[Any, ...]):
    """Sizes of axes: `Size` where they are known, else expressions, whose `value` is None."""

    __slots__ = ()

    def __new__(cls, sizes: Iterable[Dim]) -> StaticShape:
        """A shape of these sizes."""
        return super().__new__(cls, (Size(size) if isinstance(size, int) else size for size in sizes))

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        """A size, or the shape that a slice selects."""
        found = super().__getitem__(key)
        return StaticShape(found) if isinstance(key, slice) else found

    def __eq__(self, other: object) -> bool:
        return super().__eq__(tuple(other) if isinstance(other, list) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return super().__hash__()

    def __repr__(self) -> str:
        return shape_text(self)

    @property
    def ndims(self) -> int:
        """Number of axes."""
        return len(self)

    @property
    def dims(self) -> list[Any]:
        """The sizes, as items of the shape."""
        return list(self)

    def as_list(self) -> list[int | None]:
        """The sizes as integers, None for those that only data will tell."""
        return [size.value for size in self]

    def is_fully_defined(self) -> bool:
        """Whether all sizes are known."""
        return None not in self.as_list()

    def num_elements(self) -> int | None:
        """The number of elements, None where it is not known."""
        count = product(self)
        return int(count) if isinstance(count, int) else None


def refined(shape: tuple[Dim, ...], wanted: Iterable[Any]) -> tuple[Dim, ...]:
    """`shape` with the sizes of `wanted` in place of those that are not known.

    None and unknown sizes in `wanted` leave what is there. ValueError where known ones differ, or for another
    number of axes.
    """
    sizes = [getattr(size, "value", size) for size in wanted]
    text = tuple(sizes)
    if len(sizes) != len(shape):
        raise ValueError(f"set_shape: expected {len(shape)} sizes for shape {shape_text(shape)}, got {text}")
    for axis, (size, old) in enumerate(zip(sizes, shape, strict=True)):
        if size is not None and isinstance(old, int) and int(size) != old:
            raise ValueError(f"set_shape: axis {axis} of shape {shape_text(shape)} cannot be that of {text}")
        if size is not None and int(size) < 0:
            raise ValueError(f"set_shape: expected sizes of at least 0, got {text}")
    return tuple(old if size is None else int(size) for size, old in zip(sizes, shape, strict=True))
