"""Element-wise functions, comparisons, reductions and products against numpy in float64."""

import numpy as np
import pytest
from scipy import special

from symgraph import backend as K
from symgraph.layers import Dot, Input, Lambda
from symgraph.models import Model


def var(x):
    return K.variable(x, "float64")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


UNARY = {
    "abs": np.abs, "square": np.square, "exp": np.exp, "log": lambda x: np.log(np.abs(x)), "round": np.round,
    "sign": np.sign, "sin": np.sin, "cos": np.cos, "sqrt": lambda x: np.sqrt(np.maximum(x, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_unary(name, rng):
    x = rng.normal(size=(3, 5)) * 3
    argument = var(np.abs(x) if name == "log" else x)
    np.testing.assert_allclose(K.eval(getattr(K, name)(argument)), UNARY[name](x), rtol=1e-12)


def test_sqrt_of_nothing_has_a_finite_gradient():
    x = var([-1.0, 0.0, 4.0])
    (gradient,) = K.gradients(K.sum(K.sqrt(x)), [x])
    np.testing.assert_allclose(K.eval(gradient), [0, 0, 0.25])


def test_round_takes_halves_to_even():
    assert K.eval(K.round(K.variable([0.5, 1.5, 2.5, -0.5]))).tolist() == [0, 2, 2, 0]


BINARY = {
    "maximum": np.maximum, "minimum": np.minimum, "equal": np.equal, "not_equal": np.not_equal,
    "greater": np.greater, "greater_equal": np.greater_equal, "less": np.less, "less_equal": np.less_equal,
}  # fmt: skip


@pytest.mark.parametrize("name", BINARY)
def test_binary(name, rng):
    x, y = rng.integers(-2, 3, (4, 5)).astype(float), rng.integers(-2, 3, 5).astype(float)
    expected = BINARY[name](x, y)
    actual = K.eval(getattr(K, name)(var(x), var(y)))
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(K.eval(getattr(K, name)(var(x), 1)), BINARY[name](x, 1))


def test_pow(rng):
    x = rng.uniform(0.5, 2, (3, 4))
    np.testing.assert_allclose(K.eval(K.pow(var(x), 3)), x**3)
    np.testing.assert_allclose(K.eval(K.pow(2.0, var(x))), 2**x)


def test_clip():
    x = np.array([-3.0, 0.0, np.nan, 5.0, np.inf])
    np.testing.assert_array_equal(K.eval(K.clip(var(x), -1, 2)), [-1, 0, np.nan, 2, 2])
    np.testing.assert_array_equal(K.eval(K.clip(var(x), -1, None)), [-1, 0, np.nan, 5, np.inf])
    np.testing.assert_array_equal(K.eval(K.clip(var(x), None, 2)), [-3, 0, np.nan, 2, 2])
    np.testing.assert_array_equal(K.eval(K.clip(var(x), 1, 0)), [1, 1, np.nan, 1, 1])


REDUCTIONS = {
    "sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "mean": np.mean, "std": np.std,
    "var": np.var, "logsumexp": special.logsumexp,
}  # fmt: skip


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), [1]])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(name, axis, keepdims, rng):
    x = rng.normal(size=(3, 4, 5))
    expected = REDUCTIONS[name](x, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)
    actual = K.eval(getattr(K, name)(var(x), axis, keepdims))
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-10)


def test_logsumexp_of_extreme_values():
    x = np.array([[1000.0, 1000.0], [-1000.0, -1001.0], [-np.inf, -np.inf], [np.inf, 0.0]])
    expected = [1000 + np.log(2), -1000 + np.log1p(np.exp(-1)), -np.inf, np.inf]
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(K.eval(K.logsumexp(var(x), axis=-1)), expected)
    weights = var(x[:2])
    (gradient,) = K.gradients(K.sum(K.logsumexp(weights, axis=-1)), [weights])
    np.testing.assert_allclose(K.eval(gradient), special.softmax(x[:2], axis=-1))


def test_truth_and_arguments(rng):
    x = rng.integers(0, 2, (4, 3)).astype(float)
    for name, function in (("any", np.any), ("all", np.all)):
        for axis in (None, 0, 1):
            np.testing.assert_array_equal(K.eval(getattr(K, name)(var(x), axis)), function(x, axis))
    y = rng.normal(size=(4, 3))
    for name, function in (("argmax", np.argmax), ("argmin", np.argmin)):
        np.testing.assert_array_equal(K.eval(getattr(K, name)(var(y))), function(y, -1))
        np.testing.assert_array_equal(K.eval(getattr(K, name)(var(y), 0)), function(y, 0))
    for name, function in (("cumsum", np.cumsum), ("cumprod", np.cumprod)):
        for axis in (0, 1):
            np.testing.assert_allclose(K.eval(getattr(K, name)(var(y), axis)), function(y, axis))


def test_mean_of_bools_and_integers():
    assert K.eval(K.mean(K.greater(K.variable([1.0, 2.0, 3.0, 4.0]), 1.5))) == 0.75
    assert K.eval(K.mean(K.constant([1, 2], "int32"))) == 1.5


def test_dot(rng):
    for left, right, expected in (
        ((2, 3), (3, 4), (2, 4)),
        ((5, 2, 3), (3, 4), (5, 2, 4)),
        ((2, 3), (4, 3, 5), (2, 4, 5)),
    ):
        x, y = rng.normal(size=left), rng.normal(size=right)
        actual = K.eval(K.dot(var(x), var(y)))
        assert actual.shape == expected
        np.testing.assert_allclose(actual, np.dot(x, y))
    with pytest.raises(ValueError, match="matmul"):
        K.dot(var(np.ones((2, 3))), var(np.ones((2, 3))))


@pytest.mark.parametrize(
    ("left", "right", "axes", "rule"),
    [
        ((4, 3), (4, 3), 1, "bi,bi->b"),
        ((4, 2, 3), (4, 3, 5), None, "bij,bjk->bik"),
        ((4, 2, 3), (4, 5, 3), 2, "bij,bkj->bik"),
        ((4, 3, 2), (4, 3, 5), (1, 1), "bji,bjk->bik"),
        ((4, 3), (4, 5, 3), (1, 2), "bj,bkj->bk"),
        ((4, 3), (4, 3, 5), None, "bj,bjk->bk"),
        ((4, 5, 3), (4, 3), (2, 1), "bij,bj->bi"),
        ((4, 5, 3), (4, 3), None, "bij,bj->bi"),
        ((4, 2, 5, 3), (4, 2, 6, 3), 3, "bhij,bhkj->bhik"),
        ((4, 2, 5, 3), (4, 2, 3, 6), None, "bhij,bhjk->bhik"),
        ((4, 1, 5, 3), (4, 2, 5, 6), (2, 2), "bgji,bhjk->bhik"),
        ((4, 2, 3), (4, 2, 3, 5), (2, 2), "bhj,bhjk->bhk"),
        # Keras tells the last axis from all others, which stand for the second-last.
        ((4, 2, 5, 3), (4, 2, 5, 6), 1, "bhji,bhjk->bhik"),
        ((4, 3, 3), (4, 3, 3), -1, "bji,bjk->bik"),
        ((4, 3, 3), (4, 3, 3), 0, "bji,bjk->bik"),
        ((4, 3), (4, 3), -1, "bi,bi->b"),
        ((4, 3), (4, 3), 0, "bi,bi->i"),
        ((4, 3), (3, 4), None, "bi,ib->b"),
        ((4, 3), (3, 4), (0, 1), "bi,ib->i"),
    ],
)
def test_batch_dot(left, right, axes, rule, rng):
    x, y = rng.normal(size=left), rng.normal(size=right)
    expected = np.einsum(rule, x, y)
    actual = K.eval(K.batch_dot(var(x), var(y), axes))
    assert actual.shape == (expected.shape if expected.ndim > 1 else (*expected.shape, 1))
    np.testing.assert_allclose(actual.reshape(expected.shape), expected)


def test_batch_dot_of_unknown_samples(rng):
    x, y = K.placeholder((None, 2, 3)), K.placeholder((None, 3, 4))
    z = K.batch_dot(x, y)
    assert K.int_shape(z) == (None, 2, 4)
    a, b = rng.normal(size=(5, 2, 3)), rng.normal(size=(5, 3, 4))
    np.testing.assert_allclose(K.function([x, y], [z])([a, b])[0], a @ b, rtol=1e-5, atol=1e-6)


def test_batch_dot_keeps_integers(rng):
    x, y = (K.constant(rng.integers(-9, 9, (4, 3)), "int32") for _ in range(2))
    z = K.batch_dot(x, y, 1)
    assert K.dtype(z) == K.dtype(K.batch_dot(K.expand_dims(x, 1), y, (2, 1))) == "int32"
    np.testing.assert_array_equal(K.eval(z)[:, 0], np.einsum("bi,bi->b", K.eval(x), K.eval(y)))


def test_batch_dot_in_layers(rng):
    """Scores of several heads, and the capsules' votes."""
    a, b = rng.normal(size=(2, 4, 5, 3)).astype("f"), rng.normal(size=(2, 4, 6, 3)).astype("f")
    inputs = [Input((4, 5, 3)), Input((4, 6, 3))]
    for layer in (Dot(3), Dot(-1), Lambda(lambda xs: K.batch_dot(*xs, axes=[3, 3]))):
        y = layer(inputs)
        assert K.int_shape(y) == (None, 4, 5, 6)
        np.testing.assert_allclose(
            Model(inputs, y).predict([a, b]), np.einsum("bhij,bhkj->bhik", a, b), rtol=1e-5, atol=1e-6
        )
    assert Dot(3).compute_output_shape([(None, 4, 5, 3), (None, 4, 6, 3)]) == (None, 4, 5, 6)


def test_batch_dot_errors():
    x = K.placeholder((None, 2, 3))
    with pytest.raises(ValueError, match="Multiple target dimensions are not supported"):
        K.batch_dot(x, x, axes=[[1, 2], [1, 2]])
    for axes in (3, (1, -4)):
        with pytest.raises(ValueError, match=r"batch_dot: axis -?[34] is out of range for a tensor of 3"):
            K.batch_dot(x, x, axes=axes)
    deep = K.placeholder((None, 3, 2, 1))
    for other in (K.placeholder((None, 3)), K.placeholder((None, 3, 1))):
        with pytest.raises(ValueError, match=r"batch_dot: no axes None of .* fit each other"):
            K.batch_dot(deep, other)
    with pytest.raises(ValueError, match="matmul: shapes"):
        K.batch_dot(x, x, axes=(1, 2))
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        K.batch_dot(x, K.placeholder((None,)))


def test_transpose_and_gather(rng):
    x = rng.normal(size=(4, 3, 2))
    np.testing.assert_array_equal(K.eval(K.transpose(var(x))), x.T)
    rows = np.array([[3, 0], [1, 1]])
    np.testing.assert_array_equal(K.eval(K.gather(var(x), K.constant(rows, "int64"))), x[rows])
