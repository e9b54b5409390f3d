"""`ImageDataGenerator`: random transforms and normalisation of pictures, one by one or a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph import globals as settings
from symgraph.kernels.warp import FILL_MODES, warp
from symgraph.preprocessing.image.arguments import (
    as_picture,
    check_brightness_range,
    is_number,
    settled_zoom_range,
)
from symgraph.preprocessing.image.flows import Flows
from symgraph.preprocessing.image.normalisation import Normalisation
from symgraph.preprocessing.image.transforms import (
    affine_matrix,
    apply_affine_transform,
    apply_channel_shift,
    brightened,
    flip_axis,
)
from symgraph.utils.old_arguments import LAYOUTS, old_arguments

_STEPS = ("get_random_transform", "apply_transform", "random_transform", "standardize")


class ImageDataGenerator(Flows, Normalisation):
    """Random transforms and normalisation of pictures. The arguments are those of Keras 2.2.4.

    Parameters
    ----------
    featurewise_center, featurewise_std_normalization : bool
        Subtract the mean, divide by the standard deviation of each channel over the data given to `fit`.
    samplewise_center, samplewise_std_normalization : bool
        The same with mean and standard deviation of each picture by itself.
    zca_whitening : bool
        Decorrelate all values of a picture, with what `fit` found; `zca_epsilon` keeps small parts small.
    rotation_range : float
        Most degrees to rotate by, either way.
    width_shift_range, height_shift_range : float, int or list
        A float below 1 is the largest part of the width (height), from 1 on pixels; an int n stands for the
        whole numbers of pixels below n, a list for its own numbers (parts, if all are below 1), either way.
    brightness_range : two floats, optional
        Factors of brightness; see `apply_brightness_shift`.
    shear_range : float
        Most degrees to shear by, either way.
    zoom_range : float or two floats
        Factors for rows and for columns lie between the two; z stands for (1 - z, 1 + z).
    channel_shift_range : float
        Most that is added to all values, either way.
    fill_mode : {'nearest', 'constant', 'reflect', 'wrap'}
        What is put where a picture ends; `cval` is the constant.
    horizontal_flip, vertical_flip : bool
        Mirror every second picture, at random.
    rescale : float, optional
        What values are multiplied by, after `preprocessing_function`.
    preprocessing_function : callable, optional
        Takes a transformed picture, and returns one of the same shape.
    data_format : {'channels_last', 'channels_first'}, optional
    validation_split : float
        The part of the data that ``subset="validation"`` stands for.
    dtype : str, optional
        Of the batches; `floatx()` without it.

    Raises
    ------
    ValueError
        An argument that means nothing; it is named.
    """

    @old_arguments({"dim_ordering": "data_format"}, values={"dim_ordering": LAYOUTS})
    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: float | Sequence[float] = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], np.ndarray] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        dtype: Any = None,
    ) -> None:
        self.featurewise_center = featurewise_center
        self.samplewise_center = samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening = zca_whitening
        self.zca_epsilon = zca_epsilon
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.brightness_range = brightness_range
        self.shear_range = shear_range
        self.zoom_range = settled_zoom_range(zoom_range)
        self.channel_shift_range = channel_shift_range
        self.fill_mode = fill_mode
        self.cval = cval
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.rescale = rescale
        self.preprocessing_function = preprocessing_function
        self.data_format = settings.image_data_format() if data_format is None else data_format
        self.dtype = settings.floatx() if dtype is None else dtype
        if self.data_format not in {"channels_last", "channels_first"}:
            raise ValueError(
                '`data_format` should be `"channels_last"` (channel after row and column) or '
                f'`"channels_first"` (channel before row and column). Received: {data_format}'
            )
        first = self.data_format == "channels_first"
        self.channel_axis, self.row_axis, self.col_axis = (1, 2, 3) if first else (3, 1, 2)
        if validation_split and not (is_number(validation_split) and 0 < validation_split < 1):
            raise ValueError(
                f"`validation_split` must be strictly between 0 and 1.  Received: {validation_split!r}"
            )
        self._validation_split = validation_split
        self.mean = self.std = self.principal_components = None
        self._check_ranges()
        self._settle_normalisation()

    def _check_ranges(self) -> None:
        """Refuse what would fail, or mean nothing, when numbers are drawn and pictures made."""
        for name in ("rotation_range", "shear_range", "channel_shift_range", "cval", "zca_epsilon"):
            if not is_number(getattr(self, name)):
                raise ValueError(f"`{name}` should be a float. Received: {getattr(self, name)!r}")
        if self.rescale is not None and not is_number(self.rescale):
            raise ValueError(f"`rescale` should be a float or None. Received: {self.rescale!r}")
        for name in ("horizontal_flip", "vertical_flip"):
            if not is_number(getattr(self, name)):
                raise ValueError(f"`{name}` should be True or False. Received: {getattr(self, name)!r}")
        if self.preprocessing_function is not None and not callable(self.preprocessing_function):
            raise ValueError(
                f"`preprocessing_function` should be a function. Received: {self.preprocessing_function!r}"
            )
        for name in ("width_shift_range", "height_shift_range"):
            value = np.asarray(getattr(self, name))
            if value.ndim > 1 or value.dtype.kind not in "iufb" or not np.isfinite(value).all():
                raise ValueError(
                    f"`{name}` should be a float, an int or a 1-D array-like. Received: {getattr(self, name)}"
                )
        if self.fill_mode not in FILL_MODES:
            raise ValueError(
                f"`fill_mode` should be one of {', '.join(FILL_MODES)}. Received: {self.fill_mode}"
            )
        check_brightness_range(self.brightness_range)

    def get_random_transform(self, img_shape: Sequence[int], seed: int | None = None) -> dict[str, Any]:
        """Draw the parameters of a transform for a picture of `img_shape`.

        With a seed the numbers are those that Keras draws after ``np.random.seed(seed)``, and the state of
        ``np.random`` is left alone; without one they come from ``np.random``.
        """
        return self._draw(img_shape, np.random if seed is None else np.random.RandomState(seed))

    def _draw(self, img_shape: Sequence[int], rng: Any) -> dict[str, Any]:
        """Parameters drawn from `rng`, in Keras' order."""
        rows, columns = img_shape[self.row_axis - 1], img_shape[self.col_axis - 1]
        theta: float = rng.uniform(-self.rotation_range, self.rotation_range) if self.rotation_range else 0
        tx = _draw_shift(self.height_shift_range, rows, rng)
        ty = _draw_shift(self.width_shift_range, columns, rng)
        shear: float = rng.uniform(-self.shear_range, self.shear_range) if self.shear_range else 0
        zx, zy = 1.0, 1.0
        if self.zoom_range[0] != 1 or self.zoom_range[1] != 1:
            zx, zy = rng.uniform(self.zoom_range[0], self.zoom_range[1], 2)
        flip_horizontal = (rng.random_sample() < 0.5) * self.horizontal_flip
        flip_vertical = (rng.random_sample() < 0.5) * self.vertical_flip
        intensity = None
        if self.channel_shift_range != 0:
            intensity = rng.uniform(-self.channel_shift_range, self.channel_shift_range)
        brightness = None
        if self.brightness_range is not None:
            check_brightness_range(self.brightness_range)
            brightness = rng.uniform(self.brightness_range[0], self.brightness_range[1])
        return {
            "theta": theta,
            "tx": tx,
            "ty": ty,
            "shear": shear,
            "zx": zx,
            "zy": zy,
            "flip_horizontal": flip_horizontal,
            "flip_vertical": flip_vertical,
            "channel_shift_intensity": intensity,
            "brightness": brightness,
        }

    def _draw_each(self, img_shape: Sequence[int], seeds: Sequence[int]) -> list[dict[str, Any]]:
        """`get_random_transform` for each of many seeds; no draws where no number would do anything."""
        moves = (self.rotation_range, self.width_shift_range, self.height_shift_range, self.shear_range)
        others = (self.channel_shift_range, self.horizontal_flip, self.vertical_flip)
        still = not any(np.any(r) for r in (*moves, *others)) and self.zoom_range == [1, 1]
        if still and self.brightness_range is None:
            return [{} for _ in seeds]
        # Made once: that takes as long as all the draws of a sample.
        rng = np.random.RandomState()
        parameters = []
        for seed in seeds:
            rng.seed(seed)
            parameters.append(self._draw(img_shape, rng))
        return parameters

    def apply_transform(self, x: np.ndarray, transform_parameters: Mapping[str, Any]) -> np.ndarray:
        """Transform one picture by given parameters; those that are left out do nothing.

        Parameters
        ----------
        x : array of rank 3
        transform_parameters : mapping
            ``theta``, ``shear`` in degrees, ``tx``, ``ty`` in pixels, factors ``zx``, ``zy``; then, in this
            order, ``channel_shift_intensity``, ``flip_horizontal``, ``flip_vertical`` and ``brightness``.
        """
        row_axis, col_axis, channel_axis = self.row_axis - 1, self.col_axis - 1, self.channel_axis - 1
        get = transform_parameters.get
        x = apply_affine_transform(
            x, **_moves(transform_parameters), row_axis=row_axis, col_axis=col_axis,
            channel_axis=channel_axis, fill_mode=self.fill_mode, cval=self.cval,
        )  # fmt: skip
        if get("channel_shift_intensity") is not None:
            x = apply_channel_shift(x, transform_parameters["channel_shift_intensity"], channel_axis)
        if get("flip_horizontal", False):
            x = flip_axis(x, col_axis)
        if get("flip_vertical", False):
            x = flip_axis(x, row_axis)
        if get("brightness") is not None:
            x = brightened(x, transform_parameters["brightness"], self.data_format == "channels_first")
        return x

    def random_transform(self, x: np.ndarray, seed: int | None = None) -> np.ndarray:
        """Transform one picture [rows, columns, channels] at random; see `get_random_transform`."""
        x = as_picture(x)
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def _batch(self, pictures: np.ndarray | Sequence[np.ndarray], seeds: Sequence[int]) -> np.ndarray:
        """Pictures of one shape, each transformed by its seed and normalised, in the generator's dtype.

        What ``standardize(random_transform(x, seed))`` makes of each, all of them in one run of the kernel;
        one by one where a subclass has its own way for a step.
        """
        if not len(pictures) and (self._has_own_steps() or self.preprocessing_function):
            # They may change shapes: a black picture shows to what.
            black = np.zeros((1, *np.shape(pictures)[1:]), np.asarray(pictures).dtype)
            return self._batch(black, [0])[:0]
        if self._has_own_steps():
            made = [
                self.standardize(self.random_transform(np.asarray(x, self.dtype), seed))
                for x, seed in zip(pictures, seeds, strict=True)
            ]
            return np.stack(made).astype(self.dtype, copy=False)
        stacked = pictures if isinstance(pictures, np.ndarray) else np.stack(pictures)
        parameters = self._draw_each(stacked.shape[1:], seeds)
        folded = not self.preprocessing_function
        x = self._transformed(stacked, parameters, float(self.rescale or 1) if folded else 1.0)
        x = self._normalised(x) if folded else self.standardize(x)
        return x.astype(self.dtype, copy=False)

    def _has_own_steps(self) -> bool:
        """Whether a subclass, or this object, has its own way for a step."""
        return any(
            getattr(getattr(self, n), "__func__", None) is not getattr(ImageDataGenerator, n) for n in _STEPS
        )

    def _transformed(
        self, pictures: np.ndarray, parameters: Sequence[Mapping[str, Any]], scale: float = 1.0
    ) -> np.ndarray:
        """`apply_transform` of a batch with the parameters of each sample, times `scale`, in the kernel."""
        rows, columns = pictures.shape[self.row_axis], pictures.shape[self.col_axis]
        matrices = np.empty((len(pictures), 2, 3))
        for matrix, given in zip(matrices, parameters, strict=True):
            found = affine_matrix(rows, columns, **_moves(given))
            matrix[...] = np.eye(2, 3) if found is None else found

        def each(name: str, missing: float | None = None) -> np.ndarray:
            return np.array([given.get(name, missing) for given in parameters], np.float64)

        if pictures.dtype.name not in ("uint8", "float32", "float64"):
            pictures = pictures.astype(np.float64)
        return warp(
            pictures,
            matrices,
            mirrored=each("flip_horizontal", 0),
            flipped=each("flip_vertical", 0),
            channel_shifts=each("channel_shift_intensity"),
            brightness=each("brightness"),
            scale=scale,
            fill_mode=self.fill_mode,
            cval=self.cval,
            channels_first=self.data_format == "channels_first",
            dtype="float64" if np.dtype(self.dtype) == np.float64 else "float32",
        )

    def _augmented(self, x: np.ndarray, rounds: int, seed: int | None) -> np.ndarray:
        """Each picture transformed at random, `rounds` times."""
        if not hasattr(rounds, "__index__") or rounds < 1:
            raise ValueError(f"`rounds` should be a whole number of 1 or more. Received: {rounds!r}")
        rng: Any = np.random if seed is None else np.random.RandomState(seed)
        x = np.concatenate([x] * rounds)
        if self._has_own_steps():
            made = np.stack([self.random_transform(p, rng.randint(1 << 32, dtype=np.uint32)) for p in x])
        else:
            made = self._transformed(x, [self._draw(x.shape[1:], rng) for _ in x])
        return made.astype(x.dtype, copy=False)


def _draw_shift(shift_range: Any, size: int, rng: Any) -> float:
    """Pixels of a shift: one of a list, or of the whole numbers below an int, or of an interval."""
    number = isinstance(shift_range, (int, float)) or np.ndim(shift_range) == 0
    if not shift_range if number else len(shift_range) == 0:
        return 0
    if number and not (isinstance(shift_range, (int, np.integer)) and shift_range > 0):
        shift = rng.uniform(-shift_range, shift_range)
    else:
        shift = rng.choice(shift_range) * rng.choice([-1, 1])
    largest = shift_range if number else np.max(shift_range)
    return float(shift * size if largest < 1 else shift)


def _moves(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Angle, shifts, shear and zooms, as `affine_matrix` takes them."""
    return {
        name: parameters[name] for name in ("theta", "tx", "ty", "shear", "zx", "zy") if name in parameters
    }
