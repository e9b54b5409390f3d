"""Training, evaluation and prediction on tensors of the graph: in steps, as Keras 2.2.4 does.

Histories and weights were recorded from Keras 2.2.4 on TensorFlow 1.14, with the data and models below.
"""

from __future__ import annotations

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import Concatenate, Dense, Dropout, Input
from symgraph.models import Model, Sequential

RNG = np.random.RandomState(0)
X, Y = (RNG.rand(6, size).astype("float32") for size in (3, 2))
W = RNG.rand(3, 2).astype("float32")


def model_of(x=None, targets=None, metrics=("mae",)):
    inputs = Input((3,)) if x is None else Input(tensor=x)
    model = Model(inputs, Dense(2, use_bias=False, name="out")(inputs))
    model.compile("sgd", "mse", metrics=list(metrics), target_tensors=targets)
    model.set_weights([W])
    return model


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=2e-6)


class Ones(Model):
    def __init__(self):
        super().__init__()
        self.dense = Dense(2, use_bias=False, kernel_initializer="ones")

    def call(self, inputs):
        return self.dense(inputs)


def ones():
    return Sequential([Dense(2, use_bias=False, kernel_initializer="ones")])


def test_all_data_in_the_graph():
    model = model_of(K.variable(X), K.variable(Y))
    history = model.fit(epochs=2, steps_per_epoch=3, verbose=0)
    close(history.history["loss"], [0.154062, 0.150069])
    close(history.history["mean_absolute_error"], [0.347886, 0.342576])
    assert history.params["samples"] is None and history.params["steps"] == 3
    close(model.get_weights()[0], [[0.265841, 0.766121], [0.453493, 0.555319], [0.025576, 0.604055]])
    # Keras 2.2.4 fails where validation data are left out, though `validation_steps` are given.
    history = model.fit(
        None, None, steps_per_epoch=3, validation_data=(None, None), validation_steps=1, verbose=0
    )
    close([history.history["loss"][0], history.history["val_loss"][0]], [0.146289, 0.143875])
    assert set(model.fit(steps_per_epoch=1, validation_steps=2, verbose=0).history) > {"val_loss"}
    with pytest.raises(
        ValueError, match="If fitting from data tensors, you should specify the `steps_per_epoch`"
    ):
        model.fit(epochs=2, verbose=0)
    with pytest.raises(ValueError, match="If evaluating from data tensors, you should specify the `steps`"):
        model.evaluate(verbose=0)
    with pytest.raises(ValueError, match="If predicting from data tensors, you should specify the `steps`"):
        model.predict(None)
    with pytest.raises(ValueError, match="If steps_per_epoch is set, the `batch_size` must be None"):
        model.fit(steps_per_epoch=2, batch_size=4, verbose=0)
    for ask in (model.evaluate, model.predict):
        with pytest.raises(ValueError, match="If steps is set, the `batch_size` must be None"):
            ask(None, steps=2, batch_size=2)
    with pytest.raises(ValueError, match="you cannot use `validation_split`"):
        model.fit(steps_per_epoch=2, validation_split=0.5, verbose=0)


def test_single_batches_of_the_graph():
    model = model_of(K.variable(X), K.variable(Y))
    close(model.train_on_batch(None, None), [0.155434, 0.349685])
    close(model.test_on_batch([], []), [0.154054, 0.347881])
    close(model.predict_on_batch(None), X @ model.get_weights()[0])
    assert model.predict(None, steps=2).shape == (12, 2)


@pytest.mark.parametrize("in_graph", ["inputs", "targets"])
def test_one_side_in_the_graph(in_graph):
    given = {"x": K.variable(X)} if in_graph == "inputs" else {"targets": K.variable(Y)}
    data = (None, Y) if in_graph == "inputs" else (X, None)
    model = model_of(**given)
    history = model.fit(*data, epochs=2, batch_size=6, shuffle=False, verbose=0)
    close(history.history["loss"], [0.155434, 0.154054])
    close(model.fit(*data, epochs=2, steps_per_epoch=2, verbose=0).history["loss"], [0.152033, 0.149419])
    for steps in (None, 2):
        close(model.evaluate(*data, steps=steps, verbose=0), [0.147519, 0.339113])


def test_tensors_in_the_place_of_arrays():
    model, x, y = model_of(), K.variable(X), K.variable(Y)
    close(model.fit(x, y, steps_per_epoch=2, verbose=0).history["loss"], [0.154744])
    close(model.evaluate(x, y, steps=2, verbose=0), [0.152698, 0.346094])
    close(model.predict(x, steps=2), np.tile(X @ model.get_weights()[0], (2, 1)))
    close(model.fit(X, y, steps_per_epoch=2, verbose=0).history["loss"], [0.152033])
    close(model.train_on_batch(x, y), [0.150061, 0.342570])
    close(model.train_on_batch(X, Y), [0.148778, 0.340833])
    history = model.fit([x], [y], steps_per_epoch=1, validation_data=(x, y), validation_steps=2, verbose=0)
    close(history.history["val_loss"], model.evaluate(X, Y, verbose=0)[0])
    compiled = len(model.train_function.compilations)
    model.fit(x, y, steps_per_epoch=3, epochs=2, verbose=0)
    assert len(model.train_function.compilations) == compiled


def test_what_is_drawn_anew_at_each_step():
    x = K.random_uniform((50, 3), seed=1)
    model = model_of(metrics=())
    history = model.fit(
        x, K.sum(x, axis=1, keepdims=True) * K.ones((1, 2)), steps_per_epoch=150, epochs=2, verbose=0
    )
    assert history.history["loss"][1] < 0.3 * history.history["loss"][0]
    first, second = np.split(model.predict(x, steps=2), 2)
    assert not np.allclose(first, second)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: (K.placeholder((None, 3)), K.variable(Y)), r"static batch size.*: \(None, 3\)"),
        (lambda: (K.variable(X[:, :2]), K.variable(Y)), r"to have shape \(3,\) but got .* \(2,\)"),
        (lambda: (K.variable(X), K.variable(Y[:, :1])), r"expected out to have shape \(2,\)"),
        (lambda: (K.variable(X), K.variable(Y[:4])), "Found 6 input samples and 4 target samples"),
        (lambda: (K.variable(X), K.variable(np.stack([Y, Y], -1))), "expected out to have 2 dimensions"),
    ],
)  # fmt: skip
def test_tensors_that_do_not_suit(data, message):
    model = model_of()
    with pytest.raises(ValueError, match=message):
        model.fit(*data(), steps_per_epoch=1, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], W)


def test_what_tensors_cannot_do():
    model, x, y = model_of(), K.variable(X), K.variable(Y)
    for ask, name in ((model.fit, "steps_per_epoch"), (model.evaluate, "steps")):
        with pytest.raises(
            ValueError, match=f"in the form of symbolic tensors, you should specify the `{name}`"
        ):
            ask(x, y, verbose=0)
    with pytest.raises(ValueError, match="in the form of symbolic tensors, you should specify the `steps`"):
        model.predict(x)
    with pytest.raises(ValueError, match="you cannot use `validation_split`"):
        model.fit(x, y, steps_per_epoch=1, validation_split=0.5, verbose=0)
    with pytest.raises(ValueError, match="`class_weight` needs the labels before"):
        model.fit(x, y, steps_per_epoch=1, class_weight={0: 1.0, 1: 2.0}, verbose=0)
    weights = np.array([1.0, 0, 0, 0, 0, 0])
    alone = model_of()
    assert model.train_on_batch(x, y, sample_weight=weights)[0] == pytest.approx(
        alone.train_on_batch(X[:1], Y[:1])[0], rel=1e-5
    )


@pytest.mark.parametrize("make", [Ones, ones])
def test_models_without_a_shape_are_built_for_tensors(make):
    model, x, y = make(), K.variable(X), K.variable(Y)
    model.compile("sgd", "mse")
    close(model.fit(x, y, epochs=2, steps_per_epoch=2, verbose=0).history["loss"], [1.270411, 1.222306])
    close(model.fit(x, y, epochs=2, steps_per_epoch=2, verbose=0).history["loss"], [1.176101, 1.131721])
    # The first tensors are the data of the model from then on.
    close(model.fit(epochs=2, steps_per_epoch=2, verbose=0).history["loss"], [1.089094, 1.04815])
    close(model.evaluate(steps=2, verbose=0), 1.018457)
    close(model.predict(None, steps=1), X @ model.get_weights()[0])
    # Keras goes on with the first ones in silence where others are given.
    close(model.predict(K.variable(2 * X), steps=1), 2 * X @ model.get_weights()[0])
    close(model.evaluate(X, Y, verbose=0), 1.018457)


def test_inputs_of_both_kinds_and_targets_of_both_kinds():
    a, b = Input(tensor=K.variable(X), name="in_graph"), Input(batch_shape=(6, 3), name="fed")
    output = Dense(2, use_bias=False, kernel_initializer="ones")(Concatenate()([a, b]))
    model = Model([a, b], output)
    model.compile("sgd", "mse")
    for data, losses in (
        (X, [7.963468, 7.648429]),
        ([X], [7.345922, 7.055447]),
        ({"fed": X}, [6.776526, 6.508699]),
    ):
        close(model.fit(data, Y, epochs=2, batch_size=6, shuffle=False, verbose=0).history["loss"], losses)
    assert model.predict(X).shape == (6, 2)


def two_outputs(*in_graph):
    x = Input((3,))
    outputs = [Dense(2, use_bias=False, kernel_initializer="ones", name=name)(x) for name in ("o1", "o2")]
    model = Model(x, outputs)
    model.compile("sgd", "mse", target_tensors={name: K.variable(Y) for name in in_graph})
    return model


# Weights of the six samples, and the loss of an output with and without them.
WEIGHTS = np.array([0, 1, 2, 3, 0, 0.5])
WITH, WITHOUT = 2.940005, 1.282681


@pytest.mark.parametrize(
    "weights", [{"o2": WEIGHTS}, [WEIGHTS], [None, WEIGHTS], WEIGHTS, {"o2": WEIGHTS, "o1": None}]
)
def test_sample_weights_of_the_output_that_is_fed(weights):
    found = two_outputs("o1").train_on_batch(X, Y, sample_weight=weights)
    close(found, [WITH + WITHOUT, WITHOUT, WITH])


@pytest.mark.parametrize("weights", [{"o1": WEIGHTS}, {"o1": WEIGHTS, "o2": WEIGHTS}, [WEIGHTS, WEIGHTS]])
def test_sample_weights_may_be_keyed_as_target_tensors_are(weights):
    """Keras leaves out those of outputs whose targets are in the graph, and says nothing of it."""
    weighted = isinstance(weights, list) or "o2" in weights
    with pytest.warns(
        UserWarning, match="`sample_weight` has no effect on o1: only outputs whose targets"
    ) as seen:
        found = two_outputs("o1").train_on_batch(X, Y, sample_weight=weights)
    assert seen[0].filename == __file__
    close(found, [WITHOUT + (WITH if weighted else WITHOUT), WITHOUT, WITH if weighted else WITHOUT])


@pytest.mark.parametrize("weights", [{"o1": WEIGHTS}, [WEIGHTS, WEIGHTS], WEIGHTS])
@pytest.mark.parametrize("y", [None, []])
def test_sample_weights_where_no_output_is_fed(weights, y):
    with pytest.warns(UserWarning, match="`sample_weight` has no effect on o1"):
        found = two_outputs("o1", "o2").train_on_batch(X, y, sample_weight=weights)
    close(found, [2 * WITHOUT, WITHOUT, WITHOUT])


def test_weights_of_unknown_outputs_are_refused():
    for weights in ({"zz": WEIGHTS}, {"zz": WEIGHTS, "o2": WEIGHTS}):
        with pytest.raises(ValueError, match="zz"):
            two_outputs("o1").train_on_batch(X, Y, sample_weight=weights)


def test_what_is_returned_are_numbers_of_numpy_as_in_keras():
    model = model_of()
    assert {type(v) for v in model.evaluate(X, Y, verbose=0)} == {np.float64}
    assert {type(v) for v in model.train_on_batch(X, Y)} == {np.float32}
    history = model.fit(X, Y, validation_data=(X, Y), verbose=0).history
    assert {type(values[0]) for values in history.values()} == {np.float64}


def test_dropout_trains_and_predicts_in_its_own_phase():
    x = Input(tensor=K.constant(np.ones((400, 4))))
    model = Model(x, Dropout(0.5)(x))
    np.testing.assert_array_equal(model.predict(None, steps=1), 1)
    assert set(np.unique(K.function([K.learning_phase()], model.outputs)([1])[0])) == {0.0, 2.0}
