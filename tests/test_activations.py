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


# Of Keras 2.2.4 on TensorFlow 1.14, in float32.
X32 = [-8.0, -3.0, -2.0, -1.0, -0.5, 0.1, 0.5, 1.0, 3.0]
OF_TENSORFLOW = {
    "elu": [
        -0.9996645450592041, -0.9502129554748535, -0.8646647334098816, -0.6321205496788025,
        -0.39346933364868164, 0.10000000149011612, 0.5, 1.0, 3.0,
    ],
    "selu": [
        -1.757509469985962, -1.670568823814392, -1.5201665163040161, -1.1113307476043701, -0.6917582154273987,
        0.10507010668516159, 0.5253505110740662, 1.0507010221481323, 3.1521029472351074,
    ],
}  # fmt: skip


def at_run_time(name, x):
    """What the kernels make of it: activations of constants are computed with numpy."""
    fed = K.placeholder((None,))
    return K.function([fed], [activations.get(name)(fed)])([x])[0]


@pytest.mark.parametrize("name", OF_TENSORFLOW)
def test_float32_is_rounded_as_tensorflow_rounds(name):
    """Tests of the time compare at `assert_allclose`'s default, where one digit more or less fails."""
    actual = at_run_time(name, np.asarray(X32, "float32"))
    np.testing.assert_array_equal(actual, np.asarray(OF_TENSORFLOW[name], "float32"))


@pytest.mark.parametrize("name", sorted(set(EXPECTED) - {"softmax", "hard_sigmoid"}))
def test_float32_is_right_to_its_last_digits(name):
    x = np.linspace(-9, 9, 2001, dtype="float32")
    x = x[x != 0]
    actual = at_run_time(name, x)
    assert actual.dtype == np.float32
    exact = K.eval(activations.get(name)(K.constant(x, "float64")))
    kept = np.abs(exact) > 1e-30
    off = np.abs(actual - exact)[kept] / np.spacing(np.abs(exact[kept]).astype("float32"))
    assert off.max() < 2.6


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
