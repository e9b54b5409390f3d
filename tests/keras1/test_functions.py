"""Functions with the arguments of Keras 1: the backend, labels, pictures, training."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.callbacks import LambdaCallback
from symgraph.layers import (
    LSTM,
    BatchNormalization,
    Conv2DTranspose,
    Convolution1D,
    Convolution2D,
    Deconvolution2D,
    Dense,
    Embedding,
    Input,
)
from symgraph.models import Sequential
from symgraph.preprocessing.image import ImageDataGenerator, array_to_img, img_to_array
from symgraph.regularizers import get as regularizer
from symgraph.utils import np_utils
from symgraph.utils.warn_user import OldCallWarning

RNG = np.random.default_rng(9)
PICTURE = RNG.normal(size=(2, 3, 6, 5)).astype("float32")  # channels first
LAST = PICTURE.transpose(0, 2, 3, 1)
KERNEL = RNG.normal(size=(4, 3, 3, 2)).astype("float32")  # (filters, channels, rows, columns)
NEW = KERNEL.transpose(2, 3, 1, 0)
VOLUME, KERNEL3 = RNG.normal(size=(2, 2, 4, 4, 3)), RNG.normal(size=(3, 2, 2, 2, 2))
FIRST = {"data_format": "channels_first"}


def _old(call: Any) -> Any:
    """The value of an old call, which warns once, here."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = call()
    (warning,) = caught
    assert warning.category is OldCallWarning and warning.filename == __file__
    return K.eval(value) if K.is_tensor(value) else value


# Old calls, and those of today that tests/backend compares with numpy.
CALLS: list[tuple[Any, Any]] = [
    (lambda: K.conv2d(PICTURE, KERNEL, border_mode="same", dim_ordering="th"),
     lambda: K.conv2d(PICTURE, NEW, padding="same", **FIRST)),
    (lambda: K.conv2d(PICTURE, KERNEL, (1, 1), "valid", "th"), lambda: K.conv2d(PICTURE, NEW, **FIRST)),
    (lambda: K.conv2d(LAST, NEW, border_mode="valid", dim_ordering="tf", image_shape=(2, 6, 5, 3)),
     lambda: K.conv2d(LAST, NEW)),
    (lambda: K.conv2d(PICTURE, kernel=KERNEL, filter_dilation=(2, 2), dim_ordering="th"),
     lambda: K.conv2d(PICTURE, NEW, dilation_rate=(2, 2), **FIRST)),
    (lambda: K.atrous_conv2d(LAST, NEW, rate=2), lambda: K.conv2d(LAST, NEW, dilation_rate=(2, 2))),
    (lambda: K.deconv2d(LAST, NEW, (2, 8, 6, 4), dim_ordering="tf"),
     lambda: K.conv2d_transpose(LAST, NEW.transpose(0, 1, 3, 2), (2, 8, 6, 4))),
    (lambda: K.conv3d(VOLUME, KERNEL3, border_mode="valid", dim_ordering="th"),
     lambda: K.conv3d(VOLUME, KERNEL3.transpose(2, 3, 4, 1, 0), **FIRST)),
    (lambda: K.conv1d(LAST[:, 0], NEW[0], stride=2, border_mode="same"),
     lambda: K.conv1d(LAST[:, 0], NEW[0], strides=2, padding="same")),
    (lambda: K.pool2d(PICTURE, (2, 2), border_mode="same", dim_ordering="th", pool_mode="avg"),
     lambda: K.pool2d(PICTURE, (2, 2), padding="same", pool_mode="avg", **FIRST)),
    (lambda: K.resize_images(PICTURE, 2, 3, "th"), lambda: K.resize_images(PICTURE, 2, 3, "channels_first")),
    (lambda: K.resize_images(X=LAST, height_factor=2, width_factor=3, dim_ordering="tf"),
     lambda: K.resize_images(LAST, 2, 3, "channels_last")),
    (lambda: K.spatial_2d_padding(PICTURE, (1, 2), "th"),
     lambda: K.constant(np.pad(PICTURE, ((0, 0), (0, 0), (1, 1), (2, 2))))),
    (lambda: K.asymmetric_spatial_2d_padding(LAST, 1, 0, 2, 3, "tf"),
     lambda: K.constant(np.pad(LAST, ((0, 0), (1, 0), (2, 3), (0, 0))))),
    (lambda: K.temporal_padding(PICTURE[0], 2),
     lambda: K.constant(np.pad(PICTURE[0], ((0, 0), (2, 2), (0, 0))))),
    (lambda: K.asymmetric_temporal_padding(PICTURE[0], 2, 1),
     lambda: K.constant(np.pad(PICTURE[0], ((0, 0), (2, 1), (0, 0))))),
    (lambda: K.expand_dims(PICTURE, dim=1), lambda: K.constant(PICTURE[:, None])),
    (lambda: K.one_hot(np.array([2, 0]), nb_classes=3), lambda: K.constant([[0, 0, 1], [1, 0, 0]])),
    (lambda: K.lesser(PICTURE, 0), lambda: K.less(PICTURE, 0)),
    (lambda: K.lesser_equal(PICTURE, 0), lambda: K.less_equal(PICTURE, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), CALLS)
def test_backend(old: Any, new: Any) -> None:
    np.testing.assert_allclose(_old(old), K.eval(new()), rtol=1e-5, atol=1e-5)


def test_random_numbers() -> None:
    found = _old(lambda: K.random_normal((2000,), mean=1.0, std=0.1))
    assert found.std() == pytest.approx(0.1, rel=0.1) and found.mean() == pytest.approx(1, abs=0.01)
    found = _old(lambda: K.random_uniform((2000,), low=2, high=3))
    assert 2 <= found.min() < 2.01 and 2.99 < found.max() <= 3


def test_labels_and_losses_of_arrays() -> None:
    one_hot = _old(lambda: np_utils.to_categorical([1, 0], nb_classes=3))
    assert one_hot.tolist() == [[0, 1, 0], [1, 0, 0]]
    p, y = np.array([0.9, 0.2, 1.0]), np.array([1, 0, 1])
    expected = -(np.log(0.9) + np.log(0.8) + np.log(1 - 1e-15)) / 3
    assert _old(lambda: np_utils.binary_logloss(p, y)) == pytest.approx(expected)
    table = np.array([[0.2, 0.8], [0.5, 0.5]])
    assert _old(lambda: np_utils.multiclass_logloss(table, [2, 1])) == pytest.approx(-np.log(0.8 * 0.5) / 2)
    assert _old(lambda: np_utils.accuracy([1, 2, 3], [1, 2, 4])) == pytest.approx(2 / 3)
    assert _old(lambda: np_utils.probas_to_classes(table)).tolist() == [1, 0]
    assert _old(lambda: np_utils.probas_to_classes(np.array([[0.4], [0.6]]))).tolist() == [0, 1]
    np.testing.assert_array_equal(
        _old(lambda: np_utils.convert_kernel(KERNEL, "th")), KERNEL[:, :, ::-1, ::-1]
    )
    np.testing.assert_array_equal(_old(lambda: np_utils.convert_kernel(NEW, "tf")), NEW[::-1, ::-1])
    with pytest.raises(ValueError, match="Invalid dim_ordering: 'xy'"), pytest.warns(OldCallWarning):
        np_utils.convert_kernel(NEW, "xy")


def test_pictures() -> None:
    generator = _old(lambda: ImageDataGenerator(dim_ordering="th"))
    assert generator.data_format == "channels_first"
    batches = _old(lambda: generator.flow(X=PICTURE, y=np.arange(2), batch_size=2))
    assert _old(lambda: batches.N) == 2
    image = _old(lambda: array_to_img(PICTURE[0], dim_ordering="th"))
    assert image.size == (5, 6) and _old(lambda: img_to_array(image, dim_ordering="th")).shape == (3, 6, 5)
    with pytest.raises(AttributeError, match="has no attribute 'nb_sample'"):
        _ = batches.nb_sample


def test_descriptions_of_regularizers() -> None:
    assert regularizer({"name": "WeightRegularizer", "l1": 0.5, "l2": 0.25}).get_config() == {
        "l1": 0.5,
        "l2": 0.25,
    }
    assert regularizer({"l1": 0.0, "l2": 0.25}).l2 == 0.25 and regularizer({"k": 2.0}).k == 2.0


def test_an_output_shape_leads_to_padding() -> None:
    """Rows: (3 - 1) * 2 + 3 = 7 at least, columns 9; Keras 1 took what `output_shape` said."""

    def made(shape: tuple[Any, ...], **kwargs: Any) -> Conv2DTranspose:
        layer = _old(
            lambda: Deconvolution2D(
                2, 3, 3, output_shape=shape, subsample=(2, 2), dim_ordering="tf", **kwargs
            )
        )
        layer.build((None, 3, 4, 1))
        return layer

    assert made((None, 7, 9, 2)).output_padding is None
    layer = made((None, 8, 9, 2))
    assert layer.output_padding == (1, 0) and layer.compute_output_shape((None, 3, 4, 1)) == (None, 8, 9, 2)
    assert made((None, 6, 8, 2), border_mode="same").output_padding is None
    assert made((None, 5, 8, 2), border_mode="same").output_padding == (0, 1)
    for shape, message in (
        ((None, 9, 9, 2), r"`output_shape` \(None, 9, 9, 2\) cannot be reached from \(None, 3, 4, 1\)"),
        ((None, 7, 9, 3), "does not suit an output of 2 filters with channels_last"),
    ):
        with pytest.raises(ValueError, match=message):
            made(shape)


def test_words_are_dropped() -> None:
    layer = _old(lambda: Embedding(50, 4, dropout=0.5, input_length=50))
    model = Sequential([layer])
    words = np.arange(50)[None]
    table = layer.get_weights()[0]
    np.testing.assert_array_equal(model.predict(words)[0], table)
    train = K.function([model.input, K.learning_phase()], [model.output])
    kept, dropped = train([words, 1])[0][0], 0
    for row, word in zip(kept, table, strict=True):
        # The whole word, or none of it.
        dropped += not row.any()
        assert not row.any() or np.allclose(row, 2 * word)
    assert 10 < dropped < 40
    assert layer.get_config()["dropout"] == 0.5
    with pytest.raises(ValueError, match=re.escape("`dropout` should lie in [0, 1), got 1.0")):
        Embedding(5, 4, **{"_dropout": 1.0})


def test_first_weights_in_the_layouts_of_keras_1() -> None:
    bias = np.arange(4.0)

    def kernel_of(layer: Any, shape: tuple[int, ...], call: Any = _old) -> np.ndarray:
        layer = call(layer)
        layer(Input(shape))
        return layer.get_weights()[0]

    th = kernel_of(lambda: Convolution2D(4, 3, 2, dim_ordering="th", weights=[KERNEL, bias]), (3, 6, 5))
    np.testing.assert_array_equal(th, NEW)
    tf = kernel_of(lambda: Convolution2D(4, 3, 2, dim_ordering="tf", weights=[NEW, bias]), (6, 5, 3))
    np.testing.assert_array_equal(tf, NEW)
    # A call of today has the layout of today, even where the shape would suit both.
    square = RNG.normal(size=(3, 3, 3, 3)).astype("float32")
    new = kernel_of(
        lambda: Convolution2D(3, (3, 3), data_format="channels_first", weights=[square, bias[:3]]),
        (3, 6, 5),
        lambda make: make(),
    )
    np.testing.assert_array_equal(new, square)
    old = kernel_of(lambda: Convolution2D(3, 3, 3, dim_ordering="th", weights=[square, bias[:3]]), (3, 6, 5))
    np.testing.assert_array_equal(old, square.transpose(2, 3, 1, 0))
    flat = kernel_of(lambda: Convolution1D(4, 3, border_mode="same", weights=[NEW[:, :1], bias]), (7, 3))
    np.testing.assert_array_equal(flat, NEW[:, 0])
    gates = [RNG.normal(size=shape).astype("float32") for _ in range(4) for shape in ((3, 2), (2, 2), (2,))]
    layer = LSTM(2, weights=gates, input_shape=(5, 3))
    Sequential([layer])
    for part, found in enumerate(layer.get_weights()):
        wanted = np.concatenate([gates[3 * gate + part] for gate in (0, 2, 1, 3)], axis=-1)
        np.testing.assert_array_equal(found, wanted)


def test_modes_are_part_of_configurations() -> None:
    for mode in (1, 2):
        layer = _old(lambda mode=mode: BatchNormalization(mode=mode))
        assert (
            _old(lambda layer=layer: BatchNormalization.from_config(layer.get_config())).get_config()
            == layer.get_config()
        )
    assert "mode" not in BatchNormalization().get_config()


# -- training ------------------------------------------------------------------------------------------------

X = RNG.normal(size=(50, 3)).astype("float32")
Y = (X.sum(axis=1, keepdims=True) > 0).astype("float32")


def made() -> Sequential:
    np.random.seed(5)
    model = Sequential([Dense(4, activation="tanh", input_shape=(3,)), Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    return model


def batches() -> Iterator[Any]:
    while True:
        for start in range(0, 50, 20):  # 20, 20, 10
            yield X[start : start + 20], Y[start : start + 20]


def test_epochs_end_by_samples() -> None:
    """As Keras 1 counts: 20, 20 and 10 make 50; with 35, epochs have 20 + 20, 10 + 20 + 20, 10 + 20 + 20."""
    seen: list[list[int]] = []
    note = LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append([]),
        on_batch_end=lambda batch, logs: seen[-1].append(logs["size"]),
    )
    model, other = made(), made()
    history = _old(
        lambda: model.fit_generator(batches(), samples_per_epoch=50, nb_epoch=2, verbose=0, callbacks=[note])
    )
    assert seen == [[20, 20, 10]] * 2
    wanted = other.fit_generator(batches(), 3, 2, verbose=0)
    np.testing.assert_array_equal(history.history["loss"], wanted.history["loss"])
    seen.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit_generator(batches(), 35, nb_epoch=3, verbose=0, callbacks=[note])
    assert seen == [[20, 20], [10, 20, 20], [10, 20, 20]]
    _, *more = [str(w.message) for w in caught]
    numbers = [re.search(r"Epoch comprised more than .* results: (\d+) instead of 35", text) for text in more]
    assert [found and found[1] for found in numbers] == ["40", "50", "50"]


def test_evaluation_and_prediction_by_samples() -> None:
    model = made()
    assert _old(lambda: model.evaluate_generator(batches(), val_samples=50)) == pytest.approx(
        model.evaluate(X, Y, 50, verbose=0), rel=1e-5
    )
    found = _old(lambda: model.predict_generator(batches(), val_samples=41))
    np.testing.assert_allclose(found, model.predict(X), rtol=1e-5)
    history = _old(
        lambda: model.fit_generator(
            batches(),
            samples_per_epoch=50,
            nb_epoch=1,
            verbose=0,
            validation_data=batches(),
            nb_val_samples=50,
        )
    )
    assert history.history["val_loss"][-1] == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-5)
    for wrong, error in ((0, ValueError), (2.5, TypeError)):
        with pytest.raises(error, match="`samples_per_epoch` should be"):
            model.fit_generator(batches(), samples_per_epoch=wrong, nb_epoch=1)


def test_accuracy_is_shown_and_training_goes_on() -> None:
    model, other = made(), made()
    for each in (model, other):
        each.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    loss, accuracy = _old(lambda: model.evaluate(X, Y, show_accuracy=True, verbose=0))
    assert accuracy == pytest.approx(np.mean((other.predict(X) > 0.5) == Y)) and loss == other.evaluate(
        X, Y, verbose=0
    )
    # The moments of the optimizer are still those of before.
    for each in (model, other):
        each.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    for found, wanted in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert len(_old(lambda: other.train_on_batch(X, Y, accuracy=True))) == 2
    assert _old(lambda: made().fit(X, Y, epochs=1, verbose=0, show_accuracy=False)).history.keys() == {"loss"}
