"""VGG16 and VGG19: Simonyan and Zisserman 2014, table 1, configurations D and E (arXiv:1409.1556)."""

from __future__ import annotations

from typing import Any

from symgraph.layers import Conv2D, Dense, Flatten, MaxPooling2D
from symgraph.models import Model
from symgraph.models.application import Arguments, loads_weights, tf_kernels
from symgraph.models.imagenet_utils import decode_predictions, preprocess_input

__all__ = ["VGG16", "VGG19", "decode_predictions", "preprocess_input"]

_RELEASE = "https://github.com/fchollet/deep-learning-models/releases/download/v0.1"

FILTERS = (64, 128, 256, 512, 512)
# Convolutions of each block.
DEPTHS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
FILES = {
    "vgg16": tf_kernels(
        _RELEASE, "vgg16", "64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"
    ),
    "vgg19": tf_kernels(
        _RELEASE, "vgg19", "cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"
    ),
}


@loads_weights
def VGG16(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """13 convolutions and 3 dense layers: 138,357,544 weights, pictures of 224 x 224, at least 32 x 32.

    Arguments and errors are those of `symgraph.models.application.Arguments`.
    """
    return _vgg("vgg16", Arguments(include_top, weights, input_tensor, input_shape, pooling, classes))


@loads_weights
def VGG19(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """16 convolutions and 3 dense layers: 143,667,240 weights; else as `VGG16`."""
    return _vgg("vgg19", Arguments(include_top, weights, input_tensor, input_shape, pooling, classes))


def _vgg(name: str, arguments: Arguments) -> Model:
    image = x = arguments.image(arguments.shape(224, min_size=32))
    for block, (filters, depth) in enumerate(zip(FILTERS, DEPTHS[name], strict=True), 1):
        for number in range(1, depth + 1):
            x = Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv{number}")(x)
        x = MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
    if arguments.include_top:
        x = Flatten(name="flatten")(x)
        x = Dense(4096, activation="relu", name="fc1")(x)
        x = Dense(4096, activation="relu", name="fc2")(x)
        x = Dense(arguments.classes, activation="softmax", name="predictions")(x)
    else:
        x = arguments.pooled(x)
    return arguments.model(image, x, name, FILES[name])
