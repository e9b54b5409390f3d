"""InceptionV3: Szegedy et al. 2015, table 1 and figures 5 to 7 (arXiv:1512.00567)."""

from __future__ import annotations

from typing import Any

from symgraph.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    MaxPooling2D,
    concatenate,
)
from symgraph.models import Model
from symgraph.models.application import Arguments, Tensor, channel_axis, loads_weights, tf_kernels
from symgraph.models.imagenet_utils import decode_predictions
from symgraph.models.imagenet_utils import preprocess_tf as preprocess_input

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]

FILES = tf_kernels(
    "https://github.com/fchollet/deep-learning-models/releases/download/v0.5",
    "inception_v3",
    "9a0d58056eeedaa3f26cb7ebd46da564",
    "bcbd6486424b2319ff4ef7d526e38f63",
)

# A convolution is (filters, rows, columns); at the end of these it takes every second pixel.
Step = tuple[int, int, int]


@loads_weights
def InceptionV3(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """11 blocks of parallel convolutions: 23,851,784 weights, pictures of 299 x 299, at least 75 x 75.

    Arguments and errors are those of `symgraph.models.application.Arguments`.
    """
    arguments = Arguments(include_top, weights, input_tensor, input_shape, pooling, classes)
    image = x = arguments.image(arguments.shape(299, min_size=75))
    x = _convolution(x, (32, 3, 3), strides=2, padding="valid")
    x = _convolution(x, (32, 3, 3), padding="valid")
    x = _convolution(x, (64, 3, 3))
    x = MaxPooling2D(3, strides=2)(x)
    x = _convolution(x, (80, 1, 1), padding="valid")
    x = _convolution(x, (192, 3, 3), padding="valid")
    x = MaxPooling2D(3, strides=2)(x)
    for number, projected in enumerate((32, 64, 64)):
        x = _factors_of_5(x, projected, f"mixed{number}")
    x = _first_reduction(x, "mixed3")
    for number, inner in enumerate((128, 160, 160, 192), 4):
        x = _factors_of_7(x, inner, f"mixed{number}")
    x = _second_reduction(x, "mixed8")
    for number in (0, 1):
        x = _expanded(x, f"mixed9_{number}", f"mixed{9 + number}")
    if include_top:
        x = GlobalAveragePooling2D(name="avg_pool")(x)
        x = Dense(classes, activation="softmax", name="predictions")(x)
    else:
        x = arguments.pooled(x)
    return arguments.model(image, x, "inception_v3", FILES)


def _factors_of_5(x: Tensor, projected: int, name: str) -> Tensor:
    """Figure 5: 35 x 35, with 5x5 as it is or as two 3x3."""
    return _joined(
        [
            _branch(x, (64, 1, 1)),
            _branch(x, (48, 1, 1), (64, 5, 5)),
            _branch(x, (64, 1, 1), (96, 3, 3), (96, 3, 3)),
            _pooled(x, projected),
        ],
        name,
    )


def _factors_of_7(x: Tensor, inner: int, name: str) -> Tensor:
    """Figure 6: 17 x 17, with 7x7 as rows and columns."""
    return _joined(
        [
            _branch(x, (192, 1, 1)),
            _branch(x, (inner, 1, 1), (inner, 1, 7), (192, 7, 1)),
            _branch(x, (inner, 1, 1), (inner, 7, 1), (inner, 1, 7), (inner, 7, 1), (192, 1, 7)),
            _pooled(x, 192),
        ],
        name,
    )


def _expanded(x: Tensor, inner_name: str, name: str) -> Tensor:
    """Figure 7: 8 x 8, with 3x3 spread out as rows beside columns."""
    single = _branch(x, (320, 1, 1))
    short = _spread(_branch(x, (384, 1, 1)), inner_name)
    long = _spread(_branch(x, (448, 1, 1), (384, 3, 3)), None)
    return _joined([single, short, long, _pooled(x, 192)], name)


def _spread(x: Tensor, name: str | None) -> Tensor:
    return _joined([_branch(x, (384, 1, 3)), _branch(x, (384, 3, 1))], name)


def _first_reduction(x: Tensor, name: str) -> Tensor:
    """From 35 x 35 to 17 x 17 (figure 10)."""
    return _joined(
        [
            _halving(x, (384, 3, 3)),
            _halving(x, (64, 1, 1), (96, 3, 3), (96, 3, 3)),
            MaxPooling2D(3, strides=2)(x),
        ],
        name,
    )


def _second_reduction(x: Tensor, name: str) -> Tensor:
    """From 17 x 17 to 8 x 8."""
    return _joined(
        [
            _halving(x, (192, 1, 1), (320, 3, 3)),
            _halving(x, (192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3)),
            MaxPooling2D(3, strides=2)(x),
        ],
        name,
    )


def _branch(x: Tensor, *steps: Step) -> Tensor:
    for step in steps:
        x = _convolution(x, step)
    return x


def _halving(x: Tensor, *steps: Step) -> Tensor:
    return _convolution(_branch(x, *steps[:-1]), steps[-1], strides=2, padding="valid")


def _pooled(x: Tensor, projected: int) -> Tensor:
    return _convolution(AveragePooling2D(3, strides=1, padding="same")(x), (projected, 1, 1))


def _joined(branches: list[Tensor], name: str | None) -> Tensor:
    return concatenate(branches, axis=channel_axis(), name=name)


def _convolution(x: Tensor, step: Step, strides: int = 1, padding: str = "same") -> Tensor:
    filters, *size = step
    x = Conv2D(filters, size, strides=strides, padding=padding, use_bias=False)(x)
    x = BatchNormalization(axis=channel_axis(), scale=False)(x)
    return Activation("relu")(x)
