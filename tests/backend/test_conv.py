"""Convolution, pooling and biases against windows written out in numpy."""

import numpy as np
import pytest

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
    """(samples, rows, columns, kernel rows, kernel columns, channels)."""
    widths = [edges(x.shape[a + 1], kernel[a], strides[a], dilation[a], padding) for a in (0, 1)]
    x = np.pad(x, ((0, 0), *widths, (0, 0)), constant_values=fill)
    counts = [(x.shape[a + 1] - (kernel[a] - 1) * dilation[a] - 1) // strides[a] + 1 for a in (0, 1)]
    out = np.empty((x.shape[0], *counts, *kernel, x.shape[3]))
    for i, j, p, q in np.ndindex(*counts, *kernel):
        out[:, i, j, p, q] = x[:, i * strides[0] + p * dilation[0], j * strides[1] + q * dilation[1]]
    return out


CASES = [
    ((1, 1), "valid", (1, 1)),
    ((2, 1), "same", (1, 1)),
    ((1, 1), "same", (2, 3)),
    ((2, 3), "valid", (1, 1)),
]


@pytest.mark.parametrize(("strides", "padding", "dilation"), CASES)
def test_conv2d(strides, padding, dilation, rng):
    x, w = rng.normal(size=(2, 9, 10, 3)), rng.normal(size=(3, 2, 3, 4))
    expected = np.einsum("nijpqc,pqcf->nijf", windows(x, (3, 2), strides, dilation, padding), w)
    actual = K.conv2d(var(x), var(w), strides, padding, None, dilation)
    assert K.int_shape(actual) == expected.shape
    np.testing.assert_allclose(K.eval(actual), expected, atol=1e-12)
    first = K.conv2d(var(x.transpose(0, 3, 1, 2)), var(w), strides, padding, "channels_first", dilation)
    np.testing.assert_allclose(K.eval(first), expected.transpose(0, 3, 1, 2), atol=1e-12)


@pytest.mark.parametrize(("strides", "padding", "dilation"), CASES[:3])
def test_depthwise_and_separable(strides, padding, dilation, rng):
    x, w, mix = rng.normal(size=(2, 8, 7, 3)), rng.normal(size=(3, 2, 3, 2)), rng.normal(size=(1, 1, 6, 4))
    each = np.einsum("nijpqc,pqcm->nijcm", windows(x, (3, 2), strides, dilation, padding), w)
    each = each.reshape(*each.shape[:3], 6)
    actual = K.depthwise_conv2d(var(x), var(w), strides, padding, None, dilation)
    np.testing.assert_allclose(K.eval(actual), each, atol=1e-12)
    both = K.separable_conv2d(var(x), var(w), var(mix), strides, padding, None, dilation)
    np.testing.assert_allclose(K.eval(both), each @ mix[0, 0], atol=1e-12)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_conv2d_transpose_is_the_transposed_map(strides, padding, rng):
    """<conv(y), x> = <y, transpose(x)> for every y."""
    y, w = rng.normal(size=(2, 7, 6, 3)), rng.normal(size=(3, 3, 3, 4))
    forward = np.einsum("nijpqc,pqcf->nijf", windows(y, (3, 3), strides, (1, 1), padding), w)
    x = rng.normal(size=forward.shape)
    back = K.conv2d_transpose(var(x), var(w), (None, 7, 6, 3), strides, padding)
    assert K.int_shape(back) == y.shape
    np.testing.assert_allclose((K.eval(back) * y).sum(), (forward * x).sum())
    first = K.conv2d_transpose(
        var(x.transpose(0, 3, 1, 2)), var(w), (2, 3, 7, 6), strides, padding, "channels_first"
    )
    np.testing.assert_allclose(K.eval(first), K.eval(back).transpose(0, 3, 1, 2), atol=1e-12)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_conv1d(padding, stride, dilation, rng):
    x, w = rng.normal(size=(2, 9, 3)), rng.normal(size=(3, 3, 4))
    wide = np.pad(x, ((0, 0), (2 * dilation, 0), (0, 0))) if padding == "causal" else x
    rule = "valid" if padding == "causal" else padding
    seen = windows(wide[:, None], (1, 3), (1, stride), (1, dilation), rule)
    expected = np.einsum("nijpqc,qcf->njf", seen, w)
    actual = K.conv1d(var(x), var(w), stride, padding, None, dilation)
    np.testing.assert_allclose(K.eval(actual), expected, atol=1e-12)
    if padding != "causal":
        first = K.conv1d(var(x.transpose(0, 2, 1)), var(w), stride, padding, "channels_first", dilation)
        np.testing.assert_allclose(K.eval(first), expected.transpose(0, 2, 1), atol=1e-12)


def test_separable_conv1d(rng):
    x, w, mix = rng.normal(size=(2, 9, 3)), rng.normal(size=(4, 3, 2)), rng.normal(size=(1, 6, 5))
    each = np.einsum("nijpqc,qcm->njcm", windows(x[:, None], (1, 4), (1, 2), (1, 1), "same"), w)
    expected = each.reshape(2, -1, 6) @ mix[0]
    actual = K.separable_conv1d(var(x), var(w), var(mix), 2, "same")
    np.testing.assert_allclose(K.eval(actual), expected, atol=1e-12)
    first = K.separable_conv1d(var(x.transpose(0, 2, 1)), var(w), var(mix), (2,), "same", "channels_first")
    np.testing.assert_allclose(K.eval(first), expected.transpose(0, 2, 1), atol=1e-12)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("pool", "strides"), [((2, 2), (2, 2)), ((3, 2), (2, 1)), ((2, 3), (3, 3))])
def test_pool2d(padding, pool, strides, rng):
    x = rng.normal(size=(2, 7, 8, 3))
    largest = windows(x, pool, strides, (1, 1), padding, -np.inf).max((3, 4))
    counted = windows(np.ones_like(x), pool, strides, (1, 1), padding).sum((3, 4))
    mean = windows(x, pool, strides, (1, 1), padding).sum((3, 4)) / counted
    for mode, expected in (("max", largest), ("avg", mean)):
        actual = K.pool2d(var(x), pool, strides, padding, None, mode)
        np.testing.assert_allclose(K.eval(actual), expected)
        first = K.pool2d(var(x.transpose(0, 3, 1, 2)), pool, strides, padding, "channels_first", mode)
        np.testing.assert_allclose(K.eval(first), expected.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("ndim", [2, 3, 4, 5])
def test_bias_add(ndim, rng):
    x = rng.normal(size=(2, 3, 4, 5, 6)[:ndim])
    order = [0, ndim - 1, *range(1, ndim - 1)]
    for shape in {x.shape[-1:], x.shape[1:]}:
        bias = rng.normal(size=shape)
        np.testing.assert_allclose(K.eval(K.bias_add(var(x), var(bias))), x + bias)
        first = K.bias_add(var(x.transpose(order)), var(bias), "channels_first")
        # The elements of several axes are read in their order, not moved.
        read = (
            bias.reshape(x.transpose(order).shape[1:])
            if bias.ndim > 1
            else bias.reshape(-1, *[1] * (ndim - 2))
        )
        expected = x.transpose(order) + read
        np.testing.assert_allclose(K.eval(first), expected)


def test_errors():
    x, w = K.placeholder((None, 8, 8, 3)), K.variable(np.ones((3, 3, 3, 4)))
    with pytest.raises(ValueError, match="Invalid padding: full; expected 'same' or 'valid'"):
        K.conv2d(x, w, padding="full")
    with pytest.raises(ValueError, match="The `data_format` argument must be one of"):
        K.conv2d(x, w, data_format="tf")
    with pytest.raises(ValueError, match="strides: expected 2 integers of at least 1"):
        K.conv2d(x, w, strides=(0, 1))
    with pytest.raises(ValueError, match="Invalid pool_mode: sum"):
        K.pool2d(x, (2, 2), pool_mode="sum")
    with pytest.raises(ValueError, match="Unexpected bias dimensions 2, expect to be 1 or 3 dimensions"):
        K.bias_add(x, K.variable(np.ones((3, 3))))
    with pytest.raises(ValueError, match="bias_add: expected a tensor of at least 2 dimensions"):
        K.bias_add(K.placeholder((3,)), K.variable(np.ones(3)))
    with pytest.raises(ValueError, match="Unexpected bias dimensions 5"):
        K.bias_add(K.placeholder((None, 1, 1, 1, 1, 3)), K.variable(np.ones((1, 1, 1, 1, 3))))
    with pytest.raises(ValueError, match="causal"):
        K.conv1d(K.placeholder((None, 3, 8)), K.variable(np.ones((3, 3, 4))), 1, "causal", "channels_first")
    with pytest.raises(ValueError, match="conv2d"):
        K.conv2d(x, K.variable(np.ones((3, 3, 5, 4))))
