"""Layers that add a border to pictures and sequences, take one away, or repeat rows and columns."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.layer.spec import InputSpec
from symgraph.graph.tensor import Tensor
from symgraph.layers import legacy
from symgraph.layers.arguments import ConfiguredLayer
from symgraph.utils.conv_utils import normalize_pairs, normalize_tuple, spatial_axes, with_spatial


class _Resizing(ConfiguredLayer):
    """Changes the lengths of the spatial axes, each by a rule of its own."""

    def __init__(self, rank: int, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rank = rank
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=rank + 2)

    def _length(self, length: int, index: int) -> int:
        """The new length of spatial axis `index`."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Spatial sizes change, batch and channels stay."""
        axes = spatial_axes(self.rank + 2, self.data_format)
        sizes = [input_shape[axis] for axis in axes]
        lengths = [None if size is None else self._length(size, index) for index, size in enumerate(sizes)]
        return with_spatial(input_shape, self.data_format, lengths)


class ZeroPadding1D(_Resizing):
    """Zeros before and after sequences.

    Parameters
    ----------
    padding : int or pair of int
    """

    config_names: ClassVar[tuple[str, ...]] = ("padding",)

    def __init__(self, padding: Any = 1, **kwargs: Any) -> None:
        super().__init__(1, "channels_last", **kwargs)
        self.padding = normalize_tuple(padding, 2, "padding")

    def call(self, inputs: Tensor) -> Tensor:
        """Pad."""
        return K.temporal_padding(inputs, padding=self.padding)

    def _length(self, length: int, index: int) -> int:
        return length + sum(self.padding)


class ZeroPadding2D(_Resizing):
    """Zeros around pictures.

    Parameters
    ----------
    padding : int, pair of int, or pair of pairs of int
        ((top, bottom), (left, right)).
    data_format : str, optional
    """

    config_names: ClassVar[tuple[str, ...]] = ("padding", "data_format")

    @legacy.zero_padding2d
    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(2, data_format, **kwargs)
        self.padding = normalize_pairs(padding, "padding")

    def call(self, inputs: Tensor) -> Tensor:
        """Pad."""
        return K.spatial_2d_padding(inputs, padding=self.padding, data_format=self.data_format)

    def _length(self, length: int, index: int) -> int:
        return length + sum(self.padding[index])


class _Cropping(_Resizing):
    """Takes away values at both ends of each spatial axis."""

    def __init__(self, cropping: tuple[tuple[int, ...], ...], data_format: str | None, **kwargs: Any) -> None:
        super().__init__(len(cropping), data_format, **kwargs)
        self._ends = cropping

    def call(self, inputs: Tensor) -> Tensor:
        """Cut."""
        key = [slice(None)] * inputs.ndim
        axes = spatial_axes(inputs.ndim, self.data_format)
        for axis, (before, after) in zip(axes, self._ends, strict=True):
            key[axis] = slice(before, -after or None)
        return inputs[tuple(key)]

    def _length(self, length: int, index: int) -> int:
        return max(length - sum(self._ends[index]), 0)


class Cropping1D(_Cropping):
    """Takes away steps at both ends of sequences.

    Parameters
    ----------
    cropping : int or pair of int
    """

    config_names: ClassVar[tuple[str, ...]] = ("cropping",)

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        self.cropping = normalize_tuple(cropping, 2, "cropping")
        super().__init__((self.cropping,), "channels_last", **kwargs)


class Cropping2D(_Cropping):
    """Takes away rows and columns at the edges of pictures.

    Parameters
    ----------
    cropping : int, pair of int, or pair of pairs of int
        ((top, bottom), (left, right)).
    data_format : str, optional
    """

    config_names: ClassVar[tuple[str, ...]] = ("cropping", "data_format")

    @legacy.cropping
    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any
    ) -> None:
        self.cropping = normalize_pairs(cropping, "cropping")
        super().__init__(self.cropping, data_format, **kwargs)


class UpSampling1D(_Resizing):
    """Each step of sequences `size` times.

    Parameters
    ----------
    size : int
    """

    config_names: ClassVar[tuple[str, ...]] = ("size",)

    @legacy.up_sampling1d
    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(1, "channels_last", **kwargs)
        (self.size,) = normalize_tuple(size, 1, "size", 1)

    def call(self, inputs: Tensor) -> Tensor:
        """Repeat."""
        return K.repeat_elements(inputs, self.size, axis=1)

    def _length(self, length: int, index: int) -> int:
        return length * self.size


class UpSampling2D(_Resizing):
    """Pictures with more rows and columns.

    Parameters
    ----------
    size : int or pair of int
        Factors of rows and columns.
    data_format : str, optional
    interpolation : str
        'nearest' repeats values, 'bilinear' draws lines between them.
    """

    config_names: ClassVar[tuple[str, ...]] = ("size", "data_format", "interpolation")

    @legacy.up_sampling
    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(2, data_format, **kwargs)
        self.size = normalize_tuple(size, 2, "size", 1)
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(
                f'interpolation should be one of "nearest" or "bilinear", got {interpolation!r}.'
            )
        self.interpolation = interpolation

    def call(self, inputs: Tensor) -> Tensor:
        """Resize."""
        rows, columns = self.size
        return K.resize_images(inputs, rows, columns, self.data_format, self.interpolation)

    def _length(self, length: int, index: int) -> int:
        return length * self.size[index]
