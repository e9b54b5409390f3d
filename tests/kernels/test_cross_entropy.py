"""The cross-entropy of a softmax and its gradient against numpy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from symgraph.kernels.run.buffer import launch
from symgraph.kernels.softmax import softmax_cross_entropy_gradient_rows, softmax_cross_entropy_rows

ROUNDING = {"float32": 2e-6, "float64": 1e-13}


def losses(x, targets, threads=None):
    out = np.empty(x.shape[:-1], x.dtype)
    launch(softmax_cross_entropy_rows, x, targets, out, threads=threads)
    return out


def slopes(x, targets, grad, threads=None):
    out = np.empty_like(x)
    launch(softmax_cross_entropy_gradient_rows, x, targets, grad, out, threads=threads)
    return out


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1,), (5, 10), (3, 1), (2, 3, 100), (900, 33), (4, 1000), (0, 3), (2, 8)])
@pytest.mark.parametrize("strided", [False, True])
def test_losses_and_slopes(shape, dtype, threads, strided):
    rng = np.random.default_rng(0)
    # Targets that do not sum to 1, as weights and smoothing leave them.
    x, targets = rng.normal(0, 3, shape), rng.uniform(0, 1, shape)
    grad = rng.standard_normal(shape[:-1])
    if strided:
        x, targets = (np.repeat(a, 2, axis=-1)[..., ::2] for a in (x, targets))
    x, targets, grad = (a.astype(dtype) for a in (x, targets, grad))
    if strided:
        x = np.asfortranarray(x)
    wide = [a.astype("float64") for a in (x, targets, grad)]
    logs = scipy.special.log_softmax(wide[0], axis=-1) if x.size else wide[0]
    expected = -(wide[1] * logs).sum(-1)
    bound = ROUNDING[dtype] * (1 + np.abs(expected).max(initial=0))
    np.testing.assert_allclose(losses(x, targets, threads), expected, rtol=ROUNDING[dtype], atol=bound)
    slope = (np.exp(logs) * wide[1].sum(-1, keepdims=True) - wide[1]) * wide[2][..., None]
    bound = ROUNDING[dtype] * np.abs(slope).max(initial=1)
    np.testing.assert_allclose(slopes(x, targets, grad, threads), slope, rtol=0, atol=bound)


def test_large_logits_stay_finite():
    x = np.array([[1e4, 0, -1e4], [-1e30, -1e30, -1e30], [88, 89, 90]], "float32")
    targets = np.eye(3, dtype="float32")
    expected = -np.diag(scipy.special.log_softmax(x.astype("float64"), axis=1))
    np.testing.assert_allclose(losses(x, targets), expected, rtol=1e-6)
    slope = slopes(x, targets, np.ones(3, "float32"))
    np.testing.assert_allclose(slope, scipy.special.softmax(x.astype("float64"), axis=1) - targets, atol=1e-6)


def test_a_small_loss_keeps_its_digits():
    x = np.array([[12.0, 0.0, -1.0]])
    expected = np.log1p(np.exp(-12.0) + np.exp(-13.0))
    np.testing.assert_allclose(losses(x, np.eye(3)[:1]), [expected], rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_small_slope_keeps_its_digits(dtype):
    x = np.array([[12, 0, -1], [3, 3, 30], [0, 700, 1]], dtype)
    places = [0, 2, 1]
    targets, wide = np.eye(3, dtype=dtype)[places], x.astype("longdouble")
    wide -= wide.max(axis=1, keepdims=True)
    chances = np.exp(wide) / np.exp(wide).sum(axis=1, keepdims=True)
    chances[range(3), places] = 0
    # softmax - 1 of the target is what the others have.
    chances[range(3), places] = -chances.sum(axis=1)
    slope = slopes(x, targets, np.ones(3, dtype))
    np.testing.assert_allclose(slope, chances.astype(dtype), rtol=8 * ROUNDING[dtype])


def test_nan_comes_through_and_stays_in_its_line():
    x = np.zeros((2, 20), "float32")
    x[1, 17] = np.nan
    targets = np.eye(20, dtype="float32")[:2]
    assert np.isnan(losses(x, targets)).tolist() == [False, True]
    assert np.isnan(slopes(x, targets, np.ones(2, "float32"))).any(axis=1).tolist() == [False, True]


def test_no_classes_and_no_lines():
    assert losses(np.zeros((3, 0)), np.zeros((3, 0))).tolist() == [0, 0, 0]
    assert losses(np.zeros((0, 4)), np.zeros((0, 4))).shape == (0,)
