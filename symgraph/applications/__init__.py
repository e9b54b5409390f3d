"""Keras' names for the architectures of `symgraph.models`; a part is loaded when its name is first used."""

from __future__ import annotations

import importlib
from typing import Any

# Architecture: the module that Keras keeps it in. `resnet` and `resnet_v2` are those of later versions.
_NAMES = {
    "DenseNet121": "densenet",
    "DenseNet169": "densenet",
    "DenseNet201": "densenet",
    "InceptionResNetV2": "inception_resnet_v2",
    "InceptionV3": "inception_v3",
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
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    "Xception": "xception",
}
_MODULES = (*dict.fromkeys(_NAMES.values()), "imagenet_utils", "mobilenetv2")

__all__ = [*_NAMES, *_MODULES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
