"""Affine warps of a batch of pictures, and what follows them in augmentation, in one sweep.

A sample is resampled by its own matrix with linear interpolation, as
``scipy.ndimage.affine_transform(order=1)`` does it; then its channels are shifted and its brightness changed
as Keras and Pillow do it, and it is mirrored and rescaled.
"""

from __future__ import annotations

import numpy as np

from symgraph.kernels.copies import contiguous_copy
from symgraph.kernels.run.buffer import Buffer, Scratch, launch
from symgraph.kernels.run.machine import Row
from symgraph.kernels.run.memory import float_bits
from symgraph.kernels.warp_kernel import (
    BRIGHTNESS,
    FILL_MODES,
    FLIP,
    MIRROR,
    SETTINGS,
    SHIFT,
    finish_kernel,
    warp_kernel,
)

__all__ = ["FILL_MODES", "warp", "warp_rows", "warp_settings"]

# Rows of a band hold at least this many numbers.
_BAND = 1 << 15


def warp_rows(
    pictures: Buffer,
    settings: Buffer,
    out: Buffer,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    scale: float = 1.0,
    channels_first: bool = False,
    finishes: bool = True,
    *,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows that warp, shift, brighten, mirror and rescale pictures.

    Parameters
    ----------
    pictures : Buffer
        uint8, float32 or float64 [samples, rows, columns, channels], or [samples, channels, rows, columns].
    settings : Buffer
        Contiguous float64 [samples, 10]: for each sample its matrix (two rows of three, from an output
        pixel's row and column to the place in the picture), 1 to mirror its columns, 1 to mirror its rows,
        the shift of its channels, and the factor of its brightness (NaN: none).
    out : Buffer
        Contiguous float32 or float64 of the same shape.
    fill_mode : {'constant', 'nearest', 'reflect', 'wrap'}
        What lies outside, see ``scipy.ndimage.affine_transform``; `cval` is the constant.
    scale : float
        What the result is multiplied by, at the end.
    finishes : bool
        Whether any sample has a shift or a brightness.
    """
    rows: list[Row] = []
    if not out.size:
        return rows
    pictures = contiguous_copy(pictures, rows, threads, scratch)
    samples = out.shape[0]
    planes, (height, width), channels = (
        (out.shape[1], out.shape[2:], 1) if channels_first else (1, out.shape[1:3], out.shape[3])
    )
    # Enough samples keep all threads busy; the rows of few are shared out.
    most = max(1, min(height, out.size // samples // _BAND))
    bands = 1 if threads == 1 or samples >= 4 * threads else min(most, -(-4 * threads // samples))
    extremes = scratch((samples * bands * 2,), "float64")
    operands = (
        pictures.address, out.address, settings.address, extremes.address, planes, height, width, channels,
        bands, float_bits(cval), float_bits(scale), int(finishes),
    )  # fmt: skip
    fast = channels in (1, 4) or (channels == 3 and height * width > 1)
    kernel = warp_kernel(pictures.dtype.name, out.dtype.name, channels if fast else 0, fill_mode)
    rows.append(Row(kernel, operands, samples * bands))
    if finishes and bands > 1:
        rows.append(Row(finish_kernel(out.dtype.name, channels == 4), operands, samples * bands))
    return rows


def warp_settings(
    matrices: np.ndarray,
    mirrored: np.ndarray | bool = False,
    flipped: np.ndarray | bool = False,
    channel_shifts: np.ndarray | float = np.nan,
    brightness: np.ndarray | float = np.nan,
) -> np.ndarray:
    """The `settings` of `warp_rows` for matrices [samples, 2, 3]; the others are for all, or for each sample.

    Raises
    ------
    ValueError
        Matrices of another shape, or numbers in them that are not finite.
    """
    if matrices.ndim != 3 or matrices.shape[1:] != (2, 3):
        raise ValueError(f"warp: expected matrices of shape (samples, 2, 3), got {matrices.shape}")
    if not np.isfinite(matrices).all():
        raise ValueError("warp: expected finite matrices, got NaN or infinity")
    settings = np.empty((len(matrices), SETTINGS))
    settings[:, :MIRROR] = matrices.reshape(-1, MIRROR)
    for place, values in (
        (MIRROR, mirrored),
        (FLIP, flipped),
        (SHIFT, channel_shifts),
        (BRIGHTNESS, brightness),
    ):
        settings[:, place] = values
    return settings


def warp(
    pictures: np.ndarray,
    matrices: np.ndarray,
    *,
    mirrored: np.ndarray | bool = False,
    flipped: np.ndarray | bool = False,
    channel_shifts: np.ndarray | float = np.nan,
    brightness: np.ndarray | float = np.nan,
    scale: float = 1.0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    channels_first: bool = False,
    dtype: str = "float32",
    threads: int | None = None,
) -> np.ndarray:
    """Warp pictures [samples, rows, columns, channels] of numpy: see `warp_rows` and `warp_settings`.

    What happens to a sample, in this order: each pixel (r, c) gets what lies at ``matrix @ (r, c, 1)``; its
    channels are shifted between its extremes; columns and rows are mirrored; it is stretched to 0..255, cut
    to integers, and made brighter or darker; it is multiplied by `scale`.

    Returns
    -------
    array of `dtype` (float32 or float64), of the shape of `pictures`

    Raises
    ------
    ValueError
        Pictures that are not of rank 4 or not uint8, float32 or float64; another number of matrices than of
        samples, or bad ones; brightness where there are not 1, 3 or 4 channels; an unknown `fill_mode`.
    """
    if pictures.ndim != 4 or pictures.dtype.name not in ("uint8", "float32", "float64"):
        raise ValueError(
            "warp: expected pictures of rank 4, uint8, float32 or float64, got shape "
            f"{pictures.shape} and dtype {pictures.dtype}"
        )
    if fill_mode not in FILL_MODES:
        raise ValueError(f"warp: expected a fill_mode of {', '.join(FILL_MODES)}, got {fill_mode!r}")
    if len(matrices) != len(pictures):
        raise ValueError(f"warp: expected {len(pictures)} matrices, got {len(matrices)}")
    settings = warp_settings(matrices, mirrored, flipped, channel_shifts, brightness)
    bright = not bool(np.isnan(settings[:, BRIGHTNESS]).all())
    if bright and pictures.shape[1 if channels_first else 3] not in (1, 3, 4):
        raise ValueError(f"warp: brightness needs 1, 3 or 4 channels, got pictures {pictures.shape}")
    out = np.empty(pictures.shape, dtype)
    finishes = bright or not bool(np.isnan(settings[:, SHIFT]).all())
    launch(
        warp_rows, pictures, settings, out, threads=threads, fill_mode=fill_mode, cval=float(cval),
        scale=float(scale), channels_first=channels_first, finishes=finishes,
    )  # fmt: skip
    return out
