"""Inception-ResNet-v2: Szegedy et al. 2016, figures 15 to 19 (arXiv:1602.07261)."""

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
    ScaledAdd,
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
from symgraph.models.imagenet_utils import preprocess_tf as preprocess_input

__all__ = ["InceptionResNetV2", "decode_predictions", "preprocess_input"]

FILES = tf_kernels(
    "https://github.com/fchollet/deep-learning-models/releases/download/v0.7",
    "inception_resnet_v2",
    "e693bd0210a403b3192acc6073ad2e96",
    "d19885ff4a710c122648d3b5c3b684e4",
)

# A convolution is (filters, size); a branch is one after the other.
Step = tuple[int, int | tuple[int, int]]
Branch = tuple[Step, ...]
STEM: tuple[Branch, ...] = (((96, 1),), ((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3)))
# Residual blocks: (how many, factor of the residual, branches).
BLOCKS: dict[str, tuple[int, float, tuple[Branch, ...]]] = {
    "block35": (10, 0.17, (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3)))),
    "block17": (20, 0.1, (((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1))))),
    "block8": (10, 0.2, (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1))))),
}
# Their last convolution takes every second pixel.
REDUCTIONS: dict[str, tuple[Branch, ...]] = {
    "mixed_6a": (((384, 3),), ((256, 1), (256, 3), (384, 3))),
    "mixed_7a": (((256, 1), (384, 3)), ((256, 1), (288, 3)), ((256, 1), (288, 3), (320, 3))),
}


@loads_weights
def InceptionResNetV2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """40 residual Inception blocks: 55,873,736 weights, pictures of 299 x 299, at least 75 x 75.

    Arguments and errors are those of `symgraph.models.application.Arguments`. The layers that add residuals
    are `ScaledAdd`; in Keras they are `Lambda`, whose code would have to be trusted when a file is loaded.
    """
    arguments = Arguments(include_top, weights, input_tensor, input_shape, pooling, classes)
    image = x = arguments.image(arguments.shape(299, min_size=75))
    x = _convolution(x, 32, 3, strides=2, padding="valid")
    x = _convolution(x, 32, 3, padding="valid")
    x = _convolution(x, 64, 3)
    x = MaxPooling2D(3, strides=2)(x)
    x = _convolution(x, 80, 1, padding="valid")
    x = _convolution(x, 192, 3, padding="valid")
    x = MaxPooling2D(3, strides=2)(x)
    branches = [_branch(x, steps) for steps in STEM]
    pooled = AveragePooling2D(3, strides=1, padding="same")(x)
    x = _joined([*branches, _convolution(pooled, 64, 1)], "mixed_5b")
    x = _residuals(x, "block35")
    x = _reduction(x, "mixed_6a")
    x = _residuals(x, "block17")
    x = _reduction(x, "mixed_7a")
    x = _residuals(x, "block8")
    x = _convolution(x, 1536, 1, name="conv_7b")
    if include_top:
        x = GlobalAveragePooling2D(name="avg_pool")(x)
        x = Dense(classes, activation="softmax", name="predictions")(x)
    else:
        x = arguments.pooled(x)
    return arguments.model(image, x, "inception_resnet_v2", FILES)


def _residuals(x: Tensor, kind: str) -> Tensor:
    """All blocks of a kind; the very last of the network is neither scaled down nor activated."""
    count, scale, branches = BLOCKS[kind]
    for number in range(1, count + 1):
        name = f"{kind}_{number}"
        last = name == "block8_10"
        mixed = _joined([_branch(x, steps) for steps in branches], f"{name}_mixed")
        residual = Conv2D(channel_count(x), 1, padding="same", name=f"{name}_conv")(mixed)
        x = ScaledAdd(1.0 if last else scale, name=name)([x, residual])
        if not last:
            x = Activation("relu", name=f"{name}_ac")(x)
    return x


def _reduction(x: Tensor, name: str) -> Tensor:
    branches = []
    for *steps, (filters, size) in REDUCTIONS[name]:
        y = _branch(x, tuple(steps))
        branches.append(_convolution(y, filters, size, strides=2, padding="valid"))
    return _joined([*branches, MaxPooling2D(3, strides=2)(x)], name)


def _branch(x: Tensor, steps: Branch) -> Tensor:
    for filters, size in steps:
        x = _convolution(x, filters, size)
    return x


def _joined(branches: list[Tensor], name: str) -> Tensor:
    return Concatenate(axis=channel_axis(), name=name)(branches)


def _convolution(
    x: Tensor,
    filters: int,
    size: int | tuple[int, int],
    strides: int = 1,
    padding: str = "same",
    name: str | None = None,
) -> Tensor:
    x = Conv2D(filters, size, strides=strides, padding=padding, use_bias=False, name=name)(x)
    x = BatchNormalization(axis=channel_axis(), scale=False, name=name and f"{name}_bn")(x)
    return Activation("relu", name=name and f"{name}_ac")(x)
