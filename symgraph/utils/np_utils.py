"""Helpers for numpy arrays of labels and data."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from symgraph.globals import image_data_format
from symgraph.utils.conv_utils import conv_input_length, conv_output_length
from symgraph.utils.old_arguments import old_arguments
from symgraph.utils.warn_user import warn_old

__all__ = [
    "accuracy", "binary_logloss", "categorical_probas_to_classes", "conv_input_length", "conv_output_length",
    "convert_kernel", "multiclass_logloss", "normalize", "probas_to_classes", "to_categorical",
]  # fmt: skip


@old_arguments({"nb_classes": "num_classes"}, method=False)
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


@old_arguments({"a": "x"}, method=False)
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


# -- Keras 1 -------------------------------------------------------------------------------------------------


def binary_logloss(p: ArrayLike, y: ArrayLike) -> float:
    """The mean binary cross-entropy of probabilities `p` and labels `y`, with a warning."""
    warn_old("`np_utils.binary_logloss` is gone since Keras 2: use `losses.binary_crossentropy`.")
    labels, probabilities = np.asarray(y), np.clip(p, 1e-15, 1 - 1e-15)
    terms = labels * np.log(probabilities) + (1 - labels) * np.log(1 - probabilities)
    return -np.sum(terms, axis=0) / len(labels)


def multiclass_logloss(p: ArrayLike, y: ArrayLike) -> float:
    """The mean of -log of the probabilities of the right classes, which count from 1; with a warning."""
    warn_old("`np_utils.multiclass_logloss` is gone since Keras 2: use `losses.categorical_crossentropy`.")
    classes = np.asarray(y)
    return float(-np.mean(np.log(np.asarray(p)[np.arange(len(classes)), classes - 1])))


def accuracy(p: ArrayLike, y: ArrayLike) -> float:
    """The share of equal entries, with a warning."""
    warn_old("`np_utils.accuracy` is gone since Keras 2: use `np.mean(p == y)`.")
    return float(np.mean(np.asarray(p) == np.asarray(y)))


def probas_to_classes(y_pred: ArrayLike) -> NDArray:
    """The classes of probabilities: the likeliest, or of a single column whether it is above a half."""
    warn_old("`np_utils.probas_to_classes` is gone since Keras 2: use `np.argmax(y_pred, axis=-1)`.")
    found = np.asarray(y_pred)
    if found.ndim > 1 and found.shape[1] > 1:
        return np.argmax(found, axis=1)
    return (found.reshape(len(found)) > 0.5).astype(np.int64)


def categorical_probas_to_classes(p: ArrayLike) -> NDArray:
    """The likeliest class of each row, with a warning."""
    warn_old("`np_utils.categorical_probas_to_classes` is gone since Keras 2: use `np.argmax(p, axis=1)`.")
    return np.argmax(p, axis=1)


def convert_kernel(kernel: ArrayLike, dim_ordering: str | None = None) -> NDArray:
    """A kernel of Keras 1 turned by 180 degrees: Theano's convention to TensorFlow's or back; with a warning.

    Parameters
    ----------
    kernel : array of 4 or 5 axes
        (filters, channels, ...) with 'th', (..., channels, filters) with 'tf'.
    dim_ordering : str, optional
        By default that of `image_data_format()`.
    """
    warn_old("`np_utils.convert_kernel` is `conv_utils.convert_kernel` since Keras 2, for 'tf' layouts.")
    given = np.asarray(kernel)
    layout = dim_ordering or {"channels_last": "tf", "channels_first": "th"}[image_data_format()]
    if given.ndim not in (4, 5):
        raise ValueError(f"Invalid kernel shape: {given.shape}; expected 4 or 5 axes")
    if layout not in ("th", "tf"):
        raise ValueError(f"Invalid dim_ordering: {layout!r}; expected 'th' or 'tf'")
    spatial = range(2, given.ndim) if layout == "th" else range(given.ndim - 2)
    return np.flip(given, tuple(spatial)).copy()
