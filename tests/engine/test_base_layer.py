"""Layers by themselves: names, building, weights, demands on inputs, masks, failures that leave no trace."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.engine import InputSpec, Layer
from symgraph.layers import (
    Activation,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    InputLayer,
    Masking,
    Reshape,
    add,
)
from symgraph.models import Model, Sequential
from tests.layer_checkers import run


class Scale(Layer):
    """A layer as users write them."""

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight("factor", (input_shape[-1],), initializer="ones")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor


class Twin(Layer):
    """Two outputs, and no word on their shapes."""

    def call(self, inputs: Any) -> Any:
        return [inputs[:, :1], inputs + 1]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return [(input_shape[0], 1), input_shape]


@pytest.fixture(autouse=True)
def fresh_names() -> None:
    K.clear_session()


def test_names_count_up_for_each_class() -> None:
    assert [Dense(1).name, Dense(1).name, Conv2D(1, 1).name, Dense(1, name="mine").name] == [
        "dense_1",
        "dense_2",
        "conv2d_1",
        "mine",
    ]
    assert Input((3,)).name == "input_1"


def test_unknown_keyword() -> None:
    with pytest.raises(TypeError, match="Keyword argument not understood: 'input_shpae'"):
        Dense(1, input_shpae=(3,))


def test_weights_are_made_at_the_first_call() -> None:
    layer = Dense(3)
    assert layer.weights == []
    assert not layer.built
    with pytest.raises(RuntimeError, match="isn't built"):
        layer.count_params()
    layer(Input((4,)))
    assert [tuple(w.shape) for w in layer.weights] == [(4, 3), (3,)]
    assert [w.name for w in layer.weights] == ["dense_1/kernel:0", "dense_1/bias:0"]
    assert layer.count_params() == 15


def test_initial_weights() -> None:
    kernel, bias = np.arange(6.0).reshape(2, 3), np.ones(3)
    layer = Dense(3, weights=[kernel, bias])
    layer(Input((2,)))
    np.testing.assert_array_equal(layer.get_weights()[0], kernel)
    with pytest.raises(ValueError, match="weight list of length 1"):
        Dense(3, weights=[kernel])(Input((2,)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (InputSpec(ndim=3), "expected ndim=3, found ndim=2"),
        (InputSpec(min_ndim=3), "expected min_ndim=3, found ndim=2"),
        (InputSpec(max_ndim=1), "expected max_ndim=1, found ndim=2"),
        (InputSpec(dtype="int32"), "expected dtype=int32, found dtype=float32"),
        (
            InputSpec(axes={-1: 7}),
            r"expected axis -1 of input shape to have value 7 but got shape \(None, 5\)",
        ),
        (InputSpec(axes={4: 7}), "expected axis 4 of input shape to have value 7"),
        (InputSpec(shape=(None, 6)), r"expected shape=\(None, 6\), found shape=\(None, 5\)"),
    ],
)
def test_demands_on_inputs_in_the_words_of_keras(spec: InputSpec, message: str) -> None:
    layer = Activation("relu")
    layer.input_spec = spec
    with pytest.raises(ValueError, match="Input 0 is incompatible with layer activation_1: " + message):
        layer(Input((5,)))


def test_dense_of_a_vector() -> None:
    with pytest.raises(
        ValueError,
        match=r"^Input 0 is incompatible with layer dense_1: expected min_ndim=2, found ndim=1 \(\S+\)$",
    ):
        Dense(3)(Input(batch_shape=(None,)))


def test_number_of_inputs() -> None:
    with pytest.raises(ValueError, match="Layer dense_1 expects 1 inputs, but it received 2 input tensors"):
        Dense(3)([Input((3,)), Input((3,))])


def test_input_that_is_no_tensor() -> None:
    with pytest.raises(ValueError, match="was called with an input that isn't a symbolic tensor"):
        Dense(3)(np.ones((2, 3)))


def test_unknown_size_of_features() -> None:
    with pytest.raises(ValueError, match=r"dense_1.*last dimension"):
        Dense(3)(Input((None,)))
    with pytest.raises(ValueError, match=r"conv2d_1.*channel dimension"):
        Conv2D(3, 2)(Input((5, 5, None)))


def test_errors_of_ops_name_the_layer() -> None:
    with pytest.raises(ValueError, match="conv2d_1"):
        Conv2D(3, 9)(Input((4, 4, 1)))
    with pytest.raises(ValueError, match="reshape_1"):
        Reshape((5,))(Input((4,)))
    with pytest.raises(ValueError, match="in layer add_1: Operands could not be broadcast"):
        add([Input((3,)), Input((4,))])


def test_errors_name_the_users_line_once() -> None:
    x = Input((4, 4, 1))
    inner = Sequential([Dense(2, input_shape=(3,))])
    line = inspect.currentframe().f_lineno
    for make, layer in (
        (lambda: Conv2D(3, 9)(x), "conv2d_1"),
        (lambda: Dense(3)([x, x]), "dense_2"),
        (lambda: Sequential([Dense(2, input_shape=(3,)), Conv2D(3, 9)]), "conv2d_2"),
        (lambda: inner(Input((5,))), "dense_1"),
    ):
        line += 1
        with pytest.raises(ValueError, match=layer) as caught:
            make()
        assert str(caught.value).endswith(f"({__file__}:{line + 1})")
        assert str(caught.value).count(layer) == 1
        assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Dense(0), ValueError, "`units` argument must be at least 1"),
        (lambda: Dense("3"), TypeError, "`units` argument must be an integer"),
        (lambda: Dense(3, activation="nope"), ValueError, "nope"),
        (lambda: Conv2D(3, (2, 2, 2)), ValueError, "`kernel_size` argument must be a tuple of 2 integers"),
        (lambda: Conv2D(3, 2, strides=0), ValueError, "`strides`.*at least 1"),
        (lambda: Conv2D(3, 2, padding="full"), ValueError, 'must be one of "valid", "same"'),
        (lambda: Conv2D(3, 2, padding="causal"), ValueError, "causal"),
        (lambda: Dropout("half"), TypeError, "`rate`"),
        (lambda: Input(10), TypeError, "`shape` must be a tuple"),
        (Input, ValueError, "either a `shape` or a `batch_shape`"),
        (lambda: Input((-3,)), ValueError, "negative"),
        (lambda: InputLayer((3,), batch_input_shape=(None, 3)), ValueError, "not both"),
    ],
)
def test_wrong_arguments(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_failed_call_leaves_the_layer_as_it_was() -> None:
    layer, x = Conv2D(3, 5, kernel_regularizer="l2"), Input((3, 3, 2))
    with pytest.raises(ValueError, match="conv2d_1"):
        layer(x)
    assert not layer.built
    assert layer.weights == []
    assert layer.losses == []
    assert x._keras_history[0]._outbound_nodes == []
    assert K.int_shape(layer(Input((9, 9, 1)))) == (None, 5, 5, 3)
    with pytest.raises(ValueError, match="expected axis -1"):
        layer(Input((9, 9, 2)))
    assert len(layer._inbound_nodes) == 1


def test_several_calls() -> None:
    layer = Dense(3)
    with pytest.raises(AttributeError, match="is not connected"):
        _ = layer.output
    with pytest.raises(RuntimeError, match="never been called"):
        layer.get_output_at(0)
    a, b = Input((2, 4)), Input((4,))
    first, second = layer(a), layer(b)
    assert layer.get_output_at(0) is first
    assert layer.get_output_at(1) is second
    assert layer.get_input_at(1) is b
    assert layer.get_output_shape_at(0) == (None, 2, 3)
    assert layer.get_input_mask_at(0) is None
    with pytest.raises(ValueError, match="Asked to get output at node 2"):
        layer.get_output_at(2)
    with pytest.raises(AttributeError, match=r"multiple inbound nodes.*get_output_at"):
        _ = layer.output
    with pytest.raises(AttributeError, match="different output shapes"):
        _ = layer.output_shape


def test_a_layer_of_the_user() -> None:
    layer, x = Scale(input_shape=(3,)), Input((3,))
    y = layer(x)
    assert layer.output_shape == (None, 3)
    assert [w.name for w in layer.weights] == ["scale_1/factor:0"]
    layer.set_weights([np.array([1.0, 2.0, 3.0])])
    np.testing.assert_allclose(run(y, [x], [np.ones((2, 3))]), [[1, 2, 3]] * 2)
    assert layer.get_config() == {
        "name": "scale_1",
        "trainable": True,
        "batch_input_shape": (None, 3),
        "dtype": "float32",
    }


def test_the_graph_knows_shapes_that_a_layer_states_wrongly() -> None:
    class Half(Layer):
        def call(self, inputs: Any) -> Any:
            return inputs[:, ::2]

    y = Half()(Input((6,)))
    assert y._keras_shape == (None, 3)
    assert [tuple(w.shape) for w in _weights_after(y)] == [(3, 2), (2,)]


def _weights_after(y: Any) -> list[Any]:
    layer = Dense(2)
    layer(y)
    return layer.weights


def test_several_outputs() -> None:
    x = Input((3,))
    layer = Twin()
    first, second = layer(x)
    assert layer.output_shape == [(None, 1), (None, 3)]
    assert (first._keras_history[2], second._keras_history[2]) == (0, 1)
    model = Model(x, Dense(2)(second))
    assert [each.name for each in model.layers] == ["input_1", "twin_1", "dense_1"]


def test_a_layer_that_hands_its_input_on_makes_a_tensor_of_its_own() -> None:
    x = Input((3,))
    y = Dropout(0.0)(x)
    assert y is not x
    assert y._keras_history[0].name == "dropout_1"
    assert x._keras_history[0].name == "input_1"


def test_call_has_to_return_tensors() -> None:
    class Broken(Layer):
        def call(self, inputs: Any) -> Any:
            return None

    with pytest.raises(TypeError, match=r"broken_1.*has to return tensors, got NoneType"):
        Broken()(Input((3,)))


def test_masks_are_passed_on_and_refused() -> None:
    x = Input((4, 2))
    masked = Masking()
    y = Dense(3)(masked(x))
    history = y._keras_history
    mask = history[0]._inbound_nodes[0].output_masks[0]
    assert mask is masked.output_mask
    data = np.ones((1, 4, 2))
    data[0, 2] = 0.0
    assert run(mask, [x], [data]).tolist() == [[True, True, False, True]]
    with pytest.raises(TypeError, match="Layer flatten_1 does not support masking"):
        Flatten()(y)


def test_masks_of_merged_inputs() -> None:
    a, b = Input((3, 2)), Input((3, 2))
    x, y = np.ones((1, 3, 2)), np.ones((1, 3, 2))
    x[0, 0] = y[0, 1] = 0.0
    both = add([Masking()(a), Masking()(b)])
    mask = both._keras_history[0].output_mask
    assert run(mask, [a, b], [x, y]).tolist() == [[False, False, True]]
    layer = Concatenate(axis=1)
    layer([Masking()(a), b])
    assert run(layer.output_mask, [a, b], [x, y]).tolist() == [[False, True, True, True, True, True]]


def test_losses_and_updates_belong_to_inputs() -> None:
    layer = Dense(3, kernel_regularizer="l2", activity_regularizer="l1")
    a, b = Input((2,)), Input((2,))
    layer(a), layer(b)
    assert len(layer.losses) == 3
    assert len(layer.get_losses_for(None)) == 1
    assert len(layer.get_losses_for(a)) == 1
    assert layer.get_losses_for([a]) == layer.get_losses_for(a) != layer.get_losses_for(b)


def test_regularization_values() -> None:
    layer, x = Dense(2, kernel_regularizer="l2", activity_regularizer="l1"), Input((3,))
    layer(x)
    kernel, _ = layer.get_weights()
    data = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    (weights_loss,) = layer.get_losses_for(None)
    (activity_loss,) = layer.get_losses_for(x)
    np.testing.assert_allclose(run(weights_loss, [], []), 0.01 * (kernel**2).sum(), rtol=1e-5)
    np.testing.assert_allclose(run(activity_loss, [x], [data]), 0.01 * np.abs(data @ kernel).sum(), rtol=1e-5)


def test_constraints_reach_the_weights() -> None:
    layer = Dense(2, kernel_constraint="non_neg")
    layer(Input((3,)))
    assert layer.kernel.constraint is layer.kernel_constraint
    assert layer.bias is not None
    assert layer.bias.constraint is None


def test_input_from_a_tensor() -> None:
    value = K.variable(np.arange(6.0).reshape(2, 3))
    x = Input(tensor=value)
    assert x._keras_shape == (2, 3)
    layer = x._keras_history[0]
    assert not layer.is_placeholder
    with pytest.raises(ValueError, match="expected an input_tensor of shape"):
        InputLayer(batch_input_shape=(2, 4), input_tensor=value)
