"""Xception: Chollet 2016, figure 5 (arXiv:1610.02357)."""

from __future__ import annotations

from typing import Any

from symgraph.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    MaxPooling2D,
    SeparableConv2D,
    add,
)
from symgraph.models import Model
from symgraph.models.application import Arguments, Tensor, channel_axis, loads_weights, tf_kernels
from symgraph.models.imagenet_utils import decode_predictions
from symgraph.models.imagenet_utils import preprocess_tf as preprocess_input

__all__ = ["Xception", "decode_predictions", "preprocess_input"]

FILES = tf_kernels(
    "https://github.com/fchollet/deep-learning-models/releases/download/v0.4",
    "xception",
    "0a58e3b7378bc2990ea3b43d5981f1f6",
    "b0042744bf5b25fce3cb969f33bebb97",
)


@loads_weights
def Xception(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """36 convolutions, mostly separable: 22,910,480 weights, pictures of 299 x 299, at least 71 x 71.

    Arguments and errors are those of `symgraph.models.application.Arguments`.
    """
    arguments = Arguments(include_top, weights, input_tensor, input_shape, pooling, classes)
    image = x = arguments.image(arguments.shape(299, min_size=71))
    # Entry flow.
    x = Conv2D(32, 3, strides=2, use_bias=False, name="block1_conv1")(x)
    x = _activated(_normalised(x, "block1_conv1"), "block1_conv1")
    x = Conv2D(64, 3, use_bias=False, name="block1_conv2")(x)
    x = _activated(_normalised(x, "block1_conv2"), "block1_conv2")
    x = _halving(x, (128, 128), 2)
    x = _halving(x, (256, 256), 3)
    x = _halving(x, (728, 728), 4)
    # Middle flow.
    for block in range(5, 13):
        x = _residual(x, block)
    # Exit flow.
    x = _halving(x, (728, 1024), 13)
    for number, filters in enumerate((1536, 2048), 1):
        x = _separable(x, filters, f"block14_sepconv{number}")
        x = _activated(x, f"block14_sepconv{number}")
    if include_top:
        x = GlobalAveragePooling2D(name="avg_pool")(x)
        x = Dense(classes, activation="softmax", name="predictions")(x)
    else:
        x = arguments.pooled(x)
    return arguments.model(image, x, "xception", FILES)


def _halving(x: Tensor, filters: tuple[int, int], block: int) -> Tensor:
    """Two separable convolutions and a pooling, beside a projection; block 2 comes activated already."""
    shortcut = Conv2D(filters[1], 1, strides=2, padding="same", use_bias=False)(x)
    shortcut = BatchNormalization(axis=channel_axis(-1))(shortcut)
    for number in (1, 2):
        name = f"block{block}_sepconv{number}"
        if (block, number) != (2, 1):
            x = _activated(x, name)
        x = _separable(x, filters[number - 1], name)
    x = MaxPooling2D(3, strides=2, padding="same", name=f"block{block}_pool")(x)
    return add([x, shortcut])


def _residual(x: Tensor, block: int) -> Tensor:
    """Three separable convolutions, beside the input."""
    shortcut = x
    for number in (1, 2, 3):
        name = f"block{block}_sepconv{number}"
        x = _separable(_activated(x, name), 728, name)
    return add([x, shortcut])


def _separable(x: Tensor, filters: int, name: str) -> Tensor:
    x = SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return _normalised(x, name)


def _normalised(x: Tensor, name: str) -> Tensor:
    return BatchNormalization(axis=channel_axis(-1), name=f"{name}_bn")(x)


def _activated(x: Tensor, name: str) -> Tensor:
    return Activation("relu", name=f"{name}_act")(x)
