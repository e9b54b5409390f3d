"""Pooling of windows that reach over the edge as other programs than TensorFlow let them."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.layer.spec import InputSpec
from symgraph.graph.ops.pool import average_pool2d, max_pool2d
from symgraph.graph.tensor import Tensor
from symgraph.layers.arguments import ConfiguredLayer
from symgraph.utils.conv_utils import normalize_pairs, normalize_tuple, spatial_axes, with_spatial

Pair = tuple[int, int]


class _PaddedPooling2D(ConfiguredLayer):
    """One value for each window of pictures with a border.

    Parameters
    ----------
    pool_size : int or pair of int
    strides : int or pair of int, optional
        Default: `pool_size`.
    padding : int, pair of int, or pair of pairs of int
        ((top, bottom), (left, right)), each smaller than the window.
    ceil_mode : bool
        Whether there is a last window that reaches over the border, where strides leave a rest. A window that
        would begin behind the picture is left out (rules of Caffe, PyTorch and ONNX).
    data_format : str, optional
    """

    config_names: ClassVar[tuple[str, ...]] = ("pool_size", "strides", "padding", "ceil_mode", "data_format")

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool_size = normalize_tuple(pool_size, 2, "pool_size", 1)
        self.strides = normalize_tuple(pool_size if strides is None else strides, 2, "strides", 1)
        self.padding = normalize_pairs(padding, "padding")
        self.ceil_mode = bool(ceil_mode)
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=4)
        if any(max(ends) >= size for ends, size in zip(self.padding, self.pool_size, strict=True)):
            raise ValueError(
                f"layer {self.name}: expected padding smaller than the windows of {self.pool_size}, "
                f"got {self.padding}"
            )

    def _length(self, length: int | None, axis: int) -> int | None:
        """The number of windows along an axis of `length` pixels."""
        if length is None:
            return None
        size, stride, (before, after) = self.pool_size[axis], self.strides[axis], self.padding[axis]
        room = length + before + after - size
        if room < 0:
            raise ValueError(
                f"layer {self.name}: windows of {self.pool_size} with padding {self.padding} do not fit into "
                f"{length} pixels along {('rows', 'columns')[axis]}"
            )
        if not self.ceil_mode:
            return room // stride + 1
        count = -(-room // stride) + 1
        # The last window has to begin before the picture ends.
        return count - 1 if (count - 1) * stride >= length + before else count

    def _end(self, length: int | None, axis: int) -> int:
        """Pixels that windows reach over the padded picture.

        For a length that is not known, `stride - 1` more pixels round the number of windows up. That is
        right where no window can begin behind the picture.
        """
        size, stride, (before, after) = self.pool_size[axis], self.strides[axis], self.padding[axis]
        if not self.ceil_mode:
            return 0
        if length is None and after + stride - 1 >= size:
            raise ValueError(
                f"layer {self.name}: windows of {self.pool_size}, strides {self.strides} and padding "
                f"{self.padding} with ceil_mode need pictures with known rows and columns"
            )
        count = self._length(length, axis)
        if length is None or count is None:
            return stride - 1
        return max(0, (count - 1) * stride + size - length - before - after)

    def _ends(self, inputs: Tensor) -> Pair:
        sizes = [K.int_shape(inputs)[axis] for axis in spatial_axes(4, self.data_format)]
        for axis in (0, 1):
            self._length(sizes[axis], axis)
        return self._end(sizes[0], 0), self._end(sizes[1], 1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The number of windows along both spatial axes."""
        axes = spatial_axes(4, self.data_format)
        lengths = [self._length(input_shape[a], number) for number, a in enumerate(axes)]
        return with_spatial(input_shape, self.data_format, lengths)


class PaddedMaxPooling2D(_PaddedPooling2D):
    """The largest value of each window of pictures with a border, which never wins.

    Parameters
    ----------
    pool_size : int or pair of int
    strides : int or pair of int, optional
        Default: `pool_size`.
    padding : int, pair of int, or pair of pairs of int
        ((top, bottom), (left, right)), each smaller than the window.
    ceil_mode : bool
        Whether there is a last window that reaches over the border, where strides leave a rest. A window that
        would begin behind the picture is left out. Caffe's pooling is that with True.
    data_format : str, optional
        'channels_last' (batch, rows, columns, channels) or 'channels_first'; default `K.image_data_format()`.

    Notes
    -----
    Not in Keras, whose 'same' puts the odd pixel of a border behind. Pictures whose size is not known are
    refused where windows could begin behind them.
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Pool."""
        ends = self._ends(inputs)
        padding = [(before, after + end) for (before, after), end in zip(self.padding, ends, strict=True)]
        return max_pool2d(inputs, self.pool_size, self.strides, padding, self.data_format)


class PaddedAveragePooling2D(_PaddedPooling2D):
    """The mean of each window of pictures with a border of zeros.

    Parameters
    ----------
    pool_size, strides, padding, ceil_mode, data_format :
        As of `PaddedMaxPooling2D`.
    count_padding : bool
        Whether a window's sum is divided by all its pixels within the border (rule of Caffe, and of PyTorch),
        or only by those of the picture. Pixels that `ceil_mode` adds behind the border never count.

    Notes
    -----
    Not in Keras.
    """

    config_names: ClassVar[tuple[str, ...]] = (*_PaddedPooling2D.config_names, "count_padding")

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        data_format: str | None = None,
        count_padding: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, ceil_mode, data_format, **kwargs)
        self.count_padding = bool(count_padding)

    def call(self, inputs: Tensor) -> Tensor:
        """Pool."""
        border, ends = self.padding, self._ends(inputs)
        if self.count_padding:
            inputs = K.spatial_2d_padding(inputs, border, self.data_format)
            border = ((0, 0), (0, 0))
        padding = [(before, after + end) for (before, after), end in zip(border, ends, strict=True)]
        return average_pool2d(inputs, self.pool_size, self.strides, padding, self.data_format)
