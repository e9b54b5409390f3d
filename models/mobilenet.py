"""MobileNet: Howard et al. 2017, table 1 (arXiv:1704.04861)."""

from __future__ import annotations

from typing import Any

from symgraph.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    ReLU,
    Reshape,
    ZeroPadding2D,
)
from symgraph.models import Model
from symgraph.models.application import (
    Arguments,
    Published,
    Tensor,
    WeightFile,
    channel_axis,
    loads_weights,
    square_size,
)
from symgraph.models.imagenet_utils import decode_predictions
from symgraph.models.imagenet_utils import preprocess_tf as preprocess_input
from symgraph.utils.warn_user import warn_user

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

_RELEASE = "https://github.com/fchollet/deep-learning-models/releases/download/v0.6"
# Widths and sizes with published weights.
ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
SIZES = (128, 160, 192, 224)
# Filters and stride of each block.
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


@loads_weights
def MobileNet(
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 1e-3,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """13 depthwise separable convolutions: 4,253,864 weights, pictures of 224 x 224, at least 32 x 32.

    Parameters
    ----------
    alpha : float
        Factor of the number of filters of all layers.
    depth_multiplier : int
        Outputs of each depthwise convolution for each of its channels.
    dropout : float
        Rate before the classifier.
    input_shape, include_top, weights, input_tensor, pooling, classes
        As of `symgraph.models.application.Arguments`, with its errors. There are published weights for an
        alpha of 0.25, 0.5, 0.75 and 1, a depth multiplier of 1, and pictures of 128, 160, 192 and 224 pixels.
    """
    arguments = Arguments(include_top, weights, input_tensor, input_shape, pooling, classes)
    shape = arguments.shape(square_size(input_shape, SIZES), min_size=32)
    rows = shape[1 if channel_axis() == 1 else 0]
    if weights == "imagenet":
        rows = _published_size(alpha, depth_multiplier, shape)
    image = x = arguments.image(shape)
    x = ZeroPadding2D(((0, 1), (0, 1)), name="conv1_pad")(x)
    x = Conv2D(int(32 * alpha), 3, strides=2, use_bias=False, name="conv1")(x)
    x = _activated(x, "conv1")
    for number, (filters, stride) in enumerate(BLOCKS, 1):
        x = _separable(x, int(filters * alpha), depth_multiplier, stride, number)
    if include_top:
        channels = int(1024 * alpha)
        x = GlobalAveragePooling2D()(x)
        x = Reshape((channels, 1, 1) if channel_axis() == 1 else (1, 1, channels), name="reshape_1")(x)
        x = Dropout(dropout, name="dropout")(x)
        x = Conv2D(classes, 1, padding="same", name="conv_preds")(x)
        x = Reshape((classes,), name="reshape_2")(x)
        x = Activation("softmax", name="act_softmax")(x)
    else:
        x = arguments.pooled(x)
    return arguments.model(image, x, f"mobilenet_{alpha:0.2f}_{rows}", _files(alpha, rows))


def _published_size(alpha: float, depth_multiplier: int, shape: tuple[int | None, ...]) -> int:
    """The size of pictures that weights were learned on; ValueError if there are none of this form."""
    if depth_multiplier != 1:
        raise ValueError("If imagenet weights are being loaded, depth multiplier must be 1")
    if alpha not in ALPHAS:
        raise ValueError(
            "If imagenet weights are being loaded, alpha can be one of `0.25`, `0.50`, `0.75` or `1.0` only."
        )
    size = square_size(shape, SIZES, 0)
    if not size:
        warn_user(
            f"`input_shape` is undefined or non-square, or `rows` is not in {list(SIZES)}. "
            "Weights for input shape (224, 224) will be loaded as the default."
        )
    return size or 224


def _files(alpha: float, rows: int | None) -> Published:
    stem = f"{_RELEASE}/mobilenet_{ALPHAS.get(alpha)}_{rows}_tf"
    return Published(WeightFile(f"{stem}.h5"), WeightFile(f"{stem}_no_top.h5"))


def _separable(x: Tensor, filters: int, depth_multiplier: int, stride: int, number: int) -> Tensor:
    """3x3 in each channel, then 1x1 over all of them."""
    if stride == 2:
        x = ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
    x = DepthwiseConv2D(
        3,
        padding="same" if stride == 1 else "valid",
        depth_multiplier=depth_multiplier,
        strides=stride,
        use_bias=False,
        name=f"conv_dw_{number}",
    )(x)
    x = _activated(x, f"conv_dw_{number}")
    x = Conv2D(filters, 1, padding="same", use_bias=False, name=f"conv_pw_{number}")(x)
    return _activated(x, f"conv_pw_{number}")


def _activated(x: Tensor, name: str) -> Tensor:
    x = BatchNormalization(axis=channel_axis(-1), name=f"{name}_bn")(x)
    return ReLU(6.0, name=f"{name}_relu")(x)
