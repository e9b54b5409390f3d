"""fit_generator, evaluate_generator, predict_generator: the numbers of fit, evaluate, predict."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from symgraph import backend as K
from symgraph.callbacks import Callback, EarlyStopping, LambdaCallback, ModelCheckpoint, TensorBoard
from symgraph.layers import Dense, Input, Lambda, Layer
from symgraph.models import Model, Sequential
from symgraph.optimizers import SGD
from symgraph.utils import Sequence

X = np.random.default_rng(1).normal(size=(22, 3)).astype("float32")
Y = (X.sum(axis=1, keepdims=True) > 0).astype("float32")


class Cut(Sequence):
    """(x, y) in batches of 4; the last one has 2."""

    def __init__(self, *arrays):
        self.arrays = arrays or (X, Y)
        self.passes = 0

    def __len__(self):
        return (len(self.arrays[0]) + 3) // 4

    def __getitem__(self, index):
        return tuple(x[index * 4 : index * 4 + 4] for x in self.arrays)

    def on_epoch_end(self):
        self.passes += 1


def cycle(*arrays):
    data = Cut(*arrays)
    while True:
        yield from data


def made(**kwargs):
    np.random.seed(5)
    model = Sequential([Dense(4, activation="tanh", input_shape=(3,)), Dense(1, activation="sigmoid")])
    model.compile(SGD(lr=0.5), "binary_crossentropy", **{"metrics": ["accuracy"], **kwargs})
    return model


def same(found, wanted):
    return len(found) == len(wanted) and all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.fixture(autouse=True)
def _threads_end():
    yield
    assert [t for t in threading.enumerate() if t.name.startswith("symgraph-data")] == []


# -- the same numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("form", ["sequence", "generator", "fit"])
def test_training_has_the_numbers_of_fit(form, workers):
    wanted, found = made(), made()
    told = wanted.fit(X, Y, 4, 3, 0, shuffle=False, validation_data=(X[:10], Y[:10]))
    data = cycle() if form == "generator" else Cut()
    steps = 6 if form == "generator" else None
    method = found.fit if form == "fit" else found.fit_generator
    history = method(
        data,
        steps_per_epoch=steps,
        epochs=3,
        verbose=0,
        shuffle=False,
        workers=workers,
        validation_data=(X[:10], Y[:10]),
    )
    assert history.history == told.history
    assert sorted(history.history) == ["acc", "loss", "val_acc", "val_loss"]
    assert same(found.get_weights(), wanted.get_weights())
    assert found.history is history
    assert history.epoch == [0, 1, 2]


@pytest.mark.parametrize("form", ["sequence", "generator"])
def test_evaluation_and_prediction_have_the_numbers_of_arrays(form):
    model = made()
    wanted = model.evaluate(X, Y, batch_size=4, verbose=0)
    outputs = model.predict(X, batch_size=4)
    data = Cut() if form == "sequence" else cycle()
    steps = None if form == "sequence" else 6
    assert model.evaluate_generator(data, steps) == wanted
    assert np.array_equal(model.predict_generator(data, steps), outputs)
    # Nothing beyond the last step is taken from a generator.
    assert np.array_equal(model.predict(data, steps=steps), outputs)
    assert model.evaluate(data, steps=steps, verbose=0) == wanted


def test_sample_and_class_weights_count():
    weights = np.linspace(0, 2, len(X)).astype("float32")
    for arrays, weighted in (
        ((X, Y, weights), {"sample_weight": weights}),
        ((X, Y), {"class_weight": {0: 0.5, 1: 3.0}}),
    ):
        wanted, found = made(), made()
        told = wanted.fit(X, Y, 4, 2, 0, shuffle=False, **weighted)
        of_classes = weighted.get("class_weight")
        history = found.fit_generator(
            Cut(*arrays), epochs=2, verbose=0, shuffle=False, class_weight=of_classes
        )
        assert history.history == told.history
        assert same(found.get_weights(), wanted.get_weights())
    assert found.evaluate_generator(Cut(X, Y, weights)) == found.evaluate(X, Y, 4, 0, sample_weight=weights)


def test_inputs_and_targets_by_name_and_in_lists():
    def two_headed():
        np.random.seed(2)
        left, right = Input((3,), name="left"), Input((1,), name="right")
        model = Model([left, right], [Dense(1, name="a")(left), Dense(2, name="b")(right)])
        model.compile(SGD(0.1), "mse")
        return model

    two = np.hstack([Y, -Y])
    wanted, named, listed = two_headed(), two_headed(), two_headed()
    wanted.fit([X, Y], [Y, two], 11, 2, 0, shuffle=False)

    def by_name():
        while True:
            for rows in (slice(11), slice(11, 22)):
                yield {"left": X[rows], "right": Y[rows]}, {"b": two[rows], "a": Y[rows]}

    def lists():
        for x, y in by_name():
            yield [[x["left"], x["right"]], [y["a"], y["b"]]]

    def sparse():
        for x, y in by_name():
            yield {name: csr_matrix(part) for name, part in x.items()}, y

    unpacked = two_headed()
    for model, batches in ((named, by_name()), (listed, lists()), (unpacked, sparse())):
        model.fit_generator(batches, 2, 2, verbose=0)
        assert same(model.get_weights(), wanted.get_weights())
    found = named.predict_generator(by_name(), 2)
    assert same(found, named.predict([X, Y], batch_size=11))


def test_a_list_of_inputs_is_no_pair_of_inputs_and_targets_for_prediction():
    left, right = Input((3,)), Input((1,))
    model = Model([left, right], [Dense(1)(left), Dense(2)(right)])
    found = model.predict_generator(iter([[X[:4], Y[:4]], [X[4:8], Y[4:8]]]), 2)
    assert same(found, model.predict([X[:8], Y[:8]], batch_size=4))


class Numbered(Cut):
    """Batch i is full of i."""

    def __getitem__(self, index):
        return np.full((4, 3), index, "float32"), Y[:4]


def _order(workers, shuffle=True, epochs=3):
    """The numbers of the batches in the order of training: what the identity, tapped, lets through."""
    seen = []
    x = Input((3,))
    model = Model(x, Dense(1, name="out")(Lambda(lambda v: v * 1.0, name="noted")(x)))
    model.compile("sgd", "mse")
    np.random.seed(9)
    model.fit_generator(
        Numbered(),
        epochs=epochs,
        verbose=0,
        shuffle=shuffle,
        workers=workers,
        taps={"noted": lambda name, value, info: seen.append(int(value[0, 0]))},
    )
    return [seen[start : start + 6] for start in range(0, len(seen), 6)]


def test_shuffle_changes_the_order_of_batches_in_each_pass_by_the_seed():
    wanted = _order(0)
    assert all(sorted(order) == list(range(6)) for order in wanted)
    assert len({tuple(order) for order in wanted}) == 3
    assert _order(1) == _order(4) == wanted
    assert _order(1, shuffle=False) == [list(range(6))] * 3


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_each_pass_ends_once_and_no_batch_is_made_in_vain(workers):
    made_batches = []

    class Counted(Cut):
        def __getitem__(self, index):
            made_batches.append((self.passes, index))
            return super().__getitem__(index)

    train, test = Counted(), Cut()
    made().fit_generator(train, epochs=2, verbose=0, validation_data=test, workers=workers)
    assert (train.passes, test.passes) == (2, 2)
    assert sorted(made_batches) == [(p, i) for p in range(2) for i in range(6)]


def test_a_generator_is_read_as_far_as_asked():
    numbers = iter([(X[:4], Y[:4])] * 7)
    made().fit_generator(numbers, 2, 3, verbose=0)
    assert len(list(numbers)) == 1


def test_steps_may_be_fewer_than_batches_or_broken_numbers():
    model, seen = made(), []
    note = LambdaCallback(on_batch_end=lambda batch, logs: seen.append((batch, logs["size"])))
    model.fit_generator(Cut(), 5.5, verbose=0, shuffle=False, callbacks=[note])
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4), (5, 2)]
    assert model.evaluate_generator(Cut(), 2) == model.evaluate(X[:8], Y[:8], 4, 0)


def test_a_model_without_input_shape_is_built_by_the_first_batch():
    def unbuilt():
        model = Sequential([Dense(2), Dense(1)])
        model.compile("sgd", "mse", metrics=["mae"])
        return model

    wanted, found = unbuilt(), unbuilt()
    np.random.seed(5)
    told = wanted.fit(X, Y, 4, 2, 0, shuffle=False)
    np.random.seed(5)
    history = found.fit_generator(cycle(), 6, 2, verbose=0)
    assert history.history == told.history
    assert same(found.get_weights(), wanted.get_weights())
    assert unbuilt().predict_generator(Cut()).shape == (22, 1)


# -- stateful metrics ----------------------------------------------------------------------------------------


class Positives(Layer):
    """Counts the positive targets that were found, since the last `reset_states`."""

    def __init__(self):
        super().__init__(name="positives")
        self.stateful = True
        self.count = K.variable(0.0, name="count")

    def reset_states(self):
        K.set_value(self.count, 0.0)

    def __call__(self, y_true, y_pred):
        now = K.sum(K.cast(K.greater(y_true * y_pred, 0.5), "float32"))
        before = self.count * 1
        self.add_update(K.update_add(self.count, now), inputs=[y_true, y_pred])
        return before + now


def test_stateful_metrics_are_begun_anew_and_not_averaged():
    model = made(metrics=["mse", Positives()])
    found = model.evaluate_generator(Cut())
    assert found == model.evaluate(X, Y, 4, 0)
    positive = (model.predict(X) * Y > 0.5).sum()
    assert found[2] == positive
    assert model.evaluate_generator(Cut())[2] == positive
    history = model.fit_generator(cycle(), 6, 3, verbose=0, validation_data=Cut()).history
    assert history["val_positives"][-1] == (model.predict(X) * Y > 0.5).sum()
    assert max(history["positives"]) <= Y.sum()


# -- callbacks -----------------------------------------------------------------------------------------------


class Noted(Callback):
    def __init__(self):
        super().__init__()
        self.moments = []

    def on_train_begin(self, logs=None):
        self.told = (dict(self.params), self.validation_data)

    def on_epoch_begin(self, epoch, logs=None):
        self.moments.append(f"begin {epoch}")

    def on_epoch_end(self, epoch, logs=None):
        self.moments.append(f"end {epoch} {sorted(logs)}")


def test_what_callbacks_are_told():
    noted = Noted()
    made(metrics=None).fit_generator(
        Cut(), epochs=3, initial_epoch=1, verbose=0, callbacks=[noted], validation_data=Cut()
    )
    params, validation_data = noted.told
    assert params == {
        "epochs": 3,
        "steps": 6,
        "verbose": 0,
        "do_validation": True,
        "metrics": ["loss", "val_loss"],
    }
    assert validation_data is None
    assert noted.moments == [
        "begin 1",
        "end 1 ['loss', 'val_loss']",
        "begin 2",
        "end 2 ['loss', 'val_loss']",
    ]
    made(metrics=None).fit_generator(Cut(), verbose=0, callbacks=[noted], validation_data=(X[:8], Y[:8]))
    x, y, weights = noted.told[1]
    assert np.array_equal(x, X[:8]) and np.array_equal(y, Y[:8]) and np.array_equal(weights, np.ones(8))


def test_the_bar_counts_steps(capsys):
    made().fit_generator(Cut(), epochs=2, verbose=2, validation_data=Cut())
    text = capsys.readouterr().out
    assert "Epoch 2/2" in text and "val_acc" in text
    made().fit_generator(Cut(), verbose=1)
    assert "6/6 [====" in capsys.readouterr().out
    made().evaluate_generator(Cut(), verbose=1)
    assert "6/6 [====" in capsys.readouterr().out


def test_checkpoints_and_early_stops(tmp_path):
    model = made()
    K.set_value(model.optimizer.lr, 0.0)
    path = tmp_path / "best-{epoch}.h5"
    history = model.fit_generator(
        Cut(),
        epochs=9,
        verbose=0,
        validation_data=Cut(),
        callbacks=[EarlyStopping(patience=1), ModelCheckpoint(str(path), save_best_only=True)],
    )
    assert history.epoch == [0, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["best-1.h5"]


def test_histograms_need_arrays(tmp_path):
    board = TensorBoard(str(tmp_path), histogram_freq=1)
    with pytest.raises(ValueError, match="cannot be a generator"):
        made().fit_generator(Cut(), verbose=0, callbacks=[board], validation_data=Cut())


def test_a_profile_has_all_steps():
    model = made()
    history = model.fit_generator(Cut(), epochs=2, verbose=0, profile=True)
    assert history.profile is model.profile
    assert "dense" in str(history.profile)


# -- refusals and ends ---------------------------------------------------------------------------------------


def test_a_generator_that_ends_too_early_ends_the_training():
    model = made()
    with pytest.warns(UserWarning, match=r"ran out of data.*steps_per_epoch \* epochs.*12 batches"):
        history = model.fit_generator(iter([(X[:4], Y[:4])] * 8), 4, 3, verbose=0, validation_data=Cut())
    assert history.epoch == [0, 1]
    assert len(history.history["val_loss"]) == 2
    with pytest.warns(UserWarning, match="ran out of data"):
        history = model.fit_generator(iter([(X[:4], Y[:4])] * 5), 4, 3, verbose=0, validation_data=Cut())
    # The second epoch is not whole: it has no validation.
    assert history.epoch == [0, 1]
    assert len(history.history["val_loss"]) == 1
    with pytest.warns(UserWarning, match=r"least `steps` batches \(in this case, 3 batches\)"):
        found = model.evaluate_generator(iter([(X[:4], Y[:4])]), 3)
    assert found == model.evaluate(X[:4], Y[:4], 4, 0)


@pytest.mark.parametrize("method", ["fit_generator", "evaluate_generator", "predict_generator"])
def test_what_gives_no_batches_is_refused(method):
    call = getattr(made(), method)
    with pytest.raises(ValueError, match="no batches"):
        call(iter([]), 3)
    with pytest.raises(ValueError, match="is only valid for a generator based on"):
        call(cycle())
    with pytest.raises(TypeError, match="got function; call the function"):
        call(cycle, 3)
    with pytest.raises(TypeError, match="got ndarray"):
        call(X, 3)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        call(cycle(), 0)
    with pytest.raises(TypeError, match="`workers` should be an int"):
        call(Cut(), workers=1.5)


@pytest.mark.parametrize("batch", [X, (X,), (X, Y, Y[:, 0], 1), 7])
def test_batches_that_are_no_tuple_of_two_or_three_are_refused(batch):
    model = made()
    words = r"Output of generator should be a tuple `\(x, y, sample_weight\)` or `\(x, y\)`. Found: "
    for call in (model.fit_generator, model.evaluate_generator):
        with pytest.raises(ValueError, match=words):
            call(iter([batch]), 1)


def test_a_batch_that_does_not_suit_leaves_the_weights_of_the_last_good_one():
    wanted, found = made(), made()
    wanted.train_on_batch(X[:4], Y[:4])
    with pytest.raises(ValueError, match=r"expected dense_.*_input to have shape"):
        found.fit_generator(iter([(X[:4], Y[:4]), (X[:4, :2], Y[:4])]), 2, verbose=0)
    assert same(found.get_weights(), wanted.get_weights())


def test_what_only_arrays_need_is_refused_beside_batches():
    model = made()
    for name, value in {"y": Y, "sample_weight": Y[:, 0], "batch_size": 4, "validation_split": 0.5}.items():
        with pytest.raises(ValueError, match=f"`{name}` cannot be given where `x` is a generator"):
            model.fit(Cut(), verbose=0, **{name: value})
    with pytest.raises(ValueError, match="`y` cannot be given"):
        model.evaluate(Cut(), Y)
    with pytest.raises(ValueError, match="`batch_size` cannot be given"):
        model.predict(Cut(), 4)


def test_validation_data_of_other_forms_are_refused():
    with pytest.raises(ValueError, match=r"`validation_data` should be a tuple .* Found: \(array of shape"):
        made().fit_generator(Cut(), verbose=0, validation_data=(X,))
    with pytest.raises(ValueError, match="`validation_steps=None` is only valid"):
        made().fit_generator(Cut(), verbose=0, validation_data=cycle())


def test_a_model_that_was_not_compiled_predicts_only():
    model = Sequential([Dense(1, input_shape=(3,))])
    assert model.predict_generator(Cut()).shape == (22, 1)
    for method in (model.fit_generator, model.evaluate_generator):
        with pytest.raises(RuntimeError, match="You must compile a model before"):
            method(Cut())


def test_the_arguments_of_keras_1():
    model = made()
    with pytest.warns(UserWarning, match="Update your `fit_generator` call to the Keras 2 API"):
        history = model.fit_generator(
            cycle(), samples_per_epoch=8, nb_epoch=2, verbose=0, nb_worker=1, max_q_size=2, pickle_safe=False,
            validation_data=cycle(), nb_val_samples=8,
        )  # fmt: skip
    assert history.epoch == [0, 1]
    assert history.params["samples"] == 8
    with pytest.warns(DeprecationWarning, match="is called `epochs` since"):
        assert history.params["nb_epoch"] == history.params.get("epochs") == 2
    with pytest.warns(UserWarning, match="Update your `evaluate_generator` call"):
        # Two batches of 4 have the 6 samples.
        assert model.evaluate_generator(cycle(), val_samples=6) == model.evaluate(X[:8], Y[:8], 4, 0)
    with pytest.raises(TypeError, match="can accept only 3 positional arguments"):
        model.fit_generator(Cut(), 6, 1, 0)


def test_errors_of_the_user_come_through():
    def broken():
        yield X[:4], Y[:4]
        raise LookupError("picture.png is broken")

    for workers in (0, 1, 3):
        with pytest.raises(LookupError, match=r"picture\.png is broken") as caught:
            made().fit_generator(broken(), 5, verbose=0, workers=workers)
        assert any(entry.name == "broken" for entry in caught.traceback)


def test_a_step_holds_no_lock_of_the_interpreter():
    # Where a step holds it, no other thread gets on while steps run one after another.
    big = np.random.default_rng(0).normal(size=(512, 512)).astype("float32")
    model = Sequential([Dense(512, activation="tanh", input_shape=(512,)) for _ in range(4)])
    model.compile("sgd", "mse")
    model.train_on_batch(big, big)
    counts, running = [0], [True]

    def count():
        while running[0]:
            counts[0] += 1
            time.sleep(0.0005)

    other = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    # Nobody who computes in Python gives way.
    sys.setswitchinterval(1000)
    try:
        other.start()
        before = counts[0]
        for _ in range(20):
            model.train_function([big, big, np.ones(512, "float32")])
        after = counts[0]
    finally:
        sys.setswitchinterval(interval)
        running[0] = False
        other.join()
    assert after - before >= 10
