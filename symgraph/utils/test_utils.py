"""What Keras offers for tests of users' own layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.engine import Input, Model
from symgraph.utils.generic_utils import has_arg

__all__ = ["get_test_data", "layer_test"]

Split = tuple[np.ndarray, np.ndarray]


def get_test_data(
    num_train: int = 1000,
    num_test: int = 500,
    input_shape: Sequence[int] = (10,),
    output_shape: Sequence[int] = (2,),
    classification: bool = True,
    num_classes: int = 2,
) -> tuple[Split, Split]:
    """Samples that a small model can learn from: normal noise about the label, drawn from `numpy.random`.

    Parameters
    ----------
    num_train, num_test : int
        Samples to train and to test on.
    input_shape, output_shape : sequence of int
        Of a sample and, without `classification`, of its target.
    classification : bool
        Labels in [0, num_classes) instead of arrays of floats.
    num_classes : int

    Returns
    -------
    ((x, y), (x, y))
        Of training and test.
    """
    samples = num_train + num_test
    y: np.ndarray = np.zeros((samples, *output_shape), np.float32)
    centres: np.ndarray
    if classification:
        y = centres = np.random.randint(0, num_classes, size=(samples,))
    else:
        centres = np.random.random((samples,))
    x = np.zeros((samples, *input_shape), np.float32)
    for i, centre in enumerate(centres):
        x[i] = np.random.normal(loc=centre, scale=0.7, size=tuple(input_shape))
        if not classification:
            y[i] = np.random.normal(loc=centre, scale=0.7, size=tuple(output_shape))
    return (x[:num_train], y[:num_train]), (x[num_train:], y[num_train:])


def layer_test(
    layer_cls: Any,
    kwargs: Mapping[str, Any] = {},
    input_shape: Sequence[int | None] | None = None,
    input_dtype: Any = None,
    input_data: Any = None,
    expected_output: Any = None,
    expected_output_dtype: Any = None,
    fixed_batch_size: bool = False,
) -> np.ndarray:
    """Put a layer of one input and one output through its paces.

    Its weights are got and set, its output is compared with what it says of its shape and with
    `expected_output`, a model of it is made again from its configuration, and trained for a step.

    Parameters
    ----------
    layer_cls : type
    kwargs : mapping
        Arguments of the class.
    input_shape : sequence of int or None
        Of a batch; None for any size.
    input_dtype : str, optional
        By default `K.floatx()`, or the dtype of `input_data`.
    input_data : ndarray, optional
        By default random numbers of [0, 10).
    expected_output : ndarray, optional
    expected_output_dtype : str, optional
        By default that of the input.
    fixed_batch_size : bool
        Whether the model is made for the batch size of `input_shape`.

    Returns
    -------
    ndarray
        What the layer made of the data.

    Raises
    ------
    AssertionError
        If something is not as it should be.
    """
    arguments = dict(kwargs)
    data, shape = _data(input_data, input_shape, input_dtype)
    dtype = np.dtype(input_dtype or data.dtype).name
    layer = layer_cls(**arguments)
    weights = layer.get_weights()
    layer.set_weights(weights)
    if has_arg(layer_cls.__init__, "weights") and weights:
        layer = layer_cls(**{**arguments, "weights": weights})
    expected_shape = layer.compute_output_shape(shape)
    x = Input(batch_shape=shape, dtype=dtype) if fixed_batch_size else Input(shape=shape[1:], dtype=dtype)
    y = layer(x)
    wanted = np.dtype(expected_output_dtype or dtype).name
    assert K.dtype(y) == wanted, f"expected an output of dtype {wanted}, got {K.dtype(y)}"
    model = Model(x, y)
    output: np.ndarray = model.predict(data)
    pairs = zip(expected_shape, output.shape, strict=False)
    assert all(said is None or said == size for said, size in pairs), (
        f"compute_output_shape says {expected_shape}, the output has shape {output.shape}"
    )
    if expected_output is not None:
        np.testing.assert_allclose(output, expected_output, rtol=1e-3)
    _check_copies(layer, model, data, output, shape)
    return output


def _data(
    data: Any, shape: Sequence[int | None] | None, dtype: Any
) -> tuple[np.ndarray, tuple[int | None, ...]]:
    """Data of the shape, and the shape of the data, whichever is missing."""
    if data is not None:
        return np.asarray(data), tuple(data.shape if shape is None else shape)
    assert shape, "layer_test: expected an input_shape or input_data"
    sizes = [np.random.randint(1, 4) if size is None else size for size in shape]
    return (10 * np.random.random(sizes)).astype(dtype or K.floatx()), tuple(shape)


def _check_copies(
    layer: Any, model: Any, data: np.ndarray, output: np.ndarray, shape: tuple[int | None, ...]
) -> None:
    """Make model and layer again from their configurations, and train the model for a step."""
    again = type(model).from_config(model.get_config(), {type(layer).__name__: type(layer)})
    if model.weights:
        again.set_weights(model.get_weights())
        np.testing.assert_allclose(again.predict(data), output, rtol=1e-3)
    if has_arg(layer.call, "training"):
        model.compile("rmsprop", "mse")
        model.train_on_batch(data, output)
    type(layer).from_config({**layer.get_config(), "batch_input_shape": shape})
