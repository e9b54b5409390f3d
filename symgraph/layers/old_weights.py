"""The argument `weights` in the layouts of Keras 1: kernels by the layout of pictures, gates one by one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.utils.old_arguments import LAYOUTS, Keywords, Positional, Rearrange


def kernels_of_keras_1(
    rearrange: Rearrange,
    marks: Collection[str],
    first: Sequence[int] | None = None,
    last: Sequence[int] | None = None,
) -> Rearrange:
    """Has the kernel of an old call transposed, by `first` with channels first, else by `last`.

    Parameters
    ----------
    rearrange : callable
        What else there is to do, first.
    marks : collection of str
        Keywords that tell an old call, besides what `rearrange` finds.
    """

    def wrapped(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
        args, found = rearrange(owner, args, kwargs)
        weights = kwargs.get("weights")
        if isinstance(weights, list | tuple) and weights and (found or any(name in kwargs for name in marks)):
            stated = LAYOUTS.get(kwargs.get("dim_ordering", "default")) or kwargs.get("data_format")
            layout = stated or K.image_data_format()
            kwargs["weights"] = [
                _kernel(np.asarray(weights[0]), first if layout == "channels_first" else last),
                *weights[1:],
            ]
        return args, found

    return wrapped


def _kernel(kernel: np.ndarray, order: Sequence[int] | None) -> np.ndarray:
    if order is not None and kernel.ndim == len(order):
        kernel = kernel.transpose(order)
    # Theano convolved with flipped kernels.
    return np.flip(kernel, tuple(range(kernel.ndim - 2))) if K.backend() == "theano" else kernel


def sequences_of_keras_1(rearrange: Rearrange, marks: Collection[str]) -> Rearrange:
    """Has the kernel (length, 1, channels, filters) of an old call for sequences lose its second axis."""

    def wrapped(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
        args, found = rearrange(owner, args, kwargs)
        weights = kwargs.get("weights")
        if isinstance(weights, list | tuple) and weights and (found or any(name in kwargs for name in marks)):
            kernel = np.asarray(weights[0])
            flat = kernel[:, 0] if kernel.ndim == 4 and kernel.shape[1] == 1 else kernel
            kwargs["weights"] = [_kernel(flat, None), *weights[1:]]
        return args, found

    return wrapped


def joined_gates(owner: str, kwargs: Keywords) -> None:
    """Join kernel, recurrent kernel and bias of each gate, where `weights` holds 9 or 12 arrays."""
    order = {"GRU": (0, 1, 2), "LSTM": (0, 2, 1, 3)}.get(owner, ())  # those of an LSTM are i, c, f, o
    weights: Any = kwargs.get("weights")
    if isinstance(weights, list | tuple) and order and len(weights) == 3 * len(order):
        parts = [[np.asarray(weights[3 * gate + part]) for gate in order] for part in range(3)]
        kwargs["weights"] = [np.concatenate(part, axis=-1) for part in parts]
