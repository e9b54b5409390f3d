"""Constraints: what they do to weights, configurations, errors."""

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import constraints

WEIGHTS = np.random.default_rng(0).normal(size=(6, 5)) * 2
KERNEL = np.random.default_rng(1).normal(size=(3, 3, 2, 4)) * 2


def apply(constraint, w):
    return K.eval(constraint(K.variable(w, "float64")))


def norms(w, axis):
    return np.sqrt(np.square(w).sum(axis, keepdims=True))


@pytest.mark.parametrize(("w", "axis"), [(WEIGHTS, 0), (WEIGHTS, 1), (KERNEL, [0, 1, 2])])
def test_norms(w, axis):
    n = norms(w, tuple(np.atleast_1d(axis)))
    for m in (0.1, 3, 100):
        np.testing.assert_allclose(
            apply(constraints.MaxNorm(m, axis), w), w * np.minimum(1, m / n), rtol=1e-6
        )
    np.testing.assert_allclose(apply(constraints.UnitNorm(axis), w), w / n, rtol=1e-6)
    for rate in (1.0, 0.3):
        wanted = rate * np.clip(n, 1.5, 4) + (1 - rate) * n
        np.testing.assert_allclose(
            apply(constraints.MinMaxNorm(1.5, 4, rate, axis), w), w * wanted / n, rtol=1e-6
        )


def test_zero_weights_stay_zero():
    for made in (constraints.MaxNorm(), constraints.UnitNorm(), constraints.MinMaxNorm(1, 2)):
        assert not apply(made, np.zeros((3, 2))).any()


def test_non_negative():
    np.testing.assert_array_equal(apply(constraints.NonNeg(), WEIGHTS), np.maximum(WEIGHTS, 0))


@pytest.mark.parametrize(
    "made",
    [
        constraints.MaxNorm(3, [0, 1]),
        constraints.NonNeg(),
        constraints.UnitNorm(1),
        constraints.MinMaxNorm(1, 2, 0.5, 1),
    ],
    ids=lambda c: type(c).__name__,
)
def test_round_trip(made):
    assert isinstance(made, constraints.Constraint)
    for build in (constraints.get, constraints.deserialize):
        again = build(constraints.serialize(made))
        assert type(again) is type(made) and again.get_config() == made.get_config()


def test_get():
    for name in ("max_norm", "maxnorm", "MaxNorm"):
        assert constraints.get(name).get_config() == {"max_value": 2, "axis": 0}
    assert isinstance(constraints.get("non_neg"), constraints.NonNeg) and constraints.get(None) is None
    made = constraints.UnitNorm()
    assert constraints.get(made) is made
    with pytest.raises(ValueError, match="Unknown constraint: nothing"):
        constraints.get("nothing")
    with pytest.raises(ValueError, match="Could not interpret constraint identifier: 3"):
        constraints.get(3)
