"""Conversions of weights between layouts and conventions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from symgraph.layers import Conv2D, Dense, Flatten, Input
from symgraph.models import Sequential
from symgraph.utils.layer_utils import (
    convert_all_kernels_in_model,
    convert_dense_weights_data_format,
    count_params,
)
from tests.layer_checkers import run


def test_count_params_counts_a_weight_once() -> None:
    layer = Dense(3)
    layer(Input((4,)))
    assert count_params(layer.weights * 2) == 15


@pytest.mark.parametrize("target", ["channels_first", "channels_last"])
def test_dense_after_flatten(target: str) -> None:
    """A plain reshape before the Dense: the new kernel has to give the old result on the other layout."""
    rng = np.random.default_rng(0)
    last = rng.normal(size=(5, 2, 3, 4))
    first = np.moveaxis(last, -1, 1)
    old, new = (last, first) if target == "channels_first" else (first, last)
    dense = Dense(6)
    dense(Input((24,)))
    kernel, bias = dense.get_weights()
    expected = old.reshape(5, -1) @ kernel + bias
    convert_dense_weights_data_format(dense, new.shape[1:], target)
    np.testing.assert_allclose(new.reshape(5, -1) @ dense.get_weights()[0] + bias, expected, rtol=1e-5)


def test_dense_conversion_errors() -> None:
    dense = Dense(6)
    dense(Input((24,)))
    with pytest.raises(ValueError, match="expected a feature map of 24 values"):
        convert_dense_weights_data_format(dense, (2, 3, 5))
    with pytest.raises(ValueError, match="data_format"):
        convert_dense_weights_data_format(dense, (2, 3, 4), "channels_middle")


def test_turned_kernels_convolve_where_they_correlated() -> None:
    model = Sequential([Conv2D(1, 3, use_bias=False, input_shape=(6, 7, 1)), Flatten()])
    kernel = model.get_weights()[0][:, :, 0, 0].astype("float64")
    convert_all_kernels_in_model(model)
    data = np.random.default_rng(0).normal(size=(6, 7))
    got = run(model.outputs[0], model.inputs, [data[None, :, :, None]]).reshape(4, 5)
    np.testing.assert_allclose(got, signal.convolve2d(data, kernel, "valid"), rtol=1e-4, atol=1e-5)
