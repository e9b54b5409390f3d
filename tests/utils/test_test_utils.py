"""What users test their own layers with: it finds what is wrong with them."""

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import Dense, Dropout, Layer
from symgraph.utils.test_utils import get_test_data, layer_test


def test_data_have_the_shapes_and_the_draws_of_keras():
    np.random.seed(3)
    (x, y), (x_test, y_test) = get_test_data(4, 2, (3,), num_classes=5)
    assert (x.shape, y.shape, x_test.shape, y_test.shape) == ((4, 3), (4,), (2, 3), (2,))
    np.random.seed(3)
    labels = np.random.randint(0, 5, size=(6,))
    first = np.random.normal(loc=labels[0], scale=0.7, size=(3,)).astype("float32")
    np.testing.assert_array_equal(x[0], first)
    np.testing.assert_array_equal([*y, *y_test], labels)
    (x, y), _ = get_test_data(4, 2, (3, 2), (5,), classification=False)
    assert (x.shape, y.shape, y.dtype) == ((4, 3, 2), (4, 5), np.float32)


class Twice(Layer):
    def call(self, inputs):
        return inputs * 2


class WrongShape(Twice):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + 1)


class Forgetful(Twice):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)


def test_sound_layers_pass():
    x = np.ones((4, 3), "float32")
    np.testing.assert_array_equal(layer_test(Twice, input_data=x, expected_output=2 * x), 2 * x)
    assert layer_test(Dense, {"units": 2}, input_shape=(None, 3)).shape[1] == 2
    assert layer_test(Dropout, {"rate": 0.5}, input_shape=(2, 3), fixed_batch_size=True).shape == (2, 3)


@pytest.mark.parametrize(
    ("layer", "options", "error", "message"),
    [
        (Twice, {"expected_output": np.ones((4, 3))}, AssertionError, "Not equal to tolerance"),
        (
            Twice,
            {"expected_output_dtype": "int32"},
            AssertionError,
            "expected an output of dtype int32, got float32",
        ),
        (WrongShape, {}, (AssertionError, ValueError), "shape"),
        (Forgetful, {"kwargs": {"factor": 2}}, (TypeError, ValueError), "factor"),
    ],
)
def test_what_is_wrong_is_found(layer, options, error, message):
    with pytest.raises(error, match=message):
        layer_test(layer, input_data=np.ones((4, 3), K.floatx()), **options)


def test_data_or_a_shape():
    with pytest.raises(AssertionError, match="input_shape or input_data"):
        layer_test(Twice)
