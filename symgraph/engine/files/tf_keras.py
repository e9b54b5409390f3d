"""Configurations that tf.keras 2 wrote, in the words of Keras 2."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

# Arguments that Keras 2 does not have. With these values they say what it does anyway.
_NEUTRAL: dict[str, Any] = {
    "groups": 1,
    "keepdims": False,
    "ragged": False,
    "synchronized": False,
    "time_major": False,
    "type_spec": None,
}

_CLASSES = {
    "Functional": "Model",
    "GlorotNormal": "glorot_normal",
    "GlorotUniform": "glorot_uniform",
    "HeNormal": "he_normal",
    "HeUniform": "he_uniform",
    "L1": "L1L2",
    "L2": "L1L2",
    "LecunNormal": "lecun_normal",
    "LecunUniform": "lecun_uniform",
}


def _batch_normalization(config: dict[str, Any]) -> dict[str, Any]:
    """The axis is a list with one entry."""
    axis = config.get("axis")
    return {**config, "axis": axis[0]} if isinstance(axis, list) and len(axis) == 1 else config


_SPECIAL: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"BatchNormalization": _batch_normalization}


def translated(config: Any, known: Container[str] = ()) -> Any:
    """A configuration with the names of classes, and without the arguments, that only tf.keras has.

    Parameters
    ----------
    config : object
        A configuration of anything: parts at any depth are translated too. Keras' own stay as they are.
    known : container of str
        Names of classes that stay as they are.
    """
    if isinstance(config, list):
        return [translated(entry, known) for entry in config]
    if not isinstance(config, dict):
        return config
    result = {key: translated(value, known) for key, value in config.items()}
    name, inner = result.get("class_name"), result.get("config")
    if isinstance(name, str) and name not in known:
        result["class_name"] = _CLASSES.get(name, name)
        if isinstance(inner, dict):
            kept = {
                key: value for key, value in inner.items() if key not in _NEUTRAL or value != _NEUTRAL[key]
            }
            result["config"] = _SPECIAL.get(name, dict)(kept)
    return result
