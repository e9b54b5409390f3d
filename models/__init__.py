"""Ready architectures and runnable programs, written on the public interface only.

An architecture is loaded when its name is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

# Configurations name classes of layers: all of them have to be loaded.
from symgraph import layers as _layers
from symgraph.engine.cloning import clone_model
from symgraph.engine.old_graph import Graph
from symgraph.engine.saving import (
    load_model,
    model_from_config,
    model_from_json,
    model_from_yaml,
    save_model,
)
from symgraph.engine.sequential import Sequential
from symgraph.engine.training import Model

Input = _layers.Input
InputLayer = _layers.InputLayer

# Architecture: its module.
_ARCHITECTURES = {
    "AlexNet": "alexnet",
    "DenseNet121": "densenet",
    "DenseNet169": "densenet",
    "DenseNet201": "densenet",
    "GoogLeNet": "googlenet",
    "InceptionResNetV2": "inception_resnet_v2",
    "InceptionV3": "inception_v3",
    "LeNet5": "lenet",
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenet_v2",
    "NASNetLarge": "nasnet",
    "NASNetMobile": "nasnet",
    "ResNet50": "resnet50",
    "ResNet50V2": "resnet_v2",
    "ResNet101": "resnet",
    "ResNet101V2": "resnet_v2",
    "ResNet152": "resnet",
    "ResNet152V2": "resnet_v2",
    "UNet": "unet",
    "VGG16": "vgg",
    "VGG19": "vgg",
    "Xception": "xception",
}

__all__ = [  # noqa: PLE0604
    "Graph",
    "Input",
    "InputLayer",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_config",
    "model_from_json",
    "model_from_yaml",
    "save_model",
    *_ARCHITECTURES,
]


def __getattr__(name: str) -> Any:
    if name in _ARCHITECTURES:
        return getattr(importlib.import_module(f"{__name__}.{_ARCHITECTURES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
