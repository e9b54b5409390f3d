"""A table of what users get wrong: the class of error that Keras raises, and what the message has to say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import callbacks, constraints, initializers, layers, optimizers, regularizers
from symgraph.engine import Layer
from symgraph.layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    BatchNormalization,
    Bidirectional,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    Input,
    Lambda,
    Masking,
    Permute,
    RepeatVector,
    Reshape,
    TimeDistributed,
    add,
    dot,
)
from symgraph.models import Model, Sequential, clone_model, load_model, model_from_config, model_from_json

X, Y = np.zeros((4, 3)), np.zeros((4, 2))
XB, YB = np.zeros((4, 4)), np.zeros((4, 1))


class _NoSize(Layer):
    """A cell that does not say what its state is."""

    def call(self, inputs: Any, states: Any) -> Any:
        return inputs, states


class _OneResult(Layer):
    """A cell that keeps its states to itself."""

    state_size = 3

    def call(self, inputs: Any, states: Any) -> Any:
        return inputs + states[0]


class _Own(Model):
    """A model without a graph before its first call."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.top = Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.top(inputs)


def _one(**kwargs: Any) -> Sequential:
    model = Sequential([Dense(2, input_shape=(3,), name="only")], name="small")
    model.compile("sgd", "mse", **kwargs)
    return model


def _compile(*args: Any, **kwargs: Any) -> None:
    Sequential([Dense(2, input_shape=(3,), name="only")]).compile(*args, **kwargs)


def _two(**kwargs: Any) -> Model:
    a, b = Input((3,), name="a"), Input((4,), name="b")
    model = Model([a, b], [Dense(2, name="p")(a), Dense(1, name="q")(b)])
    model.compile("sgd", **{"loss": "mse", **kwargs})
    return model


def _called(layer: Any, *shapes: tuple[int | None, ...], **kwargs: Any) -> Any:
    inputs = [Input(shape) for shape in shapes]
    return layer(inputs if len(inputs) > 1 else inputs[0], **kwargs)


def _stateful(states: Any) -> None:
    layer = GRU(4, stateful=True, name="gru")
    layer(Input(batch_shape=(2, 5, 3)))
    layer.reset_states(states)


def _stateful_fit() -> None:
    model = Sequential([LSTM(2, stateful=True, batch_input_shape=(2, 5, 3))])
    model.compile("sgd", "mse")
    model.fit(np.zeros((5, 5, 3)), np.zeros((5, 2)), batch_size=2)


def _movie_fit(**kwargs: Any) -> None:
    model = Sequential([Dense(2, input_shape=(5, 3))])
    model.compile("sgd", "mse")
    model.fit(np.zeros((4, 5, 3)), np.zeros((4, 5, 2)), **kwargs)


REFUSED: list[tuple[Any, type[Exception], str]] = [
    # -- layers: inputs
    (lambda: _called(GlobalAveragePooling1D(name="mean"), (5, 3), mask=Input((6,))), ValueError,
     r"layer mean: expected a mask of \(samples, time\).*5, 3.*6"),
    (lambda: _called(GlobalAveragePooling1D(name="mean"), (5, 3), mask=Input((5, 3))), ValueError,
     "layer mean.*mask"),
    (lambda: _called(LSTM(2, name="rnn"), (5, 3), mask=Input((6,))), ValueError,
     "layer rnn.*expected a mask"),
    (lambda: Flatten(name="flat")(Masking()(Input((5, 3)))), TypeError,
     "Layer flat does not support masking"),
    (lambda: add([Input((3,)), Input((4,))], name="sum"), ValueError,
     r"layer sum.*with shapes \(3,\) \(4,\)"),
    (lambda: add([Input((3,))], name="sum"), ValueError, "layer sum.*called on a list of inputs"),
    (lambda: _called(Concatenate(), (3,), (3, 4)), ValueError, r"\(None, 3\), \(None, 3, 4\)"),
    (lambda: dot([Input((3,)), Input((4,))], axes=1), ValueError, "Dimension incompatibility 3 != 4"),
    (lambda: _called(Conv2D(2, 9, name="conv"), (6, 6, 2)), ValueError, "layer conv.*9x9.*6x6"),
    (lambda: _called(Dense(2, name="low"), (None,)), ValueError, "layer low: the last dimension"),
    (lambda: Dense(2, name="low")(X), ValueError,
     "Layer low was called with an input that isn't a symbolic tensor"),
    (lambda: _called(Dense(2, name="low"), (3,), (3,)), ValueError,
     "Layer low expects 1 inputs, but it received 2"),
    (lambda: _called(Embedding(5, 2, input_length=4, name="words"), (6,)), ValueError,
     r"layer words.*4.*\(None, 6\)"),
    (lambda: _called(BatchNormalization(axis=5, name="norm"), (3,)), ValueError, "axis 5 of layer norm"),
    (lambda: _called(Reshape((5,), name="turn"), (3,)), ValueError, "layer turn.*3"),
    (lambda: _called(RepeatVector(2, name="more"), (5, 3)), ValueError,
     "layer more: expected ndim=2, found ndim=3"),
    (lambda: _called(TimeDistributed(Dense(2), name="each"), (3,)), ValueError, r"layer each.*\(None, 3\)"),
    (lambda: _called(Dropout(0.5, noise_shape=(1, 2, 3), name="drop"), (3,)), ValueError,
     "layer drop.*2 sizes.*1, 2, 3"),
    (lambda: _called(layers.GlobalMaxPooling2D(name="top"), (5, 3)), ValueError,
     "top: expected ndim=4, found ndim=3"),
    (lambda: _called(layers.ConvLSTM2D(2, 3, name="film"), (6, 6, 2)), ValueError,
     "film: expected ndim=5, found ndim=4"),
    # -- layers: arguments
    (lambda: Dense("ten"), TypeError, "`units` argument must be an integer, got 'ten'"),
    (lambda: layers.Dropout(Input(())), TypeError, "`rate` argument must be a number, got <Tensor"),
    (lambda: Dense(-1), ValueError, "`units` argument must be at least 1, got -1"),
    (lambda: Dense(2, colour=1), TypeError, "Dense: Keyword argument not understood: 'colour'"),
    (lambda: Conv2D(2, (3, 3, 3)), ValueError,
     r"`kernel_size` argument must be a tuple of 2 integers.*3, 3, 3"),
    (lambda: Conv2D(2, 3, padding="half"), ValueError, "`padding` argument must be one of.*half"),
    (lambda: Conv2D(2, 3, data_format="nchw"), ValueError, "`data_format` argument must be one of.*nchw"),
    (lambda: Conv2D(2, 3, activation="rellu"), ValueError,
     "Unknown activation function: rellu; did you mean relu.*with CustomObjectScope.*'rellu'"),
    (lambda: Conv2D(2, 3, kernel_initializer="xavier"), ValueError,
     "Unknown initializer: xavier; one of your own.*CustomObjectScope"),
    (lambda: Conv2D(2, 3, kernel_regularizer="l3"), ValueError, "Unknown regularizer: l3"),
    (lambda: Conv2D(2, 3, kernel_constraint="most"), ValueError, "Unknown constraint: most"),
    (lambda: Activation(3), ValueError, "Could not interpret activation function identifier: 3"),
    (lambda: Lambda(3), TypeError, "must be a function, got 3"),
    (lambda: Permute((0, 1)), ValueError, r"Invalid permutation.*\(0, 1\)"),
    (lambda: layers.UpSampling2D((2, 2, 2)), ValueError, "`size` argument must be a tuple of 2 integers"),
    (lambda: TimeDistributed("dense"), TypeError, "`TimeDistributed` wraps a layer, got 'dense'"),
    (lambda: Bidirectional(3), TypeError, "`Bidirectional` wraps a layer, got 3"),
    (lambda: Bidirectional(Dense(2, name="low")), TypeError, "wraps a recurrent layer, got low: Dense"),
    (lambda: Bidirectional(LSTM(2), merge_mode="avg"), ValueError, "Invalid merge mode.*'avg'"),
    (lambda: Input(3), TypeError, "`shape` must be a tuple of integers.*got 3"),
    (lambda: Input((2,), dtype="floaty"), TypeError, "dtype floaty"),
    # -- cells and states
    (lambda: RNN("lstm"), ValueError, "`cell` should have a `call` method.*lstm"),
    (lambda: RNN(_NoSize()), ValueError, "should have an attribute `state_size`"),
    (lambda: RNN.from_config({"cell": {"class_name": "NoCell", "config": {}}}), ValueError,
     "Unknown layer: NoCell"),
    (lambda: _stateful(np.zeros((3, 4))), ValueError,
     r"layer gru: expected shape=\(2, 4\), found shape=\(3, 4\)"),
    (lambda: _stateful([np.zeros((2, 4))] * 2), ValueError, "Layer gru expects 1 states, but it received 2"),
    (lambda: _called(RNN(_OneResult(), name="film"), (5, 3)), TypeError,
     r"layer film: `call` of the cell _OneResult should return a pair \(output, list of 1 states\), got <Te"),
    (lambda: _called(RNN([layers.GRUCell(3), _OneResult()]), (5, 3)), TypeError,
     r"`call` of the cell _OneResult should return a pair"),
    (lambda: GRU(4).reset_states(), AttributeError, "Layer must be stateful"),
    (lambda: _called(GRU(4, stateful=True, name="gru"), (5, 3)), ValueError,
     "gru.*needs to know its batch size"),
    # -- models
    (lambda: Model(Input((3,)), X), ValueError,
     "Output tensors to a Model must be the output of a Keras `Layer`"),
    (lambda: Sequential([3]), TypeError, "must be an instance of class Layer. Found: 3"),
    (lambda: Sequential().pop(), TypeError, "There are no layers in the model"),
    (lambda: Sequential([Dense(2)]).summary(), ValueError, "has not yet been built"),
    (lambda: _one().get_layer("high"), ValueError, "No such layer: high"),
    (lambda: Dense(2, name="low").output, AttributeError, "Layer low is not connected"),
    (lambda: Dense(2, name="low").get_input_at(0), RuntimeError, "layer low has never been called"),
    (lambda: Dense(2, name="low").count_params(), RuntimeError,
     "`count_params` on low, but the layer isn't built"),
    (lambda: _one().set_weights([X]), ValueError, '"small" with a weight list of length 1.*expecting 2'),
    (lambda: _one().set_weights([X, Y[0]]), ValueError, r"\(3, 2\) not compatible.*\(4, 3\) \(only/kernel:0"),
    (lambda: clone_model(3), ValueError, "clone_model expects.*got 3"),
    (lambda: load_model("/no/such.h5"), OSError, "/no/such.h5"),
    (lambda: _Own(name="late").load_weights("x"), ValueError, "late has no weights yet.*fit, predict"),
    (lambda: Sequential([Dense(2)]).load_weights("x", by_name=True), ValueError, "has no weights yet"),
    (lambda: _one().load_weights("x", skip_mismatch=True), ValueError, "only when by_name is True"),
    (lambda: model_from_json("{"), ValueError, "no JSON"),
    (lambda: model_from_config([]), TypeError, "expects a dictionary, not a list"),
    (lambda: model_from_config({"class_name": "Foo", "config": {}}), ValueError, "Unknown layer: Foo"),
    # -- compile
    (lambda: _compile("fast", "mse"), ValueError, "Unknown optimizer: fast; one of your own"),
    (lambda: _compile("Adamm", "mse"), ValueError, "Unknown optimizer: Adamm; did you mean adam?"),
    (lambda: _compile("sgd", "Hingee"), ValueError, "Unknown loss function: Hingee; did you mean Hinge?"),
    (lambda: _compile(None, "mse"), ValueError, "Could not interpret optimizer identifier: None"),
    (lambda: _compile("sgd", "least"), ValueError, "Unknown loss function: least"),
    (lambda: _compile("sgd", 3), ValueError, "Could not interpret loss function identifier: 3"),
    (lambda: _compile("sgd", "mse", metrics=["f9"]), ValueError, "Unknown metric function: f9"),
    (lambda: _compile("sgd", "mse", metrics="accuracy"), TypeError,
     "`metrics` argument not understood.*accuracy"),
    (lambda: _compile("sgd", "mse", sample_weight_mode="temporal"), ValueError,
     r'"temporal".*"only".*\(None, 2\)'),
    (lambda: _two(loss=["mse"]), ValueError, "The model has 2 outputs, but you passed loss="),
    (lambda: _two(loss={"z": "mse"}), ValueError, "Unknown entry in loss dictionary: \"z\".*'p', 'q'"),
    (lambda: _two(loss_weights=[1.0]), ValueError,
     r"The model has 2 outputs, but you passed loss_weights=\[1.0\]"),
    (lambda: _two(target_tensors=[K.placeholder((None, 2))]), ValueError, "passed target_tensors="),
    (lambda: optimizers.SGD(clipnorm="a"), TypeError, "SGD: `clipnorm` should be a number, got 'a'"),
    (lambda: optimizers.SGD(rate=1), TypeError, "Unexpected keyword argument passed to optimizer: rate"),
    # -- data
    (lambda: Sequential([Dense(2, input_shape=(3,))]).fit(X, Y), RuntimeError, "You must compile a model"),
    (lambda: _two().fit({"a": X}, {"p": Y, "q": YB}), ValueError, 'No data provided for "b".*\'a\', \'b\''),
    (lambda: _two().fit({"a": X, "b": XB, "c": X}, [Y, YB]), ValueError, r"unknown names \['c'\]"),
    (lambda: _two().fit([X, XB], {"p": Y}), ValueError, 'No data provided for "q"'),
    (lambda: _two().fit([X], [Y, YB]), ValueError, r"Expected to see 2 array\(s\)"),
    (lambda: _two().fit([X, XB], [Y, YB], sample_weight=np.ones(4)), TypeError,
     "`sample_weight` should be either a list"),
    (lambda: _one().fit(X, Y, class_weight={7: 1.0}), ValueError, r"The classes \{0\} exist in the data"),
    (lambda: _movie_fit(class_weight={0: 1.0}), ValueError, "`class_weight` not supported for 3"),
    (lambda: _movie_fit(sample_weight=np.ones((4, 5))), ValueError,
     r"shape \(4, 5\).*sample_weight_mode=\"temporal\""),
    (_stateful_fit, ValueError, "divided by the batch size. Found: 5 samples"),
    (lambda: _one().predict(X, batch_size=2, steps=3), ValueError,
     "If steps is set, the `batch_size` must be None"),
    (lambda: _one().predict(None), ValueError, "specify the `steps` argument"),
    # -- what is looked up
    (lambda: initializers.VarianceScaling(mode="fan"), ValueError, "`mode` argument.*'fan'"),
    (lambda: initializers.VarianceScaling(scale=-1), ValueError, "`scale` must be a positive float. Got: -1"),
    (lambda: initializers.Identity()((2, 3, 4)), ValueError, "only be used for 2D matrices"),
    (lambda: regularizers.get(3), ValueError, "Could not interpret regularizer identifier: 3"),
    (lambda: constraints.get(3), ValueError, "Could not interpret constraint identifier: 3"),
    (lambda: callbacks.ReduceLROnPlateau(factor=2.0), ValueError, "factor >= 1.0"),
    (lambda: callbacks.ProgbarLogger("hours"), ValueError, "Unknown `count_mode`: hours"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_errors_are_those_of_keras_and_say_what_is_wrong(
    call: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, OSError) or type(caught.value) is error


def test_what_has_no_gradient_is_refused_in_training_only() -> None:
    model = Sequential([Dense(2, input_shape=(3,), kernel_initializer="zeros")])
    model.compile("sgd", lambda y_true, y_pred: K.mean(K.cast(K.argmax(y_pred), "float32") + y_true[:, 0]))
    assert model.evaluate(X, np.ones((4, 2)), verbose=0) == 1.0
    for train in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match="does not depend on"):
            train(X, Y)
    assert model.predict(X).shape == (4, 2)


def test_numbers_among_losses_count_each_time() -> None:
    shared = Dense(2, activity_regularizer=lambda x: 1.5)
    x = Input((3,))
    model = Model(x, shared(Dense(3)(x)))
    model.add_loss(1.5)
    both = Model(x, add([shared(x), shared(Dense(3)(x))]))
    assert both.losses == [1.5, 1.5] and model.losses == [1.5, 1.5]
