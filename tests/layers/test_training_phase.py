"""What layers do while training: dropping, noise, batch statistics."""

from __future__ import annotations

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import (
    AlphaDropout,
    BatchNormalization,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    Input,
    SpatialDropout1D,
    SpatialDropout2D,
)
from tests.layer_checkers import run

ONES = np.ones((200, 50), "float32")


def test_dropout_drops_a_share_and_scales_the_rest() -> None:
    x = Input((50,))
    y = run(Dropout(0.3, seed=1)(x), [x], [ONES], training=1)
    assert set(np.unique(y).round(5)) == {np.float32(0.0), np.float32(1 / 0.7).round(5)}
    # 10,000 draws: the share has a deviation of 0.0046.
    assert abs((y == 0).mean() - 0.3) < 0.02


def test_dropout_noise_shape() -> None:
    x = Input((4, 5))
    y = run(Dropout(0.5, noise_shape=(None, 1, 5), seed=1)(x), [x], [np.ones((20, 4, 5))], training=1)
    assert (y == y[:, :1]).all()
    assert 0 < (y == 0).mean() < 1
    with pytest.raises(ValueError, match="dropout_wrong"):
        Dropout(0.5, noise_shape=(None, 1), name="dropout_wrong")(x)


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, 2.0])
def test_dropout_at_the_ends_drops_nothing(rate: float) -> None:
    x = Input((50,))
    np.testing.assert_array_equal(run(Dropout(rate)(x), [x], [ONES], training=1), ONES)


def test_spatial_dropout_drops_whole_maps() -> None:
    x = Input((6, 8))
    y = run(SpatialDropout1D(0.5, seed=1)(x), [x], [np.ones((20, 6, 8))], training=1)
    assert (y == y[:, :1]).all()
    assert 0.3 < (y == 0).mean() < 0.7
    for data_format, axes in (("channels_last", (1, 2)), ("channels_first", (2, 3))):
        p = Input((4, 4, 4))
        layer = SpatialDropout2D(0.5, data_format=data_format, seed=1)
        z = run(layer(p), [p], [np.ones((20, 4, 4, 4))], training=1)
        assert (z.min(axes) == z.max(axes)).all()
        assert 0.2 < (z == 0).mean() < 0.8


def test_gaussian_noise() -> None:
    x = Input((50,))
    y = run(GaussianNoise(0.5)(x), [x], [ONES], training=1)
    assert abs(y.mean() - 1) < 0.03
    assert abs(y.std() - 0.5) < 0.03


def test_gaussian_dropout() -> None:
    x = Input((50,))
    y = run(GaussianDropout(0.2)(x), [x], [2 * ONES], training=1)
    assert abs(y.mean() - 2) < 0.05
    assert abs(y.std() - 2 * np.sqrt(0.2 / 0.8)) < 0.05


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = Input((50,))
    data = np.random.default_rng(0).normal(size=(400, 50)).astype("float32")
    y = run(AlphaDropout(0.2, seed=1)(x), [x], [data], training=1)
    assert abs(y.mean()) < 0.03
    assert abs(y.std() - 1) < 0.03
    # Dropped values are all one value: the only one that occurs often.
    assert abs(np.unique(y, return_counts=True)[1].max() / y.size - 0.2) < 0.02


@pytest.mark.parametrize("axis", [-1, 1])
def test_batch_normalization(axis: int) -> None:
    layer, x = BatchNormalization(axis=axis, momentum=0.9), Input((3, 4, 5))
    y = layer(x)
    rng = np.random.default_rng(0)
    gamma, beta, mean, variance = (rng.uniform(0.5, 2, size=w.shape) for w in layer.weights)
    layer.set_weights([gamma, beta, mean, variance])
    data = rng.normal(3, 2, size=(6, 3, 4, 5))
    others = tuple(a for a in range(4) if a != axis % 4)
    wide = [1] * 4
    wide[axis] = -1
    m, v = data.mean(others), data.var(others)
    expected = (data - m.reshape(wide)) / np.sqrt(v.reshape(wide) + 1e-3)
    expected = expected * gamma.reshape(wide) + beta.reshape(wide)
    np.testing.assert_allclose(run(y, [x], [data], training=1), expected, rtol=1e-4, atol=1e-4)

    (mean_variable, new_mean), (variance_variable, new_variance) = layer.get_updates_for(x)
    assert (mean_variable, variance_variable) == (layer.moving_mean, layer.moving_variance)
    n = data.size / data.shape[axis]
    np.testing.assert_allclose(
        run(new_mean, [x], [data], training=1), 0.9 * mean + 0.1 * m, rtol=1e-4, atol=1e-5
    )
    unbiased = v * n / (n - 1.001)
    np.testing.assert_allclose(
        run(new_variance, [x], [data], training=1), 0.9 * variance + 0.1 * unbiased, rtol=1e-4, atol=1e-5
    )


def test_batch_normalization_arguments() -> None:
    x = Input((3, 4))
    with pytest.raises(ValueError, match="Axis 0 of input tensor should have a defined dimension"):
        BatchNormalization(axis=0)(x)
    with pytest.raises(ValueError, match="Invalid axis 3 of layer"):
        BatchNormalization(axis=3)(x)
    layer = BatchNormalization(scale=False, center=False)
    layer(x)
    assert [w.name.split("/")[1] for w in layer.weights] == ["moving_mean:0", "moving_variance:0"]
    still = BatchNormalization()
    y = still(x, training=False)
    assert still.updates == []
    assert not y._uses_learning_phase


def test_training_argument_wins_over_the_phase() -> None:
    x = Input((50,))
    layer = Dropout(0.5, seed=1)
    assert (run(layer(x, training=True), [x], [ONES], training=0) == 0).any()
    np.testing.assert_array_equal(run(layer(x, training=False), [x], [ONES], training=1), ONES)
    assert K.int_shape(layer(x)) == (None, 50)
