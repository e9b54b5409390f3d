"""Normalisation of pictures, by themselves and by what a data set is like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.utils.warn_user import warn_user

# Samples whose sums are taken at once while a generator is fitted.
_CHUNK = 256


class Normalisation:
    """What `ImageDataGenerator` does to pictures after their transforms."""

    featurewise_center: bool
    samplewise_center: bool
    featurewise_std_normalization: bool
    samplewise_std_normalization: bool
    zca_whitening: bool
    zca_epsilon: float
    rescale: float | None
    preprocessing_function: Callable[[np.ndarray], np.ndarray] | None
    dtype: Any
    data_format: str
    channel_axis: int
    row_axis: int
    col_axis: int
    mean: np.ndarray | None
    std: np.ndarray | None
    principal_components: np.ndarray | None

    def _settle_normalisation(self) -> None:
        """Switch on what other switches need, with Keras' warnings."""
        said = "This ImageDataGenerator specifies "
        asked_for_std = self.featurewise_std_normalization
        if self.zca_whitening:
            if not self.featurewise_center:
                self.featurewise_center = True
                warn_user(said + "`zca_whitening`, which overrides setting of `featurewise_center`.")
            if self.featurewise_std_normalization:
                self.featurewise_std_normalization = False
                warn_user(
                    said + "`zca_whitening` which overrides setting of`featurewise_std_normalization`.",
                )
        for wanted, name in (
            (asked_for_std, "featurewise"),
            (self.samplewise_std_normalization, "samplewise"),
        ):
            if wanted and not getattr(self, f"{name}_center"):
                setattr(self, f"{name}_center", True)
                warn_user(
                    said + f"`{name}_std_normalization`, which overrides setting of `{name}_center`.",
                )

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """Normalise a picture or a batch: a new array.

        In this order: `preprocessing_function`, `rescale`, samplewise, featurewise and ZCA.
        """
        x = np.asarray(x)
        if self.preprocessing_function:
            x = self._preprocessed(x)
        if self.rescale or x.dtype.kind != "f":
            x = np.multiply(x, self.rescale or 1, dtype=x.dtype if x.dtype.kind == "f" else self.dtype)
        else:
            x = x.copy()
        return self._normalised(x)

    def _preprocessed(self, x: np.ndarray) -> np.ndarray:
        """What `preprocessing_function` makes of a picture, or of each of a batch."""
        assert self.preprocessing_function is not None
        pictures = x if x.ndim == 4 and len(x) else x[None]
        made = [np.asarray(self.preprocessing_function(picture)) for picture in pictures]
        shapes = {picture.shape for picture in made}
        if len(shapes) > 1 or any(picture.dtype.kind not in "biuf" for picture in made):
            raise ValueError(
                "`preprocessing_function` should return arrays of numbers, all of one shape. Received: "
                f"{made[0].dtype}, shapes {sorted(shapes)[:3]}"
            )
        return np.stack(made) if pictures is x else made[0]

    def _normalised(self, x: np.ndarray) -> np.ndarray:
        """Normalise a picture or a batch of floats, in place where that can be."""
        axes = tuple(range(x.ndim))[-3:]
        if self.samplewise_center:
            x -= np.mean(x, axis=axes, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, axis=axes, keepdims=True) + 1e-6
        if self.featurewise_center:
            if self.mean is None:
                _warn_unfit("featurewise_center")
            else:
                x -= _suited("mean", self.mean, x.shape)
        if self.featurewise_std_normalization:
            if self.std is None:
                _warn_unfit("featurewise_std_normalization")
            else:
                x /= _suited("std", self.std, x.shape) + 1e-6
        if self.zca_whitening:
            if self.principal_components is None:
                _warn_unfit("zca_whitening")
            else:
                flat = x.reshape(-1, int(np.prod(x.shape[-3:])))
                whitening = _suited("principal_components", self.principal_components, flat.shape[1:] * 2)
                x = np.dot(flat, whitening).reshape(x.shape)
        return x

    def fit(self, x: np.ndarray, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Find mean, standard deviation and principal components, for whichever of them is switched on.

        Parameters
        ----------
        x : array [samples, rows, columns, channels]
            In the order of `data_format`.
        augment : bool
            Fit to transformed pictures, `rounds` of each.
        seed : int, optional
            Of the transforms.

        Raises
        ------
        ValueError
            `x` has another rank, or no samples.
        """
        x = np.array(x, dtype=self.dtype)
        if x.ndim != 4:
            raise ValueError(f"Input to `.fit()` should have rank 4. Got array with shape: {x.shape}")
        if not x.size:
            raise ValueError(f"Input to `.fit()` should have samples. Got array with shape: {x.shape}")
        channels = x.shape[self.channel_axis]
        if channels not in {1, 3, 4}:
            warn_user(
                "Expected input to be images (as Numpy array) following the data format convention "
                f'"{self.data_format}" (channels on axis {self.channel_axis}), i.e. expected either 1, 3 or '
                f"4 channels on axis {self.channel_axis}. However, it was passed an array with shape "
                f"{x.shape} ({channels} channels).",
            )
        if augment:
            x = self._augmented(x, rounds, seed)
        shape = [1, 1, 1]
        shape[self.channel_axis - 1] = channels
        axes = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            self.mean = _mean(x, axes).reshape(shape).astype(x.dtype)
            x -= self.mean
        if self.featurewise_std_normalization:
            variance = _mean(x, axes, 2) - _mean(x, axes) ** 2
            self.std = np.sqrt(np.maximum(variance, 0)).reshape(shape).astype(x.dtype)
            x /= self.std + 1e-6
        if self.zca_whitening:
            flat = x.reshape(len(x), -1).astype(np.float64)
            values, vectors = np.linalg.eigh(np.dot(flat.T, flat) / len(flat))
            scaled = vectors / np.sqrt(np.maximum(values, 0) + self.zca_epsilon)
            self.principal_components = np.dot(scaled, vectors.T).astype(x.dtype)

    def _augmented(self, x: np.ndarray, rounds: int, seed: int | None) -> np.ndarray:
        """Each picture transformed at random, `rounds` times."""
        raise NotImplementedError


def _mean(x: np.ndarray, axes: tuple[int, ...], power: int = 1) -> np.ndarray:
    """The mean of powers over samples, rows and columns, summed up in float64 by chunks of samples."""
    total = np.zeros(1)
    for start in range(0, len(x), _CHUNK):
        total = total + np.sum(x[start : start + _CHUNK].astype(np.float64) ** power, axis=axes)
    return total / np.prod([x.shape[axis] for axis in axes])


def _warn_unfit(name: str) -> None:
    warn_user(
        f"This ImageDataGenerator specifies `{name}`, but it hasn't been fit on any training data. Fit it "
        "first by calling `.fit(numpy_data)`.",
    )


def _suited(name: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """What was fitted, as an array. ValueError unless it can be stretched to `shape`."""
    values = np.asarray(values)
    try:
        np.broadcast_to(values, shape)
    except ValueError as error:
        raise ValueError(
            f"This ImageDataGenerator was fit on pictures of another shape: its `{name}` has shape "
            f"{values.shape}, which does not go with {shape}"
        ) from error
    return values
