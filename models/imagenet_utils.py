"""Pictures in, names out: what networks trained on ImageNet expect and mean, and the sizes that they take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgraph import backend as K
from symgraph.utils import get_file
from symgraph.utils.warn_user import warn_user

_CLASSES = 1000
_CLASS_INDEX = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
_CLASS_INDEX_MD5 = "c2c37ea517e94d9795004a39431a14cb"

# Mode: (whether colours are turned to blue, green, red; divisor; means and deviations of what is left).
_MODES: dict[str, tuple[bool, float, Sequence[float], Sequence[float] | None]] = {
    "caffe": (True, 1.0, (103.939, 116.779, 123.68), None),
    "tf": (False, 127.5, (1.0, 1.0, 1.0), None),
    "torch": (False, 255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}

Shape = tuple[int | None, ...]


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Scale pictures as the authors of a network did.

    Parameters
    ----------
    x : numpy.ndarray or Tensor
        Colours red, green, blue from 0 to 255: (rows, columns, 3) or (batch, rows, columns, 3), or with the
        colours first. As in Keras, **an array of floats is changed itself**; pass a copy to keep it. Integers
        are converted to `K.floatx()` first.
    data_format : str, optional
        'channels_last' or 'channels_first'; default `K.image_data_format()`.
    mode : {'caffe', 'tf', 'torch'}
        'caffe': to blue, green, red, less the means of ImageNet (VGG, ResNet, AlexNet, GoogLeNet). 'tf': to
        -1 ... 1. 'torch': to 0 ... 1, less the means of ImageNet, divided by its deviations (DenseNet).

    Returns
    -------
    numpy.ndarray or Tensor
        Of the shape of `x`.

    Raises
    ------
    ValueError
        If `data_format` or `mode` is unknown, or `x` has not 3 or 4 dimensions with 3 colours.
    """
    if data_format is None:
        data_format = K.image_data_format()
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(f"Unknown data_format {data_format}")
    if mode not in _MODES:
        raise ValueError(f"Unknown mode {mode!r}; expected one of {', '.join(map(repr, _MODES))}")
    symbolic = K.is_tensor(x)
    if not symbolic and not isinstance(x, np.ndarray):
        raise TypeError(f"preprocess_input expects a numpy array or a tensor, got {type(x).__name__}")
    shape = K.int_shape(x) if symbolic else x.shape
    axis = -1 if data_format == "channels_last" else -3
    # The mode 'tf' treats all channels alike.
    if len(shape) not in (3, 4) or (mode != "tf" and shape[axis] != 3):
        raise ValueError(
            f"preprocess_input expects pictures of 3 colours with 3 or 4 dimensions ({data_format}), "
            f"got the shape {shape}"
        )
    return (_symbolic if symbolic else _in_place)(x, axis, mode)


def preprocess_tf(x: Any, data_format: str | None = None) -> Any:
    """`imagenet_utils.preprocess_input` with the mode 'tf': colours 0 ... 255 become -1 ... 1, in place."""
    return preprocess_input(x, data_format, mode="tf")


def preprocess_torch(x: Any, data_format: str | None = None) -> Any:
    """`imagenet_utils.preprocess_input` with the mode 'torch': scaled by ImageNet's means, in place."""
    return preprocess_input(x, data_format, mode="torch")


def _in_place(x: NDArray, axis: int, mode: str) -> NDArray:
    """Keras' arithmetic in Keras' order, so that results are the same to the last bit."""
    turned, divisor, means, deviations = _MODES[mode]
    if not np.issubdtype(x.dtype, np.floating):
        x = x.astype(K.floatx())
    if turned:
        x = np.flip(x, axis)
    if divisor != 1:
        x /= divisor
    if mode == "tf":
        x -= 1.0
        return x
    for number, colour in enumerate(np.moveaxis(x, axis, 0)):
        colour -= means[number]
        if deviations is not None:
            colour /= deviations[number]
    return x


def _symbolic(x: Any, axis: int, mode: str) -> Any:
    turned, divisor, means, deviations = _MODES[mode]
    if not np.issubdtype(K.dtype(x), np.floating):
        x = K.cast(x, K.floatx())
    if turned:
        x = K.reverse(x, K.ndim(x) + axis)
    if divisor != 1:
        x = x / divisor
    if mode == "tf":
        return x - 1.0
    # One number for each colour, beside as many axes of size 1 as follow.
    form = (-1,) + (1,) * (-axis - 1)
    x = x - K.constant(np.reshape(means, form), dtype=K.dtype(x))
    return x if deviations is None else x / K.constant(np.reshape(deviations, form), dtype=K.dtype(x))


def decode_predictions(preds: NDArray, top: int = 5) -> list[list[tuple[str, str, Any]]]:
    """The most probable classes of ImageNet, by name.

    Parameters
    ----------
    preds : numpy.ndarray of shape (samples, 1000)
        Probabilities, as a network with the top for ImageNet predicts them.
    top : int
        How many classes of each sample.

    Returns
    -------
    list of list of tuple
        For each sample (number in WordNet, name, probability), the most probable first.

    Raises
    ------
    ValueError
        If `preds` has another shape, or `top` is less than 1.
    OSError
        If the list of names, `models/imagenet_class_index.json`, is not in the cache and cannot be fetched.
    """
    preds = np.asarray(preds)
    if preds.ndim != 2 or preds.shape[1] != _CLASSES:
        raise ValueError(
            "`decode_predictions` expects a batch of predictions (i.e. a 2D array of shape (samples, 1000)). "
            f"Found array with shape: {preds.shape}"
        )
    if top < 1:
        raise ValueError(f"The `top` argument must be at least 1, got {top}")
    path = get_file(
        "imagenet_class_index.json", _CLASS_INDEX, cache_subdir="models", file_hash=_CLASS_INDEX_MD5
    )
    names = json.loads(Path(path).read_text(encoding="utf-8"))
    return [
        [(*names[str(number)], sample[number]) for number in sample.argsort()[: -top - 1 : -1]]
        for sample in preds
    ]


def obtain_input_shape(
    input_shape: Sequence[int | None] | None,
    default_size: int,
    min_size: int,
    data_format: str,
    require_flatten: bool,
    weights: Any = None,
) -> Shape:
    """The shape of a network's pictures, as Keras finds it.

    Parameters
    ----------
    input_shape : tuple, optional
        What the user asked for, of one picture.
    default_size : int
        Rows and columns that weights were learned for.
    min_size : int
        The smallest number of rows and columns.
    data_format : str
        'channels_last' or 'channels_first'.
    require_flatten : bool
        Whether the network ends in a classifier: then a missing shape is the default, no size may be open.
    weights : str, optional
        'imagenet' asks for 3 channels, and with a classifier for the default size.

    Returns
    -------
    tuple
        Three sizes; None for what is open.

    Raises
    ------
    ValueError
        If `input_shape` is not as these rules say.
    """
    first = data_format == "channels_first"
    channels: int | None = 3
    if input_shape and len(input_shape) == 3 and weights != "imagenet":
        channels = input_shape[0 if first else 2]
        if channels not in (1, 3):
            warn_user(
                "This model usually expects 1 or 3 input channels. However, it was passed an input_shape "
                f"with {channels} input channels."
            )
    default = (channels, default_size, default_size) if first else (default_size, default_size, channels)
    if weights == "imagenet" and require_flatten:
        if input_shape is not None and tuple(input_shape) != default:
            raise ValueError(
                "When setting `include_top=True` and loading `imagenet` weights, `input_shape` should be "
                f"{default}."
            )
        return default
    if not input_shape:
        return default if require_flatten else ((3, None, None) if first else (None, None, 3))
    shape = tuple(input_shape)
    if len(shape) != 3:
        raise ValueError("`input_shape` must be a tuple of three integers.")
    if shape[0 if first else 2] != 3 and weights == "imagenet":
        raise ValueError(f"The input must have 3 channels; got `input_shape={shape}`")
    if any(size is not None and size < min_size for size in (shape[1:] if first else shape[:2])):
        raise ValueError(f"Input size must be at least {min_size}x{min_size}; got `input_shape={shape}`")
    if require_flatten and None in shape:
        raise ValueError(
            f"If `include_top` is True, you should specify a static `input_shape`. Got `input_shape={shape}`"
        )
    return shape
