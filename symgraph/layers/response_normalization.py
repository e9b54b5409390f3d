"""Local response normalisation, as networks of 2012 to 2014 had it."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.layer.spec import InputSpec
from symgraph.graph.ops.slicing import pad, slice_axis
from symgraph.graph.tensor import Tensor
from symgraph.layers.arguments import ConfiguredLayer, at_least, number
from symgraph.utils.conv_utils import channel_axis, spatial_axes

_REGIONS = ("channels", "pixels")


class LocalResponseNormalization(ConfiguredLayer):
    """x / (bias + alpha / n · Σ x²)^beta, over n values around each (Krizhevsky et al. 2012, section 3.3).

    Parameters
    ----------
    size : int
        How many values the sum covers: `size` channels, or `size` · `size` pixels of one channel. What lies
        outside counts as 0, and n stays the same. An even size has one more value behind than before.
    alpha, beta, bias : float
    region : str
        'channels' (Caffe's ACROSS_CHANNELS, LRN of ONNX) or 'pixels' (WITHIN_CHANNEL).
    data_format : str, optional
        'channels_last' (batch, rows, columns, channels) or 'channels_first'; default `K.image_data_format()`.

    Notes
    -----
    Defaults are Caffe's. Not in Keras.
    """

    config_names: ClassVar[tuple[str, ...]] = ("size", "alpha", "beta", "bias", "region", "data_format")

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1.0,
        beta: float = 0.75,
        bias: float = 1.0,
        region: str = "channels",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = at_least(1, size, "size")
        self.alpha = number(alpha, "alpha")
        self.beta = number(beta, "beta")
        self.bias = number(bias, "bias")
        if region not in _REGIONS:
            raise ValueError(f"The `region` argument must be one of {_REGIONS}. Received: {region!r}")
        self.region = region
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Tensor) -> Tensor:
        """Normalise."""
        total, count = K.square(inputs), 1
        axes = [channel_axis(self.data_format)]
        if self.region == "pixels":
            axes = list(spatial_axes(4, self.data_format))
        for axis in axes:
            total, count = _sums(total, axis % 4, self.size), count * self.size
        return inputs * K.pow(self.bias + self.alpha / count * total, -self.beta)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """That of the input."""
        return input_shape


def _sums(x: Tensor, axis: int, size: int) -> Tensor:
    """Of each element and those around it along an axis, `size` in all, zeros beyond the ends."""
    before = (size - 1) // 2
    widths = [(before, size - 1 - before) if a == axis else (0, 0) for a in range(x.ndim)]
    wide = pad(x, widths)
    total = slice_axis(wide, axis, 0, x.shape[axis])
    for start in range(1, size):
        total = total + slice_axis(wide, axis, start, x.shape[axis])
    return total
