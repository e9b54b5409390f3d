"""Initializers: limits and variance of what they draw, seeds, configurations, errors."""

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from symgraph import initializers
from symgraph.globals import floatx

FANS = {
    "lecun_uniform": (1.0, lambda i, o: i),
    "lecun_normal": (1.0, lambda i, o: i),
    "glorot_uniform": (1.0, lambda i, o: (i + o) / 2),
    "glorot_normal": (1.0, lambda i, o: (i + o) / 2),
    "he_uniform": (2.0, lambda i, o: i),
    "he_normal": (2.0, lambda i, o: i),
}
ALL = [
    initializers.Zeros(), initializers.Ones(), initializers.Constant(2.5),
    initializers.RandomNormal(0.5, 0.1, 3), initializers.RandomUniform(-1, 2, 3),
    initializers.TruncatedNormal(0.5, 0.1, 3), initializers.Orthogonal(1.5, 3), initializers.Identity(2.0),
    initializers.VarianceScaling(0.5, "fan_out", "uniform", 3),
]  # fmt: skip


@pytest.fixture(autouse=True)
def seeded():
    """The same draws in every run."""
    np.random.seed(1337)


@pytest.mark.parametrize("name", FANS)
@pytest.mark.parametrize("shape", [(300, 200), (3, 3, 40, 60), (5, 40, 60)])
def test_variance_follows_the_fans(name, shape):
    scale, count = FANS[name]
    field = np.prod(shape[:-2])
    variance = scale / count(shape[-2] * field, shape[-1] * field)
    values = initializers.get(name)(shape)
    assert values.shape == shape and values.dtype == floatx()
    assert abs(values.mean()) < 4 * np.sqrt(variance / values.size)
    assert np.isclose(values.var(), variance, rtol=0.05)
    limit = np.sqrt(3 * variance) if "uniform" in name else 2 * np.sqrt(variance) / stats.truncnorm.std(-2, 2)
    assert 0.98 * limit < np.abs(values).max() <= limit * 1.000001


@pytest.mark.parametrize(("mode", "count"), [("fan_in", 300), ("fan_out", 200), ("fan_avg", 250)])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_variance_scaling(mode, count, distribution):
    values = initializers.VarianceScaling(3.0, mode, distribution, seed=2)((300, 200), "float64")
    assert np.isclose(values.var(), 3 / count, rtol=0.02)
    assert abs(values.mean()) < 4 * np.sqrt(3 / count / values.size)


def test_fans_of_other_shapes():
    assert initializers._compute_fans((7, 3)) == (7, 3)
    assert initializers._compute_fans((3, 5, 7, 2)) == (105, 30)
    assert initializers._compute_fans((2, 7, 3, 5), "channels_first") == (105, 30)
    assert initializers._compute_fans((16,)) == (4, 4)
    with pytest.raises(ValueError, match="Invalid data_format: middle"):
        initializers._compute_fans((2, 3, 4), "middle")


@pytest.mark.parametrize(
    ("initializer", "distribution"),
    [
        (initializers.RandomNormal(1.0, 2.0), stats.norm(1, 2)),
        (initializers.RandomUniform(-1.0, 3.0), stats.uniform(-1, 4)),
        (initializers.TruncatedNormal(1.0, 2.0), stats.truncnorm(-2, 2, 1, 2)),
    ],
)
def test_distributions(initializer, distribution):
    values = initializer((20_000,), "float64")
    assert stats.kstest(values, distribution.cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    "made", [i for i in ALL if getattr(i, "seed", None) is not None], ids=lambda i: type(i).__name__
)
def test_a_seed_fixes_the_values_and_leaves_the_global_generator_alone(made):
    before = np.random.get_state()[1].copy()
    first, second = made((6, 4)), made((6, 4))
    assert np.array_equal(first, second)
    assert np.array_equal(np.random.get_state()[1], before)
    assert not np.array_equal(type(made)(**{**made.get_config(), "seed": 4})((6, 4)), first)


def test_without_a_seed_numpy_s_generator_decides():
    draw = initializers.glorot_uniform()
    np.random.seed(5)
    first, second = draw((4, 4)), draw((4, 4))
    np.random.seed(5)
    assert np.array_equal(draw((4, 4)), first)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (3, 3, 2, 7), (3, 2, 40)])
def test_orthogonal(shape):
    values = initializers.Orthogonal(gain=2.0)(shape, "float64").reshape(-1, shape[-1]) / 2
    gram = values.T @ values if values.shape[0] >= values.shape[1] else values @ values.T
    assert values.shape == (np.prod(shape[:-1]), shape[-1])
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)


def test_identity():
    np.testing.assert_array_equal(initializers.Identity(3)((2, 2)), 3 * np.eye(2))
    np.testing.assert_array_equal(initializers.Identity()((4, 2)), np.vstack([np.eye(2)] * 2))
    np.testing.assert_array_equal(initializers.Identity()((2, 6)), np.hstack([np.eye(2)] * 3))
    with pytest.raises(ValueError, match="2D matrices, got shape"):
        initializers.Identity()((2, 2, 2))
    with pytest.raises(ValueError, match="multiple of short side"):
        initializers.Identity()((3, 2))


def test_constants():
    np.testing.assert_array_equal(initializers.get("zeros")((2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(initializers.get("one")((2,), "int32"), np.ones(2, "int32"))
    np.testing.assert_array_equal(initializers.Constant([1, 2, 3, 4])((2, 2)), [[1, 2], [3, 4]])
    assert initializers.Constant(7)(()).shape == ()
    with pytest.raises(ValueError, match="3 values do not fill"):
        initializers.Constant([1, 2, 3])((2, 2))


@pytest.mark.parametrize("made", ALL, ids=lambda i: type(i).__name__)
def test_round_trip(made):
    assert isinstance(made, initializers.Initializer)
    config = initializers.serialize(made)
    again = initializers.deserialize(config)
    assert type(again) is type(made) and again.get_config() == made.get_config()
    assert np.array_equal(again((4, 4)), made((4, 4)))
    with_dtype = {**config, "config": {**config["config"], "dtype": "float32"}}
    assert type(initializers.get(with_dtype)) is type(made)
    assert "dtype" in with_dtype["config"]


def test_names_and_errors():
    for name in (
        "uniform",
        "normal",
        "truncated_normal",
        "orthogonal",
        "identity",
        "RandomNormal",
        "he_normal",
    ):
        assert callable(initializers.get(name))
    mine = lambda shape, dtype=None: np.zeros(shape)  # noqa: E731
    assert initializers.get(mine) is mine
    with pytest.raises(ValueError, match="Unknown initializer: nothing"):
        initializers.get("nothing")
    with pytest.raises(ValueError, match="Could not interpret initializer identifier: 3"):
        initializers.get(3)
    with pytest.raises(ValueError, match="`scale` must be a positive float"):
        initializers.VarianceScaling(0)
    with pytest.raises(ValueError, match="Invalid `mode` argument"):
        initializers.VarianceScaling(mode="fan")
    with pytest.raises(ValueError, match="Invalid `distribution` argument"):
        initializers.VarianceScaling(distribution="cauchy")
    with pytest.raises(ValueError, match="known sizes, got"):
        initializers.Zeros()((None, 3))
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        initializers.Orthogonal()((3,))


# Slices


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("shape", [(), (0, 3), (5, 7), (3, 50_000), (1 << 16, 2)])
def test_slices_are_one_draw_of_all(shape, dtype):
    """Bit for bit what numpy draws in one call and then converts, and the generator goes on as after it."""

    def truncated(mean, stddev):
        flat = np.random.normal(size=shape).reshape(-1)
        outside = np.flatnonzero(np.abs(flat) > 2)
        while outside.size:
            flat[outside] = np.random.normal(size=outside.size)
            outside = outside[np.abs(flat[outside]) > 2]
        return mean + stddev * flat.reshape(shape)

    cases = [
        (initializers.RandomUniform(-1.5, 0.25), lambda: np.random.uniform(-1.5, 0.25, shape)),
        (initializers.RandomNormal(0.5, 3.0), lambda: np.random.normal(0.5, 3.0, shape)),
        (initializers.TruncatedNormal(0.5, 3.0), lambda: truncated(0.5, 3.0)),
    ]
    for initializer, whole in cases:
        np.random.seed(11)
        np.random.normal()  # the generator keeps a second number for later
        expected, after = np.asarray(whole()).astype(dtype), np.random.normal(size=3)
        np.random.seed(11)
        np.random.normal()
        found = initializer(shape, dtype)
        assert found.shape == shape and found.dtype == dtype
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.random.normal(size=3), after)


def test_drawing_takes_the_memory_of_the_result():
    for initializer in (initializers.glorot_uniform(), initializers.he_normal(), initializers.RandomNormal()):
        tracemalloc.start()
        values = initializer((2048, 1024))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # Places of what is drawn again, a twentieth, and a slice.
        assert peak < 1.25 * values.nbytes + (2 << 20)


def test_arrays_as_parameters_broadcast():
    means = np.array([0.0, 100.0])
    for initializer in (initializers.RandomNormal(means, 1.0), initializers.TruncatedNormal(means, 1.0)):
        values = initializer((1000, 2))
        assert np.abs(values.mean(0) - means).max() < 1
