"""Reductions, softmax, arg-extremes, running sums and top-k against numpy in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.kernels.elementwise import Instruction, Number
from symgraph.kernels.order import argreduce, cumulative, top_k
from symgraph.kernels.reduce import reduce, reduce_rows
from symgraph.kernels.run.buffer import launch
from symgraph.kernels.softmax import softmax
from symgraph.kernels.tile.reduction import KINDS

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
TOLERANCE = {"float32": 1e-6, "float64": 1e-13}
SIZES = st.sampled_from([0, 1, 2, 3, 7, 18, 33])


def laid_out(rng, shape, dtype, how):
    """Values near 1 (products stay finite) in C order, transposed, sliced or stretched."""
    if how == "transposed":
        return laid_out(rng, shape[::-1], dtype, "plain").T
    if how == "sliced":
        whole = laid_out(rng, [2 * n + 1 for n in shape], dtype, "plain")
        return whole[(..., *[slice(1, None, 2)] * len(shape))]
    if how == "stretched":
        return np.broadcast_to(
            laid_out(rng, [n if i % 2 else 1 for i, n in enumerate(shape)], dtype, "plain"), shape
        )
    return np.asarray(
        rng.normal(1.0, 0.02, size=shape) if dtype.startswith("f") else rng.integers(0, 3, shape)
    ).astype(dtype)


@settings(deadline=None, max_examples=150)
@given(
    data=st.data(),
    shape=st.lists(SIZES, min_size=1, max_size=4),
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(["float32", "float64", "int32", "int64", "uint8"]),
    how=st.sampled_from(["plain", "transposed", "sliced", "stretched"]),
    threads=st.sampled_from([1, 2]),
)
def test_any_axes_of_any_layout(data, shape, kind, dtype, how, threads):
    axes = tuple(sorted(data.draw(st.sets(st.integers(0, len(shape) - 1)))))
    if kind == "mean" and not dtype.startswith("f"):
        kind = "sum"
    if kind in ("max", "min") and 0 in shape:
        return
    x = laid_out(np.random.default_rng(len(shape)), shape, dtype, how)
    actual = reduce(kind, x, axes, threads=threads)
    if dtype.startswith("f"):
        expected = getattr(np, kind)(x.astype("float64"), axis=axes)
        np.testing.assert_allclose(actual, expected, rtol=TOLERANCE[dtype])
    else:
        expected = getattr(np, kind)(x, axis=axes, **({"dtype": dtype} if kind in ("sum", "prod") else {}))
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("kind", ["sum", "mean", "max", "prod"])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((300_001,), (0,)),
        ((70_000, 5), (0,)),
        ((5, 70_001), (1,)),
        ((40, 30, 301), (1,)),
        ((40, 30, 301), (0, 2)),
        ((2, 200, 1000), (1,)),
        ((100, 3000), (0,)),
        ((3, 100_003), (0, 1)),
        ((50, 20, 20, 32), (0, 1, 2)),
    ],
)
def test_partial_results_are_combined(shape, axes, kind, threads):
    x = np.random.default_rng(1).normal(1.0, 1e-3, size=shape).astype("float32")
    expected = getattr(np, kind)(x.astype("float64"), axis=axes)
    actual = reduce(kind, x, axes, threads=threads)
    np.testing.assert_allclose(actual, expected, rtol=1e-6 if kind != "prod" else 1e-5)
    np.testing.assert_array_equal(actual, reduce(kind, x, axes, threads=threads))


def test_long_float32_sums_are_accurate():
    x = np.random.default_rng(2).random(5_000_000).astype("float32")
    exact = math.fsum(x)
    assert abs(float(reduce("sum", x, threads=1)) - exact) <= 1e-7 * exact
    assert abs(float(reduce("sum", x, threads=2)) - exact) <= 1e-7 * exact
    columns = np.full((2_000_000, 1), 0.1, "float32")
    np.testing.assert_allclose(reduce("sum", columns, 0), columns.astype("float64").sum(0), rtol=1e-7)


@pytest.mark.parametrize("kind", ["max", "min", "sum"])
def test_nan_and_infinity_come_through(kind):
    x = np.random.default_rng(3).normal(size=(40, 50)).astype("float32")
    x[3, 7] = np.nan
    x[5, 49] = np.inf
    x[6, 0] = -np.inf
    for axis in (None, 0, 1):
        np.testing.assert_allclose(
            reduce(kind, x, axis), getattr(np, kind)(x.astype("float64"), axis=axis), rtol=1e-5
        )
    low = np.full((3, 40), -np.inf)
    np.testing.assert_array_equal(reduce("max", low, 1), low[:, 0])


def test_truth_counts_nan():
    x = np.array([[0, 0, np.nan], [0, 0, 0], [1, 2, np.nan]], "float32")
    np.testing.assert_array_equal(reduce("any", x, 1), [True, False, True])
    np.testing.assert_array_equal(reduce("all", x, 1), [False, False, True])
    flags = np.random.default_rng(4).random((20, 200)) < 0.99
    np.testing.assert_array_equal(reduce("all", flags, 1), flags.all(1))
    np.testing.assert_array_equal(reduce("all", flags, 0), flags.all(0))


def test_reductions_of_nothing():
    x = np.empty((3, 0), "float32")
    for kind, value in {"sum": 0, "prod": 1, "any": False, "all": True, "mean": np.nan}.items():
        np.testing.assert_array_equal(reduce(kind, x, 1), np.full(3, value))
        assert reduce(kind, x, 0).shape == (0,)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_program_before_the_reduction(axes):
    """Mean of (x - m)**2 * 2 with m per row, as batch statistics need it."""
    rng = np.random.default_rng(5)
    x, m = rng.normal(size=(60, 70)).astype("float32"), rng.normal(size=(60, 1)).astype("float32")
    program = (
        Instruction("sub", (0, 1), "float32"),
        Instruction("square", (3,), "float32"),
        Instruction("mul", (4, 2), "float32"),
    )
    out = np.empty([n for i, n in enumerate(x.shape) if i not in axes], "float32")

    def plan(x, m, out, **options):
        inputs = [x, m.broadcast((60, 70)), Number(2.0, "float32")]
        return reduce_rows("mean", program, 5, inputs, out, axes, **options)

    launch(plan, x, m, out)
    np.testing.assert_allclose(out, np.mean(2 * (x.astype("float64") - m) ** 2, axis=axes), rtol=1e-6)


def test_strided_output():
    x = np.random.default_rng(6).normal(size=(30, 40)).astype("float32")
    room = np.zeros((80, 2), "float32")
    launch(lambda x, o, **options: reduce_rows("sum", (), 0, [x], o, (0,), **options), x, room[::2, 1])
    np.testing.assert_allclose(room[::2, 1], x.astype("float64").sum(0), rtol=1e-5, atol=1e-6)
    assert not room[:, 0].any()
    assert not room[1::2].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("shape", [(1,), (5, 10), (3, 1), (2, 3, 100), (4, 1000), (0, 3)])
def test_softmax(shape, log, dtype):
    x = np.random.default_rng(7).normal(size=shape, scale=20).astype(dtype)
    reference = scipy.special.log_softmax if log else scipy.special.softmax
    expected = reference(x.astype(np.longdouble), axis=-1).astype("float64") if x.size else x
    unit = float(np.finfo(dtype).eps)
    # A logarithm near 0 is the difference of numbers near the largest input.
    tolerance = {"rtol": 40 * unit, "atol": 4 * unit if log else 1e-30}
    np.testing.assert_allclose(softmax(x, log=log), expected, **tolerance)
    for other in (np.asfortranarray(x), np.repeat(x, 2, axis=-1)[..., ::2]):
        np.testing.assert_allclose(softmax(other, log=log), expected, **tolerance)


def test_softmax_is_stable_and_keeps_nan():
    x = np.array([[1e4, 1e4, -1e4], [np.nan, 0, 1], [-np.inf, 0, 0], [3e38, -3e38, 0]], "float32")
    actual = softmax(x)
    np.testing.assert_array_equal(actual[[0, 2, 3]], [[0.5, 0.5, 0], [0, 0.5, 0.5], [1, 0, 0]])
    assert np.isnan(actual[1]).all()
    y = np.random.default_rng(8).normal(size=(50, 30, 7))
    np.testing.assert_allclose(softmax(y, axis=1, threads=2), scipy.special.softmax(y, axis=1), rtol=1e-12)


@settings(deadline=None, max_examples=80)
@given(
    shape=st.lists(st.sampled_from([1, 2, 5, 40]), min_size=1, max_size=3),
    axis=st.integers(0, 2),
    kind=st.sampled_from(["argmax", "argmin"]),
    dtype=st.sampled_from(["float32", "float64", "int32", "int64", "uint8", "bool"]),
    how=st.sampled_from(["plain", "transposed", "sliced"]),
)
def test_first_extreme_wins(shape, axis, kind, dtype, how):
    rng = np.random.default_rng(9)
    x = laid_out(rng, shape, "int32", how).astype(dtype)
    x = np.round(x - 1) if dtype.startswith("f") else x
    axis %= len(shape)
    np.testing.assert_array_equal(argreduce(kind, x, axis), getattr(np, kind)(x, axis=axis))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "bool"])
@pytest.mark.parametrize(
    ("shape", "axis"), [((9, 1024), 0), ((3, 17, 70), 1), ((2, 40, 33), 0), ((5, 4, 200), 1), ((6, 8), 0)]
)
def test_first_extreme_across_lines(shape, axis, dtype, threads):
    x = np.random.default_rng(10).integers(0, 4, shape).astype(dtype)
    if dtype.startswith("f"):
        x[(1, *[slice(3, 5)] * (len(shape) - 1))] = np.nan
        x[(0, *[slice(0, 2)] * (len(shape) - 1))] = -np.inf
    for kind in ("argmax", "argmin"):
        expected = getattr(np, kind)(x, axis=axis)
        np.testing.assert_array_equal(argreduce(kind, x, axis, threads=threads), expected)
    (y,) = (x.transpose(*range(1, len(shape)), 0),)
    np.testing.assert_array_equal(argreduce("argmax", y, axis - 1), np.argmax(y, axis=axis - 1))


def test_argmax_of_nan_and_infinities():
    x = np.zeros((4, 40), "float32")
    x[0, 20] = x[0, 30] = np.nan
    x[1] = -np.inf
    x[2, 39] = np.inf
    for kind in ("argmax", "argmin"):
        np.testing.assert_array_equal(argreduce(kind, x, 1), getattr(np, kind)(x, axis=1))


@pytest.mark.parametrize("kind", ["cumsum", "cumprod"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_running(kind, dtype, axis):
    x = laid_out(np.random.default_rng(10), (7, 9, 50), dtype, "plain") + (dtype == "int32")
    x = x.astype(dtype)
    reference = getattr(np, kind)
    expected = (
        reference(x.astype("float64"), axis=axis) if dtype[0] == "f" else reference(x, axis=axis, dtype=dtype)
    )
    np.testing.assert_allclose(
        cumulative(kind, x, axis), expected, rtol=1e-6 if dtype == "float32" else 1e-12
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_top_k(dtype, k):
    x = np.random.default_rng(11).integers(0, 15, (6, 5, 20)).astype(dtype)
    values, indices = top_k(x, k, threads=2)
    order = np.argsort(-x.astype("float64"), axis=-1, kind="stable")[..., :k]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(values, np.take_along_axis(x, order, -1))
    with_nan = np.array([[1, np.nan, 3, np.nan]], "float32")
    np.testing.assert_array_equal(top_k(with_nan, 3)[1], [[1, 3, 2]])
