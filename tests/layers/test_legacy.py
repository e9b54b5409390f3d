"""Layers called as in Keras 1: each old call makes the layer of the new one beside it, with a warning."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import layers as L
from symgraph.callbacks import ReduceLROnPlateau
from symgraph.constraints import MinMaxNorm, maxnorm
from symgraph.engine.base_layer import Layer
from symgraph.layers import Dense, Input, InputLayer
from symgraph.models import Model, Sequential
from symgraph.optimizers import SGD, RMSprop
from tests.layer_checkers import run

KERNEL = {"init": "normal", "W_regularizer": "l1", "W_constraint": "maxnorm"}
NEW_KERNEL = {"kernel_initializer": "normal", "kernel_regularizer": "l1", "kernel_constraint": "maxnorm"}
BIAS = {"bias": False, "b_regularizer": "l2", "b_constraint": "nonneg"}
NEW_BIAS = {"use_bias": False, "bias_regularizer": "l2", "bias_constraint": "nonneg"}
WINDOWS = {"border_mode": "same", "subsample": 2, "dim_ordering": "th"}
NEW_WINDOWS = {"padding": "same", "strides": 2, "data_format": "channels_first"}
GATES = {
    "init": "normal", "inner_init": "he_normal", "W_regularizer": "l1", "U_regularizer": "l2",
    "b_regularizer": "l1_l2", "dropout_W": 0.1, "dropout_U": 0.2,
}  # fmt: skip
NEW_GATES = {
    "kernel_initializer": "normal", "recurrent_initializer": "he_normal", "kernel_regularizer": "l1",
    "recurrent_regularizer": "l2", "bias_regularizer": "l1_l2", "dropout": 0.1, "recurrent_dropout": 0.2,
}  # fmt: skip
GATED = {"inner_activation": "sigmoid", "forget_bias_init": "one", "consume_less": "gpu", **GATES}
NEW_GATED = {
    "recurrent_activation": "sigmoid", "unit_forget_bias": True, "implementation": 2, **NEW_GATES
}  # fmt: skip
FIRST = {"data_format": "channels_first"}
TH = {"dim_ordering": "th"}

# (class, old positional arguments and keywords, new ones)
CALLS: list[tuple[Any, tuple[Any, ...], dict[str, Any], tuple[Any, ...], dict[str, Any]]] = [
    (L.Dense, (), {"output_dim": 2, **KERNEL, **BIAS}, (2,), {**NEW_KERNEL, **NEW_BIAS}),
    (L.Dropout, (), {"p": 0.3}, (0.3,), {}),
    (L.SpatialDropout1D, (), {"p": 0.3}, (0.3,), {}),
    (L.SpatialDropout2D, (), {"p": 0.3, **TH}, (0.3,), FIRST),
    (L.SpatialDropout3D, (0.3,), {"dim_ordering": "tf"}, (0.3,), {"data_format": "channels_last"}),
    (L.GaussianDropout, (), {"p": 0.3}, (0.3,), {}),
    (L.GaussianNoise, (), {"sigma": 0.3}, (0.3,), {}),
    (L.PReLU, (), {"init": "one"}, ("one",), {}),
    (L.Embedding, (4, 2), KERNEL, (4, 2),
     {"embeddings_initializer": "normal", "embeddings_regularizer": "l1",
      "embeddings_constraint": "maxnorm"}),
    (
        L.BatchNormalization, (), {"mode": 0, "beta_init": "one", "gamma_init": "zero"}, (),
        {"beta_initializer": "one", "gamma_initializer": "zero"},
    ),
    (L.SimpleRNN, (), {"output_dim": 2, **GATES}, (2,), NEW_GATES),
    (L.GRU, (2,), {"inner_activation": "sigmoid", **GATES}, (2,),
     {"recurrent_activation": "sigmoid", **NEW_GATES}),
    (L.LSTM, (), {"output_dim": 2, **GATED}, (2,), NEW_GATED),
    (L.LSTM, (2,), {"input_dim": 5, "input_length": 3}, (2,), {"input_shape": (3, 5)}),
    (L.GRU, (2,), {"input_dim": 5, "consume_less": "mem"}, (2,),
     {"input_shape": (None, 5), "implementation": 1}),
    (L.Conv1D, (), {"nb_filter": 3, "filter_length": 2, "subsample_length": 2, "border_mode": "causal"},
     (3, 2), {"strides": 2, "padding": "causal"}),
    (L.Conv1D, (3, 2), {"input_dim": 4, "input_length": 9, **KERNEL, **BIAS}, (3, 2),
     {"input_shape": (9, 4), **NEW_KERNEL, **NEW_BIAS}),
    (L.LocallyConnected1D, (3,), {"filter_length": 2, "input_dim": 4}, (3, 2), {"input_shape": (None, 4)}),
    (L.Conv2D, (5, 3, 2), {}, (5, (3, 2)), {}),
    (L.Conv2D, (5, 3), {"nb_col": 2}, (5, (3, 2)), {}),
    (L.Conv2D, (5,), {"nb_row": 3, "nb_col": 2, **WINDOWS}, (5, (3, 2)), NEW_WINDOWS),
    (L.Conv2D, (), {"nb_filter": 5, "nb_row": 3, "nb_col": 2, **KERNEL, **BIAS}, (5, (3, 2)),
     {**NEW_KERNEL, **NEW_BIAS}),
    (L.Conv2D, (5, (3, 2)), {"dim_ordering": "default"}, (5, (3, 2)), {}),
    (L.LocallyConnected2D, (5, 3, 2), {}, (5, (3, 2)), {}),
    (L.Deconvolution2D, (5, 3, 2, (None, 8, 8, 5)), {}, (5, (3, 2)), {}),
    (L.Conv2DTranspose, (5, 3, 2), {"output_shape": (None, 8, 8, 5), "subsample": 2}, (5, (3, 2)),
     {"strides": 2}),
    (L.SeparableConv2D, (5, 3, 2), {"init": "normal", "border_mode": "same"}, (5, (3, 2)),
     {"depthwise_initializer": "normal", "pointwise_initializer": "normal", "padding": "same"}),
    (L.Conv3D, (5, 3, 2, 4), {}, (5, (3, 2, 4)), {}),
    (L.Conv3D, (5, 3, 2), {"kernel_dim3": 4}, (5, (3, 2, 4)), {}),
    (L.Conv3D, (5, 3), {"kernel_dim2": 2, "kernel_dim3": 4}, (5, (3, 2, 4)), {}),
    (L.Conv3D, (), {"nb_filter": 5, "kernel_dim1": 3, "kernel_dim2": 2, "kernel_dim3": 4, **WINDOWS},
     (5, (3, 2, 4)), NEW_WINDOWS),
    (L.ConvLSTM2D, (5, 3, 2), {"inner_activation": "sigmoid", "forget_bias_init": "one", **GATES},
     (5, (3, 2)),
     {"recurrent_activation": "sigmoid", "unit_forget_bias": True, **NEW_GATES}),
    (L.MaxPooling1D, (), {"pool_length": 3, "stride": 2, "border_mode": "same"}, (3, 2, "same"), {}),
    (L.AveragePooling1D, (), {"pool_length": 3}, (3,), {}),
    (L.MaxPooling2D, ((3, 2),), {"border_mode": "same", **TH}, ((3, 2), None, "same"), FIRST),
    (L.AveragePooling2D, (), TH, (), FIRST),
    (L.MaxPooling3D, (), {"border_mode": "same", **TH}, (), {"padding": "same", **FIRST}),
    (L.AveragePooling3D, (), TH, (), FIRST),
    (L.GlobalMaxPooling2D, (), TH, (), FIRST),
    (L.GlobalAveragePooling2D, (), TH, (), FIRST),
    (L.GlobalMaxPooling3D, (), TH, (), FIRST),
    (L.GlobalAveragePooling3D, (), TH, (), FIRST),
    (L.UpSampling1D, (), {"length": 3}, (3,), {}),
    (L.UpSampling2D, ((2, 3),), TH, ((2, 3),), FIRST),
    (L.UpSampling3D, (), TH, (), FIRST),
    (L.ZeroPadding2D, (), TH, (), FIRST),
    (L.ZeroPadding3D, (), TH, (), FIRST),
    (L.Cropping2D, (), TH, (), FIRST),
    (L.Cropping3D, (), TH, (), FIRST),
]  # fmt: skip


def _with_warnings(call: Any) -> tuple[Any, list[Any]]:
    """The result, and the warnings on the way."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return call(), caught


@pytest.mark.parametrize(
    ("cls", "old_args", "old", "new_args", "new"),
    [pytest.param(*call, id=f"{call[0].__name__}-{i}") for i, call in enumerate(CALLS)],
)
def test_old_calls_make_the_same_layers(cls: Any, old_args: Any, old: Any, new_args: Any, new: Any) -> None:
    made, caught = _with_warnings(lambda: cls(*old_args, name="one", **old))
    assert f"Update your `{cls.__name__}` call to the Keras 2 API" in str(caught[-1].message)
    assert {w.filename for w in caught} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert made.get_config() == cls(*new_args, name="one", **new).get_config()


def test_the_warning_shows_the_new_call() -> None:
    text = '`Conv2D(5, (3, 3), weights=array, activation=<function ..., strides=2, padding="same")`'

    def identity(x: Any) -> Any:
        return x

    _, (warning,) = _with_warnings(
        lambda: L.Conv2D(5, 3, 3, subsample=2, border_mode="same", weights=np.zeros(2), activation=identity)
    )
    assert str(warning.message).endswith(text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.Embedding(4, 2, dropout=0.2), "Update your `Embedding` call"),
        (lambda: L.LSTM(2, forget_bias_init="zero"), "unit_forget_bias=False"),
        (lambda: L.LSTM(2, input_dim=3), r"LSTM\(2, input_shape=\(None, 3\)\)"),
        (lambda: L.ZeroPadding2D({"top_pad": 1}), r"ZeroPadding2D\(\(\(1, 0\), \("),
        (lambda: L.AtrousConvolution2D(3, (2, 2), atrous_rate=2), r"Conv2D\(3, \(2, 2\), dilation_rate=2\)"),
        (lambda: L.AtrousConvolution2D(3, 2, 2, border_mode="same"), r"`Conv2D\(3, \(2, 2\), padding="),
        (lambda: L.TimeDistributedDense(3, input_dim=2), "`TimeDistributedDense.*units=3"),
        (lambda: InputLayer((3,), input_dtype="int32"), r"Update your `InputLayer`.*dtype=\"int32\""),
        (lambda: L.Recurrent(), "use `RNN"),
        (lambda: L.Merge(mode="concat", concat_axis=1), r"`concatenate\(inputs, axis=1\)`"),
        (lambda: maxnorm(m=3), r"MaxNorm\(max_value=3\)"),
        (lambda: MinMaxNorm(low=1, high=2), r"MinMaxNorm\(min_value=1, max_value=2\)"),
        (lambda: Dense(3, name="d").output_dim, "`Dense.output_dim` is called `units`"),
        (lambda: Dense(3).get_output_shape_for((None, 2)), "is called `compute_output_shape`"),
    ],
)  # fmt: skip
def test_one_warning_names_the_modern_form(make: Any, message: str) -> None:
    _, caught = _with_warnings(make)
    (warning,) = caught
    assert issubclass(warning.category, DeprecationWarning) and warning.filename == __file__
    assert re.search(message, str(warning.message))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.SimpleRNN(2, implementation=1), "`implementation` argument in `SimpleRNN`"),
        (lambda: ReduceLROnPlateau(epsilon=0.5), "`epsilon` argument is deprecated"),
    ],
)  # fmt: skip
def test_what_else_warns(make: Any, message: str) -> None:
    _, caught = _with_warnings(make)
    assert any(re.search(message, str(w.message)) for w in caught)
    assert {w.filename for w in caught} == {__file__}


def test_meanings_of_what_else_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sides = {"top_pad": 1, "bottom_pad": 2, "right_pad": 4}
        assert L.ZeroPadding2D(sides).padding == L.ZeroPadding2D(padding=sides).padding == ((1, 2), (0, 4))
        assert ReduceLROnPlateau(epsilon=0.5).min_delta == 0.5
        assert L.AtrousConv1D(3, 2, atrous_rate=4).dilation_rate == (4,)
        assert L.AtrousConvolution2D(3, 2, 2, atrous_rate=2).dilation_rate == (2, 2)
        assert InputLayer((3,), input_dtype="int32").dtype == "int32"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.Dense(2, "relu"), TypeError, r"`Dense` can accept only 1 positional.*\('units',\)"),
        (lambda: L.Dense(units=2, output_dim=3), TypeError, "For the `units` argument.*`output_dim`"),
        (lambda: L.LSTM(2, "tanh"), TypeError, "can accept only 1 positional"),
        (lambda: L.Conv2D(2, (3, 3), 2), TypeError, "can accept only 2 positional"),
        (lambda: L.Conv2D(2, 3, 3, 3), TypeError, "at most 3 positional"),
        (lambda: L.Conv3D(2, 3, 3, 3, 3), TypeError, "at most 4 positional"),
        (lambda: L.Conv2D(2, 3, 3, padding="same"), ValueError, "both `kernel_size` and `strides`"),
        (lambda: L.BatchNormalization(1), TypeError, "does not accept positional arguments"),
        (lambda: L.BatchNormalization(mode=3), ValueError, "`mode` of Keras 1 is 0, 1 or 2"),
        (lambda: L.Lambda(abs, None, None), TypeError, "can accept only 2 positional"),
        (lambda: L.Dropout(0.5, None, 3, 4), TypeError, "can accept only 3 positional"),
        (lambda: ReduceLROnPlateau(epsilom=0.5), TypeError, "epsilom"),
        (lambda: Layer().add_weight("w", (2,), "float32"), TypeError, "`add_weight` can accept only 2"),
        (lambda: SGD().get_updates(1, 2, 3, 4), TypeError, "more arguments than expected"),
    ],
)  # fmt: skip
def test_wrong_calls(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_old_calls_of_models_and_weights() -> None:
    x = Input((3,))
    y = Dense(2)(x)
    with pytest.warns(UserWarning, match=r"Update your `Model` call.*inputs=.*outputs="):
        model = Model(input=x, output=y)
    assert model.inputs == [x] and model.outputs == [y]
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="`nb_epoch` argument in `fit` has been renamed `epochs`"):
        history = model.fit(np.zeros((4, 3)), np.zeros((4, 2)), nb_epoch=3, verbose=0)
    assert history.epoch == [0, 1, 2]
    layer = Layer(name="own")
    with pytest.warns(DeprecationWarning, match=r"add_weight\(initializer=\"one\", shape="):
        assert layer.add_weight((2, 3), "w", initializer="one").shape == (2, 3)
    with pytest.warns(DeprecationWarning, match="Update your `add_weight` call"):
        assert layer.add_weight((2,), initializer="one", name="v").name == "own/v:0"
    with pytest.warns(DeprecationWarning, match="Update your `add_weight` call"):
        twos = layer.add_weight((2,), lambda shape, name=None: K.variable(2 * np.ones(shape), name=name), "u")
    assert twos.name == "own/u:0" and K.get_value(twos).tolist() == [2, 2]


def test_updates_in_the_old_order() -> None:
    layer = Dense(2, kernel_initializer="one")
    loss = K.square(layer(Input((3,))))
    params, total = layer.trainable_weights, K.sum(loss)
    old = ((params, {}, total), {}), ((params, {}), {"loss": total})
    for arguments, keywords in (*old, ((total, params), {})):
        updates = RMSprop().get_updates(*arguments, **keywords)
        assert [variable for variable, _ in updates if any(variable is p for p in params)] == params


def test_largest_of_linear_maps() -> None:
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(5, 3)), rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 2))
    expected = (np.einsum("ni,fio->nfo", x, w) + b).max(axis=1)
    with pytest.warns(UserWarning, match="`MaxoutDense` layer is deprecated"):
        layer = L.MaxoutDense(2, input_dim=3, weights=[w, b], W_regularizer="l1")
    model = Sequential([layer])
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5, atol=1e-6)
    with pytest.warns(UserWarning, match="deprecated"):
        again = Sequential.from_config(model.get_config())
    assert again.get_config() == model.get_config() and again.layers[0].W_regularizer.l1 == np.float32(0.01)


@pytest.mark.parametrize("bias", [True, False])
def test_highway(bias: bool) -> None:
    rng = np.random.default_rng(1)
    x, w, carry, b, c = (rng.normal(size=shape) for shape in ((5, 3), (3, 3), (3, 3), (3,), (3,)))
    share = 1 / (1 + np.exp(-(x @ carry + (c if bias else 0))))
    expected = np.tanh(x @ w + (b if bias else 0)) * share + (1 - share) * x
    with pytest.warns(UserWarning, match="`Highway` layer is deprecated"):
        layer = L.Highway(activation="tanh", bias=bias)
    symbol = Input((3,))
    y = layer(symbol)
    layer.set_weights([w, carry, b, c] if bias else [w, carry])
    np.testing.assert_allclose(run(y, [symbol], [x]), expected, rtol=1e-5, atol=1e-6)


def test_dilated_convolutions() -> None:
    rng = np.random.default_rng(2)
    x, kernel = rng.normal(size=(2, 9, 3)), rng.normal(size=(3, 3, 4))
    expected = sum(x[:, 2 * k : 5 + 2 * k] @ kernel[k] for k in range(3))
    with pytest.warns(DeprecationWarning, match="Update your `Conv1D` call"):
        flat = L.AtrousConvolution1D(4, 3, atrous_rate=2, use_bias=False)
    with pytest.warns(DeprecationWarning, match="Update your `Conv2D` call"):
        deep = L.AtrousConvolution2D(4, (3, 1), atrous_rate=(2, 1), use_bias=False)
    for layer, picture, weights in ((flat, x, kernel), (deep, x[:, :, None], kernel[:, None])):
        symbol = Input(picture.shape[1:])
        y = layer(symbol)
        layer.set_weights([weights])
        found = run(y, [symbol], [picture])
        np.testing.assert_allclose(found.reshape(2, 5, 4), expected, rtol=1e-4, atol=1e-5)
