"""Checks of arguments that the generator and the single transforms share."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_number(value: Any) -> bool:
    """Whether a value is one finite number (or bool), of Python or numpy."""
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf" and bool(np.isfinite(value))


def are_two_numbers(values: Any) -> bool:
    """Whether a value is a sequence of two finite numbers."""
    return isinstance(values, (tuple, list, np.ndarray)) and len(values) == 2 and all(map(is_number, values))


def as_picture(x: Any) -> np.ndarray:
    """`x` as an array. ValueError unless it has rank 3 and holds numbers."""
    x = np.asarray(x)
    if x.ndim != 3 or x.dtype.kind not in "biuf":
        raise ValueError(
            "Expected a picture, an array of numbers of rank 3. Got array with shape: "
            f"{x.shape}, dtype: {x.dtype}"
        )
    return x


def check_numbers(**numbers: Any) -> None:
    """ValueError unless each argument is one finite number; it is named."""
    for name, value in numbers.items():
        if not is_number(value):
            raise ValueError(f"`{name}` should be a finite number. Received: {value!r}")


def settled_zoom_range(zoom_range: Any) -> list[float]:
    """The least and the largest factor that an argument stands for."""
    if is_number(zoom_range):
        return [1 - zoom_range, 1 + zoom_range]
    if not are_two_numbers(zoom_range):
        raise ValueError(
            f"`zoom_range` should be a float or a tuple or list of two floats. Received: {zoom_range!r}"
        )
    return [zoom_range[0], zoom_range[1]]


def check_brightness_range(brightness_range: Any) -> None:
    """ValueError unless it is None or two numbers, in Keras' words."""
    if brightness_range is not None and not are_two_numbers(brightness_range):
        raise ValueError(
            f"`brightness_range should be tuple or list of two floats. Received: {brightness_range!r}"
        )
