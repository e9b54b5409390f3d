"""AlexNet: Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks"."""

from __future__ import annotations

from typing import Any

from symgraph.initializers import RandomNormal
from symgraph.layers import Conv2D, Dense, Dropout, Flatten, LocalResponseNormalization, MaxPooling2D
from symgraph.models import Model
from symgraph.models.application import Arguments, Tensor, loads_weights
from symgraph.models.imagenet_utils import decode_predictions, preprocess_input

__all__ = ["AlexNet", "decode_predictions", "preprocess_input"]


@loads_weights
def AlexNet(
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """Five convolutions, three of them in two groups, and three dense layers: 60,965,224 weights.

    Pictures have 227 x 227 pixels, which is what the paper's 55 x 55 outputs of the first convolution need
    (its text says 224), and at least 67 x 67. Arguments and errors are those of
    `symgraph.models.application.Arguments`; no weights are published in Keras' format. Layers are named as in
    Caffe's model, which normalises otherwise: with k = 1, and alpha of the mean.
    """
    arguments = Arguments(include_top, weights, input_tensor, input_shape, pooling, classes, published=False)
    image = x = arguments.image(arguments.shape(227, min_size=67))
    x = _convolution(x, 96, 11, "conv1", strides=4)
    x = _pooled(_normalised(x, "norm1"), "pool1")
    x = _convolution(x, 256, 5, "conv2", padding="same", groups=2, bias_initializer="ones")
    x = _pooled(_normalised(x, "norm2"), "pool2")
    x = _convolution(x, 384, 3, "conv3", padding="same")
    x = _convolution(x, 384, 3, "conv4", padding="same", groups=2, bias_initializer="ones")
    x = _convolution(x, 256, 3, "conv5", padding="same", groups=2, bias_initializer="ones")
    x = _pooled(x, "pool5")
    if include_top:
        x = Flatten(name="flatten")(x)
        for number in (6, 7):
            x = _dense(x, 4096, "relu", f"fc{number}", bias_initializer="ones")
            x = Dropout(0.5, name=f"drop{number}")(x)
        x = _dense(x, classes, "softmax", "fc8")
    else:
        x = arguments.pooled(x)
    return arguments.model(image, x, "alexnet")


def _convolution(x: Tensor, filters: int, size: int, name: str, **kwargs: Any) -> Tensor:
    start = RandomNormal(stddev=0.01)
    return Conv2D(filters, size, activation="relu", kernel_initializer=start, name=name, **kwargs)(x)


def _dense(x: Tensor, units: int, activation: str, name: str, **kwargs: Any) -> Tensor:
    start = RandomNormal(stddev=0.01)
    return Dense(units, activation=activation, kernel_initializer=start, name=name, **kwargs)(x)


def _normalised(x: Tensor, name: str) -> Tensor:
    """Section 3.3: k = 2, n = 5, beta = 0.75; its alpha of 1e-4 multiplies a sum, the layer's a mean."""
    return LocalResponseNormalization(size=5, alpha=5e-4, beta=0.75, bias=2.0, name=name)(x)


def _pooled(x: Tensor, name: str) -> Tensor:
    """Overlapping windows (section 3.4)."""
    return MaxPooling2D(3, strides=2, name=name)(x)
