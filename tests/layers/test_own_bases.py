"""Layers of users on the bases that Keras names with an underscore."""

from __future__ import annotations

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import RNN, Input, Layer
from symgraph.layers.pooling import _GlobalPooling2D, _Pooling1D, _Pooling2D, _Pooling3D
from symgraph.layers.recurrent import _generate_dropout_mask, _standardize_args
from symgraph.models import Model, Sequential


class _Least:
    def _pooling_function(self, inputs, pool_size, strides, padding, data_format):
        pool = K.pool2d if len(pool_size) == 2 else K.pool3d
        return -pool(-inputs, pool_size, strides, padding, data_format, pool_mode="max")


@pytest.mark.parametrize(("base", "rank"), [(_Pooling1D, 1), (_Pooling2D, 2), (_Pooling3D, 3)])
def test_pooling_by_a_function_of_their_own(base, rank):
    kind = type("Least", (_Least, base), {})
    x = np.random.default_rng(0).normal(size=(2, *(4,) * rank, 3)).astype("float32")
    least = Sequential([kind(2, input_shape=x.shape[1:])]).predict(x)
    for axis in range(1, rank + 1):
        x = np.minimum(*(x.take(range(start, 4, 2), axis) for start in (0, 1)))
    np.testing.assert_array_equal(least, x)


def test_global_pooling():
    class Power(_GlobalPooling2D):
        def call(self, inputs):
            return K.pow(K.mean(K.pow(inputs, 3), axis=[1, 2]), 1 / 3)

    x = np.random.default_rng(0).random((2, 4, 5, 3)).astype("float32")
    expected = np.mean(x**3, axis=(1, 2)) ** (1 / 3)
    np.testing.assert_allclose(Sequential([Power(input_shape=x.shape[1:])]).predict(x), expected, rtol=1e-5)


class DroppingCell(Layer):
    """A cell as it was written for Keras 2.2: a mask for the whole sequence, made at its first step."""

    def __init__(self, units, dropout, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units
        self.dropout = dropout
        self._dropout_mask = None

    def call(self, inputs, states, training=None):
        if self._dropout_mask is None:
            self._dropout_mask = _generate_dropout_mask(K.ones_like(inputs), self.dropout, training=training)
        output = states[0] + inputs * self._dropout_mask
        output._uses_learning_phase = True
        return output, [output]


def test_cells():
    x = np.ones((6, 4, 50), "float32")
    inputs = Input((4, 50))
    model = Model(inputs, RNN(DroppingCell(50, 0.5))(inputs))
    np.testing.assert_array_equal(model.predict(x), 4)
    trained = K.function([*model.inputs, K.learning_phase()], model.outputs)([x, 1])[0]
    assert 0.35 < np.mean(trained == 0) < 0.65 and trained.max() > 4
    masks = _generate_dropout_mask(K.ones((2, 3)), 0.5, training=True, count=4)
    assert len(masks) == 4 and K.int_shape(masks[0]) == (2, 3)


def test_arguments_of_recurrent_layers():
    x, state, constant = (K.ones((2, 3)) for _ in range(3))
    assert _standardize_args([x, state, constant], None, None, 1) == (x, [state], [constant])
    assert _standardize_args(x, (state,), constant, 1) == (x, [state], [constant])
    assert _standardize_args([x], None, None, None) == (x, None, None)
