"""Arguments that mean nothing: one error each, which names the argument and shows what was given."""

import re
import warnings

import numpy as np
import pytest

from symgraph.preprocessing import image, sequence, text
from symgraph.preprocessing.image import ImageDataGenerator

X = np.random.RandomState(0).randint(0, 256, (6, 8, 9, 3)).astype("float32")
NAN = float("nan")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rotation_range", "20"),
        ("channel_shift_range", "x"),
        ("zoom_range", "0.2"),
        ("zoom_range", None),
        ("zoom_range", ["a", "b"]),
        ("zoom_range", NAN),
        ("brightness_range", [None, 1]),
        ("brightness_range", [NAN, 1]),
        ("brightness_range", "ab"),
        ("cval", None),
        ("cval", (0, 0, 0)),
        ("rescale", "1/255"),
        ("rescale", np.array([1.0, 2.0])),
        ("preprocessing_function", "relu"),
        ("validation_split", "0.2"),
        ("validation_split", [0.1]),
        ("horizontal_flip", None),
        ("vertical_flip", "yes"),
        ("zca_epsilon", "a"),
    ],
)
def test_arguments_of_the_generator(name, value):
    with pytest.raises(ValueError, match=f"`{name}.*{re.escape(repr(value))}"):
        ImageDataGenerator(**{name: value})


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: image.random_rotation(X[0], "20"), ValueError, "`rg`.*'20'"),
        (lambda: image.random_shift(X[0], 0.1, None), ValueError, "`hrg`.*None"),
        (lambda: image.random_shift(None, 0.1, 0.1), ValueError, "Expected a picture"),
        (lambda: image.random_shear(X[0], float("inf")), ValueError, "`intensity`.*inf"),
        (lambda: image.random_zoom(X[0], 0.2), ValueError, "`zoom_range`.*0.2"),
        (lambda: image.random_brightness(X[0], 0.5), ValueError, "`brightness_range.*0.5"),
        (lambda: image.random_channel_shift(X[0], "a"), ValueError, "`intensity_range`.*'a'"),
        (lambda: image.apply_channel_shift(X[0], None), ValueError, "`intensity`.*None"),
        (lambda: image.apply_brightness_shift(X[0], NAN), ValueError, "`brightness`.*nan"),
        (lambda: image.apply_affine_transform(X[0], theta="a"), ValueError, "`theta`.*'a'"),
        (lambda: image.apply_affine_transform(X[0], tx=NAN), ValueError, "`tx`.*nan"),
        (lambda: image.apply_affine_transform(X[0], tx=1, cval="a"), ValueError, "`cval`.*'a'"),
        (lambda: image.apply_affine_transform(X[0].astype(str), tx=1), ValueError, "numbers.*<U"),
        (lambda: image.apply_affine_transform(X[0] * 1j, tx=1), ValueError, "numbers.*complex"),
        (lambda: image.random_rotation(X[0], 20, 0, 1, 5), ValueError, r"`channel_axis`.*\(0, 1, 5\)"),
        (lambda: ImageDataGenerator().random_transform("cat.jpg"), ValueError, "Expected a picture"),
        (lambda: image.load_img(None), TypeError, "path.*NoneType"),
        (lambda: image.load_img("x.png", (5, 5)), ValueError, r"grayscale.*\(5, 5\)"),
        (lambda: image.load_img("x.png", color_mode=["rgb"]), ValueError, r"color_mode.*\['rgb'\]"),
        (lambda: image.save_img("x.png", X[0], file_format="xyz"), ValueError, "file_format.*'xyz'"),
        (lambda: ImageDataGenerator().flow("train"), ValueError, "`x` cannot be made an array of float32"),
        (lambda: ImageDataGenerator().flow(X, [[1, 2], [3]] * 3), ValueError, "`y` cannot be made"),
        (lambda: ImageDataGenerator().flow(X, save_to_dir="nowhere"), OSError, "save_to_dir.*'nowhere'"),
        (lambda: ImageDataGenerator().flow(X)["a"], TypeError, "'str'"),
        (lambda: ImageDataGenerator(dtype="float3").flow(X), ValueError, "dtype.*'float3'"),
        (lambda: ImageDataGenerator().fit(X[:0]), ValueError, r"samples.*\(0, 8, 9, 3\)"),
        (lambda: ImageDataGenerator().fit(X, augment=True, rounds=0), ValueError, "`rounds`.*0"),
        (lambda: sequence.pad_sequences([[1]], maxlen=2.5), ValueError, "`maxlen`.*2.5"),
        (lambda: sequence.pad_sequences([[1]], value=None), ValueError, "`value` None.*int32"),
        (lambda: sequence.make_sampling_table(5, -1), ValueError, "`sampling_factor`.*-1"),
        (lambda: sequence.skipgrams([1, 7], 9, sampling_table=[1.0] * 5), ValueError, "up to 7, got 5"),
        (lambda: sequence.TimeseriesGenerator([1, 2, 3], [1, 2, 3], 1.5), ValueError, "`length`.*1.5"),
        (lambda: sequence.timeseries_generator_from_json("no"), ValueError, "no JSON of a Timeseries"),
        (lambda: text.tokenizer_from_json("no"), ValueError, "no JSON of a Tokenizer"),
        (lambda: text.Tokenizer(num_words="a"), ValueError, "`num_words`.*'a'"),
        (lambda: text.Tokenizer(num_words=-1), ValueError, "`num_words`.*-1"),
        (lambda: text.Tokenizer().fit_on_texts([[1, 2]]), TypeError, "Expected words, got int: 1"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("size", [5, (5,), (5, 5, 3), (0, 5), (5.5, 5), "ab", None])
def test_sizes_of_pictures(size, tmp_path):
    image.save_img(tmp_path / "a.png", X[0])
    if size is not None:
        with pytest.raises(ValueError, match=f"target_size.*{re.escape(repr(size))}"):
            image.load_img(tmp_path / "a.png", target_size=size)
    with pytest.raises(ValueError, match=f"target_size.*{re.escape(repr(size))}"):
        ImageDataGenerator().flow_from_directory(tmp_path, target_size=size)


@pytest.mark.parametrize(
    ("table", "options", "error", "message"),
    [
        (None, {}, TypeError, "dataframe.*NoneType"),
        ("table.csv", {}, TypeError, "dataframe.*str"),
        ({"filename": ["a.png"], "class": ["a"]}, {"classes": "ab"}, ValueError, "classes.*'ab'"),
        ({"filename": ["a"], "a": [1], "b": [1, 2]}, {"y_col": ["a", "b"]}, ValueError, "'a': 1, 'b': 2"),
        ({"filename": ["a"]}, {"y_col": []}, ValueError, "y_col.*{}"),
        ({"filename": ["a", "b"], "a": [[1], [1, 2]]}, {"y_col": "a"}, TypeError, "y_col.*one length"),
    ],
)
def test_tables(table, options, error, message, tmp_path):
    if "y_col" in options:
        options["class_mode"] = "other"
    with pytest.raises(error, match=message):
        ImageDataGenerator().flow_from_dataframe(table, tmp_path, **options)


def test_folders_by_bytes_and_classes_by_number(tmp_path):
    (tmp_path / "cat").mkdir()
    image.save_img(tmp_path / "cat" / "a.png", X[0])
    assert ImageDataGenerator().flow_from_directory(bytes(tmp_path)).filenames == ["cat/a.png"]
    with pytest.raises(ValueError, match=r"classes.*\[1, 2\]"):
        ImageDataGenerator().flow_from_directory(tmp_path, classes=[1, 2])


@pytest.mark.parametrize("function", [lambda x: None, lambda x: x[: 2 + int(x[0, 0, 0]) % 5]])
def test_what_a_preprocessing_function_returns(function):
    with pytest.raises(ValueError, match="`preprocessing_function` should return arrays of numbers"):
        next(ImageDataGenerator(preprocessing_function=function).flow(X, shuffle=False))


def test_pictures_may_be_lists():
    generator = ImageDataGenerator(rotation_range=30)
    expected = generator.random_transform(X[0].astype(float), seed=3)
    np.testing.assert_array_equal(generator.random_transform(X[0].tolist(), seed=3), expected)


def test_texts_are_padded_whole():
    padded = sequence.pad_sequences([["hello"], ["a", "bc"]], dtype="str", value="empty")
    assert padded.tolist() == [["empty", "hello"], ["a", "bc"]]


def test_fit_asks_a_subclass_for_its_transforms():
    class Darker(ImageDataGenerator):
        def random_transform(self, x, seed=None):
            return super().random_transform(x, seed) * 0.5

    generator = Darker(featurewise_center=True)
    generator.fit(X, augment=True, rounds=2, seed=1)
    np.testing.assert_allclose(generator.mean.ravel(), X.mean((0, 1, 2)) / 2, rtol=1e-5)


@pytest.mark.parametrize("arguments", [{"featurewise_center": True}, {"zca_whitening": True}])
def test_fitted_to_pictures_of_another_shape(arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        generator = ImageDataGenerator(**arguments)
    generator.fit(X)
    with pytest.raises(ValueError, match="fit on pictures of another shape"):
        generator.standardize(X[..., :1])


def test_a_subset_without_pictures_says_why(tmp_path):
    (tmp_path / "cat").mkdir()
    image.save_img(tmp_path / "cat" / "a.png", X[0])
    flow = ImageDataGenerator(validation_split=0.25).flow_from_directory(tmp_path, subset="validation")
    with pytest.raises(ValueError, match=r"'validation' takes 0\.25 of each"):
        next(flow)
