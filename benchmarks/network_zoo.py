"""The networks of `benchmarks.networks`, from symgraph.models, with weights of random numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import load, numpy_helper

from benchmarks.network_files import DESCRIPTION, ONNX, WEIGHTS
from symgraph import backend as K
from symgraph import convert, models

# The side of U-Net's pictures is a choice: those of its paper take a minute a step.
UNET_SIDE = 128


def _unet() -> models.Model:
    first = K.image_data_format() == "channels_first"
    shape = (1, UNET_SIDE, UNET_SIDE) if first else (UNET_SIDE, UNET_SIDE, 1)
    return models.UNet(input_shape=shape, padding="same")


NETWORKS: dict[str, Callable[[], models.Model]] = {
    "VGG16": lambda: models.VGG16(weights=None),
    "ResNet50": lambda: models.ResNet50(weights=None),
    "MobileNetV2": lambda: models.MobileNetV2(weights=None),
    "InceptionV3": lambda: models.InceptionV3(weights=None),
    "UNet": _unet,
}
"""By name; each has one input of pictures and one output of probabilities."""


def write(name: str, folder: Path, onnx: bool) -> None:
    """Leave a network in a folder for all engines, with its ONNX file if there is one to read it."""
    K.clear_session()
    model = NETWORKS[name]()
    set_weights(model)
    arrays = {
        f"{layer.name}/{index}": array
        for layer in model.layers
        for index, array in enumerate(layer.get_weights())
    }
    np.savez(folder / WEIGHTS, **arrays)
    description = {
        "name": name,
        "input_shape": K.int_shape(model.input)[1:],
        "output_shape": K.int_shape(model.output)[1:],
        "layers": model.get_config()["layers"],
        "onnx_parameters": _write_onnx(name, folder / ONNX, model.get_weights()) if onnx else 0,
    }
    (folder / DESCRIPTION).write_text(json.dumps(description))
    K.clear_session()


def _write_onnx(name: str, path: Path, weights: list[np.ndarray]) -> int:
    """With channels first, as ONNX has them: nothing is transposed, and padding merges with what follows.

    Gives the number of weights in the file, but for the scales of one of normalisations without scale.
    """
    kept = K.image_data_format()
    K.set_image_data_format("channels_first")
    try:
        model = NETWORKS[name]()
        model.set_weights(weights)
        convert.save_onnx(model, path)
    finally:
        K.set_image_data_format(kept)
    arrays = (numpy_helper.to_array(tensor) for tensor in load(path).graph.initializer)
    return sum(a.size for a in arrays if a.dtype == np.float32 and a.size > 1 and not (a == 1).all())


def set_weights(model: models.Model) -> None:
    """Random weights with which values stay of the size of the input's from layer to layer.

    Kernels are those of He et al. 2015 (arXiv:1502.01852). What is added to a shortcut is halved. Statistics
    and biases are not those that nothing depends on, 0 and 1, which Keras begins with.
    """
    rng = np.random.default_rng(0)
    added = {
        source
        for layer in model.get_config()["layers"]
        if layer["class_name"] == "Add"
        for source, *_ in layer["inbound_nodes"][0]
    }
    last = model.layers[-1].name
    for layer in model.layers:
        layer.set_weights(
            [
                _draw(rng, variable.name, np.shape(value), layer.name in added, layer.name == last)
                for variable, value in zip(layer.weights, layer.get_weights(), strict=True)
            ]
        )


def _draw(rng: np.random.Generator, name: str, shape: tuple[int, ...], added: bool, last: bool) -> np.ndarray:
    """Values of one variable, by its name in Keras, such as conv1/kernel."""
    kind = name.rpartition("/")[2].partition(":")[0]
    if kind.endswith("kernel"):
        inputs = np.prod(shape[:2]) if kind == "depthwise_kernel" else np.prod(shape[:-1])
        return _normal(rng, shape, ((1.0 if last else 2.0) / inputs) ** 0.5)
    if kind == "moving_variance":
        return rng.uniform(0.8, 1.2, shape).astype(np.float32)
    if kind == "gamma":
        return np.float32(0.5 if added else 1.0) * (1 + _normal(rng, shape, 0.1))
    return _normal(rng, shape, 0.1)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], scale: Any) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)
