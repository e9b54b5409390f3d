"""Models whose layers change after they were used: functions, names and weights follow."""

import warnings

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import Add, Dense, Dropout, Input
from symgraph.models import Model, Sequential, load_model

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")


@pytest.fixture(autouse=True)
def fresh_names():
    K.clear_session()


def _dense(x, layer):
    kernel, bias = (w.astype("float64") for w in layer.get_weights())
    return x @ kernel + bias


def _used(model):
    """After training, evaluation and prediction."""
    target = np.zeros((len(X), 3))
    model.compile("sgd", "mse", metrics=["mae"])
    model.fit(X, target, verbose=0)
    model.evaluate(X, target, verbose=0)
    model.predict(X)
    return model


def _sequential():
    return _used(Sequential([Dense(6, input_shape=(4,)), Dense(3)]))


def _functional():
    x = Input((4,))
    return _used(Model(x, Dense(3)(Dense(6)(x))))


def _pop(model):
    model.pop() if isinstance(model, Sequential) else model.layers.pop()


CUTS = {
    "pop": _pop,
    "layers.pop": lambda model: model.layers.pop(),
    "del": lambda model: model.layers.__delitem__(-1),
    "remove": lambda model: model.layers.remove(model.layers[-1]),
}


@pytest.mark.parametrize("make", [_sequential, _functional])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_what_is_taken_off_is_gone_for_every_function(make, cut, tmp_path):
    model = make()
    first, last = model.layers[-2:]
    cut(model)
    assert last not in model.layers
    assert model.output_shape == (None, 6)
    assert len(model.get_weights()) == 2
    expected = _dense(X, first)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-4, atol=1e-6)
    loss = model.evaluate(X, np.ones((6, 6)), verbose=0)[0]
    np.testing.assert_allclose(loss, np.mean((expected - 1) ** 2), rtol=1e-4)
    with pytest.raises(ValueError, match=r"to have shape \(6,\)"):
        model.fit(X, np.zeros((6, 3)), verbose=0)
    before = model.get_weights()
    model.fit(X, np.ones((6, 6)), verbose=0)
    assert not np.array_equal(before[0], model.get_weights()[0])
    model.save(str(tmp_path / "model.h5"))
    np.testing.assert_allclose(load_model(str(tmp_path / "model.h5")).predict(X), model.predict(X), rtol=1e-6)


@pytest.mark.parametrize("make", [_sequential, _functional])
def test_a_new_top(make):
    model = make()
    first = model.layers[-2]
    model.layers[-1] = top = Dense(7)
    np.testing.assert_allclose(model.predict(X), _dense(_dense(X, first), top), rtol=1e-4, atol=1e-6)
    model.layers.append(Dense(2))
    assert model.predict(X).shape == (6, 2)
    assert model.train_on_batch(X, np.zeros((6, 2)))[0] > 0


def test_the_recipe_of_old_tutorials():
    """`layers.pop`, new `outputs`, `add`: as Keras 1 had it, whose list of layers was the model's own."""
    model = _sequential()
    model.layers.pop()
    model.outputs = [model.layers[-1].output]
    model.layers[-1].outbound_nodes = []
    model.add(Dense(5))
    assert [layer.units for layer in model.layers] == [6, 5]
    assert model.predict(X).shape == (6, 5)


def test_other_outputs_need_another_compile():
    model = _functional()
    model.outputs = [model.layers[-2].output]
    np.testing.assert_allclose(model.predict(X), _dense(X, model.layers[-2]), rtol=1e-4, atol=1e-6)
    for use in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(RuntimeError, match=r"outputs of model_1 are no longer.*compile"):
            use(X, np.zeros((6, 3)))
    model.compile("sgd", "mse")
    loss = model.evaluate(X, np.zeros((6, 6)), verbose=0)
    np.testing.assert_allclose(loss, np.mean(model.predict(X) ** 2), rtol=1e-5)


def test_branches_and_layers_below_others():
    x = Input((4,))
    left, right = Dense(3, name="left"), Dense(3, name="right")
    model = Model(x, Dense(1, name="top")(Add(name="sum")([left(x), right(x)])))
    model.predict(X)
    with pytest.raises(ValueError, match="model_1: other layers read the output of left"):
        model.layers.remove(left)
    with pytest.raises(ValueError, match="only be put on top"):
        model.layers.insert(1, Dense(3))
    assert [layer.name for layer in model.layers][-2:] == ["sum", "top"]
    model.layers.pop()
    model.layers.pop()
    for found, layer in zip(model.predict(X), (left, right), strict=True):
        np.testing.assert_allclose(found, _dense(X, layer), rtol=1e-4, atol=1e-6)


def test_an_input_layer_leaves_the_list_only():
    """Tutorials do that to call the model on another input."""
    model = _functional()
    expected = model.predict(X)
    model.layers.pop(0)
    x = Input((4,))
    np.testing.assert_allclose(Model(x, model(x)).predict(X), expected, rtol=1e-6)


def test_a_layer_from_the_middle_of_a_sequential_model():
    model = Sequential([Dense(4, input_shape=(4,)), Dense(4), Dense(2)])
    model.predict(X)
    first, _, last = model.layers
    del model.layers[1]
    np.testing.assert_allclose(model.predict(X), _dense(_dense(X, first), last), rtol=1e-4, atol=1e-6)
    wrong = Dense(9)
    with pytest.raises(ValueError, match="dense_3"):
        model.layers[0] = wrong
    assert model.layers == [first, last]
    assert model.predict(X).shape == (6, 2)


def test_models_without_input_shape():
    model = Sequential([Dense(6), Dense(3)])
    model.layers.pop()
    assert model.predict(X).shape == (6, 6)
    model.add(Dense(2))
    assert model.predict(X).shape == (6, 2)
    model.pop()
    model.pop()
    model.add(Dense(5))
    assert model.predict(X[:, :2]).shape == (6, 5)


def test_losses_of_layers_alone_follow():
    """Without targets there is nothing that would tell that the model has changed."""
    model = Sequential([Dense(6, input_shape=(4,), activity_regularizer="l2")])
    model.add(Dense(3, activity_regularizer="l2"))
    model.compile("sgd", loss=None)
    model.fit(X, verbose=0)
    model.pop()
    expected = 0.01 * np.sum(_dense(X, model.layers[0]) ** 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(model.train_on_batch(X, None), expected, rtol=1e-4)


def test_a_deferred_model_keeps_all_that_compile_was_told():
    model = Sequential([Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse", nan_guard=True)
    with pytest.raises(FloatingPointError):
        model.fit(np.full((2, 3), np.inf), np.ones((2, 1)), verbose=0)


# -- the learning phase of a model's functions ---------------------------------------------------------------


def test_functions_may_be_told_the_phase():
    """Keras 2.2.4 passes it last; sums of ones tell whether there was dropout."""
    model = Sequential([Dropout(0.5, input_shape=(4,)), Dense(1, kernel_initializer="ones", trainable=False)])
    model.compile("sgd", "mse")
    x, ins = np.ones((64, 4)), [np.ones((64, 4)), np.full((64, 1), 4.0), np.ones(64)]
    assert model.test_function(ins) == model.test_function([*ins, 0]) == [0.0]
    assert model.test_function([*ins, 1.0])[0] > 0.5
    assert model.train_function([*ins, 0.0])[0] == 0.0
    assert min(model.train_function(ins)[0], model.train_function([*ins, True])[0]) > 0.5
    np.testing.assert_array_equal(model.predict_function([x, 0])[0], np.full((64, 1), 4.0))
    assert set(np.unique(model.predict_function([x, 1])[0])) <= {0.0, 2.0, 4.0, 6.0, 8.0}
    assert len(np.unique(model.predict_function([x, 1])[0])) > 1
    with pytest.raises(ValueError, match="learning phase 0 or 1"):
        model.predict_function([x, 0.5])


def test_training_in_the_phase_one_updates_weights():
    model = Sequential([Dense(1, input_shape=(4,))])
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    model.train_function([X, np.ones((6, 1)), np.ones(6), 1.0])
    assert not np.array_equal(before, model.get_weights()[0])


# -- models that learn their shapes when they are first called -----------------------------------------------


class _Branches(Model):
    def __init__(self):
        super().__init__()
        self.left, self.right = Sequential([Dense(2), Dropout(0.5)]), Dense(2)

    def call(self, inputs):
        return self.left(inputs) + self.right(inputs)


@pytest.mark.parametrize("make", [_Branches, lambda: Sequential([Dense(3), Sequential([Dense(2)])])])
@pytest.mark.parametrize(
    "first",
    [
        lambda model, x: model(x),
        lambda model, x: model.call(x),
        lambda model, x: model(K.variable(X)),
        lambda model, x: model.predict(X),
        lambda model, x: (model.compile("sgd", "mse"), model.train_on_batch(X, np.ones((6, 2)))),
        lambda model, x: (model.compile("sgd", "mse"), model(x), model.fit(X, np.ones((6, 2)), verbose=0)),
    ],
)
def test_whoever_calls_first(make, first):
    model, x = make(), Input((4,))
    first(model, x)
    joined = Model(x, model(x))
    np.testing.assert_allclose(joined.predict(X), model.predict(X), rtol=1e-5)
    weights = [w.astype("f8") for w in model.get_weights()]
    a, b = X @ weights[0] + weights[1], (X if make is _Branches else X @ weights[0] + weights[1])
    second = b @ weights[2] + weights[3]
    np.testing.assert_allclose(
        model.predict(X), a + second if make is _Branches else second, rtol=1e-4, atol=1e-5
    )


def test_ends_that_do_not_belong_together_are_refused():
    x, other = Input((4,)), Input((4,))
    model = Model(x, Dense(2)(x))
    model.inputs, model.outputs = [other], [Dense(3)(other)]
    with pytest.raises(ValueError, match=r"model model_1: .* is not computed from the inputs"):
        model(Input((4,)))
    inner = Sequential([Dense(2, input_shape=(4,))])
    y = inner(x)
    inner.add(Dense(3))
    with pytest.raises(ValueError, match="sequential_1 has other layers now"):
        Model(x, y)
