"""Running a model for some batches only to see how it runs: on given data, or on random ones that fit it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph import losses
from symgraph.utils.generic_utils import to_list
from symgraph.utils.npz import read_npz

_MOST_BYTES = 1 << 36
_UNKNOWN = 16  # what random data have where a size is unknown


@dataclass(frozen=True)
class Trial:
    """Arrays for the inputs and, where there are any, for the outputs of a model."""

    x: list[np.ndarray]
    y: list[np.ndarray]


def trial_data(model: Any, samples: int, path: str | os.PathLike[str] | None = None) -> Trial:
    """Data for a model: those of an .npz file, or `samples` random ones.

    Parameters
    ----------
    path : path, optional
        Its arrays are named as inputs and outputs are, or ``x`` and ``y``, or ``x_train`` and ``y_train``.

    Raises
    ------
    ValueError
        The file lacks arrays, or the model has not been built.
    """
    if not getattr(model, "inputs", None):
        raise ValueError(f"{model.name}: its input shape is not known, so no data can be made for it")
    if path is not None:
        return _from_file(model, path)
    rng = np.random.default_rng(0)
    x = [_random_input(model, tensor, samples, rng) for tensor in model.inputs]
    outputs = to_list(model.predict_on_batch(x))
    losses = getattr(model, "loss_functions", None) or [None] * len(outputs)
    return Trial(x, [_random_target(out, loss, rng) for out, loss in zip(outputs, losses, strict=True)])


def _from_file(model: Any, path: str | os.PathLike[str]) -> Trial:
    try:
        with zipfile.ZipFile(path) as archive:
            present = [name.removesuffix(".npy") for name in archive.namelist()]
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is no .npz file: {error}") from error
    inputs = _chosen(present, model.input_names, "x")
    if inputs is None:
        expected = ", ".join(model.input_names)
        raise ValueError(f"{path}: expected arrays {expected} (or x), got {', '.join(present) or 'none'}")
    outputs = _chosen(present, model.output_names, "y") or []
    arrays = read_npz(path, [*inputs, *outputs], _MOST_BYTES)
    return Trial([arrays[name] for name in inputs], [arrays[name] for name in outputs])


def _chosen(present: Sequence[str], names: Sequence[str], short: str) -> list[str] | None:
    """The arrays for `names`: called so, or by a short name where there is one only."""
    if all(name in present for name in names):
        return list(names)
    usual = [name for name in (short, f"{short}_train") if name in present]
    return usual[:1] if usual and len(names) == 1 else None


def _random_input(model: Any, tensor: Any, samples: int, rng: np.random.Generator) -> np.ndarray:
    first, *others = tensor._keras_shape
    shape = (first or samples, *(_UNKNOWN if size is None else size for size in others))
    words = [
        layer.input_dim
        for layer in model.layers
        if type(layer).__name__ == "Embedding" and getattr(layer, "input", None) is tensor
    ]
    if words:
        return rng.integers(0, min(words), shape)
    if np.issubdtype(np.dtype(tensor.dtype), np.integer):
        return np.zeros(shape, tensor.dtype)
    return rng.random(shape, "float32")


def _random_target(output: np.ndarray, loss: Any, rng: np.random.Generator) -> np.ndarray:
    """Class numbers, or a one at a class, for the losses of classes; else numbers from 0 to 1."""
    name = getattr(losses.function_of(loss), "__name__", str(loss))
    classes = rng.integers(0, max(output.shape[-1], 1), output.shape[:-1])
    if name == "sparse_categorical_crossentropy":
        return classes[..., None]
    if name == "categorical_crossentropy":
        return np.eye(output.shape[-1], dtype="float32")[classes]
    return rng.random(output.shape, "float32")


def trial_run(model: Any, data: Trial, what: str | None, batch_size: int, batches: int) -> Any:
    """Run `batches` batches, from the beginning of the data again and again; the function that ran.

    Parameters
    ----------
    what : str or None
        ``train``, ``test`` or ``predict``; None for training, where the model was compiled and there are
        targets.

    Raises
    ------
    ValueError
        Training or testing a model that was not compiled, or without targets.
    """
    can_train = getattr(model, "optimizer", None) is not None and bool(data.y)
    if what is None:
        what = "train" if can_train else "predict"
    if what != "predict" and not can_train:
        raise ValueError(f"{what}: expected a model that was compiled, and targets for it")
    call = getattr(model, f"{what}_on_batch")
    count = max(1, len(data.x[0]) // batch_size)
    for number in range(batches):
        rows = slice(number % count * batch_size, (number % count + 1) * batch_size)
        arrays = [data.x] if what == "predict" else [data.x, data.y]
        call(*([part[rows] for part in given] for given in arrays))
    return getattr(model, f"{what}_function")
