"""Layers to and from configurations. The classes that a configuration may name are a closed list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symgraph.engine.base_layer import Layer
from symgraph.utils.generic_utils import deserialize_keras_object, has_arg
from symgraph.utils.warn_user import warn_old

KERAS_VERSION = "2.2.4"
"""The version that files name: that of the layout they follow."""

KERAS_BACKEND = "tensorflow"
"""The backend that files name: its kernels need no flip on any backend."""


def layer_classes() -> dict[str, type[Layer]]:
    """Every layer and model class of this package that is loaded, by name."""
    found: dict[str, type[Layer]] = {}
    waiting: list[type[Layer]] = [Layer]
    while waiting:
        for child in waiting.pop().__subclasses__():
            waiting.append(child)
            if not child.__name__.startswith("_") and child.__module__.startswith("symgraph."):
                found[child.__name__] = child
    return found


def serialize(layer: Layer) -> dict[str, Any]:
    """The configuration of a layer, with the name of its class."""
    return {"class_name": type(layer).__name__, "config": layer.get_config()}


def deserialize(
    config: Any, custom_objects: Mapping[str, Any] | None = None, *, safe_mode: bool = True
) -> Any:
    """Make a layer or a model from its configuration. Weights are new.

    Parameters
    ----------
    config : dict
        `{"class_name": ..., "config": ...}`.
    custom_objects : mapping, optional
        Further classes and functions by name.
    safe_mode : bool
        Only an explicit False lets `Lambda` layers load functions that are stored as bytecode.

    Returns
    -------
    Layer

    Raises
    ------
    ValueError
        If the class is unknown or the configuration is damaged.
    """
    classes: dict[str, Any] = dict(layer_classes())
    objects = dict(custom_objects or {})
    if safe_mode is False:
        classes = {
            name: _Unsafe(cls) if has_arg(cls.from_config, "safe_mode") else cls
            for name, cls in classes.items()
        }
    return deserialize_keras_object(config, classes, objects, printable_module_name="layer")


def layer_from_config(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """`deserialize`, by the name that it had in Keras 1; with a warning."""
    warn_old("`layer_utils.layer_from_config` is called `layers.deserialize` since Keras 2.")
    return deserialize(config, custom_objects)


def json_value(value: Any) -> Any:
    """What JSON writes for numpy arrays, numpy scalars and classes. TypeError for anything else."""
    if isinstance(value, np.ndarray):
        return {"type": "ndarray", "value": value.tolist()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, type):
        return value.__name__
    raise TypeError(f"Not JSON Serializable: {value!r}")


class _Unsafe:
    """A stand-in for a class whose `from_config` may load code."""

    def __init__(self, cls: Any) -> None:
        self._class = cls

    def __call__(self, **config: Any) -> Any:
        return self._class(**config)

    def from_config(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        return self._class.from_config(config, custom_objects=custom_objects, safe_mode=False)
