"""Convolution and pooling in numpy, for one, two or three spatial axes; channels last."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Ints = Sequence[int]


def windows(
    x: np.ndarray, size: Ints, strides: Ints, padding: str, dilation: Ints, fill: float = 0.0
) -> np.ndarray:
    """(samples, places..., channels, taps...); 'same' by TensorFlow's rule."""
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    border = [(0, 0)]
    for n, r, s in zip(x.shape[1:-1], reach, strides, strict=True):
        missing = max((-(-n // s) - 1) * s + r - n, 0) if padding == "same" else 0
        border.append((missing // 2, missing - missing // 2))
    wide = np.pad(x, [*border, (0, 0)], constant_values=fill)
    views = sliding_window_view(wide, reach, tuple(range(1, x.ndim - 1)))
    places = tuple(slice(None, None, s) for s in strides)
    taps = tuple(slice(None, None, d) for d in dilation)
    return views[(slice(None), *places, slice(None), *taps)]


def convolved(x: np.ndarray, kernel: np.ndarray, strides: Ints, padding: str, dilation: Ints) -> np.ndarray:
    """Cross-correlation; kernel (taps..., channels, filters)."""
    rank = x.ndim - 2
    seen = windows(x, kernel.shape[:rank], strides, padding, dilation)
    axes = [rank + 1, *range(rank + 2, 2 * rank + 2)], [rank, *range(rank)]
    return np.tensordot(seen, kernel, axes)


def spread(kernel: np.ndarray) -> np.ndarray:
    """The full kernel of a convolution that keeps channels apart; kernel (taps..., channels, multiplier)."""
    channels, multiplier = kernel.shape[-2:]
    full = np.zeros((*kernel.shape[:-2], channels, channels * multiplier))
    for c in range(channels):
        full[..., c, c * multiplier : (c + 1) * multiplier] = kernel[..., c, :]
    return full


def transposed(
    y: np.ndarray, kernel: np.ndarray, shape: Ints, strides: Ints, padding: str, dilation: Ints
) -> np.ndarray:
    """The matrix of a convolution (one column for each element of its input), transposed, times `y`."""
    basis = np.eye(int(np.prod(shape[1:]))).reshape(-1, *shape[1:])
    matrix = convolved(basis, kernel, strides, padding, dilation)
    return (y.reshape(len(y), -1) @ matrix.reshape(len(basis), -1).T).reshape(len(y), *shape[1:])


def pooled(x: np.ndarray, size: Ints, strides: Ints, padding: str, mode: str) -> np.ndarray:
    """Largest or mean of what lies inside."""
    rank = x.ndim - 2
    seen = windows(x, size, strides, padding, [1] * rank, np.nan)
    reduce = np.nanmax if mode == "max" else np.nanmean
    return reduce(seen, axis=tuple(range(rank + 2, 2 * rank + 2)))


def local(x: np.ndarray, kernel: np.ndarray, size: Ints, strides: Ints) -> np.ndarray:
    """A kernel of its own for every place: (places, taps · channels, filters)."""
    rank = x.ndim - 2
    seen = windows(x, size, strides, "valid", [1] * rank)
    counts = seen.shape[1 : rank + 1]
    rows = np.moveaxis(seen, rank + 1, -1).reshape(len(x), len(kernel), -1)
    return np.einsum("npk,pkf->npf", rows, kernel).reshape(len(x), *counts, -1)


def first(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """The same for channels behind the samples."""

    def turned(x: np.ndarray, *rest: np.ndarray) -> np.ndarray:
        return np.moveaxis(function(np.moveaxis(x, 1, -1), *rest), -1, 1)

    return turned
