"""Ready networks as the base of a program: by name, without their classifiers, with weights from a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import h5py

from symgraph.models import (
    Model,
    densenet,
    inception_v3,
    mobilenet,
    mobilenet_v2,
    resnet50,
    vgg,
    xception,
)


class Pretrained(NamedTuple):
    """A ready network, and what to know to build on it."""

    build: Callable[..., Model]
    #: Scales pixels of 0 to 255 as the network expects; an array of floats is changed itself.
    preprocess: Callable[[Any], Any]
    #: The first layer of its last block, which all layers after this one belong to.
    last_block: str
    #: Layers to dream of: late enough to show things, early enough to show many of them.
    dream: tuple[str, ...]


NETWORKS = {
    "DenseNet121": Pretrained(
        densenet.DenseNet121, densenet.preprocess_input, "conv5_block1_0_bn", ("pool3_conv", "pool4_conv")
    ),
    "InceptionV3": Pretrained(
        inception_v3.InceptionV3, inception_v3.preprocess_input, "mixed9", ("mixed3", "mixed4", "mixed5")
    ),
    "MobileNet": Pretrained(
        mobilenet.MobileNet, mobilenet.preprocess_input, "conv_dw_13", ("conv_pw_6_relu", "conv_pw_11_relu")
    ),
    "MobileNetV2": Pretrained(
        mobilenet_v2.MobileNetV2,
        mobilenet_v2.preprocess_input,
        "block_16_expand",
        ("block_9_add", "block_12_add"),
    ),
    "ResNet50": Pretrained(
        resnet50.ResNet50, resnet50.preprocess_input, "res5c_branch2a", ("bn4c_branch2c", "bn4f_branch2c")
    ),
    "VGG16": Pretrained(vgg.VGG16, vgg.preprocess_input, "block5_conv1", ("block4_conv3", "block5_conv1")),
    "VGG19": Pretrained(vgg.VGG19, vgg.preprocess_input, "block5_conv1", ("block4_conv4", "block5_conv1")),
    "Xception": Pretrained(
        xception.Xception,
        xception.preprocess_input,
        "block14_sepconv1",
        ("block5_sepconv3_bn", "block9_sepconv3_bn"),
    ),
}


def load_base(name: str, weights: str, input_shape: tuple[int | None, ...], pooling: str | None) -> Model:
    """A network of `NETWORKS` without its classifier.

    Parameters
    ----------
    name : str
    weights : str
        'imagenet' for the published ones, or a file of weights, or of a whole model, of this network: with
        its classifier, which is left out, or without.
    input_shape : tuple of (int or None)
        Of one picture.
    pooling : {'avg', 'max', None}
        What becomes of rows and columns.

    Raises
    ------
    OSError
        If a file is missing, or cannot be downloaded or read.
    ValueError
        If it has the weights of something else, or `input_shape` is too small.
    """
    if weights != "imagenet" and not os.path.isfile(weights):
        raise FileNotFoundError(f"there is no file of weights {weights}; --weights names one, or imagenet")
    build = NETWORKS[name].build
    if weights == "imagenet":
        try:
            return build(include_top=False, weights=weights, input_shape=input_shape, pooling=pooling)
        except OSError as error:
            raise OSError(f"{error}; --weights names a file that is there already") from error
    base = build(include_top=False, weights=None, input_shape=input_shape, pooling=pooling)
    try:
        _load(base, weights)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{weights} does not have the weights of {name}: {error}") from error
    return base


def _load(base: Model, path: str) -> None:
    """Load weights in the order of the layers; by name where the file has layers more: the classifier."""
    try:
        base.load_weights(path)
    except ValueError:
        with h5py.File(path) as file:
            group = file.get("model_weights", file)
            stored = {
                str(name, "utf-8") if isinstance(name, bytes) else name for name in group.attrs["layer_names"]
            }
        if not {layer.name for layer in base.layers if layer.weights} <= stored:
            raise
        base.load_weights(path, by_name=True)
