"""ResNets with activations before convolutions: He et al. 2016, figure 4(e) (arXiv:1603.05027).

Not in Keras 2.2.4; names are those of later versions. As there, a stage halves the picture in its last block.
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
from symgraph.models.imagenet_utils import decode_predictions
from symgraph.models.imagenet_utils import preprocess_tf as preprocess_input
from symgraph.models.resnet import EPSILON, FILTERS, RELEASE

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]

# Blocks of the stages conv2 to conv5.
BLOCKS = {"resnet50v2": (3, 4, 6, 3), "resnet101v2": (3, 4, 23, 3), "resnet152v2": (3, 8, 36, 3)}
FILES = {
    "resnet50v2": tf_kernels(
        RELEASE, "resnet50v2", "3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"
    ),
    "resnet101v2": tf_kernels(
        RELEASE, "resnet101v2", "6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"
    ),
    "resnet152v2": tf_kernels(
        RELEASE, "resnet152v2", "a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"
    ),
}


@loads_weights
def ResNet50V2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """16 bottlenecks: 25,613,800 weights, pictures of 224 x 224, at least 32 x 32.

    Arguments and errors are those of `symgraph.models.application.Arguments`.
    """
    return _resnet("resnet50v2", Arguments(include_top, weights, input_tensor, input_shape, pooling, classes))


@loads_weights
def ResNet101V2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """33 bottlenecks: 44,675,560 weights; else as `ResNet50V2`."""
    return _resnet(
        "resnet101v2", Arguments(include_top, weights, input_tensor, input_shape, pooling, classes)
    )


@loads_weights
def ResNet152V2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """50 bottlenecks: 60,380,648 weights; else as `ResNet50V2`."""
    return _resnet(
        "resnet152v2", Arguments(include_top, weights, input_tensor, input_shape, pooling, classes)
    )


def _resnet(name: str, arguments: Arguments) -> Model:
    image = x = arguments.image(arguments.shape(224, min_size=32))
    x = ZeroPadding2D(3, name="conv1_pad")(x)
    x = Conv2D(64, 7, strides=2, name="conv1_conv")(x)
    x = ZeroPadding2D(1, name="pool1_pad")(x)
    x = MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, (filters, blocks) in enumerate(zip(FILTERS, BLOCKS[name], strict=True), 2):
        for block in range(1, blocks + 1):
            stride = 2 if block == blocks and stage < 5 else 1
            x = _bottleneck(x, filters, stride, project=block == 1, name=f"conv{stage}_block{block}")
    x = _activated(x, "post")
    if arguments.include_top:
        x = GlobalAveragePooling2D(name="avg_pool")(x)
        x = Dense(arguments.classes, activation="softmax", name="probs")(x)
    else:
        x = arguments.pooled(x, avg="avg_pool", max="max_pool")
    return arguments.model(image, x, name, FILES[name])


def _bottleneck(x: Tensor, filters: int, stride: int, project: bool, name: str) -> Tensor:
    """1x1, 3x3 and 1x1 of the activated input, beside the input: projected, thinned out, or as it is."""
    active = _activated(x, f"{name}_preact")
    if project:
        shortcut = Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(active)
    else:
        shortcut = MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
    x = Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(active)
    x = _activated(x, f"{name}_1")
    x = ZeroPadding2D(1, name=f"{name}_2_pad")(x)
    x = Conv2D(filters, 3, strides=stride, use_bias=False, name=f"{name}_2_conv")(x)
    x = _activated(x, f"{name}_2")
    x = Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    return Add(name=f"{name}_out")([shortcut, x])


def _activated(x: Tensor, name: str) -> Tensor:
    x = BatchNormalization(axis=channel_axis(), epsilon=EPSILON, name=f"{name}_bn")(x)
    return Activation("relu", name=f"{name}_relu")(x)
