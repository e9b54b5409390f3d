"""Initializers, regularizers, constraints and axes as Keras 0.3 and 1 wrote them, in the words of Keras 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DATA_FORMATS = {"th": "channels_first", "tf": "channels_last"}
"""Keras 1's `dim_ordering`."""

IMPLEMENTATIONS = {"cpu": 1, "mem": 1, "gpu": 2}
"""Keras 1's `consume_less`."""

# How much Keras 1 stretched random orthogonal matrices by default.
_ORTHOGONAL_GAIN = 1.1

_PENALTIES = ("ActivityRegularizer", "L1L2Regularizer", "WeightRegularizer")
_LIMITS: dict[str, dict[str, str]] = {
    "MaxNorm": {"m": "max_value", "axis": "axis"},
    "MinMaxNorm": {"low": "min_value", "high": "max_value", "rate": "rate", "axis": "axis"},
    "NonNeg": {},
    "UnitNorm": {"axis": "axis"},
}


def initializer(value: Any) -> Any:
    """An initializer: Keras 1 gave its name only."""
    if value == "orthogonal":
        return {"class_name": "Orthogonal", "config": {"gain": _ORTHOGONAL_GAIN}}
    return value


def regularizer(value: Any) -> Any:
    """A regularizer. ValueError for the one that Keras 2 does not have."""
    if not _is_named(value):
        return value
    name, options = value["name"], {key: part for key, part in value.items() if key != "name"}
    if name == "EigenvalueRegularizer":
        raise ValueError("the EigenvalueRegularizer of Keras 1 is not supported")
    if name in _PENALTIES:
        return {"class_name": "L1L2", "config": {"l1": options.get("l1", 0.0), "l2": options.get("l2", 0.0)}}
    return {"class_name": name, "config": options}


def constraint(value: Any, axes: Mapping[int, int | None] | None = None) -> Any:
    """A constraint.

    Parameters
    ----------
    value : object
        `{"name": ..., options}` of Keras 1; everything else is returned as it is.
    axes : mapping, optional
        Where each axis of the weight has gone, None for one that is no more: kernels of convolutions have
        another layout now.

    Raises
    ------
    ValueError
        If it has an axis that the weight does not.
    """
    if not _is_named(value):
        return value
    name, options = value["name"], {key: part for key, part in value.items() if key != "name"}
    if name in _LIMITS:
        options = {new: options[old] for old, new in _LIMITS[name].items() if old in options}
        if "axis" in options and axes is not None:
            options["axis"] = _moved(options["axis"], axes)
    return {"class_name": name, "config": options}


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and "class_name" not in value and isinstance(value.get("name"), str)


def _moved(axis: Any, axes: Mapping[int, int | None]) -> Any:
    """An axis, or several, of a weight in its layout of today."""
    if isinstance(axis, list | tuple):
        found = [_moved(entry, axes) for entry in axis]
        return sorted(entry for entry in found if entry is not None)
    number = axis + len(axes) if isinstance(axis, int) and axis < 0 else axis
    if number not in axes:
        raise ValueError(f"the constraint has the axis {axis!r}, which the weight does not have")
    return axes[number]
