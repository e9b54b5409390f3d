"""Layers that make one tensor of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.engine.base_layer import Layer  # noqa: F401 - scripts import it from here
from symgraph.engine.layer.shapes import Shape
from symgraph.graph.tensor import Tensor
from symgraph.layers.arguments import ConfiguredLayer, number


class _Merge(ConfiguredLayer):
    """Merges element by element. Inputs of fewer axes get axes of size 1 after the batch."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def _combine(self, inputs: list[Tensor]) -> Tensor:
        raise NotImplementedError

    def _check_count(self, inputs: Any) -> None:
        if not isinstance(inputs, list):
            raise ValueError("A merge layer should be called on a list of inputs.")
        if len(inputs) < 2:
            raise ValueError(
                f"A merge layer should be called on a list of at least 2 inputs. Got {len(inputs)} inputs."
            )

    def build(self, input_shape: Any) -> None:
        """Check the shapes: there are no weights."""
        self._check_count(input_shape)
        batches = {shape[0] for shape in input_shape} - {None}
        if len(batches) > 1:
            raise ValueError(
                f"Can not merge tensors with different batch sizes. Got tensors with shapes : {input_shape}"
            )
        self.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Tensor:
        """Give all inputs the same number of axes and merge them."""
        self._check_count(inputs)
        axes = max(x.ndim for x in inputs)
        return self._combine([_with_axes(x, axes) for x in inputs])

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The broadcast shape. ValueError where there is none."""
        sample = reduce(_broadcast, (tuple(shape[1:]) for shape in input_shape))
        batches = {shape[0] for shape in input_shape} - {None}
        return (batches.pop() if len(batches) == 1 else None, *sample)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """True where all masks are."""
        present = self._masks(inputs, mask)
        if not present:
            return None
        return K.all(K.concatenate([K.expand_dims(m, 0) for m in present], axis=0), axis=0)

    def _masks(self, inputs: Any, mask: Any) -> list[Tensor]:
        if mask is None:
            return []
        if not isinstance(mask, list):
            raise ValueError("`mask` should be a list.")
        if not isinstance(inputs, list):
            raise ValueError("`inputs` should be a list.")
        if len(mask) != len(inputs):
            raise ValueError("The lists `inputs` and `mask` should have the same length.")
        return [m for m in mask if m is not None]


def _with_axes(x: Tensor, axes: int) -> Tensor:
    for _ in range(axes - x.ndim):
        x = K.expand_dims(x, 1)
    return x


def _broadcast(first: Shape, second: Shape) -> Shape:
    """The shape of an element-wise result. ValueError where sizes differ and neither is 1."""
    if len(first) < len(second):
        first, second = second, first
    kept = len(first) - len(second)
    merged: list[int | None] = list(first[:kept])
    for a, b in zip(first[kept:], second, strict=True):
        if a is not None and b is not None and a != b and 1 not in (a, b):
            raise ValueError(f"Operands could not be broadcast together with shapes {first} {second}")
        merged.append(None if a is None or b is None else max(a, b) if a and b else 0)
    return tuple(merged)


class Add(_Merge):
    """The sum of the inputs."""

    def _combine(self, inputs: list[Tensor]) -> Tensor:
        return reduce(lambda a, b: a + b, inputs)


class _Pair(_Merge):
    """Merges exactly two inputs."""

    def _check_count(self, inputs: Any) -> None:
        super()._check_count(inputs)
        if len(inputs) != 2:
            raise ValueError(
                f"A `{type(self).__name__}` layer should be called on exactly 2 inputs. "
                f"Got {len(inputs)} inputs."
            )


class ScaledAdd(_Pair):
    """The first of two inputs plus `scale` times the second: the residual connection of Inception-ResNet.

    Parameters
    ----------
    scale : float

    Notes
    -----
    Not in Keras, whose InceptionResNetV2 has `Lambda` layers in its place.
    """

    config_names: ClassVar[tuple[str, ...]] = ("scale",)

    def __init__(self, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = number(scale, "scale")

    def _combine(self, inputs: list[Tensor]) -> Tensor:
        return inputs[0] + inputs[1] * self.scale


class Subtract(_Pair):
    """The first of two inputs less the second."""

    def _combine(self, inputs: list[Tensor]) -> Tensor:
        return inputs[0] - inputs[1]


class Multiply(_Merge):
    """The product of the inputs, element by element."""

    def _combine(self, inputs: list[Tensor]) -> Tensor:
        return reduce(lambda a, b: a * b, inputs)


class Average(_Merge):
    """The mean of the inputs, element by element."""

    def _combine(self, inputs: list[Tensor]) -> Tensor:
        return reduce(lambda a, b: a + b, inputs) / len(inputs)


class Maximum(_Merge):
    """The largest of the inputs, element by element."""

    def _combine(self, inputs: list[Tensor]) -> Tensor:
        return reduce(K.maximum, inputs)


class Minimum(_Merge):
    """The smallest of the inputs, element by element."""

    def _combine(self, inputs: list[Tensor]) -> Tensor:
        return reduce(K.minimum, inputs)


class Concatenate(_Merge):
    """The inputs one after the other along an axis.

    Parameters
    ----------
    axis : int
        All other sizes have to be equal.
    """

    config_names: ClassVar[tuple[str, ...]] = ("axis",)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def _check_count(self, inputs: Any) -> None:
        if not isinstance(inputs, list) or len(inputs) < 2:
            raise ValueError("A `Concatenate` layer should be called on a list of at least 2 inputs")

    def build(self, input_shape: Any) -> None:
        """Check the shapes: there are no weights."""
        self._check_count(input_shape)
        if not all(-len(shape) <= self.axis < len(shape) for shape in input_shape):
            raise ValueError(
                f"layer {self.name}: axis {self.axis} lies outside the inputs' shapes {input_shape}"
            )
        others = [
            tuple(size for axis, size in enumerate(shape) if axis != self.axis % len(shape))
            for shape in input_shape
        ]
        if any(differ(others[0], other) for other in others[1:]):
            raise ValueError(
                "A `Concatenate` layer requires inputs with matching shapes except for the concat axis. "
                f"Got inputs shapes: {input_shape}"
            )
        self.built = True

    def call(self, inputs: Any) -> Tensor:
        """Concatenate."""
        self._check_count(inputs)
        return K.concatenate(inputs, axis=self.axis)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The sizes along the axis, added up."""
        if not isinstance(input_shape, list):
            raise ValueError("A `Concatenate` layer should be called on a list of inputs.")
        sizes = [shape[self.axis] for shape in input_shape]
        shape = list(input_shape[0])
        shape[self.axis] = None if None in sizes else sum(sizes)
        return tuple(shape)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The masks one after the other; inputs without one count everywhere."""
        if not self._masks(inputs, mask):
            return None
        masks = [K.ones_like(x, dtype="bool") for x in inputs]
        for index, m in enumerate(mask):
            if m is not None:
                masks[index] = masks[index] & K.expand_dims(m) if m.ndim < inputs[index].ndim else m
        return K.all(K.concatenate(masks, axis=self.axis), axis=-1)


def differ(first: Shape, second: Shape) -> bool:
    """Whether two shapes cannot be equal, whatever the open sizes are."""
    return len(first) != len(second) or any(
        a is not None and b is not None and a != b for a, b in zip(first, second, strict=True)
    )


class Dot(_Merge):
    """Products summed along an axis, sample by sample: `K.batch_dot`, which sees the last two axes only.

    Parameters
    ----------
    axes : int or pair of int
        The axes to sum along, of the first and the second input.
    normalize : bool
        Whether vectors along the axes are scaled to length 1 before: the cosine of the angle between them.
    """

    config_names: ClassVar[tuple[str, ...]] = ("axes", "normalize")

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axes, int):
            if not isinstance(axes, (list, tuple)):
                raise TypeError("Invalid type for `axes` - should be a list or an int.")
            if len(axes) != 2:
                raise ValueError("Invalid format for `axes` - should contain two elements.")
            if not all(isinstance(axis, int) for axis in axes):
                raise ValueError('Invalid format for `axes` - list elements should be "int".')
        self.axes = axes
        self.normalize = normalize

    def _check_count(self, inputs: Any) -> None:
        if not isinstance(inputs, list) or len(inputs) != 2:
            raise ValueError("A `Dot` layer should be called on a list of 2 inputs.")

    def _axes(self, ranks: Sequence[int]) -> list[int]:
        axes = [self.axes] * 2 if isinstance(self.axes, int) else list(self.axes)
        if not all(-rank <= axis < rank for axis, rank in zip(axes, ranks, strict=True)):
            raise ValueError(
                f"layer {self.name}: axes {self.axes} lie outside inputs of {ranks[0]} and {ranks[1]} "
                "dimensions"
            )
        return [axis % rank for axis, rank in zip(axes, ranks, strict=True)]

    def build(self, input_shape: Any) -> None:
        """Check the shapes: there are no weights."""
        self._check_count(input_shape)
        first, second = input_shape
        axes = self._axes([len(first), len(second)])
        a, b = first[axes[0]], second[axes[1]]
        if a is not None and b is not None and a != b:
            raise ValueError(f"Dimension incompatibility {a} != {b}. Layer shapes: {first}, {second}")
        self.built = True

    def call(self, inputs: Any) -> Tensor:
        """Multiply and sum."""
        self._check_count(inputs)
        axes = self._axes([x.ndim for x in inputs])
        if self.normalize:
            inputs = [K.l2_normalize(x, axis=axis) for x, axis in zip(inputs, axes, strict=True)]
        return K.batch_dot(inputs[0], inputs[1], axes)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The shape of `K.batch_dot`: a matrix product of the last two axes, or (batch, 1)."""
        self._check_count(input_shape)
        axes = self._axes([len(shape) for shape in input_shape])
        first, second = map(K.placeholder, input_shape)
        return K.int_shape(K.batch_dot(first, second, axes))

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """No mask is passed on."""
        return


def _functional(layer: Callable[..., Any], text: str) -> Callable[..., Any]:
    def build(inputs: Sequence[Tensor], **kwargs: Any) -> Any:
        return layer(**kwargs)(inputs)

    build.__doc__ = f"{text} `kwargs` are keywords of the layer."
    return build


add = _functional(Add, "The sum of a list of tensors.")
subtract = _functional(Subtract, "The first of two tensors less the second.")
multiply = _functional(Multiply, "The product of a list of tensors.")
average = _functional(Average, "The mean of a list of tensors.")
maximum = _functional(Maximum, "The largest of a list of tensors, element by element.")
minimum = _functional(Minimum, "The smallest of a list of tensors, element by element.")


def concatenate(inputs: Sequence[Tensor], axis: int = -1, **kwargs: Any) -> Any:
    """The tensors of a list one after the other along `axis`."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Tensor], axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> Any:
    """Products of two tensors summed along `axes`; see `Dot`."""
    return Dot(axes=axes, normalize=normalize, **kwargs)(inputs)
