"""Activations, cross-entropies and normalisation against numpy in float64, extreme values included."""

import numpy as np
import pytest
from scipy import special

from symgraph import backend as K

EPSILON = 1e-7


def var(x, dtype="float64"):
    return K.variable(x, dtype)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def keras_relu(x, alpha, max_value, threshold):
    """Keras' documented rule, element by element."""
    y = np.where(x > threshold, x, 0.0)
    if max_value is not None:
        y = np.clip(y, 0, max_value)
    return np.where(x <= threshold, alpha * (x - threshold), y)


@pytest.mark.parametrize("alpha", [0.0, 0.2, -0.5])
@pytest.mark.parametrize("max_value", [None, 1.5, 6])
@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.5])
def test_relu(alpha, max_value, threshold):
    x = np.linspace(-3, 8, 45)
    actual = K.eval(K.relu(var(x), alpha, max_value, threshold))
    expected = keras_relu(x, alpha, max_value, threshold)
    if threshold < 0 and max_value is not None:
        expected = np.where((x > threshold) & (x < 0), 0, expected)  # a cap also holds results above 0
    np.testing.assert_allclose(actual, expected, atol=1e-12)
    assert np.isnan(K.eval(K.relu(var(np.nan), alpha, max_value, threshold)))


def test_leaky_relu_of_extremes():
    x = np.array([np.inf, -np.inf, 1e30, -1e30])
    np.testing.assert_allclose(K.eval(K.relu(var(x), 0.1)), [np.inf, -np.inf, 1e30, -1e29])


ACTIVATIONS = {
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "softplus": lambda x: np.logaddexp(0, x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sigmoid": special.expit,
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "tanh": np.tanh,
    "softmax": lambda x: special.softmax(x, axis=-1),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_gradients(name, rng):
    x = np.concatenate([rng.normal(size=(2, 6)) * 2, [[-900.0, -30, 1e-3, 30, 700, 0.5]]])
    weights = var(x)
    y = getattr(K, name)(weights)
    np.testing.assert_allclose(K.eval(y), ACTIVATIONS[name](x), rtol=1e-9, atol=1e-300)
    (gradient,) = K.gradients(K.sum(K.square(y)), [weights])
    found = K.eval(gradient)
    assert np.all(np.isfinite(found))
    step = 1e-6
    for place in np.ndindex(2, 6):
        moved = [x.copy(), x.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        high, low = (np.square(ACTIVATIONS[name](m)[:2]).sum() for m in moved)
        np.testing.assert_allclose(found[place], (high - low) / (2 * step), rtol=1e-4, atol=1e-7)


def test_elu_with_alpha_and_softmax_over_an_axis(rng):
    x = rng.normal(size=(3, 4, 5))
    np.testing.assert_allclose(K.eval(K.elu(var(x), 0.3)), np.where(x > 0, x, 0.3 * np.expm1(x)))
    np.testing.assert_allclose(K.eval(K.softmax(var(x), axis=1)), special.softmax(x, axis=1))


def test_categorical_crossentropy(rng):
    logits = rng.normal(size=(6, 5)) * 3
    target = special.softmax(rng.normal(size=(6, 5)), axis=-1)
    expected = -(target * special.log_softmax(logits, axis=-1)).sum(-1)
    p = special.softmax(logits, axis=-1)
    np.testing.assert_allclose(K.eval(K.categorical_crossentropy(var(target), var(p))), expected, rtol=1e-5)
    unscaled = K.categorical_crossentropy(var(target), var(3 * p))
    np.testing.assert_allclose(K.eval(unscaled), expected, rtol=1e-5)
    from_logits = K.categorical_crossentropy(var(target), var(logits), from_logits=True)
    np.testing.assert_allclose(K.eval(from_logits), expected)
    first = K.categorical_crossentropy(var(target.T[None]), var(logits.T[None]), from_logits=True, axis=1)
    np.testing.assert_allclose(K.eval(first), expected[None])
    second = K.categorical_crossentropy(var(target.T[None]), var(p.T[None]), axis=1)
    np.testing.assert_allclose(K.eval(second), expected[None], rtol=1e-5)


def test_categorical_crossentropy_of_certain_predictions():
    target, output = np.array([[1.0, 0], [1, 0]]), np.array([[1.0, 0], [0, 1]])
    loss = K.categorical_crossentropy(var(target, "float32"), var(output, "float32"))
    np.testing.assert_allclose(K.eval(loss), [-np.log1p(-EPSILON), -np.log(EPSILON)], atol=1e-6, rtol=1e-6)
    logits = var([[1e4, -1e4], [-1e4, 1e4]], "float32")
    loss = K.categorical_crossentropy(var(target, "float32"), logits, from_logits=True)
    np.testing.assert_allclose(K.eval(loss), [0, 2e4])
    (gradient,) = K.gradients(loss, [logits])
    np.testing.assert_allclose(K.eval(gradient), [[0, 0], [-1, 1]])


def test_cross_entropies_of_a_visible_softmax_or_sigmoid_are_not_cut_off():
    """log(1 + exp(100)) is 100, and log(1 + exp(50)) 50, in float32; other probabilities end at epsilon."""
    logits, second = var([[50.0, -50.0]], "float32"), var([[0.0, 1.0]], "float32")
    visible = K.softmax(logits)
    np.testing.assert_allclose(K.eval(K.categorical_crossentropy(second, visible)), [100])
    np.testing.assert_allclose(K.eval(K.sparse_categorical_crossentropy(var([[1]]), visible)), [100])
    np.testing.assert_allclose(K.eval(K.binary_crossentropy(second, K.sigmoid(logits))), [[50, 50]])
    hidden = var([[1.0, 0.0]], "float32")
    np.testing.assert_allclose(K.eval(K.categorical_crossentropy(second, hidden)), [16.118], rtol=1e-4)


@pytest.mark.parametrize("from_logits", [False, True])
def test_sparse_categorical_crossentropy(from_logits, rng):
    logits = rng.normal(size=(3, 4, 5))
    labels = rng.integers(0, 5, (3, 4))
    expected = -np.take_along_axis(special.log_softmax(logits, -1), labels[..., None], -1)[..., 0]
    output = var(logits if from_logits else special.softmax(logits, -1))
    for shape in ((3, 4), (3, 4, 1), (12,)):
        for dtype in ("float32", "int32"):
            target = K.variable(labels.reshape(shape), dtype)
            loss = K.sparse_categorical_crossentropy(target, output, from_logits)
            np.testing.assert_allclose(K.eval(loss), expected, rtol=1e-5)
    moved = K.sparse_categorical_crossentropy(
        K.variable(labels), K.permute_dimensions(output, (0, 2, 1)), from_logits, 1
    )
    np.testing.assert_allclose(K.eval(moved), expected, rtol=1e-5)
    flat = K.sparse_categorical_crossentropy(K.variable(labels[:, :1]), output[:, 0], from_logits)
    assert K.int_shape(flat) == (3,)


def test_labels_that_are_no_classes():
    output = K.variable(np.full((2, 3), 1 / 3))
    for label in (3, -1):
        loss = K.sparse_categorical_crossentropy(K.variable([[0], [label]]), output)
        with pytest.raises((ValueError, IndexError)):
            K.eval(loss)


def test_class_axes_that_do_not_exist():
    x = K.variable(np.ones((2, 3)))
    for loss in (K.categorical_crossentropy, K.sparse_categorical_crossentropy):
        with pytest.raises(
            ValueError, match=r"Unexpected channels axis 2\. Expected to be -1 or one of the axes"
        ):
            loss(x, x, axis=2)


def test_binary_crossentropy(rng):
    logits, target = rng.normal(size=(4, 3)) * 4, rng.uniform(size=(4, 3))
    p = special.expit(logits)
    expected = -(target * np.log(p) + (1 - target) * np.log1p(-p))
    np.testing.assert_allclose(K.eval(K.binary_crossentropy(var(target), var(p))), expected)
    np.testing.assert_allclose(K.eval(K.binary_crossentropy(var(target), var(logits), True)), expected)


def test_binary_crossentropy_of_certain_predictions():
    target = var([0.0, 1, 0, 1], "float32")
    certain = K.eval(K.binary_crossentropy(target, var([0.0, 1, 1, 0], "float32")))
    np.testing.assert_allclose(certain[:2], 1e-7, rtol=0.2)
    np.testing.assert_allclose(certain[2:], -np.log(EPSILON), rtol=0.02)
    logits = var([-200.0, 200, 200, -200], "float32")
    loss = K.binary_crossentropy(target, logits, from_logits=True)
    np.testing.assert_allclose(K.eval(loss), [0, 0, 200, 200], atol=1e-30)
    np.testing.assert_allclose(K.eval(K.gradients(loss, [logits])[0]), [0, 0, 1, -1], atol=1e-30)


def test_l2_normalize(rng):
    x = rng.normal(size=(3, 4))
    np.testing.assert_allclose(
        K.eval(K.l2_normalize(var(x), 1)), x / np.linalg.norm(x, axis=1, keepdims=True)
    )
    np.testing.assert_allclose(K.eval(K.l2_normalize(var(x))), x / np.linalg.norm(x))
    assert not K.eval(K.l2_normalize(var(np.zeros(3)))).any()


def test_in_top_k():
    scores = K.variable([[0.1, 0.5, 0.4], [0.3, 0.3, 0.4], [0.6, 0.3, 0.1]])
    labels = K.constant([2, 0, 2], "int32")
    assert K.eval(K.in_top_k(scores, labels, 1)).tolist() == [False, False, False]
    assert K.eval(K.in_top_k(scores, labels, 2)).tolist() == [True, True, False]
    assert K.eval(K.in_top_k(scores, labels, 3)).tolist() == [True, True, True]


def test_batch_normalization(rng):
    x = rng.normal(size=(2, 3, 4, 5)) + 100
    for axis in (-1, 1, 2):
        size = x.shape[axis]
        mean, spread = rng.normal(size=size) + 100, rng.uniform(0.5, 2, size)
        beta, gamma = rng.normal(size=size), rng.normal(size=size)
        wide = [size if a == axis % 4 else 1 for a in range(4)]
        m, v, b, g = (p.reshape(wide) for p in (mean, spread, beta, gamma))
        expected = (x - m) / np.sqrt(v + 0.01) * g + b
        for arguments in ((mean, spread, beta, gamma), (m, v, b, g)):
            actual = K.batch_normalization(var(x), *map(var, arguments), axis=axis, epsilon=0.01)
            np.testing.assert_allclose(K.eval(actual), expected)
        plain = K.batch_normalization(var(x), var(mean), var(spread), None, None, axis, 0.01)
        np.testing.assert_allclose(K.eval(plain), (x - m) / np.sqrt(v + 0.01))


def test_normalize_batch_in_training(rng):
    x = rng.normal(size=(4, 3, 2, 5)) * 2 + 7
    for axes, size in (([0, 1, 2], 5), ([0, 2, 3], 3)):
        gamma, beta = rng.normal(size=size), rng.normal(size=size)
        normed, mean, spread = K.normalize_batch_in_training(var(x), var(gamma), var(beta), axes, 1e-3)
        np.testing.assert_allclose(K.eval(mean), x.mean(tuple(axes)))
        np.testing.assert_allclose(K.eval(spread), x.var(tuple(axes)))
        wide = [1 if a in axes else size for a in range(4)]
        m, v = x.mean(tuple(axes), keepdims=True), x.var(tuple(axes), keepdims=True)
        expected = (x - m) / np.sqrt(v + 1e-3) * gamma.reshape(wide) + beta.reshape(wide)
        np.testing.assert_allclose(K.eval(normed), expected)
    plain, _, _ = K.normalize_batch_in_training(var(x[:, 0, 0]), None, None, [0])
    expected = (x[:, 0, 0] - x[:, 0, 0].mean(0)) / np.sqrt(x[:, 0, 0].var(0) + 1e-3)
    np.testing.assert_allclose(K.eval(plain), expected)


def test_in_top_k_counts_no_line_that_is_not_finite():
    """Printed by TensorFlow 1.14."""
    lines = K.constant([[1, 1, 1], [1, 2, 3], [np.nan, 1, 2], [np.inf, 2, 1], [3, -np.inf, 1], [3, 2, 1]])
    found = K.in_top_k(lines, K.constant([0, 1, 1, 1, 0, 2], dtype="int32"), 2)
    assert K.eval(found).tolist() == [True, True, False, False, False, False]


def test_binary_crossentropy_stretches_nothing():
    for target, output in (((1, 3), (2, 3)), ((2,), (2, 1))):
        for logits in (False, True):
            with pytest.raises(ValueError, match="binary_crossentropy: expected one shape"):
                K.binary_crossentropy(K.zeros(target), K.zeros(output), logits)
