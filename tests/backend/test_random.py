"""Random tensors: their distributions, seeds, and dropout."""

import numpy as np
import pytest
from scipy import stats

from symgraph import backend as K

DRAWS = {
    "random_normal": ((1.0, 2.0), stats.norm(1, 2)),
    "random_uniform": ((-1.0, 3.0), stats.uniform(-1, 4)),
    "truncated_normal": ((1.0, 2.0), stats.truncnorm(-2, 2, 1, 2)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_distributions(name):
    parameters, distribution = DRAWS[name]
    values = K.eval(getattr(K, name)((100, 200), *parameters, seed=3))
    assert values.shape == (100, 200) and values.dtype == np.float32
    assert stats.kstest(values.ravel(), distribution.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(values[:, :-1].ravel(), values[:, 1:].ravel())[0, 1]) < 0.03


def test_binomial():
    values = K.eval(K.random_binomial((200, 200), 0.3, seed=1))
    assert set(np.unique(values)) == {0, 1} and abs(values.mean() - 0.3) < 0.01


def test_every_call_draws_anew():
    f = K.function([], [K.random_normal((50,), seed=1)])
    first, second = f([])[0], f([])[0]
    assert not np.array_equal(first, second)
    again = K.function([], [K.random_normal((50,), seed=1)])
    assert np.array_equal(again([])[0], first) and np.array_equal(again([])[0], second)


def test_two_draws_differ_and_numpy_s_seed_decides():
    np.random.seed(7)
    both = [K.eval(x) for x in (K.random_uniform((40,)), K.random_uniform((40,)))]
    np.random.seed(7)
    again = [K.eval(x) for x in (K.random_uniform((40,)), K.random_uniform((40,)))]
    assert not np.array_equal(*both) and np.array_equal(both, again)


def test_shapes_of_data():
    x = K.placeholder((None, 3))
    for shape in (K.shape(x), x.shape, (K.shape(x)[0], 3)):
        y = K.random_normal(shape)
        assert K.int_shape(y) == (None, 3)
        assert K.function([x], [y])([np.ones((5, 3))])[0].shape == (5, 3)
    assert K.dtype(K.random_uniform((2,), dtype="float64")) == "float64"


def test_random_variables():
    x = K.random_uniform_variable((300, 50), -1, 2, seed=3)
    y = K.random_normal_variable((300, 50), 1, 2, seed=3, name="y")
    assert stats.kstest(K.eval(x).ravel(), stats.uniform(-1, 3).cdf).pvalue > 1e-3
    assert stats.kstest(K.eval(y).ravel(), stats.norm(1, 2).cdf).pvalue > 1e-3
    assert y.name == "y:0" and np.array_equal(
        K.eval(x), K.eval(K.random_uniform_variable((300, 50), -1, 2, seed=3))
    )


def test_dropout():
    x = K.variable(np.full((200, 100), 3.0))
    y = K.eval(K.dropout(x, 0.25, seed=2))
    assert set(np.unique(y)) == {0, 4} and abs((y == 0).mean() - 0.25) < 0.01
    assert np.array_equal(K.eval(K.dropout(x, 0.0)), K.eval(x))


def test_dropout_with_a_noise_shape():
    x = K.placeholder((None, 30, 4))
    values = np.ones((20, 30, 4))
    for shape in ((None, 1, 4), (K.shape(x)[0], 1, K.shape(x)[2])):
        (y,) = K.function([x], [K.dropout(x, 0.5, shape, seed=1)])([values])
        assert np.array_equal(y, np.broadcast_to(y[:, :1], y.shape)) and {0, 2} == set(np.unique(y))


def test_the_gradient_of_dropout_is_its_mask():
    x = K.variable(np.full((20, 10), 3.0))
    y = K.dropout(x, 0.5, seed=2)
    value, gradient = K.function([], [y, K.gradients(y, [x])[0]])([])
    np.testing.assert_array_equal(gradient * 3, value)


def test_errors():
    x = K.variable(np.ones((2, 3)))
    for level in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"Dropout level must be in interval \[0, 1\["):
            K.dropout(x, level)
    with pytest.raises(ValueError, match="expected a noise_shape of 2 sizes"):
        K.dropout(x, 0.5, (2,))


def test_whole_numbers():
    x = K.eval(K.random_uniform((4000,), -2, 3, dtype="int32", seed=3))
    assert x.dtype == np.int32
    counts = np.unique(x, return_counts=True)
    assert counts[0].tolist() == [-2, -1, 0, 1, 2]
    assert (abs(counts[1] - 800) < 5 * np.sqrt(4000 * 0.2 * 0.8)).all()
    for bounds in ((0.0, 1.0), (0, 1.5), (3, 3), (4, 3)):
        with pytest.raises(ValueError, match="random_uniform: expected whole bounds"):
            K.random_uniform((2,), *bounds, dtype="int64")
