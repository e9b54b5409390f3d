"""Helpers for numpy arrays of labels and data."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


def to_categorical(y: ArrayLike, num_classes: int | None = None, dtype: DTypeLike = "float32") -> NDArray:
    """One-hot vectors of class numbers, for `categorical_crossentropy`.

    Parameters
    ----------
    y : array-like of int
        Class numbers from 0, of any shape; a last axis of length 1 is dropped.
    num_classes : int, optional
        The number of classes; by default the largest class number plus 1.
    dtype : dtype
        Type of the result.

    Returns
    -------
    ndarray
        Shape `y.shape + (num_classes,)`: 1 at the class, 0 elsewhere.

    Raises
    ------
    ValueError
        If a class number lies outside 0 .. num_classes - 1, or is no whole number.
    """
    given = np.asarray(y)
    classes = given.astype(np.int64)
    # Whole numbers in a float array are labels as well; 0.5 would silently become class 0.
    if not np.array_equal(classes, given):
        raise ValueError("to_categorical expects whole class numbers, got fractions")
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    if not num_classes:
        if classes.size == 0:
            raise ValueError("to_categorical needs num_classes where there are no labels")
        num_classes = int(classes.max()) + 1
    if classes.size and (classes.min() < 0 or classes.max() >= num_classes):
        raise ValueError(
            f"to_categorical expects class numbers from 0 to {num_classes - 1} (num_classes={num_classes}), "
            f"got {classes.min()} to {classes.max()}"
        )
    result = np.zeros((classes.size, num_classes), dtype=dtype)
    result[np.arange(classes.size), classes.ravel()] = 1
    return result.reshape((*classes.shape, num_classes))


def normalize(x: ArrayLike, axis: int = -1, order: float = 2) -> NDArray:
    """Divide an array by its norms along one axis; vectors of norm 0 stay as they are.

    Parameters
    ----------
    x : array-like
    axis : int
        The axis whose vectors get norm 1.
    order : float
        Order of the norm as in `numpy.linalg.norm`: 1, 2, inf ...

    Returns
    -------
    ndarray
        A new array of the same shape; a 1-D array becomes one row, (1, n), as in Keras.
    """
    norms = np.atleast_1d(np.linalg.norm(x, order, axis))
    norms[norms == 0] = 1
    return np.asarray(x) / np.expand_dims(norms, axis)
