"""MobileNetV2: Sandler et al. 2018, table 2 (arXiv:1801.04381)."""

from __future__ import annotations

from typing import Any

from symgraph import backend as K
from symgraph.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    GlobalAveragePooling2D,
    ReLU,
    ZeroPadding2D,
)
from symgraph.models import Model
from symgraph.models.application import (
    Arguments,
    Published,
    Tensor,
    WeightFile,
    channel_axis,
    channel_count,
    loads_weights,
    square_size,
    stride_padding,
)
from symgraph.models.imagenet_utils import decode_predictions
from symgraph.models.imagenet_utils import preprocess_tf as preprocess_input
from symgraph.utils.warn_user import warn_user

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

_RELEASE = "https://github.com/JonathanCMitchell/mobilenet_v2_keras/releases/download/v1.1"
# Widths and sizes with published weights.
ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
SIZES = (96, 128, 160, 192, 224)
# The table of the paper: expansion, filters, blocks, stride of the first block.
BOTTLENECKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


@loads_weights
def MobileNetV2(
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """17 inverted residual blocks: 3,538,984 weights, pictures of 224 x 224, at least 32 x 32.

    Parameters
    ----------
    alpha : float
        Factor of the number of filters of all layers; the last convolution has no fewer than 1280.
    input_shape, include_top, weights, input_tensor, pooling, classes
        As of `symgraph.models.application.Arguments`, with its errors. There are published weights for an
        alpha of 0.35, 0.5, 0.75, 1, 1.3 and 1.4 and pictures of 96, 128, 160, 192 and 224 pixels.
    """
    arguments = Arguments(include_top, weights, input_tensor, input_shape, pooling, classes)
    shape = arguments.shape(square_size(_asked_shape(arguments), SIZES), min_size=32)
    rows = shape[1 if channel_axis() == 1 else 0]
    if weights == "imagenet":
        rows = _published_size(alpha, shape)
    image = x = arguments.image(shape)
    x = ZeroPadding2D(stride_padding(x, 3), name="Conv1_pad")(x)
    x = Conv2D(_divisible(32 * alpha), 3, strides=2, use_bias=False, name="Conv1")(x)
    x = _normalised(x, "bn_Conv1")
    x = ReLU(6.0, name="Conv1_relu")(x)
    number = 0
    for expansion, filters, blocks, first_stride in BOTTLENECKS:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            x = _inverted_residual(x, expansion, _divisible(int(filters * alpha)), stride, number)
            number += 1
    x = Conv2D(_divisible(1280 * max(alpha, 1.0)), 1, use_bias=False, name="Conv_1")(x)
    x = _normalised(x, "Conv_1_bn")
    x = ReLU(6.0, name="out_relu")(x)
    if include_top:
        x = GlobalAveragePooling2D()(x)
        x = Dense(classes, activation="softmax", name="Logits")(x)
    else:
        x = arguments.pooled(x)
    return arguments.model(image, x, f"mobilenetv2_{alpha:0.2f}_{rows}", _files(alpha, rows))


def _asked_shape(arguments: Arguments) -> Any:
    """Of a picture: `input_shape`, or what `input_tensor` says. ValueError if they say different things."""
    shape, tensor = arguments.input_shape, arguments.input_tensor
    if tensor is None or not K.is_keras_tensor(tensor):
        return shape
    found = K.int_shape(tensor)[1:]
    sizes = slice(1, 3) if channel_axis() == 1 else slice(0, 2)
    if shape is not None and tuple(shape)[sizes] != found[sizes]:
        raise ValueError(
            f"input_shape: {shape} and input_tensor: {tensor} of shape {K.int_shape(tensor)} "
            "do not meet the same shape requirements"
        )
    return found


def _published_size(alpha: float, shape: tuple[int | None, ...]) -> int:
    """The size of pictures that weights were learned on; ValueError if there are none of this width."""
    if alpha not in ALPHAS:
        raise ValueError(
            "If imagenet weights are being loaded, alpha can be one of `0.35`, `0.50`, `0.75`, `1.0`, `1.3` "
            "or `1.4` only."
        )
    size = square_size(shape, SIZES, 0)
    if not size:
        warn_user(
            f"`input_shape` is undefined or non-square, or `rows` is not in {list(SIZES)}. "
            "Weights for input shape (224, 224) will be loaded as the default."
        )
    return size or 224


def _files(alpha: float, rows: int | None) -> Published:
    stem = f"{_RELEASE}/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{rows}"
    return Published(WeightFile(f"{stem}.h5"), WeightFile(f"{stem}_no_top.h5"))


def _divisible(filters: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, at most a tenth below."""
    nearest = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * filters else nearest


def _inverted_residual(x: Tensor, expansion: int, filters: int, stride: int, number: int) -> Tensor:
    """1x1 to more channels, 3x3 in each of them, 1x1 to few channels without activation."""
    name = f"block_{number}" if number else "expanded_conv"
    inputs, channels = x, channel_count(x)
    if number:
        x = Conv2D(expansion * channels, 1, padding="same", use_bias=False, name=f"{name}_expand")(x)
        x = _normalised(x, f"{name}_expand_BN")
        x = ReLU(6.0, name=f"{name}_expand_relu")(x)
    if stride == 2:
        x = ZeroPadding2D(stride_padding(x, 3), name=f"{name}_pad")(x)
    padding = "same" if stride == 1 else "valid"
    x = DepthwiseConv2D(3, strides=stride, use_bias=False, padding=padding, name=f"{name}_depthwise")(x)
    x = _normalised(x, f"{name}_depthwise_BN")
    x = ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}_project")(x)
    x = _normalised(x, f"{name}_project_BN")
    return Add(name=f"{name}_add")([inputs, x]) if channels == filters and stride == 1 else x


def _normalised(x: Tensor, name: str) -> Tensor:
    return BatchNormalization(axis=channel_axis(-1), epsilon=1e-3, momentum=0.999, name=name)(x)
