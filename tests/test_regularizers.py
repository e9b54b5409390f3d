"""Regularizers: penalties, gradients, configurations, errors."""

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import regularizers

X = np.random.default_rng(0).normal(size=(4, 3))


@pytest.mark.parametrize(
    ("made", "l1", "l2"),
    [
        (regularizers.l1(), 0.01, 0),
        (regularizers.l2(0.3), 0, 0.3),
        (regularizers.l1_l2(0.2, 0.1), 0.2, 0.1),
        (regularizers.L1L2(), 0, 0),
    ],
)
def test_penalty_and_gradient(made, l1, l2):
    x = K.variable(X, "float64")
    penalty = made(x)
    if not l1 and not l2:
        assert penalty == 0
    else:
        assert K.ndim(penalty) == 0
        np.testing.assert_allclose(K.eval(penalty), l1 * np.abs(X).sum() + l2 * np.square(X).sum(), rtol=1e-6)
        (gradient,) = K.gradients(penalty, [x])
        np.testing.assert_allclose(K.eval(gradient), l1 * np.sign(X) + 2 * l2 * X, rtol=1e-6)
    for build in (regularizers.get, regularizers.deserialize):
        again = build(regularizers.serialize(made))
        assert isinstance(again, regularizers.Regularizer) and again.get_config() == made.get_config()
    np.testing.assert_allclose([again.get_config()[n] for n in ("l1", "l2")], [l1, l2], rtol=1e-6)


def test_get():
    assert regularizers.get(None) is None
    assert regularizers.get("l2").get_config()["l2"] == pytest.approx(0.01)
    own = lambda x: 0.5 * K.sum(x)  # noqa: E731
    assert regularizers.get(own) is own
    with pytest.raises(ValueError, match="Unknown regularizer: l3"):
        regularizers.get("l3")
    with pytest.raises(ValueError, match="Could not interpret regularizer identifier: 3"):
        regularizers.get(3)
