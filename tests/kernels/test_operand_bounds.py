"""Kernels touch nothing outside their operands: operands end, or begin, at a page that may not be touched."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from symgraph.kernels.conv import conv2d_input_gradient_rows, conv2d_rows
from symgraph.kernels.conv_parts.geometry import output_shape
from symgraph.kernels.conv_parts.gradient import conv2d_weight_gradient_rows
from symgraph.kernels.matmul import matmul_rows
from symgraph.kernels.pool import (
    average_pool2d_gradient_rows,
    average_pool2d_rows,
    max_pool2d_gradient_rows,
    max_pool2d_rows,
)
from symgraph.kernels.run.buffer import launch
from tests.fence import Fence

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("depth", "features", "groups", "strides", "padding"),
    [
        (3, 5, 1, (1, 1), ((0, 0), (0, 0))),
        (17, 33, 1, (1, 1), ((1, 1), (1, 1))),
        (8, 16, 1, (2, 2), ((0, 1), (0, 1))),
        (2, 3, 5, (1, 2), ((1, 0), (0, 1))),
        (1, 1, 19, (1, 1), ((1, 1), (1, 1))),
        (1, 1, 256, (1, 1), ((1, 1), (1, 1))),
        (1, 2, 9, (2, 1), ((0, 0), (0, 0))),
    ],
)
def test_convolutions(depth, features, groups, strides, padding, dtype, at_end):
    fence, rng = Fence(at_end), np.random.default_rng(0)
    for kernel, size in (((3, 3), (9, 14)), ((1, 1), (5, 7)), ((2, 4), (6, 21))):
        x = fence(rng.standard_normal((2, *size, depth * groups)).astype(dtype))
        w = fence(rng.standard_normal((*kernel, depth, features * groups)).astype(dtype))
        out = fence(
            np.zeros((2, *output_shape(size, kernel, strides, padding), features * groups), dtype),
        )
        options = {"strides": strides, "padding": padding, "groups": groups, "threads": 2}
        launch(conv2d_rows, x, w, out, **options)
        launch(conv2d_input_gradient_rows, out, w, fence(x), **options)
        launch(conv2d_weight_gradient_rows, x, out, fence(w), **options)
        sums = fence(np.zeros(features * groups, dtype))
        launch(conv2d_weight_gradient_rows, x, out, fence(w), sums, **options)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("m", "k", "n"), [(1, 7, 5), (7, 1, 33), (13, 40, 16), (29, 3, 50), (5, 5, 1), (40, 21, 70)]
)
def test_matrix_products(m, k, n, dtype, at_end):
    fence, rng = Fence(at_end), np.random.default_rng(0)
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    for left in (fence(a), fence(np.ascontiguousarray(a.T)).T):
        for right in (fence(b), fence(np.ascontiguousarray(b.T)).T):
            out = fence(np.zeros((m, n), dtype))
            launch(matmul_rows, left, right, out, threads=2)
            np.testing.assert_allclose(out, a @ b, rtol=0, atol=1e-4)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("channels", [1, 7, 16, 19])
def test_pooling(channels, at_end):
    fence, rng = Fence(at_end), np.random.default_rng(0)
    x = fence(rng.standard_normal((2, 7, 9, channels)).astype(np.float32))
    options = {"pool": (2, 3), "strides": (2, 2), "padding": ((1, 0), (1, 1)), "threads": 2}
    shape = (2, *output_shape((7, 9), (2, 3), (2, 2), ((1, 0), (1, 1))), channels)
    out, index = fence(np.zeros(shape, np.float32)), fence(np.zeros(shape, np.uint8))
    launch(max_pool2d_rows, x, out, index, **options)
    launch(max_pool2d_gradient_rows, out, index, fence(x), **options)
    launch(average_pool2d_rows, x, out, **options)
    launch(average_pool2d_gradient_rows, out, fence(x), **options)


@pytest.mark.parametrize("at_end", [False, True])
def test_pooling_without_windows(at_end):
    fence = Fence(at_end)
    options = {"pool": (1, 4), "strides": (1, 4), "padding": ((0, 0), (1, 0)), "threads": 1}
    out = fence(np.ones((1, 3, 2, 5), np.float32))
    launch(average_pool2d_gradient_rows, np.zeros((1, 3, 0, 5), np.float32), out, **options)
    assert not out.any()
