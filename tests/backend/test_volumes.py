"""Convolution and pooling of volumes against windows written out in numpy."""

import numpy as np
import pytest
from scipy import ndimage, signal

from symgraph import backend as K


def var(x):
    return K.variable(x, "float64")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def edges(size, kernel, stride, dilation, padding):
    """(before, after) of TensorFlow's rule."""
    if padding == "valid":
        return 0, 0
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def windows(x, kernel, strides, dilation, padding, fill=0.0):
    """(samples, depth, rows, columns, kernel depth, kernel rows, kernel columns, channels)."""
    widths = [edges(x.shape[a + 1], kernel[a], strides[a], dilation[a], padding) for a in range(3)]
    x = np.pad(x, ((0, 0), *widths, (0, 0)), constant_values=fill)
    counts = [(x.shape[a + 1] - (kernel[a] - 1) * dilation[a] - 1) // strides[a] + 1 for a in range(3)]
    out = np.empty((x.shape[0], *counts, *kernel, x.shape[4]))
    for place in np.ndindex(*counts):
        for tap in np.ndindex(*kernel):
            d, i, j = (p * s + t * g for p, s, t, g in zip(place, strides, tap, dilation, strict=True))
            out[(slice(None), *place, *tap)] = x[:, d, i, j]
    return out


CASES = [
    ((1, 1, 1), "valid", (1, 1, 1)),
    ((1, 1, 1), "same", (1, 1, 1)),
    ((2, 1, 3), "same", (1, 1, 1)),
    ((1, 1, 1), "same", (2, 3, 1)),
    ((3, 2, 2), "valid", (1, 1, 1)),
    ((1, 1, 1), "valid", (2, 1, 2)),
]


@pytest.mark.parametrize(("strides", "padding", "dilation"), CASES)
def test_conv3d(strides, padding, dilation, rng):
    x, w = rng.normal(size=(2, 7, 8, 9, 3)), rng.normal(size=(3, 2, 3, 3, 4))
    expected = np.einsum("ndijopqc,opqcf->ndijf", windows(x, (3, 2, 3), strides, dilation, padding), w)
    actual = K.conv3d(var(x), var(w), strides, padding, None, dilation)
    assert K.int_shape(actual) == expected.shape
    np.testing.assert_allclose(K.eval(actual), expected, atol=1e-12)
    first = K.conv3d(var(x.transpose(0, 4, 1, 2, 3)), var(w), strides, padding, "channels_first", dilation)
    np.testing.assert_allclose(K.eval(first), expected.transpose(0, 4, 1, 2, 3), atol=1e-12)


def test_conv3d_is_scipys_correlation(rng):
    x, w = rng.normal(size=(1, 6, 7, 8, 2)), rng.normal(size=(3, 3, 2, 2, 3))
    expected = [
        sum(signal.correlate(x[0, ..., c], w[..., c, f], "valid") for c in range(2)) for f in range(3)
    ]
    actual = K.eval(K.conv3d(var(x), var(w)))
    np.testing.assert_allclose(actual[0], np.stack(expected, -1), atol=1e-12)


@pytest.mark.parametrize(("strides", "padding", "dilation"), CASES)
def test_conv3d_with_sizes_that_data_tell(strides, padding, dilation, rng):
    x, w = rng.normal(size=(2, 7, 8, 9, 2)), rng.normal(size=(3, 2, 3, 2, 3))
    expected = np.einsum("ndijopqc,opqcf->ndijf", windows(x, (3, 2, 3), strides, dilation, padding), w)
    free = K.placeholder((None, None, None, None, 2), dtype="float64")
    f = K.function([free], [K.conv3d(free, var(w), strides, padding, "channels_last", dilation)])
    np.testing.assert_allclose(f([x])[0], expected, atol=1e-12)


@pytest.mark.parametrize(("strides", "padding", "dilation"), CASES)
def test_gradients_of_conv3d(strides, padding, dilation, rng):
    """For a linear map the gradient is the map itself: <v, f(x + e)> - <v, f(x)> = <gradient, e>."""
    x, w = rng.normal(size=(2, 5, 6, 7, 2)), rng.normal(size=(2, 2, 3, 2, 3))

    def value(a, b):
        return np.einsum("ndijopqc,opqcf->ndijf", windows(a, (2, 2, 3), strides, dilation, padding), b)

    v = rng.normal(size=value(x, w).shape)
    xs, ws = var(x), var(w)
    loss = K.sum(K.conv3d(xs, ws, strides, padding, None, dilation) * var(v))
    to_x, to_w = (K.eval(g) for g in K.gradients(loss, [xs, ws]))
    e, h = rng.normal(size=x.shape), rng.normal(size=w.shape)
    np.testing.assert_allclose((to_x * e).sum(), (v * value(e, w)).sum())
    np.testing.assert_allclose((to_w * h).sum(), (v * value(x, h)).sum())


@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 2, 2), (3, 1, 2)])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("size", [(7, 6, 5), (8, 6, 7)])
def test_conv3d_transpose_is_the_transposed_map(strides, padding, size, rng):
    """<conv(y), x> = <y, transpose(x)> for every y."""
    y, w = rng.normal(size=(2, *size, 3)), rng.normal(size=(3, 2, 3, 3, 4))
    forward = np.einsum("ndijopqc,opqcf->ndijf", windows(y, (3, 2, 3), strides, (1, 1, 1), padding), w)
    x = rng.normal(size=forward.shape)
    back = K.conv3d_transpose(var(x), var(w), (None, *size, 3), strides, padding)
    assert K.int_shape(back) == y.shape
    np.testing.assert_allclose((K.eval(back) * y).sum(), (forward * x).sum())
    first = K.conv3d_transpose(
        var(x.transpose(0, 4, 1, 2, 3)), var(w), (2, 3, *size), strides, padding, "channels_first"
    )
    np.testing.assert_allclose(K.eval(first), K.eval(back).transpose(0, 4, 1, 2, 3), atol=1e-12)


@pytest.mark.parametrize("mode", ["max", "avg"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("pool", "strides"), [((2, 2, 2), (2, 2, 2)), ((3, 2, 1), (1, 1, 1)), ((2, 3, 3), (3, 2, 1))]
)
def test_pool3d(mode, padding, pool, strides, rng):
    x = rng.normal(size=(2, 5, 7, 6, 3))
    reduce = {"max": np.nanmax, "avg": np.nanmean}[mode]
    expected = reduce(windows(x, pool, strides, (1, 1, 1), padding, np.nan), axis=(4, 5, 6))
    actual = K.pool3d(var(x), pool, strides, padding, None, mode)
    assert K.int_shape(actual) == expected.shape
    np.testing.assert_allclose(K.eval(actual), expected, atol=1e-12)
    free = K.placeholder((None, 3, None, None, None), dtype="float64")
    first = K.function([free], [K.pool3d(free, pool, strides, padding, "channels_first", mode)])
    turned = x.transpose(0, 4, 1, 2, 3)
    np.testing.assert_allclose(first([turned])[0], expected.transpose(0, 4, 1, 2, 3), atol=1e-12)


def test_pool3d_is_scipys_filter(rng):
    x = rng.normal(size=(6, 7, 8))
    wide = var(x[None, ..., None])
    largest = K.eval(K.pool3d(wide, (3, 3, 3), (1, 1, 1), "same", None, "max"))[0, ..., 0]
    np.testing.assert_allclose(largest, ndimage.maximum_filter(x, 3, mode="constant", cval=-np.inf))
    mean = K.eval(K.pool3d(wide, (3, 3, 3), (1, 1, 1), "valid", None, "avg"))[0, ..., 0]
    np.testing.assert_allclose(mean, ndimage.uniform_filter(x, 3)[1:-1, 1:-1, 1:-1], atol=1e-12)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_gradients_of_pool3d(padding, rng):
    x, pool, strides = rng.permutation(2 * 5 * 6 * 7 * 2).reshape(2, 5, 6, 7, 2) * 0.01, (2, 3, 2), (2, 2, 1)
    seen = windows(x, pool, strides, (1, 1, 1), padding, np.nan)
    v = rng.normal(size=(*seen.shape[:4], 2))
    for mode, reduce in (("max", np.nanmax), ("avg", np.nanmean)):
        xs = var(x)
        (g,) = K.gradients(K.sum(K.pool3d(xs, pool, strides, padding, None, mode) * var(v)), [xs])
        # Steps small enough not to change which voxel is the largest.
        e = rng.normal(size=x.shape)

        def value(t, e=e, reduce=reduce):
            moved = windows(x + t * e, pool, strides, (1, 1, 1), padding, np.nan)
            return (v * reduce(moved, axis=(4, 5, 6))).sum()

        np.testing.assert_allclose((K.eval(g) * e).sum(), (value(1e-4) - value(-1e-4)) / 2e-4, rtol=1e-6)


def test_largest_voxels_share_no_gradient():
    """Of equal ones the first has it all, as in pictures."""
    x = var(np.zeros((1, 2, 2, 2, 1)))
    (g,) = K.gradients(K.sum(K.pool3d(x, (2, 2, 2))), [x])
    np.testing.assert_array_equal(K.eval(g).ravel(), [1, 0, 0, 0, 0, 0, 0, 0])


def test_wrong_volumes_are_refused(rng):
    x, w = var(rng.normal(size=(1, 3, 4, 4, 2))), var(rng.normal(size=(2, 2, 2, 2, 3)))
    for call, message in [
        (lambda: K.conv3d(x, w, padding="full"), "Invalid padding"),
        (lambda: K.conv3d(x, w, data_format="last"), "data_format"),
        (lambda: K.conv3d(x, w, (1, 1)), "strides: expected 3"),
        (lambda: K.conv3d(x[:, 0], w), "5 dimensions"),
        (lambda: K.conv3d(x[..., :1], w), "channels"),
        (lambda: K.conv3d(x, w, dilation_rate=(3, 1, 1)), "do not fit"),
        (lambda: K.conv3d(x, w, dilation_rate=(1, 4, 1)), "does not fit"),
        (lambda: K.conv3d_transpose(x, w, (1, 9, 5, 5, 2)), "depth"),
        (lambda: K.conv3d_transpose(x, w, (1, 4, 5)), "5 sizes"),
        (lambda: K.pool3d(x, (4, 2, 2)), "fit"),
        (lambda: K.pool3d(x, (2, 2, 2), pool_mode="min"), "Invalid pool_mode"),
        (lambda: K.pool3d(x[0], (2, 2, 2)), "5 dimensions"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_volumes_of_no_samples():
    x = K.placeholder((None, 4, 5, 6, 2))
    f = K.function([x], [K.conv3d(x, K.ones((2, 2, 2, 2, 3))), K.pool3d(x, (2, 2, 2))])
    shapes = [value.shape for value in f([np.zeros((0, 4, 5, 6, 2))])]
    assert shapes == [(0, 3, 4, 5, 3), (0, 3, 4, 5, 2)]
