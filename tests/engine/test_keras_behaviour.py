"""Behaviour of models that scripts for Keras 2.2.4 count on, beyond names and parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import RNN, Bidirectional, Concatenate, Dense, Input, LSTMCell, SimpleRNN
from symgraph.models import Model, Sequential, load_model
from symgraph.utils import CustomObjectScope
from symgraph.utils.conv_utils import conv_input_length, conv_output_length

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3)).astype("float32")


def test_inputs_that_no_output_needs_come_back(tmp_path: Path) -> None:
    used, unused = Input((3,)), Input((5,), name="unused")
    model = Model([used, unused], Dense(2)(used))
    model.save(tmp_path / "model.h5")
    for again in (Model.from_config(model.get_config()), load_model(tmp_path / "model.h5", compile=False)):
        assert again.input_names == model.input_names
        again.set_weights(model.get_weights())
        data = [X, np.zeros((6, 5))]
        np.testing.assert_array_equal(again.predict(data), model.predict(data))


class _Scaled:
    """A loss, and a metric, with a configuration."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.__name__ = "scaled"

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        return self.factor * K.mean(K.square(y_true - y_pred), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor}


@pytest.mark.parametrize("where", ["argument", "scope"])
def test_losses_of_own_classes_come_back(tmp_path: Path, where: str) -> None:
    model = Sequential([Dense(1, input_shape=(3,), name="only")])
    model.compile("sgd", {"only": _Scaled(3.0)}, metrics=[_Scaled(2.0)])
    y = RNG.normal(size=(6, 1))
    model.save(tmp_path / "model.h5")
    objects = {"_Scaled": _Scaled}
    if where == "argument":
        again = load_model(tmp_path / "model.h5", objects)
    else:
        with CustomObjectScope(objects):
            again = load_model(tmp_path / "model.h5")
    squares = np.mean((model.predict(X) - y) ** 2)
    np.testing.assert_allclose(again.evaluate(X, y, verbose=0), [3 * squares, 2 * squares], rtol=1e-5)
    with pytest.raises(ValueError, match="_Scaled"):
        load_model(tmp_path / "model.h5")


def test_losses_and_updates_for_inputs_of_layers_inside() -> None:
    x = Input((4, 3))
    cells = [LSTMCell(2), LSTMCell(2)]
    layer = RNN(cells)
    layer.build((None, 4, 3))
    loss = K.sum(x)
    cells[1].add_loss(loss, inputs=x)
    assert layer.get_losses_for(x) == [loss]
    assert layer.get_losses_for(Input((4, 3))) == []
    both = Bidirectional(SimpleRNN(2))
    variable = K.variable(0.0)
    both.forward_layer.add_update([(variable, loss)], inputs=x)
    both.backward_layer.add_update([(variable, loss)], inputs=x)
    assert len(both.get_updates_for(x)) == 2 and both.get_updates_for(None) == []


def test_masks_with_values_are_joined_without_inputs() -> None:
    masks = RNG.integers(0, 2, (2, 2, 4, 5)).astype(bool)
    found = Concatenate(axis=1).compute_mask([Input((4, 5)), Input((4, 5))], [K.constant(m) for m in masks])
    np.testing.assert_array_equal(K.eval(found), np.concatenate(list(masks), axis=1).all(axis=-1))


def test_unknown_paddings_are_an_assertion_as_in_keras() -> None:
    for length in (conv_output_length, conv_input_length):
        with pytest.raises(AssertionError, match="'diagonal'"):
            length(9, 3, "diagonal", 1)
