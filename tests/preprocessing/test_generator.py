"""`ImageDataGenerator`: what it draws, what it makes of pictures, and how it is fitted."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from symgraph import backend as K
from symgraph.preprocessing.image import DirectoryIterator, ImageDataGenerator
from tests.preprocessing import keras_truth as truth

SEEDS = [0, 1, 2**32 - 1, 77, 1234567]
EVERYTHING: dict[str, Any] = {
    "rotation_range": 30,
    "width_shift_range": 0.2,
    "height_shift_range": 3,
    "brightness_range": (0.4, 1.5),
    "shear_range": 12.0,
    "zoom_range": (0.8, 1.3),
    "channel_shift_range": 25.0,
    "horizontal_flip": True,
    "vertical_flip": True,
    "rescale": 1 / 255,
}


def pictures(count: int = 5, channels: int = 3) -> np.ndarray:
    return np.stack([truth.picture(18, 23, channels, seed) for seed in range(count)])


def drawn(g: ImageDataGenerator, shape: tuple[int, int], rng: Any) -> dict[str, Any]:
    """The parameters that Keras documents, drawn in its order: rotation, height, width, shear, zoom, ..."""
    p: dict[str, Any] = {"theta": rng.uniform(-g.rotation_range, g.rotation_range) if g.rotation_range else 0}
    for name, limit, size in (("tx", g.height_shift_range, shape[0]), ("ty", g.width_shift_range, shape[1])):
        if np.size(limit) == 1 and not limit:
            p[name] = 0
            continue
        if isinstance(limit, float):
            p[name] = rng.uniform(-limit, limit)
        else:
            p[name] = rng.choice(limit)
            p[name] = p[name] * rng.choice([-1, 1])
        if np.max(limit) < 1:
            p[name] = p[name] * size
    p["shear"] = rng.uniform(-g.shear_range, g.shear_range) if g.shear_range else 0
    low, high = g.zoom_range
    p["zx"], p["zy"] = (1, 1) if low == high == 1 else rng.uniform(low, high, 2)
    p["flip_horizontal"] = bool(rng.uniform() < 0.5) and g.horizontal_flip
    p["flip_vertical"] = bool(rng.uniform() < 0.5) and g.vertical_flip
    c = g.channel_shift_range
    p["channel_shift_intensity"] = rng.uniform(-c, c) if c else None
    p["brightness"] = rng.uniform(*g.brightness_range) if g.brightness_range else None
    return p


CONFIGURATIONS: list[dict[str, Any]] = [
    {},
    EVERYTHING,
    {"rotation_range": 10},
    {"width_shift_range": [1, 5, 7], "height_shift_range": 0.25},
    {"width_shift_range": (0.1, 0.3), "height_shift_range": np.array([2.5, 4.0])},
    {"width_shift_range": 2.0, "height_shift_range": 1},
    {"height_shift_range": [0.0], "rotation_range": 5.5},
    {"brightness_range": (0, 0)},
    {"shear_range": 5, "zoom_range": 0.3, "vertical_flip": True},
    {"channel_shift_range": 10, "brightness_range": [0.5, 1.0], "horizontal_flip": True},
]


@pytest.mark.parametrize("arguments", CONFIGURATIONS)
def test_draws_what_keras_draws(arguments):
    g = ImageDataGenerator(**arguments)
    for seed in SEEDS:
        assert g.get_random_transform((18, 23, 3), seed) == drawn(g, (18, 23), np.random.RandomState(seed))
    np.random.seed(3)
    found = [g.get_random_transform((18, 23, 3)) for _ in range(3)]
    rng = np.random.RandomState(3)
    assert found == [drawn(g, (18, 23), rng) for _ in range(3)]


def test_a_seed_leaves_numpys_state_alone():
    np.random.seed(8)
    g = ImageDataGenerator(**EVERYTHING)
    g.random_transform(pictures(1)[0], 5)
    g._batch(pictures(), SEEDS)
    g.fit(pictures(), augment=True, seed=5)
    assert np.random.uniform() == np.random.RandomState(8).uniform()


def test_sizes_are_those_of_the_data_format():
    g = ImageDataGenerator(height_shift_range=0.5, width_shift_range=0.5, data_format="channels_first")
    found = g.get_random_transform((3, 10, 1000), 4)
    assert abs(found["tx"]) <= 5 < abs(found["ty"])


@pytest.mark.parametrize("mode", ["nearest", "constant", "reflect", "wrap"])
@pytest.mark.parametrize("channels", [1, 3])
def test_transforms_as_keras(channels, mode):
    x = pictures(5, channels)
    plain = {k: v for k, v in EVERYTHING.items() if k not in ("brightness_range", "rescale")}
    g = ImageDataGenerator(**plain, fill_mode=mode, cval=80.0)
    batch = g._batch(x, SEEDS)
    for picture, found, seed in zip(x, batch, SEEDS, strict=True):
        p = drawn(g, (18, 23), np.random.RandomState(seed))
        wanted = truth.transform(picture, p, mode, 80.0)
        np.testing.assert_allclose(found, wanted, atol=2e-3)
        np.testing.assert_allclose(g.random_transform(picture, seed), wanted, atol=2e-3)
        np.testing.assert_allclose(g.apply_transform(picture, p), wanted, atol=2e-3)


def test_brightness_after_all_else_as_keras():
    """A rounding error of the interpolation may carry single pixels over the edge between two levels."""
    x = pictures()
    g = ImageDataGenerator(**{**EVERYTHING, "rescale": None})
    for picture, found, seed in zip(x, g._batch(x, SEEDS), SEEDS, strict=True):
        wanted = truth.transform(picture, drawn(g, (18, 23), np.random.RandomState(seed)))
        assert np.abs(found - wanted).max() <= 2
        assert (found != wanted).mean() < 0.02


def test_parameters_left_out_do_nothing():
    x = pictures(1)[0]
    g = ImageDataGenerator()
    np.testing.assert_array_equal(g.apply_transform(x, {}), x)
    np.testing.assert_array_equal(g.apply_transform(x, {"flip_vertical": True}), x[::-1])
    np.testing.assert_allclose(
        g.apply_transform(x, {"theta": 20}), truth.affine(x, truth_of(theta=20), "nearest", 0), atol=1e-3
    )


def truth_of(**changes: Any) -> dict[str, Any]:
    return {"theta": 0, "tx": 0, "ty": 0, "shear": 0, "zx": 1, "zy": 1} | changes


def doubled(x: np.ndarray) -> np.ndarray:
    assert x.ndim == 3
    return x * 2 - 1


numbers = st.sampled_from


@settings(max_examples=60, deadline=None)
@given(
    arguments=st.fixed_dictionaries(
        {},
        optional={
            "rotation_range": numbers([0, 20, 170.5]),
            "width_shift_range": numbers([0.0, 0.4, 3, 2.5, [1, 2], (0.1, 0.2)]),
            "height_shift_range": numbers([0.0, 0.4, 3, 2.5, [1, 2], (0.1, 0.2)]),
            "brightness_range": numbers([None, (0.2, 1.8), [1.0, 1.0], (0, 0)]),
            "shear_range": numbers([0.0, 15]),
            "zoom_range": numbers([0.0, 0.3, (0.5, 0.9)]),
            "channel_shift_range": numbers([0.0, 40.0]),
            "fill_mode": numbers(["nearest", "constant", "reflect", "wrap"]),
            "cval": numbers([0.0, 33.0]),
            "horizontal_flip": st.booleans(),
            "vertical_flip": st.booleans(),
            "rescale": numbers([None, 0, 1 / 255, 2, np.float64(0.5)]),
            "preprocessing_function": numbers([None, doubled]),
            "dtype": numbers(["float32", "float64"]),
            "samplewise_center": st.just(True),
            "featurewise_center": st.just(True),
            "zca_whitening": st.booleans(),
        },
    ),
    std=numbers(["", "samplewise_std_normalization", "featurewise_std_normalization"]),
    data_format=numbers(["channels_last", "channels_first"]),
    source=numbers(["uint8", "float32", "float64", "int32"]),
    channels=numbers([1, 3, 4]),
)
@pytest.mark.filterwarnings("ignore:This ImageDataGenerator specifies")
def test_a_batch_is_what_its_pictures_are_one_by_one(arguments, std, data_format, source, channels):
    x = np.stack([truth.picture(7, 9, channels, seed) for seed in range(5)]).astype(source)
    x = x.transpose(0, 3, 1, 2) if data_format == "channels_first" else x
    extra = {std: True} if std else {}
    # With a small epsilon whitening would blow up the rounding errors.
    g = ImageDataGenerator(**arguments, **extra, data_format=data_format, zca_epsilon=1.0)
    g.fit(x)
    batch = g._batch(x, SEEDS)
    assert batch.dtype == g.dtype and batch.shape == x.shape
    for picture, found, seed in zip(x, batch, SEEDS, strict=True):
        single = g.standardize(g.random_transform(picture.astype(g.dtype), seed))
        scale = max(1.0, float(np.abs(single).max()))
        np.testing.assert_allclose(found, single, atol=1e-4 * scale)


def test_a_list_of_pictures_is_a_batch():
    x = pictures()
    g = ImageDataGenerator(**EVERYTHING)
    np.testing.assert_array_equal(g._batch(list(x), SEEDS), g._batch(x, SEEDS))
    np.testing.assert_array_equal(g._batch(x[::-1], SEEDS[::-1])[::-1], g._batch(x, SEEDS))
    assert g._batch(x[:0], []).shape == (0, 18, 23, 3)


def test_steps_of_a_subclass_are_taken():
    class Parameters(ImageDataGenerator):
        def get_random_transform(self, img_shape, seed=None):
            return {"flip_vertical": True}

    class Apply(ImageDataGenerator):
        def apply_transform(self, x, transform_parameters):
            return super().apply_transform(x, transform_parameters) + 1

    class Random(ImageDataGenerator):
        def random_transform(self, x, seed=None):
            return np.full_like(x, seed % 100)

    class Standardize(ImageDataGenerator):
        def standardize(self, x):
            return super().standardize(x) / 2

    x = pictures()
    np.testing.assert_array_equal(Parameters()._batch(x, SEEDS), x[:, ::-1])
    np.testing.assert_array_equal(Apply()._batch(x, SEEDS), x + 1)
    assert [int(v) for v in Random()._batch(x, SEEDS)[:, 0, 0, 0]] == [s % 100 for s in SEEDS]
    np.testing.assert_array_equal(Standardize()._batch(x, SEEDS), x / 2)
    patched = ImageDataGenerator()
    patched.standardize = lambda picture: picture * 3  # type: ignore[method-assign]
    np.testing.assert_array_equal(patched._batch(x, SEEDS), x * 3)


def test_standardize_in_keras_order():
    x = pictures(1)[0]
    before = x.copy()
    g = ImageDataGenerator(
        preprocessing_function=doubled, rescale=0.1, samplewise_center=True, samplewise_std_normalization=True
    )
    wanted = (x.astype(float) * 2 - 1) * 0.1
    wanted = (wanted - wanted.mean()) / (wanted.std() + 1e-6)
    np.testing.assert_allclose(g.standardize(x), wanted, atol=1e-5)
    np.testing.assert_array_equal(x, before)


def test_standardize_takes_a_batch_sample_by_sample():
    x = pictures() * np.arange(1, 6, dtype="float32")[:, None, None, None]
    g = ImageDataGenerator(
        preprocessing_function=doubled, samplewise_center=True, samplewise_std_normalization=True
    )
    np.testing.assert_allclose(g.standardize(x), [g.standardize(p) for p in x], atol=1e-5)
    whole = g.standardize(x.astype("uint8"))
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole.mean((1, 2, 3)), 0, atol=1e-5)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_fit_finds_mean_and_deviation_of_channels(data_format):
    x = pictures(300)[:, :6, :5] * [1, 0.5, 2] + [0, 1000, -50]
    axes = (0, 1, 2)
    mean, std = x.mean(axes), x.std(axes)
    g = ImageDataGenerator(
        featurewise_center=True, featurewise_std_normalization=True, data_format=data_format
    )
    first = data_format == "channels_first"
    data = x.transpose(0, 3, 1, 2) if first else x
    g.fit(data)
    assert g.mean is not None and g.std is not None
    assert g.mean.shape == g.std.shape == ((3, 1, 1) if first else (1, 1, 3))
    np.testing.assert_allclose(g.mean.ravel(), mean, rtol=1e-6)
    np.testing.assert_allclose(g.std.ravel(), std, rtol=1e-4)
    found = g.standardize(data.astype("float32"))
    found = found.transpose(0, 2, 3, 1) if first else found
    np.testing.assert_allclose(found, (x - mean) / (std + 1e-6), atol=1e-3)


def test_fit_sums_up_without_losing_digits():
    """Float32 sums of so many numbers of one sign would be wrong in the fourth digit."""
    x = np.full((3000, 32, 32, 1), 0.1, "float32")
    x[::2] = 0.3
    g = ImageDataGenerator(featurewise_center=True, featurewise_std_normalization=True)
    g.fit(x)
    np.testing.assert_allclose([g.mean.item(), g.std.item()], [0.2, 0.1], rtol=1e-6)


def test_fit_leaves_the_data_alone():
    x = pictures()
    before = x.copy()
    g = ImageDataGenerator(featurewise_center=True, featurewise_std_normalization=True)
    g.fit(x)
    np.testing.assert_array_equal(x, before)


def test_zca_as_by_singular_values():
    x = np.random.default_rng(0).normal(size=(60, 3, 4, 1)) @ np.ones((1, 1)) * 3 + 5
    x[:, 1] += x[:, 0]
    g = ImageDataGenerator(featurewise_center=True, zca_whitening=True, zca_epsilon=0.01, dtype="float64")
    g.fit(x)
    flat = (x - x.mean()).reshape(60, -1)
    u, s, _ = np.linalg.svd(flat.T @ flat / 60)
    wanted = (u / np.sqrt(s + 0.01)) @ u.T
    np.testing.assert_allclose(g.principal_components, wanted, atol=1e-9)
    np.testing.assert_allclose(g.standardize(x).reshape(60, -1), flat @ wanted, atol=1e-9)


def test_zca_makes_values_independent():
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(200, 16)) @ (rng.normal(size=(16, 16)) + 4 * np.eye(16))).reshape(200, 4, 4, 1)
    g = ImageDataGenerator(featurewise_center=True, zca_whitening=True)
    g.fit(x)
    white = g.standardize(x.astype("float32")).reshape(200, -1).astype(float)
    np.testing.assert_allclose(white.T @ white / 200, np.eye(16), atol=1e-2)


def test_fit_to_transformed_pictures():
    """Draws follow each other after the seed, sample by sample and round by round, as in Keras."""
    x = pictures()
    g = ImageDataGenerator(rotation_range=20, channel_shift_range=30.0, featurewise_center=True)
    g.fit(x, augment=True, rounds=2, seed=9)
    rng = np.random.RandomState(9)
    made = [truth.transform(p, drawn(g, (18, 23), rng)) for _ in range(2) for p in x]
    np.testing.assert_allclose(g.mean.ravel(), np.mean(made, axis=(0, 1, 2)), rtol=1e-5)
    np.random.seed(9)
    again = ImageDataGenerator(rotation_range=20, channel_shift_range=30.0, featurewise_center=True)
    again.fit(x, augment=True, rounds=2)
    np.testing.assert_array_equal(again.mean, g.mean)


def test_fit_refuses_and_warns():
    g = ImageDataGenerator(featurewise_center=True)
    with pytest.raises(ValueError, match=r"`.fit\(\)` should have rank 4. Got array with shape: \(8, 8, 3\)"):
        g.fit(np.zeros((8, 8, 3)))
    with pytest.warns(UserWarning, match=r"either 1, 3 or 4 channels on axis 3.*\(5 channels\)"):
        g.fit(np.zeros((2, 8, 8, 5)))


@pytest.mark.parametrize("name", ["featurewise_center", "featurewise_std_normalization", "zca_whitening"])
def test_an_unfit_generator_warns_and_goes_on(name):
    x = pictures(1)[0]
    g = ImageDataGenerator()
    setattr(g, name, True)
    with pytest.warns(UserWarning, match=f"specifies `{name}`, but it hasn't been fit"):
        np.testing.assert_array_equal(g.standardize(x), x)


@pytest.mark.parametrize(
    ("arguments", "words", "switched"),
    [
        ({"zca_whitening": True}, ["`zca_whitening`, which overrides"], {"featurewise_center": True}),
        (
            {"zca_whitening": True, "featurewise_center": True, "featurewise_std_normalization": True},
            ["`zca_whitening` which overrides setting of`featurewise_std_normalization`"],
            {"featurewise_std_normalization": False},
        ),
        (
            {"featurewise_std_normalization": True},
            ["`featurewise_std_normalization`, which overrides"],
            {"featurewise_center": True},
        ),
        (
            {"samplewise_std_normalization": True},
            ["`samplewise_std_normalization`, which overrides"],
            {"samplewise_center": True},
        ),
    ],
)
def test_switches_that_need_others_warn(arguments, words, switched):
    with pytest.warns(UserWarning) as caught:
        g = ImageDataGenerator(**arguments)
    assert len(caught) == len(words)
    assert all(word in str(w.message) for word, w in zip(words, caught, strict=True))
    assert {name: getattr(g, name) for name in switched} == switched


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data_format": "first"}, '`data_format` should be `"channels_last"`.*Received: first'),
        ({"validation_split": 1.0}, "`validation_split` must be strictly between 0 and 1.*1.0"),
        ({"validation_split": -0.1}, "`validation_split`"),
        (
            {"zoom_range": (1, 2, 3)},
            r"`zoom_range` should be a float or a tuple or list of two floats.*\(1, 2",
        ),
        ({"brightness_range": (1,)}, "`brightness_range should be tuple or list of two floats"),
        ({"brightness_range": 0.5}, "`brightness_range should be tuple or list of two floats"),
        ({"fill_mode": "mirror"}, "`fill_mode` should be one of constant, nearest, reflect, wrap.*mirror"),
        ({"rotation_range": (1, 2)}, r"`rotation_range` should be a float. Received: \(1, 2\)"),
        ({"shear_range": float("nan")}, "`shear_range`"),
        ({"channel_shift_range": float("inf")}, "`channel_shift_range`"),
        (
            {"width_shift_range": [[1, 2]]},
            "`width_shift_range` should be a float, an int or a 1-D array-like",
        ),
        ({"height_shift_range": "far"}, "`height_shift_range`"),
    ],
)
def test_arguments_that_mean_nothing(arguments, message):
    with pytest.raises(ValueError, match=message):
        ImageDataGenerator(**arguments)


def test_defaults_follow_the_backend():
    assert (ImageDataGenerator().data_format, ImageDataGenerator().dtype) == ("channels_last", "float32")
    K.set_image_data_format("channels_first")
    K.set_floatx("float64")
    try:
        g = ImageDataGenerator()
        assert (g.data_format, g.dtype, g.channel_axis, g.row_axis, g.col_axis) == (
            "channels_first",
            "float64",
            1,
            2,
            3,
        )
    finally:
        K.set_image_data_format("channels_last")
        K.set_floatx("float32")


def test_a_pickled_generator_makes_the_same():
    x = pictures()
    g = ImageDataGenerator(**EVERYTHING, featurewise_center=True)
    g.fit(x)
    again = pickle.loads(pickle.dumps(g))
    np.testing.assert_array_equal(again._batch(x, SEEDS), g._batch(x, SEEDS))


def test_flow_gives_transformed_pictures():
    x = pictures(8)
    g = ImageDataGenerator(rotation_range=30, rescale=0.5)
    batch, labels = next(g.flow(x, np.arange(8), batch_size=3, seed=1))
    assert batch.shape == (3, 18, 23, 3) and batch.dtype == np.float32
    assert not np.array_equal(batch, x[labels] / 2)
    plain, labels = next(ImageDataGenerator(rescale=0.5).flow(x, np.arange(8), batch_size=3, seed=1))
    np.testing.assert_array_equal(plain, x[labels] * np.float32(0.5))


def test_flow_from_directory_gives_transformed_pictures(tmp_path):
    values = pictures(4).astype("uint8")
    for n, value in enumerate(values):
        folder = tmp_path / "ab"[n % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(value).save(folder / f"{n}.png")
    g = ImageDataGenerator(vertical_flip=True, rescale=0.5)
    flow = g.flow_from_directory(tmp_path, target_size=(18, 23), class_mode="binary", shuffle=False)
    batch, labels = flow[0]
    assert isinstance(flow, DirectoryIterator)
    assert list(labels) == [0, 0, 1, 1]
    for found, n in zip(batch, (0, 2, 1, 3), strict=True):
        both = values[n] * 0.5, values[n, ::-1] * 0.5
        assert any(np.array_equal(found, one) for one in both)
