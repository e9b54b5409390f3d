"""What Keras 2.2.4 does to a picture, written down with scipy, Pillow and numpy, from its documentation."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageEnhance
from scipy import ndimage


def matrix(rows: int, columns: int, p: dict[str, Any]) -> np.ndarray:
    """Rotation, shift, shear and zoom one after the other, around (size / 2 + 0.5)."""
    theta, shear = np.deg2rad(p["theta"]), np.deg2rad(p["shear"])
    rotation = np.array([[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]])
    shift = np.array([[1, 0, p["tx"]], [0, 1, p["ty"]], [0, 0, 1]])
    sheared = np.array([[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]])
    zoom = np.diag([p["zx"], p["zy"], 1])
    there = np.array([[1, 0, rows / 2 + 0.5], [0, 1, columns / 2 + 0.5], [0, 0, 1]])
    return there @ rotation @ shift @ sheared @ zoom @ np.linalg.inv(there)


def affine(x: np.ndarray, p: dict[str, Any], mode: str, cval: float) -> np.ndarray:
    """A picture [rows, columns, channels] of any dtype, channel by channel."""
    m = matrix(x.shape[0], x.shape[1], p)
    channels = [
        ndimage.affine_transform(x[..., c], m[:2, :2], m[:2, 2], order=1, mode=mode, cval=cval)
        for c in range(x.shape[2])
    ]
    return np.stack(channels, -1)


def brightness(x: np.ndarray, factor: float) -> np.ndarray:
    """Keras makes a picture of it, stretched to 0..255, and lets Pillow change its brightness."""
    x = x.astype("float32")
    x = x + max(-x.min(), 0)
    x = (x / (x.max() or 1) * 255).astype("uint8")
    image = Image.fromarray(x[..., 0] if x.shape[2] == 1 else x)
    return np.asarray(ImageEnhance.Brightness(image).enhance(factor)).reshape(x.shape).astype("float32")


def transform(x: np.ndarray, p: dict[str, Any], mode: str = "nearest", cval: float = 0.0) -> np.ndarray:
    """All steps in Keras' order."""
    x = affine(x, p, mode, cval)
    if p["channel_shift_intensity"] is not None:
        x = np.clip(x + p["channel_shift_intensity"], x.min(), x.max())
    if p["flip_horizontal"]:
        x = x[:, ::-1]
    if p["flip_vertical"]:
        x = x[::-1]
    return x if p["brightness"] is None else brightness(x, p["brightness"])


def picture(rows: int, columns: int, channels: int, seed: int = 0) -> np.ndarray:
    """Smooth float32 values from 0 to 255: the same on both sides of a rounding error, but for its size."""
    x = np.random.default_rng(seed).uniform(0, 255, (rows, columns, channels))
    return ndimage.gaussian_filter(x, (1.5, 1.5, 0)).astype("float32")
