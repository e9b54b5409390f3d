"""GoogLeNet, the first Inception network: Szegedy et al. 2014, table 1 (arXiv:1409.4842)."""

from __future__ import annotations

from typing import Any

from symgraph.layers import (
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    LocalResponseNormalization,
    MaxPooling2D,
    ZeroPadding2D,
)
from symgraph.models import Model
from symgraph.models.application import Arguments, Tensor, channel_axis, loads_weights
from symgraph.models.imagenet_utils import decode_predictions, preprocess_input

__all__ = ["GoogLeNet", "decode_predictions", "preprocess_input"]

# Filters: 1x1; before 3x3, 3x3; before 5x5, 5x5; after the pooling.
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
# The auxiliary classifiers, and what they look at.
HEADS = {"4a": "loss1", "4d": "loss2"}


@loads_weights
def GoogLeNet(
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    auxiliary: bool = True,
) -> Model:
    """Nine Inception blocks: 13,378,280 weights, 6,998,552 of them without the two auxiliary classifiers.

    Pictures have 224 x 224 pixels, at least 32 x 32, and 65 x 65 with auxiliary classifiers.

    Parameters
    ----------
    auxiliary : bool
        Whether the model has three outputs: the classifier's, and those of the auxiliary classifiers behind
        4a and 4d. They help to train (`loss_weights=[1, 0.3, 0.3]` in the paper) and are of no use later.
    include_top, weights, input_tensor, input_shape, pooling, classes
        As of `symgraph.models.application.Arguments`, with its errors; no weights are published in Keras'
        format. Layers are named as in Caffe's model, whose converted weights fit.
    """
    arguments = Arguments(include_top, weights, input_tensor, input_shape, pooling, classes, published=False)
    with_heads = include_top and auxiliary
    image = x = arguments.image(arguments.shape(224, min_size=65 if with_heads else 32))
    x = ZeroPadding2D(3, name="conv1/pad")(x)
    x = _convolution(x, 64, 7, "conv1/7x7_s2", strides=2, padding="valid")
    x = _normalised(_halved(x, "pool1/3x3_s2"), "pool1/norm1")
    x = _convolution(x, 64, 1, "conv2/3x3_reduce")
    x = _convolution(x, 192, 3, "conv2/3x3")
    x = _halved(_normalised(x, "conv2/norm2"), "pool2/3x3_s2")
    heads = []
    for block, filters in INCEPTIONS.items():
        x = _inception(x, filters, f"inception_{block}")
        if with_heads and block in HEADS:
            heads.append(_head(x, classes, HEADS[block]))
        if block in ("3b", "4e"):
            x = _halved(x, f"pool{int(block[0])}/3x3_s2")
    if include_top:
        x = GlobalAveragePooling2D(name="pool5")(x)
        x = Dropout(0.4, name="pool5/drop")(x)
        x = Dense(classes, activation="softmax", name="loss3/classifier")(x)
    else:
        x = arguments.pooled(x)
    return arguments.model(image, [x, *heads] if heads else x, "googlenet")


def _inception(x: Tensor, filters: tuple[int, ...], name: str) -> Tensor:
    """Figure 2(b): 1x1, 3x3 and 5x5 behind 1x1, and a pooling, side by side."""
    single, before_3, conv_3, before_5, conv_5, projected = filters
    x1 = _convolution(x, single, 1, f"{name}/1x1")
    x3 = _convolution(x, before_3, 1, f"{name}/3x3_reduce")
    x3 = _convolution(x3, conv_3, 3, f"{name}/3x3")
    x5 = _convolution(x, before_5, 1, f"{name}/5x5_reduce")
    x5 = _convolution(x5, conv_5, 5, f"{name}/5x5")
    pool = MaxPooling2D(3, strides=1, padding="same", name=f"{name}/pool")(x)
    pool = _convolution(pool, projected, 1, f"{name}/pool_proj")
    return Concatenate(axis=channel_axis(), name=f"{name}/output")([x1, x3, x5, pool])


def _head(x: Tensor, classes: int, name: str) -> Tensor:
    """A classifier in the middle of the network (section 5)."""
    x = AveragePooling2D(5, strides=3, name=f"{name}/ave_pool")(x)
    x = _convolution(x, 128, 1, f"{name}/conv")
    x = Flatten(name=f"{name}/flatten")(x)
    x = Dense(1024, activation="relu", name=f"{name}/fc")(x)
    x = Dropout(0.7, name=f"{name}/drop_fc")(x)
    return Dense(classes, activation="softmax", name=f"{name}/classifier")(x)


def _convolution(
    x: Tensor, filters: int, size: int, name: str, strides: int = 1, padding: str = "same"
) -> Tensor:
    return Conv2D(filters, size, strides=strides, padding=padding, activation="relu", name=name)(x)


def _halved(x: Tensor, name: str) -> Tensor:
    return MaxPooling2D(3, strides=2, padding="same", name=name)(x)


def _normalised(x: Tensor, name: str) -> Tensor:
    return LocalResponseNormalization(size=5, alpha=1e-4, beta=0.75, name=name)(x)
