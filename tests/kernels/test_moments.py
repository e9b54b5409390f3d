"""Several reductions in one pass, and mean and variance, against numpy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.kernels.elementwise import Instruction
from symgraph.kernels.moments import moments
from symgraph.kernels.reduce import reductions_rows
from symgraph.kernels.run.buffer import launch

# Rounding of results, on numbers of size 1.
ROUNDING = {"float32": 1e-6, "float64": 1e-13}
SHAPES = [
    ((5,), (0,)),
    ((3, 17), (1,)),
    ((700, 6), (0,)),
    ((2, 5, 4), (1,)),
    ((3, 40, 37, 70), (0, 1, 2)),
    ((3, 20, 31, 33), (0, 2, 3)),
    ((90, 1100), (0,)),
    ((7, 65, 130), (1,)),
    ((40, 40, 40), (0, 1, 2)),
    ((6, 50, 3), (0, 1)),
]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "axes"), SHAPES)
def test_sums_and_extremes_together(shape, axes, dtype, threads):
    """sum(g), sum(g * (x - m)), max(x) and any(g > x) in one pass, m the same at all reduced points."""
    rng = np.random.default_rng(len(shape))
    g, x = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    m = rng.standard_normal([1 if i in axes else n for i, n in enumerate(shape)]).astype(dtype)
    kept = [n for i, n in enumerate(shape) if i not in axes]
    outs = [np.empty(kept, dtype) for _ in range(3)] + [np.empty(kept, bool)]
    program = (
        Instruction("sub", (1, 2), dtype),
        Instruction("mul", (0, 3), dtype),
        Instruction("greater", (0, 1), "bool"),
    )

    def plan(g, x, m, *outs, **options):
        inputs = [g, x, m.broadcast(shape)]
        kinds = ("sum", "mean", "max", "any")
        return reductions_rows(kinds, program, (0, 4, 1, 5), inputs, outs, axes, **options)

    launch(plan, g, x, m, *outs, threads=threads)
    wide = g.astype("float64"), x.astype("float64"), m.astype("float64")
    count = np.prod([shape[a] for a in axes])
    bound = ROUNDING[dtype] * np.sqrt(count) * 4
    np.testing.assert_allclose(outs[0], wide[0].sum(axes), rtol=ROUNDING[dtype], atol=bound)
    np.testing.assert_allclose(
        outs[1], (wide[0] * (wide[1] - wide[2])).mean(axes), rtol=ROUNDING[dtype], atol=bound / count
    )
    np.testing.assert_array_equal(outs[2], x.max(axes))
    np.testing.assert_array_equal(outs[3], (g > x).any(axes))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "axes"), SHAPES)
def test_moments(shape, axes, dtype, threads):
    x = np.random.default_rng(1).normal(3.0, 2.0, shape).astype(dtype)
    mean, variance = moments(x, axes, threads)
    wide = x.astype("float64")
    np.testing.assert_allclose(mean, wide.mean(axes), rtol=ROUNDING[dtype])
    np.testing.assert_allclose(variance, wide.var(axes), rtol=ROUNDING[dtype])
    assert mean.dtype == variance.dtype == x.dtype


@settings(deadline=None, max_examples=60)
@given(
    shape=st.lists(st.sampled_from([1, 2, 3, 7, 18, 33]), min_size=1, max_size=4),
    data=st.data(),
    reverse=st.booleans(),
)
def test_moments_of_any_layout(shape, data, reverse):
    axes = tuple(sorted(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    x = np.random.default_rng(2).normal(-1.0, 0.5, [2 * n for n in shape])
    x = x[(slice(None, None, 2),) * len(shape)]
    x = x[(slice(None, None, -1),) * len(shape)] if reverse else x
    mean, variance = moments(x, axes)
    np.testing.assert_allclose(mean, x.mean(axes), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(variance, x.var(axes), rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_large_mean_leaves_the_variance_its_digits(threads):
    x = (1e4 + np.random.default_rng(3).standard_normal((200, 30, 64))).astype("float32")
    mean, variance = moments(x, (0, 1), threads)
    np.testing.assert_allclose(mean, x.astype("float64").mean((0, 1)), rtol=1e-7)
    np.testing.assert_allclose(variance, x.astype("float64").var((0, 1)), rtol=1e-6)
    narrow = 1e8 + 1e-3 * np.random.default_rng(4).standard_normal((5000, 9))
    mean, variance = moments(narrow, 0, threads)
    np.testing.assert_allclose(variance, (narrow - 1e8).var(0), rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_first_number_far_off_spoils_nothing(dtype):
    """The first number is what distances are taken from: far from all others is the worst case."""
    x = np.random.default_rng(5).standard_normal((100_000, 3)).astype(dtype)
    x[0] = (1e3, -1e6, 1e5)
    mean, variance = moments(x, 0)
    wide, rounding = x.astype("float64"), 1e-6 if dtype == "float32" else 1e-11
    assert (np.abs(mean - wide.mean(0)) < rounding * wide.std(0)).all()
    np.testing.assert_allclose(variance, wide.var(0), rtol=1e-6 if dtype == "float32" else 1e-8)


def test_constant_numbers_have_no_variance_and_nan_comes_through():
    x = np.full((50, 3), 0.1, "float32")
    x[20, 1], x[3, 2] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        mean, variance = moments(x, 0)
    assert mean[0] == np.float32(0.1)
    assert variance[0] == 0
    assert np.isnan([mean[1], variance[1], variance[2]]).all()
    # The distances of the others from the first are finite, so the infinite one alone decides.
    assert mean[2] == np.inf


def test_moments_of_nothing_are_nan():
    mean, variance = moments(np.zeros((0, 4), "float32"), 0)
    assert np.isnan(mean).all()
    assert np.isnan(variance).all()
    assert moments(np.zeros((3, 0)), 0)[0].shape == (0,)
