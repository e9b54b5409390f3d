"""Winograd's convolutions against float64 sums over explicit windows, and the choice of the algorithm."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from symgraph.kernels.conv import conv2d_input_gradient_rows, conv2d_rows
from symgraph.kernels.conv_parts.algorithm import OUTPUTS, direct_cycles, wanted_algorithm, winograd_plan
from symgraph.kernels.conv_parts.gradient import conv2d_weight_gradient_rows
from symgraph.kernels.conv_parts.transforms import correlation
from symgraph.kernels.conv_parts.winograd import winograd_input_gradient_rows, winograd_rows
from symgraph.kernels.conv_parts.winograd_gradient import winograd_weight_gradient_rows
from symgraph.kernels.run.buffer import Buffer, contiguous_strides, launch
from symgraph.kernels.run.target import TARGET
from tests.fence import Fence

LANES = TARGET.lanes(4)
SAME = ((1, 1), (1, 1))
VALID = ((0, 0), (0, 0))
BOUND = 1e-5


def reference(x, w, padding):
    """Cross-correlation in float64."""
    seen = sliding_window_view(np.pad(x.astype(np.float64), ((0, 0), *padding, (0, 0))), (3, 3), axis=(1, 2))
    return np.einsum("nyxcij,ijcf->nyxf", seen, w.astype(np.float64), optimize=True)


def reference_input_gradient(grad, w, shape, padding):
    (top, bottom), (left, right) = padding
    wide = np.zeros((shape[0], shape[1] + top + bottom, shape[2] + left + right, shape[3]))
    for i, j in np.ndindex(3, 3):
        part = grad.astype(np.float64) @ w[i, j].astype(np.float64).T
        wide[:, i : i + grad.shape[1], j : j + grad.shape[2]] += part
    return wide[:, top : top + shape[1], left : left + shape[2]]


def reference_weight_gradient(x, grad, padding):
    seen = sliding_window_view(np.pad(x.astype(np.float64), ((0, 0), *padding, (0, 0))), (3, 3), axis=(1, 2))
    return np.einsum("nyxcij,nyxf->ijcf", seen, grad.astype(np.float64), optimize=True)


def check(got, expected, bound=BOUND):
    assert got.shape == expected.shape
    assert np.linalg.norm(got - expected) <= bound * np.linalg.norm(expected)


def draw(rng, shape, kind):
    values = rng.standard_normal(shape) if kind == "normal" else rng.random(shape)
    return values.astype(np.float32)


def forward(x, w, padding, outputs, threads, bias=None, activation="linear", wrap=lambda array: array):
    shape = (len(x), *(n + sum(p) - 2 for n, p in zip(x.shape[1:3], padding, strict=True)), w.shape[3])
    out = wrap(np.full(shape, np.nan, np.float32))
    extra = () if bias is None else (wrap(bias),)

    def plan(x, w, out, *bias, **options):
        return winograd_rows(x, w, out, bias=bias[0] if bias else None, **options)

    launch(plan, wrap(x), wrap(w), out, *extra, threads=threads, padding=padding, outputs=outputs,
           activation=activation)  # fmt: skip
    return out


def input_gradient(grad, w, shape, padding, outputs, threads, gate=None, wrap=lambda array: array):
    out = wrap(np.full(shape, np.nan, np.float32))
    extra = () if gate is None else (wrap(gate),)

    def plan(grad, w, out, *gate, **options):
        return winograd_input_gradient_rows(grad, w, out, gate=gate[0] if gate else None, **options)

    launch(plan, wrap(grad), wrap(w), out, *extra, threads=threads, padding=padding, outputs=outputs)
    return out


def weight_gradient(x, grad, padding, threads, wrap=lambda array: array):
    """Gradients of weights and bias."""
    out = wrap(np.full((3, 3, x.shape[3], grad.shape[3]), np.nan, np.float32))
    sums = wrap(np.full(grad.shape[3], np.nan, np.float32))
    launch(winograd_weight_gradient_rows, wrap(x), wrap(grad), out, sums, threads=threads, padding=padding)
    return out, sums


def check_weight_gradient(x, grad, padding, threads, wrap=lambda array: array):
    out, sums = weight_gradient(x, grad, padding, threads, wrap)
    check(out, reference_weight_gradient(x, grad, padding))
    # Sums of many signs may nearly vanish: measured against what is added up.
    error = np.abs(sums - grad.sum((0, 1, 2), np.float64))
    assert np.all(error <= 1e-6 * np.abs(grad).sum((0, 1, 2), np.float64))


@pytest.mark.parametrize(("outputs", "taps"), [(4, 3), (2, 3), (3, 4), (1, 1), (2, 4)])
@pytest.mark.parametrize("scaled", ["weights", "back"])
def test_transforms_are_exact(outputs, taps, scaled):
    transforms = correlation(outputs, taps, scaled)
    x = [Fraction(3 * i * i - 7, i + 1) for i in range(outputs + taps - 1)]
    w = [Fraction(2 - i, i + 3) for i in range(taps)]

    def apply(matrix, values):
        return [sum(a * v for a, v in zip(row, values, strict=True)) for row in matrix]

    points = zip(apply(transforms.weights, w), apply(transforms.forth, x), strict=True)
    got = apply(transforms.back, [a * b for a, b in points])
    assert got == [sum(x[i + k] * w[k] for k in range(taps)) for i in range(outputs)]


@pytest.mark.parametrize("outputs", OUTPUTS)
@settings(max_examples=25, deadline=None)
@given(
    samples=st.integers(1, 3),
    size=st.tuples(st.integers(3, 15), st.integers(3, 15)),
    channels=st.integers(LANES, 3 * LANES),
    features=st.integers(LANES, 5 * LANES),
    padding=st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2),
    threads=st.integers(1, 2),
)
def test_any_size(outputs, samples, size, channels, features, padding, threads):
    rng = np.random.default_rng(0)
    x = draw(rng, (samples, *size, channels), "normal")
    w = draw(rng, (3, 3, channels, features), "normal")
    expected = reference(x, w, padding)
    check(forward(x, w, padding, outputs, threads), expected)
    grad = draw(rng, expected.shape, "normal")
    expected = reference_input_gradient(grad, w, x.shape, padding)
    check(input_gradient(grad, w, x.shape, padding, outputs, threads), expected)


@settings(max_examples=25, deadline=None)
@given(
    samples=st.integers(1, 3),
    size=st.tuples(st.integers(3, 15), st.integers(3, 15)),
    channels=st.integers(LANES, 3 * LANES),
    features=st.integers(1, 5 * LANES),
    padding=st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2),
    threads=st.integers(1, 3),
)
def test_weight_gradients_of_any_size(samples, size, channels, features, padding, threads):
    rng = np.random.default_rng(0)
    x = draw(rng, (samples, *size, channels), "normal")
    shape = [n + sum(p) - 2 for n, p in zip(size, padding, strict=True)]
    check_weight_gradient(x, draw(rng, (samples, *shape, features), "normal"), padding, threads)


@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("shape", "features", "padding"),
    [((12, 26, 26, 32), 64, VALID), ((2, 14, 14, 256), 256, SAME), ((1, 28, 29, 300), 150, SAME)],
)
def test_weight_gradients_of_real_networks(shape, features, padding, threads, kind):
    rng = np.random.default_rng(1)
    size = [n + sum(p) - 2 for n, p in zip(shape[1:3], padding, strict=True)]
    x, grad = draw(rng, shape, kind), draw(rng, (shape[0], *size, features), kind)
    check_weight_gradient(x, grad, padding, threads)


@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize(
    ("shape", "features", "padding"),
    [((3, 26, 26, 32), 64, VALID), ((2, 14, 14, 256), 256, SAME), ((1, 28, 29, 500), 150, SAME)],
)
def test_layers_of_real_networks(shape, features, padding, outputs, kind):
    rng = np.random.default_rng(1)
    x, w = draw(rng, shape, kind), draw(rng, (3, 3, shape[3], features), kind)
    bias = draw(rng, features, "normal")
    plain = reference(x, w, padding)
    for threads in (1, 2):
        got = forward(x, w, padding, outputs, threads, bias, "relu")
        check(got, np.maximum(plain + bias, 0))
        assert got.min() >= 0
        held = forward(x, w, padding, outputs, threads, bias, "relu6")
        assert np.array_equal(held, np.minimum(got, 6))
    grad, gate = draw(rng, plain.shape, kind), draw(rng, shape, "normal")
    gate[0, 0, 0, :3] = 0, -0.0, np.nan
    expected = np.where(gate > 0, reference_input_gradient(grad, w, shape, padding), 0)
    check(input_gradient(grad, w, shape, padding, outputs, 2, gate), expected)


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_a_gate_may_be_overwritten(outputs):
    rng = np.random.default_rng(2)
    shape, w = (2, 9, 10, 21), draw(rng, (3, 3, 21, 40), "normal")
    grad, gate = draw(rng, (2, 7, 8, 40), "normal"), draw(rng, shape, "normal")
    expected = input_gradient(grad, w, shape, VALID, outputs, 2, gate.copy())

    def plan(grad, w, out, **options):
        return winograd_input_gradient_rows(grad, w, out, gate=out, **options)

    launch(plan, grad, w, gate, threads=2, padding=VALID, outputs=outputs)
    assert np.array_equal(gate, expected)


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_results_are_the_same_bits_in_every_run(outputs):
    rng = np.random.default_rng(3)
    x, w = draw(rng, (8, 20, 21, 40), "normal"), draw(rng, (3, 3, 40, 72), "normal")
    grad = draw(rng, (8, 20, 21, 72), "normal")
    first = forward(x, w, SAME, outputs, 2), input_gradient(grad, w, x.shape, SAME, outputs, 2)
    weights = weight_gradient(x, grad, SAME, 2)
    for _ in range(5):
        assert all(map(np.array_equal, weights, weight_gradient(x, grad, SAME, 2)))
        assert np.array_equal(first[0], forward(x, w, SAME, outputs, 2))
        assert np.array_equal(first[1], input_gradient(grad, w, x.shape, SAME, outputs, 2))


@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_reach_all_that_see_them(outputs, bad):
    rng = np.random.default_rng(4)
    x, w = draw(rng, (2, 12, 12, LANES), "normal"), draw(rng, (3, 3, LANES, 5), "normal")
    x[0, 6, 6, 2] = bad
    got = forward(x, w, VALID, outputs, 1)
    assert not np.isfinite(got[0, 4:7, 4:7]).any()
    assert np.isfinite(got[1]).all()


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize(("channels", "features"), [(LANES, LANES), (LANES + 1, 2 * LANES + 3)])
def test_nothing_outside_the_operands_is_touched(channels, features, outputs, at_end):
    rng = np.random.default_rng(5)
    for size, padding in (((9, 14), SAME), ((8, 8), VALID), ((3, 3), ((2, 2), (0, 3)))):
        x, w = draw(rng, (2, *size, channels), "normal"), draw(rng, (3, 3, channels, features), "normal")
        bias = draw(rng, features, "normal")
        wrap = Fence(at_end)
        expected = reference(x, w, padding)
        check(forward(x, w, padding, outputs, 2, bias, "relu", wrap), np.maximum(expected + bias, 0))
        grad, gate = draw(rng, expected.shape, "normal"), np.ones(x.shape, np.float32)
        expected = reference_input_gradient(grad, w, x.shape, padding)
        check(input_gradient(grad, w, x.shape, padding, outputs, 2, gate, wrap), expected)
        check_weight_gradient(x, grad, padding, 2, wrap)


def rows_of(plan, *shapes, dtype="float32", **options):
    """The rows that a planning function makes for contiguous operands, without running them."""
    kind = np.dtype(dtype)

    def buffer(shape, dtype=kind):
        dtype = np.dtype(dtype)
        return Buffer(0, 0, tuple(shape), contiguous_strides(shape, dtype.itemsize), dtype)

    return plan(*map(buffer, shapes), threads=2, scratch=buffer, **options)


@pytest.fixture
def wanted(monkeypatch):
    """Sets SYMGRAPH_CONVOLUTION, which is read once, for one test."""

    def change(value):
        monkeypatch.setenv("SYMGRAPH_CONVOLUTION", value)
        wanted_algorithm.cache_clear()

    change("auto")
    yield change
    monkeypatch.undo()
    wanted_algorithm.cache_clear()


LARGE = {"x": (32, 28, 28, 128), "w": (3, 3, 128, 128)}


def test_large_layers_take_winograd_and_small_ones_do_not(wanted):
    large = rows_of(conv2d_rows, LARGE["x"], LARGE["w"], LARGE["x"], strides=(1, 1), padding=SAME)
    assert large[0].kernel.name.startswith("winograd_4x4[float32, ")
    options = {"strides": (1, 1), "padding": SAME}
    back = rows_of(conv2d_input_gradient_rows, LARGE["x"], LARGE["w"], LARGE["x"], **options)
    assert back[0].kernel.name.startswith("winograd_4x4[float32, ")
    weights = rows_of(conv2d_weight_gradient_rows, LARGE["x"], LARGE["x"], LARGE["w"], **options)
    assert weights[0].kernel.name.startswith("winograd_weight_gradient_4x4[float32, ")
    tiny = rows_of(conv2d_rows, (1, 5, 5, 8), (3, 3, 8, 4), (1, 3, 3, 4), strides=(1, 1), padding=VALID)
    assert tiny[0].kernel.name.startswith("contraction[")
    tiny = rows_of(conv2d_weight_gradient_rows, (1, 5, 5, 8), (1, 3, 3, 4), (3, 3, 8, 4), strides=(1, 1),
                   padding=VALID)  # fmt: skip
    assert tiny[0].kernel.name.startswith("conv2d_weight_gradient[")


@pytest.mark.parametrize(
    ("x", "w", "out", "options"),
    [
        ((8, 28, 28, 128), (5, 5, 128, 64), (8, 24, 24, 64), {}),
        ((8, 28, 28, 128), (3, 3, 128, 64), (8, 13, 13, 64), {"strides": (2, 2)}),
        ((8, 28, 28, 128), (3, 3, 128, 64), (8, 24, 24, 64), {"dilation": (2, 2)}),
        ((8, 28, 28, 128), (3, 3, 64, 64), (8, 26, 26, 64), {"groups": 2}),
        ((8, 28, 28, 3), (3, 3, 3, 64), (8, 26, 26, 64), {}),
        ((8, 28, 28, 128), (3, 3, 128, 64), (8, 26, 26, 64), {"dtype": "float64"}),
    ],
)
def test_other_convolutions_stay_direct(wanted, x, w, out, options):
    wanted("winograd")
    rows = rows_of(conv2d_rows, x, w, out, **{"strides": (1, 1), "padding": VALID} | options)
    rows += rows_of(conv2d_weight_gradient_rows, x, out, w, **{"strides": (1, 1), "padding": VALID} | options)
    assert not any("winograd" in row.kernel.name for row in rows)


def test_the_environment_overrules_the_model(wanted):
    wanted("direct")
    rows = rows_of(conv2d_rows, LARGE["x"], LARGE["w"], LARGE["x"], strides=(1, 1), padding=SAME)
    assert rows[0].kernel.name.startswith("contraction[")
    wanted("winograd")
    small = (1, 6, 6, LANES), (3, 3, LANES, 4), (1, 4, 4, 4)
    assert "winograd" in rows_of(conv2d_rows, *small, strides=(1, 1), padding=VALID)[0].kernel.name
    wanted("fastest")
    with pytest.raises(ValueError, match="SYMGRAPH_CONVOLUTION: expected direct, winograd or auto, got 'fa"):
        rows_of(conv2d_rows, *small, strides=(1, 1), padding=VALID)


def test_the_environment_is_read_by_a_new_process():
    script = "from symgraph.kernels.conv_parts.algorithm import wanted_algorithm; print(wanted_algorithm())"
    environment = {**os.environ, "SYMGRAPH_CONVOLUTION": "direct", "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    assert ran.stdout.strip() == b"direct"


def test_the_model_cuts_work_into_parts_that_exist():
    for tiles, columns in ((1, 8), (3, 512), (5000, 8), (5000, 512)):
        plan = winograd_plan(tiles, 64, columns, 4, "rows", 4)
        assert 1 <= plan.parts_rows <= tiles
        assert 1 <= plan.parts_columns <= -(-columns // plan.block.width)
    assert direct_cycles(1000, 288, 64, 1) > direct_cycles(1000, 288, 64, 2)
