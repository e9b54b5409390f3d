"""Single transforms of pictures against scipy, Pillow and numpy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from symgraph.preprocessing.image import (
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
    flip_axis,
    random_brightness,
    random_channel_shift,
    random_rotation,
    random_shear,
    random_shift,
    random_zoom,
    transform_matrix_offset_center,
)
from tests.preprocessing import keras_truth as truth

NOTHING = {"theta": 0, "tx": 0, "ty": 0, "shear": 0, "zx": 1, "zy": 1}
MODES = ("nearest", "constant", "reflect", "wrap")
LAST = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
# Where (rows, columns, channels) of a picture go, and the axes to name then.
PLACES = [((0, 1, 2), (0, 1, 2)), ((2, 0, 1), (1, 2, 0)), ((1, 0, 2), (1, 0, 2)), ((0, 2, 1), (0, 2, 1))]


def axes(named: tuple[int, int, int]) -> dict[str, int]:
    return dict(zip(("row_axis", "col_axis", "channel_axis"), named, strict=True))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("order", "named"), PLACES)
def test_affine(order, named, mode):
    x = truth.picture(21, 16, 3)
    for changes in ({"theta": 30}, {"tx": 3, "ty": -4.5}, {"shear": 25}, {"zx": 0.7, "zy": 1.3}):
        for p in (NOTHING | changes, NOTHING | {"theta": -10, "shear": 5, "tx": 1} | changes):
            found = apply_affine_transform(x.transpose(order), **p, **axes(named), fill_mode=mode, cval=50)
            wanted = truth.affine(x, p, mode, 50).transpose(order)
            assert found.dtype == x.dtype
            np.testing.assert_allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int8", "float64"])
def test_affine_keeps_the_dtype_and_rounds_as_scipy(dtype):
    x = (truth.picture(19, 14, 3) - (100 if dtype == "int8" else 0)).astype(dtype)
    p = NOTHING | {"theta": 20, "zx": 0.8}
    found = apply_affine_transform(x, **p)
    wanted = truth.affine(x, p, "nearest", 0)
    assert found.dtype == dtype
    np.testing.assert_allclose(found.astype(float), wanted.astype(float), atol=1e-9)


def test_masks_stay_masks():
    x = truth.picture(19, 14, 1) > 128
    found = apply_affine_transform(x, theta=20)
    wanted = truth.affine(x.astype(float), NOTHING | {"theta": 20}, "nearest", 0)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, wanted >= 0.5)


def test_half_precision_is_computed_in_single():
    x = truth.picture(9, 9, 1).astype("float16")
    found = apply_affine_transform(x, theta=20)
    assert found.dtype == np.float16
    wanted = truth.affine(x.astype("float64"), NOTHING | {"theta": 20}, "nearest", 0)
    np.testing.assert_allclose(found, wanted, rtol=1e-3)


def test_where_nothing_moves_the_picture_comes_back():
    x = truth.picture(5, 5, 3)
    assert apply_affine_transform(x) is x


def test_affine_refusals():
    x = truth.picture(5, 5, 3)
    with pytest.raises(ValueError, match=r"rank 3.*shape: \(5, 5\)"):
        apply_affine_transform(x[..., 0], theta=3)
    with pytest.raises(ValueError, match=r"axes of a picture.*\(0, 0, 2\)"):
        apply_affine_transform(x, theta=3, col_axis=0)
    with pytest.raises(ValueError, match=r"`fill_mode`.*mirror"):
        apply_affine_transform(x, theta=3, fill_mode="mirror")


def drawn(*ranges: tuple[float, float]) -> list[float]:
    """The numbers that come first after seed 5."""
    rng = np.random.RandomState(5)
    return [rng.uniform(low, high) for low, high in ranges]


def check_random(function, arguments, p, mode="reflect"):
    """With channels last, and with the default axes, which have channels first."""
    x = truth.picture(22, 17, 3)
    np.random.seed(5)
    found = function(x, *arguments, **LAST, fill_mode=mode, cval=3)
    np.testing.assert_allclose(found, truth.affine(x, NOTHING | p, mode, 3), atol=1e-3)
    np.random.seed(5)
    first = function(x.transpose(2, 0, 1), *arguments, fill_mode=mode, cval=3)
    np.testing.assert_allclose(first.transpose(1, 2, 0), found, atol=1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_random_rotation(mode):
    check_random(random_rotation, (40,), {"theta": drawn((-40, 40))[0]}, mode)


def test_random_shift():
    tx, ty = drawn((-0.3, 0.3), (-0.2, 0.2))
    check_random(random_shift, (0.2, 0.3), {"tx": tx * 22, "ty": ty * 17})


def test_random_shear():
    check_random(random_shear, (30,), {"shear": drawn((-30, 30))[0]})


def test_random_zoom():
    zx, zy = drawn((0.6, 1.5), (0.6, 1.5))
    check_random(random_zoom, ((0.6, 1.5),), {"zx": zx, "zy": zy})
    x = truth.picture(4, 4, 1)
    assert random_zoom(x, (1, 1), **LAST) is x
    with pytest.raises(ValueError, match="`zoom_range` should be a tuple or list of two floats"):
        random_zoom(x, (0.5,))


@pytest.mark.parametrize("channel_axis", [0, 1, 2])
def test_channel_shift(channel_axis):
    x = truth.picture(6, 5, 3)
    for amount in (30, -70.5):
        wanted = np.clip(x + np.float32(amount), x.min(), x.max())
        np.testing.assert_array_equal(apply_channel_shift(x, amount, channel_axis), wanted)
    (amount,) = drawn((-60, 60))
    np.random.seed(5)
    wanted = np.clip(x + np.float32(amount), x.min(), x.max())
    np.testing.assert_array_equal(random_channel_shift(x, 60, channel_axis), wanted)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_brightness(channels):
    x = truth.picture(9, 8, channels)
    for values in (x, x - 128, x.astype("uint8"), x.astype("int64"), x.astype("float64")):
        found = apply_brightness_shift(values, 1.3)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, truth.brightness(values, 1.3))
    (factor,) = drawn((0.2, 1.8))
    np.random.seed(5)
    np.testing.assert_array_equal(random_brightness(x, (0.2, 1.8)), truth.brightness(x, factor))


def test_brightness_refusals():
    with pytest.raises(ValueError, match=r"rank 3 \(single image\)"):
        apply_brightness_shift(np.zeros((4, 4)), 1.0)
    with pytest.raises(ValueError, match="Unsupported channel number: 2"):
        apply_brightness_shift(np.zeros((4, 4, 2)), 1.0)
    with pytest.raises(ValueError, match="`brightness_range should be tuple or list of two floats"):
        random_brightness(np.zeros((4, 4, 3)), (1.0,))


def test_flip_axis():
    x = np.arange(24).reshape(2, 3, 4)
    for axis in range(3):
        np.testing.assert_array_equal(flip_axis(x, axis), np.flip(x, axis))


def test_middle():
    turn = truth.matrix(7, 4, NOTHING | {"theta": 33})
    bare = np.array([[*turn[0, :2], 0], [*turn[1, :2], 0], [0, 0, 1]])
    np.testing.assert_allclose(transform_matrix_offset_center(bare, 7, 4), turn, atol=1e-12)


def test_scipy_is_not_needed():
    code = (
        "import sys; sys.modules['scipy'] = None\n"
        "import numpy as np\n"
        "from symgraph.preprocessing.image import ImageDataGenerator\n"
        "x = np.random.rand(20, 4, 4, 1).astype('float32')\n"
        "g = ImageDataGenerator(rotation_range=9, featurewise_center=True, zca_whitening=True)\n"
        "g.fit(x); print(next(iter(g.flow(x, batch_size=7))).shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "(7, 4, 4, 1)\n", done.stderr
