"""DenseNets of 121, 169 and 201 layers: Huang et al. 2016, table 1, growth rate 32 (arXiv:1608.06993)."""

from __future__ import annotations

from typing import Any

from symgraph.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    MaxPooling2D,
    ZeroPadding2D,
)
from symgraph.models import Model
from symgraph.models.application import (
    Arguments,
    Tensor,
    channel_axis,
    channel_count,
    loads_weights,
    tf_kernels,
)
from symgraph.models.imagenet_utils import decode_predictions
from symgraph.models.imagenet_utils import preprocess_torch as preprocess_input

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]

GROWTH = 32
_RELEASE = "https://github.com/keras-team/keras-applications/releases/download/densenet"
# Layers of the dense blocks conv2 to conv5.
BLOCKS = {
    "densenet121": (6, 12, 24, 16),
    "densenet169": (6, 12, 32, 32),
    "densenet201": (6, 12, 48, 32),
}
FILES = {
    "densenet121": tf_kernels(
        _RELEASE, "densenet121", "9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"
    ),
    "densenet169": tf_kernels(
        _RELEASE, "densenet169", "d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"
    ),
    "densenet201": tf_kernels(
        _RELEASE, "densenet201", "1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"
    ),
}


@loads_weights
def DenseNet121(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """58 dense layers: 8,062,504 weights, pictures of 224 x 224, at least 32 x 32.

    Arguments and errors are those of `symgraph.models.application.Arguments`.
    """
    return _densenet(
        "densenet121", Arguments(include_top, weights, input_tensor, input_shape, pooling, classes)
    )


@loads_weights
def DenseNet169(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """82 dense layers: 14,307,880 weights; else as `DenseNet121`."""
    return _densenet(
        "densenet169", Arguments(include_top, weights, input_tensor, input_shape, pooling, classes)
    )


@loads_weights
def DenseNet201(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """98 dense layers: 20,242,984 weights; else as `DenseNet121`."""
    return _densenet(
        "densenet201", Arguments(include_top, weights, input_tensor, input_shape, pooling, classes)
    )


def _densenet(name: str, arguments: Arguments) -> Model:
    image = x = arguments.image(arguments.shape(224, min_size=32))
    x = ZeroPadding2D(3)(x)
    x = Conv2D(64, 7, strides=2, use_bias=False, name="conv1/conv")(x)
    x = _activated(x, "conv1/bn", "conv1/relu")
    x = ZeroPadding2D(1)(x)
    x = MaxPooling2D(3, strides=2, name="pool1")(x)
    for stage, layers in enumerate(BLOCKS[name], 2):
        for number in range(1, layers + 1):
            x = _dense_layer(x, f"conv{stage}_block{number}")
        if stage < 5:
            x = _transition(x, f"pool{stage}")
    x = _activated(x, "bn", "relu")
    if arguments.include_top:
        x = GlobalAveragePooling2D(name="avg_pool")(x)
        x = Dense(arguments.classes, activation="softmax", name="fc1000")(x)
    else:
        x = arguments.pooled(x, avg="avg_pool", max="max_pool")
    return arguments.model(image, x, name, FILES[name])


def _dense_layer(x: Tensor, name: str) -> Tensor:
    """`GROWTH` more channels, computed from all that are there."""
    new = _activated(x, f"{name}_0_bn", f"{name}_0_relu")
    new = Conv2D(4 * GROWTH, 1, use_bias=False, name=f"{name}_1_conv")(new)
    new = _activated(new, f"{name}_1_bn", f"{name}_1_relu")
    new = Conv2D(GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(new)
    return Concatenate(axis=channel_axis(), name=f"{name}_concat")([x, new])


def _transition(x: Tensor, name: str) -> Tensor:
    """Half as many channels, and half as many rows and columns."""
    x = _activated(x, f"{name}_bn", f"{name}_relu")
    x = Conv2D(channel_count(x) // 2, 1, use_bias=False, name=f"{name}_conv")(x)
    return AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)


def _activated(x: Tensor, normalisation: str, activation: str) -> Tensor:
    x = BatchNormalization(axis=channel_axis(), epsilon=1.001e-5, name=normalisation)(x)
    return Activation("relu", name=activation)(x)
