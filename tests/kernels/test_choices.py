"""Planning functions take what they are told to, and what they take computes the same."""

from __future__ import annotations

import numpy as np
import pytest

from symgraph.kernels.conv import conv2d, conv2d_input_gradient, conv2d_rows
from symgraph.kernels.conv_parts.gradient import conv2d_weight_gradient, conv2d_weight_gradient_rows
from symgraph.kernels.matmul import matmul, matmul_rows
from symgraph.kernels.run.buffer import Buffer, contiguous_strides
from symgraph.kernels.run.choices import MOST_ROWS, MOST_VECTORS, Choices, choices, choosing
from symgraph.kernels.tile.block import choose_block, rows_side_by_side

BLOCKS = ((1, 1), (6, 2), (4, 4), (13, 2), (MOST_ROWS, 3), (3, MOST_VECTORS))
NONE = ((0, 0), (0, 0))


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def buffers(*shapes):
    kind = np.dtype(np.float32)
    return [Buffer(i, 0, shape, contiguous_strides(shape, 4), kind) for i, shape in enumerate(shapes)]


def no_memory(shape, dtype):
    return Buffer(9, 0, tuple(shape), contiguous_strides(shape, 4), np.dtype(dtype))


def names(plan, *shapes, **options):
    rows = plan(*buffers(*shapes), threads=1, scratch=no_memory, **options)
    return [row.kernel.name for row in rows]


PICTURES = ((8, 30, 30, 64), (3, 3, 64, 64), (8, 28, 28, 64))
GEOMETRY = {"strides": (1, 1), "padding": NONE}


@pytest.mark.parametrize(
    ("algorithm", "beginning"),
    [
        ("direct", "contraction["),
        ("winograd", "winograd_"),
        ("winograd_2x2", "winograd_2x2["),
        ("winograd_4x4", "winograd_4x4["),
    ],
)
def test_a_convolution_takes_the_algorithm(algorithm, beginning):
    with choosing(algorithm):
        assert names(conv2d_rows, *PICTURES, **GEOMETRY)[0].startswith(beginning)
    assert choices() == Choices()


def test_the_weight_gradient_has_tiles_of_one_size():
    x, w, grad = PICTURES
    for algorithm, beginning in (
        ("winograd", "winograd_weight_gradient_4x4"),
        ("winograd_4x4", "winograd_weight_gradient_4x4"),
        ("winograd_2x2", "conv2d_weight_gradient"),
        ("direct", "conv2d_weight_gradient"),
    ):
        with choosing(algorithm):
            assert names(conv2d_weight_gradient_rows, x, grad, w, **GEOMETRY)[0].startswith(beginning)


@pytest.mark.parametrize(("rows", "vectors"), BLOCKS)
def test_products_take_the_block(rows, vectors):
    with choosing(block=(rows, vectors)):
        (name,) = names(matmul_rows, (40, 17), (17, 140), (40, 140))
    assert f", {rows}x{vectors}, " in name


def test_no_block_is_larger_than_the_product():
    with choosing(block=(13, 2)):
        (name,) = names(matmul_rows, (9, 17), (17, 3), (9, 3))
    assert ", 9x1, " in name


@pytest.mark.parametrize("block", BLOCKS)
def test_products_are_right_in_every_block(block):
    a, b = random(53, 41), random(41, 77, seed=1)
    with choosing(block=block):
        for left, right in ((a, b), (a.T.copy().T, b), (a, b.T.copy().T)):
            expected = left.astype(np.float64) @ right
            np.testing.assert_allclose(matmul(left, right, threads=2), expected, atol=2e-5)


@pytest.mark.parametrize("block", BLOCKS)
def test_convolutions_are_right_in_every_block(block):
    x, w = random(2, 21, 19, 13), random(3, 3, 13, 70, seed=1)
    grad = random(2, 21, 19, 70, seed=2)
    same = ((1, 1), (1, 1))
    with choosing("direct"):
        expected = [
            conv2d(x, w, padding=same),
            conv2d_input_gradient(grad, w, x.shape, padding=same),
            conv2d_weight_gradient(x, grad, w.shape, padding=same),
        ]
    with choosing("direct", block):
        found = [
            conv2d(x, w, padding=same),
            conv2d_input_gradient(grad, w, x.shape, padding=same),
            conv2d_weight_gradient(x, grad, w.shape, padding=same),
        ]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"algorithm": "fft"}, "algorithm: expected one of auto, direct, winograd, .* got 'fft'"),
        ({"block": (17, 2)}, "block: expected 1 to 16 rows and 1 to 8 vectors, got 17x2"),
        ({"block": (4, 0)}, "block: expected 1 to 16 rows and 1 to 8 vectors, got 4x0"),
    ],
)
def test_wrong_choices_are_refused(wrong, text):
    with pytest.raises(ValueError, match=text), choosing(**wrong):
        pass


@pytest.mark.parametrize("step", [64, 1000, 2048, 4096, 6144, 16384, 65536])
def test_no_more_rows_than_one_set_of_the_cache_has_places(step: int) -> None:
    most = rows_side_by_side(200, step)
    block = choose_block(200, 512, np.dtype("float32"), most_rows=most)
    sets = [row * step % 4096 // 64 for row in range(block.rows)]
    assert max(sets.count(one) for one in sets) <= 8
    assert rows_side_by_side(8, step) == 14
