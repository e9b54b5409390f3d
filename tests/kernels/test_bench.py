"""Figures of single kernels: consistent, and of results that are right."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from scipy import special

from symgraph.kernels import bench
from symgraph.kernels.run.choices import choices
from tests.kernels.test_conv import (
    reference,
    reference_input_gradient,
    reference_weight_gradient,
    windows,
)

NONE = ((0, 0), (0, 0))
SAME = ((1, 1), (1, 1))
once = partial(bench.measure, runs=1, threads=2)


def close(got, expected, dtype="float32"):
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(got, expected, rtol=0, atol=scale * (2e-5 if dtype == "float32" else 1e-12))


def run(problem, **options):
    """The outputs of a problem, and its figures, which have to belong together."""
    for array in problem.outputs.values():
        array[...] = 77
    figures = once(problem, **options)
    for found in figures:
        low, high = found.quartiles
        assert 0 < found.fastest <= low <= found.seconds <= high
        assert found.gflops * found.seconds * 1e9 == pytest.approx(problem.flops)
        assert found.gbytes * found.seconds * 1e9 == pytest.approx(problem.bytes)
        assert found.flops_share == pytest.approx(found.gflops / found.peak_gflops)
        assert found.bytes_share == pytest.approx(found.gbytes / found.ceilings.gbytes)
        assert (found.threads, found.ceilings.threads, found.runs) == (2, 2, 1)
        assert found.calls and all(c.tiles >= 1 and c.compile_seconds >= 0 for c in found.calls)
    return figures


# Results and work


CONVOLUTIONS = [
    ((2, 14, 13, 16), (3, 3, 16, 20), {"padding": "same"}, SAME, {}),
    ((2, 11, 12, 5), (3, 2, 5, 7), {"strides": (2, 1)}, NONE, {"strides": (2, 1)}),
    ((2, 9, 9, 8), (3, 3, 4, 6), {"groups": 2, "dilation": (2, 1)}, NONE, {"groups": 2, "dilation": (2, 1)}),
    ((1, 8, 8, 3), (2, 2, 3, 4), {"padding": ((0, 1), (2, 0)), "dtype": "float64"}, ((0, 1), (2, 0)), {}),
]


@pytest.mark.parametrize(("x", "w", "options", "padding", "geometry"), CONVOLUTIONS)
def test_convolutions(x, w, options, padding, geometry):
    geometry = {"strides": (1, 1), "dilation": (1, 1), "groups": 1, **geometry, "padding": padding}
    dtype = options.get("dtype", "float32")
    # As many multiply-adds as a sum of ones has terms.
    work = 2 * reference(np.ones(x), np.ones(w), **geometry).sum()

    forward = bench.conv2d(x, w, **options)
    run(forward)
    close(forward.outputs["out"], reference(*forward.inputs.values(), **geometry), dtype)

    to_input = bench.conv2d_input_gradient(x, w, **options)
    run(to_input)
    expected = reference_input_gradient(*to_input.inputs.values(), x, **geometry)
    close(to_input.outputs["input_gradient"], expected, dtype)

    to_weights = bench.conv2d_weight_gradient(x, w, **options)
    run(to_weights)
    expected = reference_weight_gradient(*to_weights.inputs.values(), w, **geometry)
    close(to_weights.outputs["weight_gradient"], expected, dtype)

    assert forward.flops == to_input.flops == to_weights.flops == work
    size = np.dtype(dtype).itemsize
    numbers = math.prod(x) + math.prod(w) + forward.outputs["out"].size
    assert forward.bytes == to_input.bytes == to_weights.bytes == size * numbers


def test_depthwise_convolution():
    problem = bench.depthwise_conv2d((2, 9, 8, 6), (3, 3, 1, 12), padding="same")
    geometry = {"strides": (1, 1), "padding": SAME, "dilation": (1, 1), "groups": 6}
    (found,) = run(problem)
    x, w = problem.inputs.values()
    close(problem.outputs["out"], reference(x, w, **geometry))
    assert problem.flops == 2 * reference(np.ones(x.shape), np.ones(w.shape), **geometry).sum()
    assert any("depthwise" in call.name for call in found.calls)


@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("batch", [(), (3,)])
def test_matrix_products(turned, batch):
    a, b = (23, 17), (17, 41)
    a, b = ((*batch, *(shape[::-1] if t else shape)) for shape, t in zip((a, b), turned, strict=True))
    problem = bench.matmul(a, b, transpose_a=turned[0], transpose_b=turned[1])
    run(problem)
    left, right = (
        np.swapaxes(x, -1, -2) if t else x for x, t in zip(problem.inputs.values(), turned, strict=True)
    )
    close(problem.outputs["out"], left.astype(np.float64) @ right)
    assert problem.flops == 2 * math.prod(batch) * 23 * 17 * 41


def test_batches_are_stretched():
    problem = bench.matmul((4, 1, 5, 6), (3, 6, 7), dtype="float64")
    run(problem)
    close(problem.outputs["out"], np.matmul(*problem.inputs.values()), "float64")
    assert problem.outputs["out"].shape == (4, 3, 5, 7)


def test_weights_that_are_kept_are_packed_once():
    problem = bench.matmul((64, 48), (48, 80), kept_b=True)
    (found,) = run(problem)
    a, b = problem.inputs.values()
    close(problem.outputs["out"], a.astype(np.float64) @ b)
    assert [call.lasting for call in found.calls] == [True, False]
    assert found.calls[0].name.startswith("pack[")


@pytest.mark.parametrize(
    ("pool", "options", "padding"),
    [((2, 2), {}, NONE), ((3, 2), {"strides": (2, 2), "padding": "same"}, ((0, 1), (0, 0)))],
)
def test_pooling(pool, options, padding):
    shape = (2, 8, 10, 5)
    strides = options.get("strides", pool)
    cells = windows(np.ones(shape), pool, strides, padding, (1, 1))
    out = cells.shape[:4]

    largest = bench.max_pool2d(shape, pool, places=True, **options)
    run(largest)
    # What is beside the picture never wins.
    lowest = windows(largest.inputs["x"] + 100, pool, strides, padding, (1, 1)) - 100
    close(largest.outputs["out"], lowest.max((4, 5)))
    places = lowest.reshape(*out, -1).argmax(-1)
    np.testing.assert_array_equal(largest.outputs["places"], places)
    assert largest.flops == cells.sum() - math.prod(out)
    assert "places" not in bench.max_pool2d(shape, pool, **options).outputs

    mean = bench.average_pool2d(shape, pool, **options)
    run(mean)
    seen = windows(mean.inputs["x"], pool, strides, padding, (1, 1))
    counts = cells.sum((4, 5))
    close(mean.outputs["out"], seen.sum((4, 5)) / counts)
    assert mean.flops == cells.sum()

    back = bench.max_pool2d_gradient(shape, pool, **options)
    run(back)
    np.testing.assert_array_equal(back.inputs["places"], places)
    grad = back.inputs["grad"].astype(np.float64)
    chosen = grad[..., None] * (np.arange(math.prod(pool)) == places[..., None])
    close(back.outputs["input_gradient"], spread(chosen.reshape(*out, *pool), shape, strides, padding))
    assert back.flops == math.prod(out)

    back = bench.average_pool2d_gradient(shape, pool, **options)
    run(back)
    shares = (back.inputs["grad"].astype(np.float64) / counts)[..., None, None] * np.ones(pool)
    close(back.outputs["input_gradient"], spread(shares, shape, strides, padding))
    assert back.flops == math.prod(out) + cells.sum()


def spread(values, shape, strides, padding):
    """What windows [N, OH, OW, C, kh, kw] give to the pixels below them."""
    n, height, width, channels = shape
    (top, bottom), (left, right) = padding
    wide = np.zeros((n, height + top + bottom, width + left + right, channels))
    for y, x, i, j in np.ndindex(values.shape[1], values.shape[2], *values.shape[4:]):
        wide[:, y * strides[0] + i, x * strides[1] + j] += values[:, y, x, :, i, j]
    return wide[:, top : top + height, left : left + width]


def test_softmax():
    problem = bench.softmax((7, 33))
    run(problem)
    close(problem.outputs["out"], special.softmax(problem.inputs["x"].astype(np.float64), -1))
    assert problem.flops == 5 * 7 * 33 - 2 * 7
    logs = bench.softmax((7, 33), axis=0, log=True, dtype="float64")
    run(logs)
    close(logs.outputs["out"], special.log_softmax(logs.inputs["x"], 0), "float64")
    assert logs.flops == 5 * 7 * 33 - 2 * 33 + 33


@pytest.mark.parametrize("axis", [None, 1, (0, 2), -1])
@pytest.mark.parametrize("kind", ["sum", "mean", "max"])
def test_reductions(kind, axis):
    problem = bench.problem(f"reduce_{kind}", x=(6, 7, 9), axis=axis)
    run(problem)
    expected = getattr(np, kind)(problem.inputs["x"].astype(np.float64), axis=axis)
    close(problem.outputs["out"], expected)
    assert problem.flops == 6 * 7 * 9 - (0 if kind == "mean" else expected.size)


@pytest.mark.parametrize(
    ("name", "function", "options"),
    [
        ("tanh", np.tanh, {}),
        ("log", np.log, {}),
        ("add", np.add, {"y": (9,)}),
        ("maximum", np.maximum, {"dtype": "float64"}),
        ("less", np.less, {}),
        ("where", np.where, {}),
        ("clip", lambda x, low, high: np.minimum(np.maximum(x, low), high), {"z": (1,)}),
        ("bitwise_xor", np.bitwise_xor, {"dtype": "int64"}),
    ],
)
def test_elementwise_functions(name, function, options):
    problem = bench.problem(name, x=(50, 9), **options)
    run(problem)
    arrays = [a if a.dtype.kind != "f" else a.astype(np.float64) for a in problem.inputs.values()]
    expected = function(*arrays)
    close(problem.outputs["out"].astype(np.float64), expected.astype(np.float64))
    assert problem.outputs["out"].dtype == (
        np.dtype(options.get("dtype", "float32")) if name != "less" else bool
    )
    assert problem.flops == 450


def test_every_kernel_that_is_listed_has_a_problem():
    for name in bench.KERNELS:
        shapes = {"x": (2, 8, 8, 4)}
        if name == "matmul":
            shapes = {"a": (4, 5), "b": (5, 6)}
        elif "conv2d" in name:
            shapes["w"] = (3, 3, 1 if name.startswith("depthwise") else 4, 4)
        elif "pool" in name:
            shapes["pool"] = (2, 2)
        assert bench.problem(name, **shapes).flops > 0


# Sides


def test_algorithms_are_compared():
    problem = bench.conv2d((2, 18, 18, 32), (3, 3, 32, 32))
    expected = reference(*problem.inputs.values(), (1, 1), NONE, (1, 1), 1)
    wanted = ("winograd_4x4", "direct", "winograd_2x2", "auto")
    figures = run(problem, against=wanted)
    assert tuple(found.side for found in figures) == wanted
    beginnings = [found.calls[0].name.split("[")[0] for found in figures]
    assert beginnings[:3] == ["winograd_4x4", "contraction", "winograd_2x2"]
    assert choices().algorithm == ""
    for algorithm in wanted:
        run(problem, against=(algorithm,))
        close(problem.outputs["out"], expected)


def test_blocks_are_compared():
    problem = bench.matmul((40, 30), (30, 140))
    a, b = problem.inputs.values()
    for block in ((6, 4), (13, 2)):
        (found,) = run(problem, blocks=(block,))
        close(problem.outputs["out"], a.astype(np.float64) @ b)
        assert found.side == "{}x{}".format(*block) and f", {found.side}, " in found.calls[0].name
    layer = bench.conv2d_weight_gradient((2, 18, 18, 32), (3, 3, 32, 32))
    figures = run(layer, against=("winograd_4x4",), blocks=((5, 2),))
    assert [found.side for found in figures] == ["winograd_4x4", "5x2"]
    assert "5x2" in figures[1].calls[0].name


def test_what_kernels_are_made_of():
    (found,) = once(bench.matmul((16, 16), (16, 16)))
    source = found.calls[0].source
    assert "def " in source.python and "define" in source.llvm and source.assembly


def test_float64_has_half_the_peak():
    single, double = (once(bench.softmax((4, 4), dtype=dtype))[0] for dtype in ("float32", "float64"))
    assert single.peak_gflops == 2 * double.peak_gflops == single.ceilings.gflops


# Errors

PICTURE, WEIGHTS = (1, 8, 8, 16), (3, 3, 16, 16)
LAYER = {"x": PICTURE, "w": WEIGHTS}


@pytest.mark.parametrize(
    ("kernel", "arguments", "text"),
    [
        ("conv3d", {}, "kernel: expected one of conv2d, .*, where, got 'conv3d' (did you mean conv2d?)"),
        ("matmul", {"a": (3, 4)}, "b: expected sizes, got none; matmul takes a, b, transpose_a"),
        ("tanh", {"pool": (2, 2)}, "pool: expected x or y or z or dtype for tanh, got (2, 2)"),
        (
            "conv2d",
            {"x": (8, 8), "w": WEIGHTS},
            "x: expected 4 sizes (samples, height, .* got (8, 8)",
        ),
        ("conv2d", {"x": (1, 8, 0, 16), "w": WEIGHTS}, "x: expected sizes of at least 1, got (1, 8, 0, 16)"),
        ("conv2d", {"x": PICTURE, "w": (3, 3, 8, 16)}, "w: expected 16 channels and a multiple of 1 filters"),
        ("conv2d", {"x": PICTURE, "w": (9, 3, 16, 16)}, "w: expected a window that fits into x"),
        (
            "conv2d",
            {**LAYER, "groups": 3},
            "groups: expected a divisor of the 16",
        ),
        (
            "conv2d",
            {**LAYER, "strides": (0, 1)},
            "strides: expected two numbers of at least 1",
        ),
        (
            "conv2d",
            {**LAYER, "padding": "full"},
            "padding: expected valid, same, or numbers",
        ),
        (
            "conv2d",
            {**LAYER, "dtype": "float16"},
            "dtype: .* got 'float16'",
        ),
        ("add", {"x": (3,), "dtype": "nonsense"}, "dtype: expected float32 or float64, got 'nonsense'"),
        ("left_shift", {"x": (3,), "dtype": "float32"}, "dtype: expected int32 or int64, got 'float32'"),
        ("matmul", {"a": (3, 4), "b": (5, 6)}, "b: expected 4 rows for a product with (3, 4), got (5, 6)"),
        ("matmul", {"a": (4,), "b": (4, 6)}, "a: expected at least 2 sizes (..., rows, columns), got (4,)"),
        (
            "matmul",
            {"a": (2, 3, 4), "b": (3, 4, 6)},
            "b: expected batch axes like .* got (3, 4, 6)",
        ),
        ("max_pool2d", {"x": PICTURE, "pool": (9, 1)}, "pool: expected windows that fit into x"),
        ("max_pool2d", {"x": PICTURE, "pool": 2}, "pool: expected two numbers of at least 1, .* got 2"),
        (
            "average_pool2d",
            {"x": PICTURE, "pool": (2, 2), "padding": ((2, 0), (0, 0))},
            "padding: expected windows",
        ),
        ("softmax", {"x": (3, 4), "axis": 2}, "axis: expected one axis from -2 to 1, got (2,)"),
        (
            "reduce_sum",
            {"x": (3, 4), "axis": (0, -2)},
            "axis: expected different axes .* got (0, -2)",
        ),
        (
            "add",
            {"x": (3, 4), "y": (5,)},
            "y: expected shapes that can .* got (3, 4) and (5,)",
        ),
        ("exp", {"x": (10**6, 10**6)}, "x: expected at most .* numbers, got a shape of (1000000, 1000000)"),
        ("tanh", {"x": (3, 4), "y": (5,)}, "y: tanh has 1 argument(s), got (5,) for one more"),
    ],
)
def test_wrong_problems_are_refused(kernel, arguments, text):
    with pytest.raises(ValueError) as caught:
        bench.problem(kernel, **arguments)
    parts = text.split(".*")
    assert str(caught.value).startswith(parts[0]) and parts[-1] in str(caught.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"against": ("fft",)}, "against: expected some of auto, direct, .* got 'fft'"),
        (
            {"against": ("winograd_4x4",)},
            "against: these shapes .* no winograd_4x4, got contraction",
        ),
        ({"blocks": ((17, 2),)}, "blocks: expected 1 to 16 rows and 1 to 8 vectors, got 17x2"),
        ({"blocks": ((4, 8),)}, "blocks: these shapes have no block of 4x8, got contraction"),
        ({"against": ("direct", "direct")}, "expected different sides, got direct, direct"),
        ({"threads": 0}, "threads: expected 1 to .* got 0"),
        ({"runs": 0}, "runs: expected a number of at least 1, got 0"),
        ({"seconds": 0}, "seconds: expected more than 0, got 0"),
    ],
)
def test_wrong_measurements_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        bench.measure(bench.conv2d((1, 8, 8, 16), (1, 1, 16, 16)), **options)


def test_kernels_without_a_choice_say_so():
    with pytest.raises(ValueError, match="against: softmax has one algorithm only, got direct"):
        once(bench.softmax((3, 4)), against=("direct",))
    with pytest.raises(ValueError, match="blocks: softmax has no block of registers to choose"):
        once(bench.softmax((3, 4)), blocks=((4, 2),))
    with pytest.raises(ValueError, match="against: matmul has one algorithm only"):
        once(bench.matmul((3, 4), (4, 5)), against=("winograd",))
