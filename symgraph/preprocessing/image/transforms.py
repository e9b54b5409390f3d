"""Single transforms of one picture: rotation, shift, shear, zoom, channel shift, brightness, mirroring.

Arguments, and the order in which random numbers are drawn, are those of Keras 2.2.4. Keras calls
``scipy.ndimage.affine_transform(order=1)``; here the kernel `symgraph.kernels.warp` does the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.kernels.warp import FILL_MODES, warp
from symgraph.preprocessing.image.arguments import are_two_numbers, as_picture, check_numbers
from symgraph.utils.old_arguments import old_arguments

__all__ = [
    "affine_matrix", "apply_affine_transform", "apply_brightness_shift", "apply_channel_shift",
    "brightened", "flip_axis", "random_brightness",
    "random_channel_shift", "random_rotation", "random_shear", "random_shift", "random_zoom",
    "transform_matrix_offset_center",
]  # fmt: skip

_IDENTITY = np.eye(3)[None, :2]


def random_rotation(
    x: np.ndarray,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> np.ndarray:
    """Rotate a picture by an angle between -`rg` and `rg` degrees; see `apply_affine_transform`."""
    check_numbers(rg=rg)
    theta = np.random.uniform(-rg, rg)
    return apply_affine_transform(
        x, theta=theta, row_axis=row_axis, col_axis=col_axis, channel_axis=channel_axis, fill_mode=fill_mode,
        cval=cval,
    )  # fmt: skip


def random_shift(
    x: np.ndarray,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> np.ndarray:
    """Shift a picture by up to the fractions `wrg` of its width and `hrg` of its height, either way."""
    check_numbers(wrg=wrg, hrg=hrg)
    x = as_picture(x)
    h, w = x.shape[row_axis], x.shape[col_axis]
    tx = np.random.uniform(-hrg, hrg) * h
    ty = np.random.uniform(-wrg, wrg) * w
    return apply_affine_transform(
        x, tx=tx, ty=ty, row_axis=row_axis, col_axis=col_axis, channel_axis=channel_axis, fill_mode=fill_mode,
        cval=cval,
    )  # fmt: skip


def random_shear(
    x: np.ndarray,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> np.ndarray:
    """Shear a picture by an angle between -`intensity` and `intensity` degrees."""
    check_numbers(intensity=intensity)
    shear = np.random.uniform(-intensity, intensity)
    return apply_affine_transform(
        x, shear=shear, row_axis=row_axis, col_axis=col_axis, channel_axis=channel_axis, fill_mode=fill_mode,
        cval=cval,
    )  # fmt: skip


def random_zoom(
    x: np.ndarray,
    zoom_range: Sequence[float],
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> np.ndarray:
    """Zoom rows and columns, each by a factor of its own from `zoom_range`; below 1 things get larger.

    Raises
    ------
    ValueError
        `zoom_range` does not hold two numbers.
    """
    if not are_two_numbers(zoom_range):
        raise ValueError(f"`zoom_range` should be a tuple or list of two floats. Received: {zoom_range!r}")
    zx, zy = 1.0, 1.0
    if zoom_range[0] != 1 or zoom_range[1] != 1:
        zx, zy = np.random.uniform(zoom_range[0], zoom_range[1], 2)
    return apply_affine_transform(
        x, zx=zx, zy=zy, row_axis=row_axis, col_axis=col_axis, channel_axis=channel_axis, fill_mode=fill_mode,
        cval=cval,
    )  # fmt: skip


def apply_channel_shift(x: np.ndarray, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """Add `intensity` to all values, which stay between the least and the largest value of the picture."""
    check_numbers(intensity=intensity)
    x = np.asarray(x)
    return np.clip(x + float(intensity), np.min(x), np.max(x)) if x.size else x


@old_arguments({"intensity": "intensity_range"}, method=False)
def random_channel_shift(x: np.ndarray, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """Shift channels by a number between -`intensity_range` and `intensity_range`."""
    check_numbers(intensity_range=intensity_range)
    intensity = np.random.uniform(-intensity_range, intensity_range)
    return apply_channel_shift(x, intensity, channel_axis=channel_axis)


def apply_brightness_shift(x: np.ndarray, brightness: float) -> np.ndarray:
    """Multiply the brightness of a picture by `brightness`, as Keras does it with Pillow.

    The picture is first stretched to values from 0 to 255 and cut to integers; a fourth channel (opacity) is
    not made brighter.

    Parameters
    ----------
    x : array [rows, columns, 1, 3 or 4 channels]
    brightness : float
        1 changes nothing but the range of values, 0 makes black.

    Returns
    -------
    array of float32 of the same shape, whole numbers from 0 to 255

    Raises
    ------
    ValueError
        `x` has another rank or number of channels.
    """
    check_numbers(brightness=brightness)
    return brightened(x, brightness, False)


def brightened(x: np.ndarray, brightness: float, channels_first: bool) -> np.ndarray:
    """`apply_brightness_shift` for both places of the channels."""
    x = np.asarray(x)
    if x.ndim != 3:
        raise ValueError(
            f"Expected image array to have rank 3 (single image). Got array with shape: {x.shape}"
        )
    channels = x.shape[0 if channels_first else 2]
    if channels not in (1, 3, 4):
        raise ValueError(f"Unsupported channel number: {channels}")
    known = x if x.dtype == np.uint8 else x.astype(np.float32)
    return warp(known[None], _IDENTITY, brightness=float(brightness), channels_first=channels_first)[0]


def random_brightness(x: np.ndarray, brightness_range: Sequence[float]) -> np.ndarray:
    """Multiply the brightness of a picture by a factor from `brightness_range`; see `apply_brightness_shift`.

    Raises
    ------
    ValueError
        `brightness_range` does not hold two numbers.
    """
    if not are_two_numbers(brightness_range):
        raise ValueError(
            f"`brightness_range should be tuple or list of two floats. Received: {brightness_range!r}"
        )
    return apply_brightness_shift(x, np.random.uniform(brightness_range[0], brightness_range[1]))


def transform_matrix_offset_center(matrix: np.ndarray, x: float, y: float) -> np.ndarray:
    """A 3 x 3 matrix that does what `matrix` does around the middle of `x` rows and `y` columns.

    The middle is Keras', half a pixel behind that of the picture.
    """
    o_x, o_y = float(x) / 2 + 0.5, float(y) / 2 + 0.5
    there = np.array([[1, 0, o_x], [0, 1, o_y], [0, 0, 1]])
    back = np.array([[1, 0, -o_x], [0, 1, -o_y], [0, 0, 1]])
    return np.dot(np.dot(there, matrix), back)


def affine_matrix(
    rows: int,
    columns: int,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
) -> np.ndarray | None:
    """The matrix [2, 3] from a pixel's row and column to where it comes from; None where nothing moves.

    Rotation, shift, shear and zoom follow each other in this order, around Keras' middle.
    """
    if theta == tx == ty == shear == 0 and zx == zy == 1:
        return None
    # Python's numbers: a generator makes a matrix for each picture. (a, b, c) and (d, e, f) are its rows.
    turn, slant = math.radians(theta), math.radians(shear)
    a, b, d, e = math.cos(turn), -math.sin(turn), math.sin(turn), math.cos(turn)
    c, f = a * tx + b * ty, d * tx + e * ty
    b, e = -math.sin(slant) * a + math.cos(slant) * b, -math.sin(slant) * d + math.cos(slant) * e
    a, b, d, e = a * zx, b * zy, d * zx, e * zy
    middle_row, middle_column = rows / 2 + 0.5, columns / 2 + 0.5
    c = a * -middle_row + b * -middle_column + (c + middle_row)
    f = d * -middle_row + e * -middle_column + (f + middle_column)
    return np.array([[a, b, c], [d, e, f]], np.float64)


def apply_affine_transform(
    x: np.ndarray,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 0,
    col_axis: int = 1,
    channel_axis: int = 2,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> np.ndarray:
    """Rotate, shift, shear and zoom a picture, with linear interpolation.

    Parameters
    ----------
    x : array of rank 3
        Its axes are named by `row_axis`, `col_axis` and `channel_axis`.
    theta, shear : float
        Angles in degrees.
    tx, ty : float
        Where rows and columns come from, in pixels: 2 moves what is seen by two rows (columns) towards 0.
    zx, zy : float
        Factors for rows and columns; below 1 things get larger.
    fill_mode : {'nearest', 'constant', 'reflect', 'wrap'}
        What is put where the picture ends; `cval` is the constant.

    Returns
    -------
    array of the shape and dtype of `x`; integers and bools are rounded. Where nothing moves, `x` itself.

    Raises
    ------
    ValueError
        `x` is no array of numbers with three axes, a number is not finite, or another `fill_mode`.
    """
    if fill_mode not in FILL_MODES:
        raise ValueError(f"`fill_mode` should be one of {', '.join(FILL_MODES)}. Received: {fill_mode}")
    check_numbers(theta=theta, tx=tx, ty=ty, shear=shear, zx=zx, zy=zy, cval=cval)
    x = as_picture(x)
    axes = (row_axis, col_axis, channel_axis)
    if {axis % 3 for axis in axes} != {0, 1, 2} or not all(-3 <= axis < 3 for axis in axes):
        raise ValueError(
            "`row_axis`, `col_axis` and `channel_axis` should be the three axes of a picture. Received: "
            f"{axes}"
        )
    matrix = affine_matrix(x.shape[row_axis], x.shape[col_axis], theta, tx, ty, shear, zx, zy)
    if matrix is None:
        return x
    picture = np.moveaxis(x, axes, (0, 1, 2))
    channels_first = picture.strides[2] > picture.strides[0]
    if channels_first:
        picture = np.moveaxis(picture, 2, 0)
    working = "float32" if x.dtype in (np.float16, np.float32) else "float64"
    found = warp(
        picture.astype(working)[None], matrix[None], fill_mode=fill_mode, cval=cval,
        channels_first=channels_first, dtype=working,
    )[0]  # fmt: skip
    found = np.moveaxis(np.moveaxis(found, 0, 2) if channels_first else found, (0, 1, 2), axes)
    return np.ascontiguousarray(_as_dtype(found, x.dtype))


def _as_dtype(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Values as scipy stores them: halves of integers go away from 0, and what does not fit to the limit.

    What is at least half true is true.
    """
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.trunc(values + np.where(values > 0, 0.5, -0.5)).clip(limits.min, limits.max)
    return values >= 0.5 if dtype.kind == "b" else values.astype(dtype, copy=False)


def flip_axis(x: np.ndarray, axis: int) -> np.ndarray:
    """`x` with one axis turned around: a view."""
    return np.flip(np.asarray(x), axis)
