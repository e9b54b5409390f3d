"""Reshaping, joining, repeating, padding and slicing against numpy."""

import numpy as np
import pytest

from symgraph import backend as K


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32")


def check(build, array, expected):
    """`build` on a variable, and on a placeholder whose first size is unknown."""
    actual = K.eval(build(K.variable(array)))
    np.testing.assert_array_equal(actual, expected)
    placeholder = K.placeholder((None, *array.shape[1:]))
    result = build(placeholder)
    np.testing.assert_array_equal(K.function([placeholder], [result])([array])[0], expected)
    assert all(a in (None, b) for a, b in zip(K.int_shape(result), expected.shape, strict=True))


def test_shapes(x):
    check(lambda t: K.reshape(t, (-1, 10)), x, x.reshape(-1, 10))
    check(lambda t: K.reshape(t, (K.shape(t)[0], 20)), x, x.reshape(3, 20))
    check(K.flatten, x, x.ravel())
    check(K.batch_flatten, x, x.reshape(3, 20))
    check(lambda t: K.permute_dimensions(t, (2, 0, 1)), x, x.transpose(2, 0, 1))
    check(K.expand_dims, x, x[..., None])
    check(lambda t: K.expand_dims(t, 1), x, x[:, None])
    check(lambda t: K.squeeze(K.expand_dims(t, 1), 1), x, x)
    with pytest.raises(ValueError, match="reshape"):
        K.reshape(K.variable(x), (7, 7))
    assert K.int_shape(K.batch_flatten(K.placeholder((None, 4, 5)))) == (None, 20)


def test_joining(x):
    check(lambda t: K.concatenate([t, t * 2]), x, np.concatenate([x, x * 2], -1))
    check(lambda t: K.concatenate([t, t], axis=0), x, np.concatenate([x, x], 0))
    check(lambda t: K.stack([t, t * 2], axis=1), x, np.stack([x, x * 2], 1))
    check(lambda t: K.stack([t, t], axis=-1), x, np.stack([x, x], -1))


def test_repeating(x):
    for axis in (0, 1, -1):
        check(lambda t, axis=axis: K.repeat_elements(t, 3, axis), x, np.repeat(x, 3, axis))
    check(lambda t: K.repeat(t, 4), x[:, 0], np.repeat(x[:, :1], 4, 1))
    check(lambda t: K.tile(t, (1, 2, 3)), x, np.tile(x, (1, 2, 3)))
    np.testing.assert_array_equal(K.eval(K.tile(K.variable([1, 2]), 3)), [1, 2, 1, 2, 1, 2])
    with pytest.raises(ValueError, match="repeat: expected a tensor of 2 dimensions"):
        K.repeat(K.variable(x), 2)


def test_ranges_and_codes():
    np.testing.assert_array_equal(K.eval(K.arange(5)), np.arange(5))
    np.testing.assert_array_equal(K.eval(K.arange(2, 11, 3, "int64")), np.arange(2, 11, 3))
    assert K.eval(K.arange(-3)).shape == (0,) and K.dtype(K.arange(3)) == "int32"
    np.testing.assert_array_equal(
        K.eval(K.one_hot(K.constant([[0, 2], [1, 3]], "int32"), 3)).argmax(-1)[0], [0, 2]
    )
    assert K.eval(K.one_hot(K.constant([3], "int32"), 3)).tolist() == [[0, 0, 0]]


def test_slicing(x):
    check(lambda t: K.reverse(t, 1), x, x[:, ::-1])
    check(lambda t: K.reverse(t, (0, 2)), x, x[::-1, :, ::-1])
    check(lambda t: K.slice(t, (0, 1, 2), (2, 2, 3)), x, x[:2, 1:3, 2:])
    check(lambda t: K.slice(t, (1, 1, 2), (-1, 2, -1)), x, x[1:, 1:3, 2:])
    with pytest.raises(ValueError, match="slice: expected 3 starts and sizes"):
        K.slice(K.variable(x), (0, 1), (1, 1))


def test_padding(x):
    check(lambda t: K.temporal_padding(t, (2, 1)), x, np.pad(x, ((0, 0), (2, 1), (0, 0))))
    pictures = x[..., None]
    widths = ((1, 2), (3, 0))
    check(lambda t: K.spatial_2d_padding(t, widths), pictures, np.pad(pictures, ((0, 0), *widths, (0, 0))))
    check(
        lambda t: K.spatial_2d_padding(t, widths, "channels_first"),
        pictures,
        np.pad(pictures, ((0, 0), (0, 0), *widths)),
    )
    volumes = pictures[..., None]
    check(
        lambda t: K.spatial_3d_padding(t, (*widths, (1, 1))),
        volumes,
        np.pad(volumes, ((0, 0), *widths, (1, 1), (0, 0))),
    )
    with pytest.raises(ValueError, match="spatial_2d_padding: expected a tensor of 4 dimensions"):
        K.spatial_2d_padding(K.variable(x))
    with pytest.raises(ValueError, match="a pair of widths"):
        K.spatial_2d_padding(K.variable(pictures), ((1, 1, 1), (1, 1)))


def bilinear(x, factor, axis):
    """TensorFlow 1's resize_bilinear along one axis, element by element."""
    size = x.shape[axis]
    places = np.arange(size * factor) / factor
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, size - 1)
    share = (places - low).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
    return np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share


def test_resizing(x):
    pictures = x[..., None]
    check(lambda t: K.resize_images(t, 2, 3, "channels_last"), pictures, pictures.repeat(2, 1).repeat(3, 2))
    check(lambda t: K.resize_images(t, 2, 3, "channels_first"), pictures, pictures.repeat(2, 2).repeat(3, 3))
    volumes = pictures[..., None]
    expected = volumes.repeat(2, 1).repeat(3, 2).repeat(4, 3)
    check(lambda t: K.resize_volumes(t, 2, 3, 4, "channels_last"), volumes, expected)
    wide = K.eval(K.resize_images(K.variable(pictures, "float64"), 2, 3, "channels_last", "bilinear"))
    np.testing.assert_allclose(
        wide, bilinear(bilinear(pictures.astype(float), 2, 1), 3, 2), rtol=1e-12, atol=1e-12
    )
    unknown = K.placeholder((None, None, None, 3))
    assert K.int_shape(K.resize_images(unknown, 2, 2, "channels_last", "bilinear")) == (None, None, None, 3)
    with pytest.raises(ValueError, match='"nearest" or "bilinear"'):
        K.resize_images(K.variable(pictures), 2, 2, "channels_last", "cubic")
    with pytest.raises(ValueError, match="whole factors"):
        K.resize_images(K.variable(pictures), 0, 2, "channels_last")


@pytest.mark.parametrize(
    "bounds", [(-5,), (0,), (5, 2), (2, -4), (0, 5, -1), (5, 0, -2), (-3, 3), (3, 3), (7, -8, -3)]
)
@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "float64"])
def test_arange_of_whole_numbers(bounds, dtype):
    value = K.eval(K.arange(*bounds, dtype=dtype))
    np.testing.assert_array_equal(value, np.arange(*bounds))
    assert value.dtype == dtype


@pytest.mark.parametrize("bounds", [(2.5,), (0, 2, 0.5), (1.5, 4), (2.0, -1.0, -0.75), (-1.5,)])
def test_arange_of_fractions(bounds):
    value = K.eval(K.arange(*bounds))
    np.testing.assert_array_equal(value, np.arange(*bounds))
    assert value.dtype == K.floatx()


@pytest.mark.parametrize(("start", "less", "step"), [(0, 3, 1), (2, 0, 1), (1, 1, 2), (5, 4, -2), (-3, 3, 3)])
def test_arange_up_to_a_size(start, less, step):
    x = K.placeholder((None, 1))
    f = K.function([x], [K.arange(start, K.shape(x)[0] - less, step)])
    for n in range(8):
        np.testing.assert_array_equal(f([np.ones((n, 1))])[0], np.arange(start, n - less, step))
