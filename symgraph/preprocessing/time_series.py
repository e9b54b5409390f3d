"""`TimeseriesGenerator`: batches of windows of a time series."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgraph.utils.sequence import Sequence


class TimeseriesGenerator(Sequence):
    """Windows of `length` steps of a series, each with the target of the step that follows.

    Parameters
    ----------
    data : array, list or HDF5 dataset, shape (steps, ...)
    targets : array, list or HDF5 dataset, shape (steps, ...)
        As long as `data`. The target of the window that ends before step i is `targets[i]`.
    length : int
        Steps that a window reaches back.
    sampling_rate : int
        Every how many steps of a window are used: a window has length / sampling_rate entries, rounded up.
    stride : int
        Steps from one window to the next.
    start_index, end_index : int
        The first and the last step that are used. `end_index` None is the last step of all.
    shuffle : bool
        Draw windows at random (from `numpy.random`, with replacement) instead of in order.
    reverse : bool
        Turn windows around, latest step first.
    batch_size : int
        Windows in a batch; the last batch may have fewer.

    Attributes
    ----------
    start_index : int
        The first step with a target: `start_index` of the call + `length`.

    Raises
    ------
    ValueError
        If `data` and `targets` differ in length, a number is too small, or no window fits.

    Examples
    --------
    >>> series = np.arange(50).reshape(50, 1)
    >>> x, y = TimeseriesGenerator(series, series, length=10, sampling_rate=2, batch_size=2)[0]
    >>> x[:, :, 0].tolist(), y.tolist()
    ([[0.0, 2.0, 4.0, 6.0, 8.0], [1.0, 3.0, 5.0, 7.0, 9.0]], [[10.0], [11.0]])
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
    ) -> None:
        if len(data) != len(targets):
            raise ValueError(
                f"Data and targets have to be of same length. Data length is {len(data)} while target "
                f"length is {len(targets)}"
            )
        for name, value, least in (
            ("length", length, 1),
            ("sampling_rate", sampling_rate, 1),
            ("stride", stride, 1),
            ("start_index", start_index, 0),
            ("batch_size", batch_size, 1),
        ):
            if not hasattr(value, "__index__") or value < least:
                raise ValueError(f"`{name}` should be a whole number of at least {least}, got {value!r}")
        self.data = data
        self.targets = targets
        self.length = length
        self.sampling_rate = sampling_rate
        self.stride = stride
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle = shuffle
        self.reverse = reverse
        self.batch_size = batch_size
        if self.start_index > self.end_index:
            raise ValueError(
                f"`start_index+length={self.start_index} > end_index={self.end_index}` is disallowed, as no "
                "part of the sequence would be left to be used as current step."
            )
        if self.end_index >= len(data):
            raise ValueError(f"`end_index` should be less than {len(data)}, the steps, got {self.end_index}")

    def __len__(self) -> int:
        in_batch = self.batch_size * self.stride
        return (self.end_index - self.start_index + in_batch) // in_batch

    def __getitem__(self, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Batch `index`: windows (batch, entries, ...) and targets (batch, ...)."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of a TimeseriesGenerator of {len(self)} batches")
        step = self.batch_size * self.stride
        first = self.start_index + step * index
        if self.shuffle:
            ends = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size).tolist()
        else:
            ends = list(range(first, min(first + step, self.end_index + 1), self.stride))
        windows = [self.data[end - self.length : end : self.sampling_rate] for end in ends]
        samples = np.stack([np.asarray(window, np.float64) for window in windows])
        targets = np.stack([np.asarray(self.targets[end], np.float64) for end in ends])
        return samples[:, ::-1] if self.reverse else samples, targets

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this generator again, `data` and `targets` as JSON texts.

        Raises
        ------
        TypeError
            If the data are no arrays and no lists of numbers.
        """
        return {
            "data": _as_json(self.data, "Data"),
            "targets": _as_json(self.targets, "Targets"),
            "length": self.length,
            "sampling_rate": self.sampling_rate,
            "stride": self.stride,
            "start_index": self.start_index - self.length,
            "end_index": self.end_index,
            "shuffle": self.shuffle,
            "reverse": self.reverse,
            "batch_size": self.batch_size,
        }

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON, for `timeseries_generator_from_json`; `kwargs` go to `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def _as_json(values: Any, what: str) -> str:
    try:
        return json.dumps(values.tolist() if isinstance(values, np.ndarray) else values)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what} not JSON Serializable: {type(values).__name__}: {error}") from error


def timeseries_generator_from_json(json_string: str) -> TimeseriesGenerator:
    """The generator whose `to_json` gave `json_string`; its data are arrays.

    Raises
    ------
    ValueError
        If the text is no such JSON.
    """
    try:
        config = dict(json.loads(json_string)["config"])
        config["data"] = np.asarray(json.loads(config["data"]))
        config["targets"] = np.asarray(json.loads(config["targets"]))
        return TimeseriesGenerator(**config)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"This is no JSON of a TimeseriesGenerator: {error!r}") from error
