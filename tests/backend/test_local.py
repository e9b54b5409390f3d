"""Convolution with weights of its own at every place, against loops over the places."""

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import LocallyConnected1D, LocallyConnected2D


def var(x):
    return K.variable(x, "float64")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def local1d(x, w, size, stride):
    places = [x[:, i * stride : i * stride + size].reshape(len(x), -1) @ w[i] for i in range(len(w))]
    return np.stack(places, 1)


def local2d(x, w, size, strides, counts, first):
    """Windows are read in the layout of `x`."""
    found = np.zeros((len(x), *counts, w.shape[2]))
    for number, (i, j) in enumerate(np.ndindex(*counts)):
        rows, columns = (slice(p * s, p * s + k) for p, s, k in zip((i, j), strides, size, strict=True))
        part = x[:, :, rows, columns] if first else x[:, rows, columns]
        found[:, i, j] = part.reshape(len(x), -1) @ w[number]
    return found.transpose(0, 3, 1, 2) if first else found


@pytest.mark.parametrize(("size", "stride", "count"), [(3, 1, 6), (2, 3, 3), (1, 1, 8), (8, 1, 1)])
def test_local_conv1d(size, stride, count, rng):
    x, w = rng.normal(size=(3, 8, 2)), rng.normal(size=(count, size * 2, 4))
    actual = K.local_conv1d(var(x), var(w), (size,), (stride,))
    assert K.int_shape(actual) == (3, count, 4)
    np.testing.assert_allclose(K.eval(actual), local1d(x, w, size, stride), atol=1e-12)


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("size", "strides", "counts"), [((3, 2), (1, 1), (4, 4)), ((2, 3), (2, 1), (3, 3))])
def test_local_conv2d(size, strides, counts, layout, rng):
    first = layout == "channels_first"
    x = rng.normal(size=(2, 3, 6, 5) if first else (2, 6, 5, 3))
    w = rng.normal(size=(counts[0] * counts[1], size[0] * size[1] * 3, 4))
    actual = K.local_conv2d(var(x), var(w), size, strides, counts, layout)
    expected = local2d(x, w, size, strides, counts, first)
    assert K.int_shape(actual) == expected.shape
    np.testing.assert_allclose(K.eval(actual), expected, atol=1e-12)


def test_gradients(rng):
    """Of bilinear maps: <v, f(e, w)> = <gradient of <v, f(x, w)> for x, e>, and the same for w."""
    x, w = rng.normal(size=(2, 6, 5, 3)), rng.normal(size=(9, 18, 4))
    v = rng.normal(size=(2, 3, 3, 4))
    xs, ws = var(x), var(w)
    loss = K.sum(K.local_conv2d(xs, ws, (2, 3), (2, 1), (3, 3), "channels_last") * var(v))
    to_x, to_w = (K.eval(g) for g in K.gradients(loss, [xs, ws]))
    e, h = rng.normal(size=x.shape), rng.normal(size=w.shape)
    options = ((2, 3), (2, 1), (3, 3), False)
    np.testing.assert_allclose((to_x * e).sum(), (v * local2d(e, w, *options)).sum())
    np.testing.assert_allclose((to_w * h).sum(), (v * local2d(x, h, *options)).sum())


def test_equal_weights_everywhere_are_a_convolution(rng):
    x, w = rng.normal(size=(2, 7, 6, 3)), rng.normal(size=(3, 2, 3, 4))
    each = np.broadcast_to(w.reshape(1, 18, 4), (25, 18, 4))
    actual = K.local_conv2d(var(x), var(each), (3, 2), (1, 1), (5, 5))
    np.testing.assert_allclose(K.eval(actual), K.eval(K.conv2d(var(x), var(w))), atol=1e-12)


def test_wrong_kernels_are_refused(rng):
    x, w = var(rng.normal(size=(2, 6, 5, 3))), var(rng.normal(size=(9, 18, 4)))
    for call, message in [
        (lambda: K.local_conv2d(x, w, (2, 3), (2, 1), (3, 4)), "expected kernels for 3x4 pixels"),
        (lambda: K.local_conv2d(x[0], w, (2, 3), (2, 1), (3, 3)), "4 dimensions"),
        (lambda: K.local_conv2d(x, w, (2, 2), (2, 1), (3, 3)), "for 12 values"),
        (lambda: K.local_conv2d(x, w, (2, 3), (3, 1), (3, 3)), "slice"),
        (lambda: K.local_conv2d(x, w, (2, 3), (2, 1), (3, 3), "last"), "data_format"),
        (lambda: K.local_conv1d(x, w, (2,), (1,)), "3 dimensions"),
        (lambda: K.local_conv1d(x[0], w[0], (2,), (1,)), "kernel of 3 dimensions"),
        (lambda: LocallyConnected1D(2, 3, padding="same"), "border mode"),
        (lambda: LocallyConnected2D(2, 3).build((None, None, 4, 2)), "fully-defined"),
        (lambda: LocallyConnected2D(2, 3).build((None, 2, 4, 2)), "do not fit"),
        (lambda: LocallyConnected1D(2, 3).build((None, None, 4)), "fully-defined"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
