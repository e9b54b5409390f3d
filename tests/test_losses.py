"""Loss functions against their formulas in float64 numpy, extreme predictions and gradients included."""

import numpy as np
import pytest
from scipy import special

from symgraph import backend as K
from symgraph import losses

EPSILON = 1e-7
RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(5, 4, 3)), RNG.normal(size=(5, 4, 3)) * 2
POSITIVE = RNG.uniform(0.1, 3, (5, 4, 3)), RNG.uniform(0.1, 3, (5, 4, 3))
SIGNS = np.sign(RNG.normal(size=(5, 4, 3))), RNG.normal(size=(5, 4, 3))
CLASSES = np.eye(3)[RNG.integers(0, 3, (5, 4))], special.softmax(RNG.normal(size=(5, 4, 3)), -1)
BITS = RNG.integers(0, 2, (5, 4, 3)).astype(float), RNG.uniform(0.01, 0.99, (5, 4, 3))


def held(x):
    return np.clip(x, EPSILON, 1)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


FORMULAS = {
    "mean_squared_error": (REAL, lambda t, p: ((p - t) ** 2).mean(-1)),
    "mean_absolute_error": (REAL, lambda t, p: np.abs(p - t).mean(-1)),
    "mean_absolute_percentage_error": (REAL, lambda t, p: 100 * np.abs((t - p) / t).mean(-1)),
    "mean_squared_logarithmic_error": (POSITIVE, lambda t, p: ((np.log1p(p) - np.log1p(t)) ** 2).mean(-1)),
    "squared_hinge": (SIGNS, lambda t, p: (np.maximum(1 - t * p, 0) ** 2).mean(-1)),
    "hinge": (SIGNS, lambda t, p: np.maximum(1 - t * p, 0).mean(-1)),
    "categorical_hinge": (CLASSES, lambda t, p: np.maximum(0, ((1 - t) * p).max(-1) - (t * p).sum(-1) + 1)),
    "logcosh": (REAL, lambda t, p: np.log(np.cosh(p - t)).mean(-1)),
    "categorical_crossentropy": (CLASSES, lambda t, p: -(t * np.log(p)).sum(-1)),
    "binary_crossentropy": (BITS, lambda t, p: -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(-1)),
    "kullback_leibler_divergence": (POSITIVE, lambda t, p: special.rel_entr(held(t), held(p)).sum(-1)),
    "poisson": (POSITIVE, lambda t, p: (p - t * np.log(p + EPSILON)).mean(-1)),
    "cosine_proximity": (REAL, lambda t, p: -(unit(t) * unit(p)).sum(-1)),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_shape(name):
    (target, output), formula = FORMULAS[name]
    y_true, y_pred = (
        K.placeholder((None, 4, 3), dtype="float64"),
        K.placeholder((None, 4, 3), dtype="float64"),
    )
    loss = losses.get(name)(y_true, y_pred)
    assert K.int_shape(loss) == (None, 4)
    (value,) = K.function([y_true, y_pred], [loss])([target, output])
    np.testing.assert_allclose(value, formula(target, output), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
def test_gradients(name):
    (target, output), _ = FORMULAS[name]
    y_pred = K.variable(output, "float64")
    loss = K.sum(losses.get(name)(K.variable(target, "float64"), y_pred))
    (gradient,) = K.gradients(loss, [y_pred])
    f = K.function([], [loss])
    found = K.eval(gradient)
    for place in [(0, 0, 0), (2, 1, 2), (4, 3, 1)]:
        values = []
        for step in (1e-6, -1e-6):
            moved = output.copy()
            moved[place] += step
            K.set_value(y_pred, moved)
            values.append(f([])[0])
        np.testing.assert_allclose(found[place], (values[0] - values[1]) / 2e-6, rtol=1e-4, atol=1e-6)


def test_sparse_categorical_crossentropy():
    target, output = CLASSES
    expected = -(target * np.log(output)).sum(-1)
    labels = target.argmax(-1)[..., None]
    loss = losses.sparse_categorical_crossentropy(K.variable(labels), K.variable(output, "float64"))
    np.testing.assert_allclose(K.eval(loss), expected, rtol=1e-5)


def test_extreme_predictions_stay_finite():
    target = K.variable([[1.0, 0.0], [0.0, 1.0]])
    logits = K.variable([[90.0, -90.0], [300.0, -300.0]])
    for activation, name in ((K.softmax, "categorical_crossentropy"), (K.sigmoid, "binary_crossentropy")):
        loss = losses.get(name)(target, activation(logits))
        value, gradient = K.function([], [loss, K.gradients(loss, [logits])[0]])([])
        assert np.all(np.isfinite(value)) and np.all(np.isfinite(gradient))
        assert value[0] < 1e-6 and value[1] > 10
    large = losses.logcosh(K.variable([[0.0]]), K.variable([[1000.0], [-1000.0]]))
    np.testing.assert_allclose(K.eval(large), 1000 - np.log(2), rtol=1e-6)
    zero = losses.mean_absolute_percentage_error(K.variable([[0.0]]), K.variable([[1e-7]]))
    np.testing.assert_allclose(K.eval(zero), [100.0], rtol=1e-5)
    assert K.eval(losses.cosine_proximity(K.variable([[0.0, 0]]), K.variable([[0.0, 0]]))) == 0


def test_names():
    aliases = {
        "mse": "mean_squared_error", "MAE": "mean_absolute_error", "mape": "mean_absolute_percentage_error",
        "MSLE": "mean_squared_logarithmic_error", "kld": "kullback_leibler_divergence",
        "cosine": "cosine_proximity",
    }  # fmt: skip
    for alias, name in aliases.items():
        assert losses.get(alias) is losses.get(name) is getattr(losses, alias)
    for name in FORMULAS:
        assert losses.serialize(losses.get(name)) == name and losses.deserialize(name) is losses.get(name)


def test_get():
    def own(y_true, y_pred):
        return K.mean(y_pred - y_true, -1)

    assert losses.get(None) is None and losses.get(own) is own
    assert losses.deserialize("own", custom_objects={"own": own}) is own
    with pytest.raises(ValueError, match="Unknown loss function: nothing"):
        losses.get("nothing")
    with pytest.raises(ValueError, match="Unknown loss function: deserialize"):
        losses.get("deserialize")
    with pytest.raises(ValueError, match="Could not interpret loss function identifier: 5"):
        losses.get(5)
