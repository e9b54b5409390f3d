"""ResNets of 50, 101 and 152 layers, as later versions of Keras have them: He et al. 2015 (arXiv:1512.03385).

Keras 2.2.4 has only the one of 50 layers, under other layer names: `symgraph.models.resnet50`.
"""

from __future__ import annotations

from typing import Any

from symgraph.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    MaxPooling2D,
    ZeroPadding2D,
)
from symgraph.models import Model
from symgraph.models.application import Arguments, Tensor, channel_axis, loads_weights, tf_kernels
from symgraph.models.imagenet_utils import decode_predictions, preprocess_input

__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]

EPSILON = 1.001e-5
RELEASE = "https://github.com/keras-team/keras-applications/releases/download/resnet"
# Filters inside a bottleneck; blocks of the stages conv2 to conv5.
FILTERS = (64, 128, 256, 512)
BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}
FILES = {
    "resnet50": tf_kernels(
        RELEASE, "resnet50", "2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"
    ),
    "resnet101": tf_kernels(
        RELEASE, "resnet101", "f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"
    ),
    "resnet152": tf_kernels(
        RELEASE, "resnet152", "100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"
    ),
}


@loads_weights
def ResNet50(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """16 bottlenecks: 25,636,712 weights, pictures of 224 x 224, at least 32 x 32.

    Arguments and errors are those of `symgraph.models.application.Arguments`.
    """
    return _resnet("resnet50", Arguments(include_top, weights, input_tensor, input_shape, pooling, classes))


@loads_weights
def ResNet101(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """33 bottlenecks: 44,707,176 weights; else as `ResNet50`."""
    return _resnet("resnet101", Arguments(include_top, weights, input_tensor, input_shape, pooling, classes))


@loads_weights
def ResNet152(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """50 bottlenecks: 60,419,944 weights; else as `ResNet50`."""
    return _resnet("resnet152", Arguments(include_top, weights, input_tensor, input_shape, pooling, classes))


def _resnet(name: str, arguments: Arguments) -> Model:
    image = x = arguments.image(arguments.shape(224, min_size=32))
    x = ZeroPadding2D(3, name="conv1_pad")(x)
    x = Conv2D(64, 7, strides=2, name="conv1_conv")(x)
    x = BatchNormalization(axis=channel_axis(), epsilon=EPSILON, name="conv1_bn")(x)
    x = Activation("relu", name="conv1_relu")(x)
    x = ZeroPadding2D(1, name="pool1_pad")(x)
    x = MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, (filters, blocks) in enumerate(zip(FILTERS, BLOCKS[name], strict=True), 2):
        for block in range(1, blocks + 1):
            first = block == 1
            stride = 2 if first and stage > 2 else 1
            x = _bottleneck(x, filters, stride, project=first, name=f"conv{stage}_block{block}")
    if arguments.include_top:
        x = GlobalAveragePooling2D(name="avg_pool")(x)
        x = Dense(arguments.classes, activation="softmax", name="probs")(x)
    else:
        x = arguments.pooled(x, avg="avg_pool", max="max_pool")
    return arguments.model(image, x, name, FILES[name])


def _bottleneck(x: Tensor, filters: int, stride: int, project: bool, name: str) -> Tensor:
    """1x1, 3x3 and 1x1 beside the input, or beside a projection of it to as many channels."""
    shortcut = x
    if project:
        shortcut = _convolution(x, 4 * filters, 1, f"{name}_0", strides=stride)
    x = _convolution(x, filters, 1, f"{name}_1", strides=stride)
    x = Activation("relu", name=f"{name}_1_relu")(x)
    x = _convolution(x, filters, 3, f"{name}_2", padding="same")
    x = Activation("relu", name=f"{name}_2_relu")(x)
    x = _convolution(x, 4 * filters, 1, f"{name}_3")
    x = Add(name=f"{name}_add")([shortcut, x])
    return Activation("relu", name=f"{name}_out")(x)


def _convolution(x: Tensor, filters: int, size: int, name: str, **kwargs: Any) -> Tensor:
    x = Conv2D(filters, size, name=f"{name}_conv", **kwargs)(x)
    return BatchNormalization(axis=channel_axis(), epsilon=EPSILON, name=f"{name}_bn")(x)
