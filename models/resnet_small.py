"""ResNets for pictures of 32 x 32 pixels, version 1 and 2: He et al. 2015 and 2016, as in Keras' examples."""

from __future__ import annotations

from typing import Any

from symgraph import backend as K
from symgraph.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    Input,
    add,
)
from symgraph.models import Model
from symgraph.regularizers import l2

Tensor = Any
# Weighted layers of a block, without and with a bottleneck. A network has three stages of n blocks, a first
# convolution and a classifier.
BLOCK = {1: 2, 2: 3}


def convolution(x: Tensor, filters: int, size: int = 3, stride: int = 1) -> Tensor:
    """With He's initial weights, and a weight decay."""
    return Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=l2(1e-4),
    )(x)


def normalized(x: Tensor, relu: bool = True) -> Tensor:
    """By the batch, with its own scale and shift; then ReLU."""
    x = BatchNormalization()(x)
    return Activation("relu")(x) if relu else x


def resnet_v1(input_shape: tuple[int, ...], depth: int = 20, classes: int = 10) -> Model:
    """Two 3 x 3 convolutions a block, and ReLU after the sum (arXiv:1512.03385, section 4.2).

    Parameters
    ----------
    input_shape : tuple of int
        (rows, columns, channels), square, with a side that 4 divides.
    depth : int
        6n + 2 for n blocks in each stage: 20, 32, 44, 56, 110.
    classes : int
    """
    image = Input(input_shape)
    x = normalized(convolution(image, 16))
    for stage, filters in enumerate((16, 32, 64)):
        for block in range(blocks(depth, 1)):
            stride = 2 if stage and not block else 1
            y = normalized(convolution(x, filters, stride=stride))
            y = normalized(convolution(y, filters), relu=False)
            if stride == 2:
                x = convolution(x, filters, 1, stride)
            x = Activation("relu")(add([x, y]))
    return classifier(image, x, classes)


def resnet_v2(input_shape: tuple[int, ...], depth: int = 29, classes: int = 10) -> Model:
    """1 x 1, 3 x 3 and 1 x 1 a block, each after normalisation and ReLU (arXiv:1603.05027, figure 4e).

    Parameters are those of `resnet_v1`, but for the depth: 9n + 2, as 20, 29, 56, 110.
    """
    image = Input(input_shape)
    x = normalized(convolution(image, 16))
    for stage, (filters, wide) in enumerate(((16, 64), (64, 128), (128, 256))):
        for block in range(blocks(depth, 2)):
            stride = 2 if stage and not block else 1
            # The first block begins with what is normalised already.
            y = convolution(x if not stage and not block else normalized(x), filters, 1, stride)
            y = convolution(normalized(y), filters)
            y = convolution(normalized(y), wide, 1)
            x = add([x if block else convolution(x, wide, 1, stride), y])
    return classifier(image, normalized(x), classes)


def blocks(depth: int, version: int) -> int:
    """In each of the three stages; ValueError if there is no network of that depth."""
    layers = 3 * BLOCK[version]
    if depth < layers + 2 or (depth - 2) % layers:
        raise ValueError(
            f"the depth of a ResNet v{version} should be {layers}n+2, as {layers * 3 + 2}, got {depth}"
        )
    return (depth - 2) // layers


def classifier(image: Tensor, x: Tensor, classes: int) -> Model:
    """The mean of each channel, and softmax."""
    x = Flatten()(AveragePooling2D(K.int_shape(x)[1])(x))
    return Model(image, Dense(classes, activation="softmax", kernel_initializer="he_normal")(x))
