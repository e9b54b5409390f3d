"""Activation functions: values, names, errors."""

import numpy as np
import pytest
from scipy import special

from symgraph import activations
from symgraph import backend as K

X = np.array([[-6.0, -2.5, -1.0, 0.0], [0.3, 1.0, 2.5, 6.0]])
EXPECTED = {
    "softmax": special.softmax(X, -1),
    "elu": np.where(X > 0, X, np.expm1(X)),
    "selu": 1.0507009873554805 * np.where(X > 0, X, 1.6732632423543772 * np.expm1(X)),
    "softplus": np.logaddexp(0, X),
    "softsign": X / (1 + np.abs(X)),
    "relu": np.maximum(X, 0),
    "tanh": np.tanh(X),
    "sigmoid": special.expit(X),
    "hard_sigmoid": np.clip(0.2 * X + 0.5, 0, 1),
    "exponential": np.exp(X),
    "linear": X,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_values_and_names(name):
    function = activations.get(name)
    np.testing.assert_allclose(K.eval(function(K.variable(X, "float64"))), EXPECTED[name], rtol=1e-9)
    assert activations.serialize(function) == name and activations.deserialize(name) is function
    assert function is getattr(activations, name)


def test_selu_keeps_mean_and_variance():
    x = np.random.default_rng(0).normal(size=400_000)
    y = K.eval(activations.selu(K.variable(x, "float64")))
    assert abs(y.mean()) < 0.01 and abs(y.var() - 1) < 0.01


def test_softmax_needs_two_dimensions():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    np.testing.assert_allclose(
        K.eval(activations.softmax(K.variable(x, "float64"), axis=1)), special.softmax(x, 1)
    )
    with pytest.raises(ValueError, match="Cannot apply softmax to a tensor that is 1D"):
        activations.softmax(K.variable([1.0, 2.0]))


def test_relu_with_all_arguments():
    y = activations.relu(
        K.variable([-1.0, 0.5, 2.0, 9.0], "float64"), alpha=0.5, max_value=4.0, threshold=1.0
    )
    np.testing.assert_allclose(K.eval(y), [-1.0, -0.25, 2, 4])


def test_get():
    def own(x):
        return x

    class Layer:
        def __call__(self, x):
            return x

        def compute_output_shape(self, shape):
            return shape

    assert activations.get(None) is activations.linear and activations.get(own) is own
    layer = Layer()
    with pytest.warns(UserWarning, match="Do not pass a layer instance"):
        assert activations.get(layer) is layer
    with pytest.raises(ValueError, match="Unknown activation function: nothing"):
        activations.get("nothing")
    with pytest.raises(ValueError, match="Unknown activation function: deserialize_keras_object"):
        activations.get("deserialize_keras_object")
    with pytest.raises(ValueError, match="Could not interpret activation function identifier: 6"):
        activations.get(6)
