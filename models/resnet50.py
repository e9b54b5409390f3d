"""ResNet50 with the layer names of Keras: He et al. 2015, table 1, 50 layers (arXiv:1512.03385).

`symgraph.models.resnet` has the deeper ones, and one of 50 layers with the names of later versions.
"""

from __future__ import annotations

from typing import Any

from symgraph.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    MaxPooling2D,
    ZeroPadding2D,
    add,
)
from symgraph.models import Model
from symgraph.models.application import Arguments, Tensor, channel_axis, loads_weights, tf_kernels
from symgraph.models.imagenet_utils import decode_predictions, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]

# Stage: (filters inside a block, blocks); a block ends in four times as many channels.
STAGES = {2: (64, 3), 3: (128, 4), 4: (256, 6), 5: (512, 3)}
FILES = tf_kernels(
    "https://github.com/fchollet/deep-learning-models/releases/download/v0.2",
    "resnet50",
    "a7b3fe01876f51b976af0dea6bc144eb",
    "a268eb855778b3df3c7506639542a6af",
)


@loads_weights
def ResNet50(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """16 bottlenecks with shortcuts: 25,636,712 weights, pictures of 224 x 224, at least 32 x 32.

    Arguments and errors are those of `symgraph.models.application.Arguments`.
    """
    arguments = Arguments(include_top, weights, input_tensor, input_shape, pooling, classes)
    image = x = arguments.image(arguments.shape(224, min_size=32))
    x = ZeroPadding2D(3, name="conv1_pad")(x)
    x = Conv2D(64, 7, strides=2, kernel_initializer="he_normal", name="conv1")(x)
    x = BatchNormalization(axis=channel_axis(), name="bn_conv1")(x)
    x = Activation("relu")(x)
    x = ZeroPadding2D(1, name="pool1_pad")(x)
    x = MaxPooling2D(3, strides=2)(x)
    for stage, (filters, blocks) in STAGES.items():
        for block in "abcdef"[:blocks]:
            x = _bottleneck(x, filters, 2 if block == "a" and stage > 2 else 1, f"{stage}{block}_branch")
    if include_top:
        x = GlobalAveragePooling2D(name="avg_pool")(x)
        x = Dense(classes, activation="softmax", name="fc1000")(x)
    else:
        x = arguments.pooled(x)
    return arguments.model(image, x, "resnet50", FILES)


def _bottleneck(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    """1x1, 3x3 and 1x1; the first of a stage, "a", has a projection as its shortcut."""
    shortcut = x
    x = Activation("relu")(_convolution(x, filters, 1, f"{name}2a", strides=stride))
    x = Activation("relu")(_convolution(x, filters, 3, f"{name}2b", padding="same"))
    x = _convolution(x, 4 * filters, 1, f"{name}2c")
    if name[1] == "a":
        shortcut = _convolution(shortcut, 4 * filters, 1, f"{name}1", strides=stride)
    return Activation("relu")(add([x, shortcut]))


def _convolution(x: Tensor, filters: int, size: int, name: str, **kwargs: Any) -> Tensor:
    x = Conv2D(filters, size, kernel_initializer="he_normal", name=f"res{name}", **kwargs)(x)
    return BatchNormalization(axis=channel_axis(), name=f"bn{name}")(x)
