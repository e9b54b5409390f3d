"""`NumpyArrayIterator`: batches of transformed pictures from an array."""

from __future__ import annotations

from collections.abc import Iterator as PythonIterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from symgraph.distributed.shards import share
from symgraph.preprocessing.image.iterator import (
    Indices,
    Iterator,
    check_layout,
    check_save_to_dir,
    dtype_of,
    split_of,
)
from symgraph.utils.old_arguments import LAYOUTS, old_arguments
from symgraph.utils.warn_user import warn_user


class NumpyArrayIterator(Iterator):
    """Batches of transformed pictures from an array.

    A batch is ``x``, ``(x, y)`` or ``(x, y, sample_weight)``; its `x` is a list if there are more inputs.

    Parameters
    ----------
    x : array_like or tuple
        Pictures of shape (samples, height, width, channels), or (samples, channels, height, width) with
        "channels_first"; or a pair of them and another array, or a list of arrays, of as many samples, which
        are passed on as they are. Arrays of uint8 are kept as they are, others are converted to `dtype`.
    y : array_like, optional
        Targets, one for each sample.
    image_data_generator : ImageDataGenerator
        What transforms the pictures.
    batch_size : int
        Samples in a batch.
    shuffle : bool
        Another order in each epoch.
    sample_weight : array_like, optional
        Weights, one for each sample.
    seed : int, optional
        See `Iterator`.
    data_format : str, optional
        That of the generator.
    save_to_dir : str, optional
        An existing folder that gets each transformed picture, stretched to 0..255.
    save_prefix, save_format : str
        Begin and ending of their names.
    subset : str, optional
        "training" or "validation", if the generator has a `validation_split`; the first part of the data is
        for validation.
    dtype : dtype, optional
        Of the batches; by default that of the generator.

    Raises
    ------
    ValueError
        If lengths, the rank of `x`, `subset` or `data_format` are not as told above, or a subset lacks a
        class.
    """

    @old_arguments({"X": "x", "dim_ordering": "data_format"}, values={"dim_ordering": LAYOUTS})
    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        self.image_data_generator = image_data_generator
        self.data_format = check_layout(data_format, image_data_generator)
        self.dtype = dtype_of(dtype, image_data_generator)
        self.save_to_dir = check_save_to_dir(save_to_dir)
        self.save_prefix = save_prefix
        self.save_format = save_format
        pictures, extra = _parts(x)
        targets = None if y is None else _as_array(y, "y")
        weights = None if sample_weight is None else _as_array(sample_weight, "sample_weight")
        _check_lengths(pictures, extra, targets, weights)
        split = split_of(subset, image_data_generator)
        if split is not None:
            middle = int(len(pictures) * (image_data_generator._validation_split or 0.0))
            if targets is not None:
                _check_classes(targets[:middle], targets[middle:])
            rows = slice(None, middle) if subset == "validation" else slice(middle, None)
            pictures, extra = pictures[rows], [values[rows] for values in extra]
            targets = None if targets is None else targets[rows]
            weights = None if weights is None else weights[rows]
        if pictures.dtype != np.uint8:
            pictures = _as_array(pictures, "x", self.dtype)
        self._check_pictures(pictures)
        self.x = pictures
        self.x_misc = extra
        self.y = targets
        self.sample_weight = weights
        super().__init__(len(pictures), batch_size, shuffle, seed)

    def _check_pictures(self, pictures: NDArray[Any]) -> None:
        if pictures.ndim != 4:
            raise ValueError(
                "Input data in `NumpyArrayIterator` should have rank 4. "
                f"You passed an array with shape {pictures.shape}"
            )
        axis = 3 if self.data_format == "channels_last" else 1
        if pictures.shape[axis] not in (1, 3, 4):
            warn_user(
                f'NumpyArrayIterator is set to use the data format convention "{self.data_format}" '
                f"(channels on axis {axis}), i.e. expected either 1, 3, or 4 channels on axis {axis}. "
                f"However, it was passed an array with shape {pictures.shape} "
                f"({pictures.shape[axis]} channels).",
            )

    def _marks(self) -> PythonIterator[bytes]:
        arrays = [self.x, *self.x_misc, self.y, self.sample_weight]
        yield repr([(array.dtype, array.shape) for array in arrays if array is not None]).encode()

    def shard(self, index: int, rank: int, size: int) -> Any:
        """Of batch number `index` of the present epoch what process `rank` of `size` trains on.

        Each picture is what it is in the whole batch, for its random transformations depend on the seed, the
        epoch and the number of the sample.
        """
        indices, epoch = self._batch_of(index)
        return self._make(indices[share(len(indices), rank, size)], epoch)

    def _get_batches_of_transformed_samples(self, index_array: Indices) -> Any:
        batch = self._transform(self.x[index_array], index_array, self.dtype)
        inputs = [batch, *(values[index_array] for values in self.x_misc)] if self.x_misc else batch
        if self.y is None:
            return inputs
        if self.sample_weight is None:
            return inputs, self.y[index_array]
        return inputs, self.y[index_array], self.sample_weight[index_array]


def _as_array(values: Any, name: str, dtype: str | None = None) -> NDArray[Any]:
    try:
        return np.asarray(values, dtype)
    except (ValueError, TypeError) as error:
        what = f"an array of {dtype}" if dtype else "an array"
        raise ValueError(f"`{name}` cannot be made {what}: {error}") from error


def _parts(x: Any) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """The pictures, and the arrays that are passed on with them."""
    if not isinstance(x, (tuple, list)):
        return _as_array(x, "x"), []
    if len(x) != 2:
        raise ValueError(f"`x` should be an array, or a pair of one and others; got {len(x)} entries")
    others = x[1] if isinstance(x[1], list) else [x[1]]
    return _as_array(x[0], "x[0]"), [_as_array(values, "x[1]") for values in others]


def _check_lengths(
    x: NDArray[Any], extra: list[NDArray[Any]], y: NDArray[Any] | None, sample_weight: NDArray[Any] | None
) -> None:
    for other in extra:
        if len(other) != len(x):
            raise ValueError(
                "All of the arrays in `x` should have the same length. "
                f"Found a pair with: len(x[0]) = {len(x)}, len(x[?]) = {len(other)}"
            )
    for values, what in ((y, "`y` (labels)"), (sample_weight, "`sample_weight`")):
        if values is not None and (values.ndim == 0 or len(values) != len(x)):
            name = what.split()[0].strip("`")
            raise ValueError(
                f"`x` (images tensor) and {what} should have the same length. "
                f"Found: x.shape = {x.shape}, {name}.shape = {values.shape}"
            )


def _check_classes(validation: NDArray[Any], training: NDArray[Any]) -> None:
    """Refuse a split of data sorted by class. Fractions are no classes."""
    both = (validation, training)
    if any(values.dtype.kind == "f" and np.any(values != np.floor(values)) for values in both):
        return
    if not np.array_equal(np.unique(validation), np.unique(training)):
        raise ValueError(
            "Training and validation subsets have different number of classes after the split. "
            "If your numpy arrays are sorted by the label, you might want to shuffle them."
        )
