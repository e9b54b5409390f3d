"""The warp of a batch of pictures: scipy, Pillow and numpy are the truth."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from scipy import ndimage

from symgraph.kernels.run.buffer import launch
from symgraph.kernels.warp import FILL_MODES, warp, warp_rows, warp_settings
from tests.fence import Fence

PICTURES = Path(__file__).parents[2] / ".." / "shared" / "data" / "cats_and_dogs" / "train"
IDENTITY = np.eye(2, 3)
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}


def scipys(pictures: np.ndarray, matrices: np.ndarray, mode: str, cval: float = 0.0) -> np.ndarray:
    """Channel by channel, in float64."""
    out = np.empty(pictures.shape)
    for n, c in np.ndindex(pictures.shape[0], pictures.shape[3]):
        x = pictures[n, ..., c].astype(float)
        m = matrices[n]
        out[n, ..., c] = ndimage.affine_transform(x, m[:, :2], m[:, 2], order=1, mode=mode, cval=cval)
    return out


def levels(shape: tuple[int, ...], dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


def some_matrices(count: int, rng: np.random.Generator, far: float = 3.0) -> np.ndarray:
    return rng.normal(size=(count, 2, 3)) * [1.0, 1.0, far]


def turn(degrees: float, rows: int, columns: int) -> np.ndarray:
    """A rotation around the middle of a picture."""
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    linear = np.array([[cosine, -sine], [sine, cosine]])
    middle = np.array([(rows - 1) / 2, (columns - 1) / 2])
    return np.column_stack([linear, middle - linear @ middle])


@pytest.mark.parametrize("mode", FILL_MODES)
@pytest.mark.parametrize(
    ("source", "dtype", "many"),
    [("uint8", "float32", (1, 2, 3, 4)), ("float32", "float32", (2, 3)), ("float64", "float64", (1, 3))],
)
def test_as_scipy(source, dtype, many, mode):
    rng = np.random.default_rng(1)
    for channels in many:
        x = levels((6, 23, 31, channels), source)
        for far in (0.3, 5.0, 300.0):
            m = some_matrices(len(x), rng, far)
            found = warp(x, m, fill_mode=mode, cval=17.5, dtype=dtype)
            assert found.dtype == dtype
            assert np.abs(found - scipys(x, m, mode, 17.5)).max() <= TOLERANCE[dtype]


@pytest.mark.parametrize("mode", FILL_MODES)
def test_on_the_very_edge_as_scipy(mode):
    """Whole numbers, right angles and multiples of the size: a coordinate is on one side or on the other."""
    rng = np.random.default_rng(2)
    for rows, columns in ((8, 8), (5, 9), (1, 6), (7, 1), (2, 2), (1, 1)):
        turned = [turn(a, rows, columns) for a in (90, 180, 270, 45)]
        shifted = [np.column_stack([np.eye(2), (a, b)]) for a in (-8, 0, 4, 7) for b in (-9, -1, 8, 16)]
        whole = list(np.round(some_matrices(30, rng, 8)))
        m = np.array([*turned, *shifted, *whole, np.zeros((2, 3))])
        x = levels((len(m), rows, columns, 3))
        np.testing.assert_allclose(warp(x, m, fill_mode=mode, cval=9), scipys(x, m, mode, 9), atol=1e-4)


@pytest.mark.parametrize("mode", FILL_MODES)
def test_real_pictures_as_scipy(mode):
    files = [*sorted(PICTURES.glob("*/*.jpg"))[:6]]
    if files:
        x = np.stack([np.asarray(Image.open(f).convert("RGB").resize((150, 140))) for f in files])
    else:
        x = ndimage.gaussian_filter(levels((6, 140, 150, 3)), (0, 2, 2, 0))
    drift = np.array([[0, 0.1, -20], [0, 0.05, 11]])
    m = np.stack([turn(a, 140, 150) + drift for a in (-40, -3, 0, 8, 17, 39)])
    found = warp(x, m, fill_mode=mode, cval=100)
    assert np.abs(found - scipys(x, m, mode, 100)).max() <= 1e-2


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(0, k) for k in (3, 9, 9, 5)]),
    mode=st.sampled_from(FILL_MODES),
    seed=st.integers(0, 1000),
    far=st.sampled_from([0.0, 2.0, 1e4]),
)
def test_any_shape_as_scipy(shape, mode, seed, far):
    rng = np.random.default_rng(seed)
    x, m = levels(shape, "uint8", seed), some_matrices(shape[0], rng, far)
    found = warp(x, m, fill_mode=mode)
    if x.size:
        # Far away a float64 coordinate itself has few digits.
        np.testing.assert_allclose(found, scipys(x, m, mode), atol=1e-3 if far < 1e4 else 0.1)
    assert found.shape == shape


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_brightness_as_pillow(channels, dtype):
    rng = np.random.default_rng(3)
    for factor in (0.0, 0.37, 1.0, 1.63, 25.0, -0.5):
        x = (rng.normal(size=(5, 13, 11, channels)) * 60 + rng.normal(size=(5, 1, 1, 1)) * 60).astype(dtype)
        x[3], x[4] = -2.5, 0.0
        found = warp(x, np.stack([IDENTITY] * 5), brightness=factor, dtype=dtype)
        for picture, result in zip(x.astype("float32"), found, strict=True):
            picture = picture + max(-picture.min(), 0)
            picture = (picture / (picture.max() or 1) * 255).astype("uint8")
            image = Image.fromarray(picture[..., 0] if channels == 1 else picture)
            wanted = np.asarray(ImageEnhance.Brightness(image).enhance(factor)).reshape(picture.shape)
            np.testing.assert_array_equal(result, wanted)


def test_every_level_and_many_factors_as_pillow():
    x = np.arange(256, dtype="uint8").reshape(1, 16, 16, 1)
    for factor in np.linspace(0, 3, 61):
        wanted = np.asarray(ImageEnhance.Brightness(Image.fromarray(x[0, ..., 0])).enhance(factor))
        np.testing.assert_array_equal(warp(x, IDENTITY[None], brightness=factor)[0, ..., 0], wanted)


def test_channel_shifts_as_numpy():
    x = levels((4, 9, 7, 3), "float32") - 100
    amounts = np.array([30.0, -45.5, np.nan, 1000.0])
    found = warp(x, np.stack([IDENTITY] * 4), channel_shifts=amounts)
    for picture, result, amount in zip(x, found, amounts, strict=True):
        wanted = (
            picture
            if np.isnan(amount)
            else np.clip(picture + np.float32(amount), picture.min(), picture.max())
        )
        np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_mirroring_is_exact(channels, dtype):
    x = levels((4, 9, 14, channels), dtype)
    m = some_matrices(4, np.random.default_rng(4))
    m[0] = IDENTITY
    bright = {"brightness": 0.8} if channels != 2 else {"channel_shifts": 12.0}
    plain = warp(x, m, dtype=dtype, **bright)
    mirrored, flipped = np.array([True, False, True, True]), np.array([False, True, True, True])
    found = warp(x, m, mirrored=mirrored, flipped=flipped, dtype=dtype, **bright)
    for n in range(4):
        wanted = plain[n, ::-1] if flipped[n] else plain[n]
        np.testing.assert_array_equal(found[n], wanted[:, ::-1] if mirrored[n] else wanted)


def test_all_steps_in_their_order():
    x = levels((3, 12, 10, 3))
    m = some_matrices(3, np.random.default_rng(5))
    moved = warp(x, m)
    shifted = np.stack([np.clip(p + np.float32(20), p.min(), p.max()) for p in moved])
    bright = warp(np.ascontiguousarray(shifted[:, ::-1]), np.stack([IDENTITY] * 3), brightness=1.4)
    found = warp(x, m, flipped=True, channel_shifts=20.0, brightness=1.4, scale=1 / 255)
    np.testing.assert_array_equal(found, bright * np.float32(1 / 255))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_first_and_strides_change_nothing(channels):
    x = levels((3, 12, 10, channels))
    m = some_matrices(3, np.random.default_rng(6))
    options = {"brightness": np.array([0.5, np.nan, 1.5]), "channel_shifts": np.array([9, 9, np.nan])}
    wanted = warp(x, m, **options)
    first = warp(x.transpose(0, 3, 1, 2), m, channels_first=True, **options)
    np.testing.assert_array_equal(first.transpose(0, 2, 3, 1), wanted)
    np.testing.assert_array_equal(warp(np.asfortranarray(x), m, **options), wanted)
    np.testing.assert_array_equal(warp(x[::-1, ::-1], m, **options), warp(x[::-1, ::-1].copy(), m, **options))


def test_bands_of_big_pictures_and_any_number_of_threads():
    """With two samples of 300,000 numbers threads get bands of rows; extremes come from all of them."""
    x = levels((2, 331, 307, 3))
    m = np.stack([turn(13, 331, 307), turn(-70, 331, 307)])
    options = {
        "brightness": np.array([np.nan, 1.2]),
        "channel_shifts": np.array([-30, 8.0]),
        "flipped": [1, 0],
    }
    single = warp(x, m, threads=1, **options)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(warp(x, m, threads=threads, **options), single)
    opaque = levels((1, 250, 200, 4))
    wanted = warp(opaque, m[:1], threads=1, brightness=0.6)
    np.testing.assert_array_equal(warp(opaque, m[:1], threads=4, brightness=0.6), wanted)


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("mode", FILL_MODES)
def test_touches_nothing_outside(mode, at_end):
    fence, rng = Fence(at_end), np.random.default_rng(7)
    for shape in (
        (1, 1, 1, 1),
        (1, 1, 1, 3),
        (2, 1, 2, 3),
        (2, 2, 1, 3),
        (3, 17, 13, 3),
        (2, 5, 9, 4),
        (2, 6, 5, 2),
    ):
        for source, target in (("uint8", "float32"), ("float32", "float32")):
            m = some_matrices(shape[0], rng, 9.0)
            m[0] = turn(90, *shape[1:3])
            for scale in (1.0, 1e6, 1e300):
                brightness = np.nan if shape[3] == 2 else 1.1
                own = warp_settings(m * scale, True, False, 3.0, brightness)
                out = fence(np.zeros(shape, target))
                launch(
                    warp_rows, fence(levels(shape, source)), fence(own), out, fill_mode=mode, threads=2,
                    channels_first=False,
                )  # fmt: skip


def test_what_is_nan_stays_where_it_is():
    x = levels((1, 8, 8, 3), "float32")
    x[0, 2, 2] = np.nan
    found = warp(x, IDENTITY[None], channel_shifts=5.0)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(x))


def test_refusals():
    x = levels((2, 4, 4, 2))
    good = np.stack([IDENTITY] * 2)
    with pytest.raises(ValueError, match="finite"):
        warp(x, good * np.array([[[np.nan]], [[1.0]]]))
    with pytest.raises(ValueError, match="finite"):
        warp(x, good + np.array([[[np.inf]], [[0.0]]]))
    with pytest.raises(ValueError, match=r"\(samples, 2, 3\), got \(2, 3, 3\)"):
        warp(x, np.stack([np.eye(3)] * 2))
    with pytest.raises(ValueError, match="expected 2 matrices, got 1"):
        warp(x, good[:1])
    with pytest.raises(ValueError, match="rank 4"):
        warp(x[0], good)
    with pytest.raises(ValueError, match="int16"):
        warp(x.astype("int16"), good)
    with pytest.raises(ValueError, match=r"fill_mode.*'mirror'"):
        warp(x, good, fill_mode="mirror")
    with pytest.raises(ValueError, match="1, 3 or 4 channels"):
        warp(x, good, brightness=1.0)
