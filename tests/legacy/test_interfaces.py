"""`legacy.interfaces` as layers and optimizers of users wear it."""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import legacy
from symgraph.layers import Dense, Layer, old_layers
from symgraph.legacy import interfaces
from symgraph.legacy import layers as legacy_layers
from symgraph.models import Sequential
from symgraph.optimizers import Optimizer


class Drift(Optimizer):
    """SGD as users write it for Keras 2.2."""

    def __init__(self, lr=0.1, **kwargs):
        super().__init__(**kwargs)
        self.lr = K.variable(lr, name="lr")

    @interfaces.legacy_get_updates_support
    def get_updates(self, loss, params):
        grads = self.get_gradients(loss, params)
        self.updates = [K.update_sub(p, self.lr * g) for p, g in zip(params, grads, strict=True)]
        return self.updates


def test_an_optimizer_of_a_user():
    x, y = np.eye(3, dtype="float32"), np.ones((3, 1), "float32")
    model = Sequential([Dense(1, use_bias=False, input_shape=(3,))])
    model.compile(Drift(0.3), "mse")
    w = model.get_weights()[0]
    model.train_on_batch(x, y)
    np.testing.assert_allclose(model.get_weights()[0], w - 0.3 * 2 * (w - y) / 3, rtol=1e-5)
    weight = K.variable([1.0])
    (update,) = Drift().get_updates([weight], {}, K.sum(K.square(weight)))
    assert K.eval(update) == pytest.approx(0.8)


class Scale(Layer):
    @interfaces.legacy_dense_support
    def __init__(self, units, use_bias=True, **kwargs):
        super().__init__(**kwargs)
        self.units, self.use_bias = units, use_bias


def test_a_layer_of_a_user():
    with pytest.warns(UserWarning, match=r"Update your `Scale` call to the Keras 2 API: `Scale\(.*units=4"):
        layer = Scale(output_dim=4, bias=False)
    assert (layer.units, layer.use_bias) == (4, False)
    with pytest.raises(TypeError, match=r"can accept only 1 positional arguments \('units',\)"):
        Scale(4, False)


def test_an_interface_of_a_user():
    def preprocessor(args, kwargs):
        converted = []
        if "both" in kwargs:
            kwargs["a"] = kwargs["b"] = kwargs.pop("both")
            converted.append(("both", "a"))
        return args, kwargs, converted

    support = interfaces.generate_legacy_interface(
        allowed_positional_args=["a"],
        conversions=[("old_b", "b")],
        preprocessor=preprocessor,
        value_conversions={"order": {"tf": "last", "th": "first"}},
    )

    class Thing:
        @support
        def __init__(self, a, b=0, order="last"):
            self.got = a, b, order

    assert Thing.__init__._original_function.__name__ == "__init__"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Thing(1, b=2, order="th").got == (1, 2, "first")
    with pytest.warns(UserWarning, match=r"Update your `Thing` call to the Keras 2 API: `Thing\(1, b=2\)`"):
        assert Thing(1, old_b=2).got == (1, 2, "last")
    with pytest.warns(UserWarning, match="Update your `Thing` call"):
        assert Thing(both=5).got == (5, 5, "last")
    with pytest.raises(
        TypeError, match="legacy keyword argument `old_b` and the Keras 2 keyword argument `b`"
    ):
        Thing(1, old_b=2, b=3)
    with pytest.raises(TypeError, match="can accept only 1 positional arguments"):
        Thing(1, 2)
    with pytest.raises(TypeError, match="received both the legacy keyword argument `x`"):
        interfaces.raise_duplicate_arg_error("x", "y")


def test_layers_of_keras_1_at_their_old_place():
    for name in ("MaxoutDense", "Highway", "AtrousConvolution1D", "AtrousConvolution2D"):
        assert getattr(legacy_layers, name) is getattr(old_layers, name)
    assert legacy_layers.Layer is Layer
    assert importlib.import_module("symgraph").legacy is legacy
