"""Callbacks: when they are called, with what, and what they do."""

import csv
import json

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import callbacks
from symgraph.callbacks import Callback, CallbackList
from symgraph.layers import Dense
from symgraph.models import Sequential, load_model
from symgraph.optimizers import SGD

X = np.random.default_rng(0).normal(size=(10, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(10, 1)).astype("float32")


def _model(**kwargs):
    model = Sequential([Dense(1, input_shape=(3,), name="only")])
    model.compile(SGD(lr=0.1), "mse", metrics=["mae"], **kwargs)
    return model


def _fit(model, callback, epochs=1, **kwargs):
    return model.fit(X, Y, batch_size=4, epochs=epochs, verbose=0, callbacks=[callback], **kwargs)


class _Model:
    """Stands for a model where only its attributes matter."""

    def __init__(self):
        self.stop_training = False
        self.weights = 0
        self.saved = []
        self.optimizer = SGD(lr=0.8)

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path, overwrite):
        self.saved.append(path)

    def save_weights(self, path, overwrite):
        self.saved.append("weights " + path)


def _epochs(callback, values, name="val_loss", model=None):
    """Run `callback` through epochs that report `values`; their number until it stopped training."""
    model = model or _Model()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        model.weights = epoch
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {name: value})
        if model.stop_training:
            break
    callback.on_train_end()
    return epoch + 1


# -- order and contents --------------------------------------------------------------------------------------


class _Recorder(Callback):
    def __init__(self):
        super().__init__()
        self.calls = []

    def _record(self, name, index=None, logs=None):
        self.calls.append((name, index, sorted(logs)))

    def on_train_begin(self, logs=None):
        self._record("train_begin", None, logs)

    def on_train_end(self, logs=None):
        self._record("train_end", None, logs)

    def on_epoch_begin(self, epoch, logs=None):
        self._record("epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._record("epoch_end", epoch, logs)

    def on_batch_begin(self, batch, logs=None):
        self._record("batch_begin", batch, logs)

    def on_batch_end(self, batch, logs=None):
        self._record("batch_end", batch, logs)


def test_order_and_logs_of_a_training():
    recorder = _Recorder()
    model = _model()
    _fit(model, recorder, epochs=2, validation_data=(X[:3], Y[:3]))
    metrics = ["loss", "mean_absolute_error"]
    ends = sorted(metrics + [f"val_{name}" for name in metrics])
    epoch = [
        call
        for batch in range(3)
        for call in (
            ("batch_begin", batch, ["batch", "size"]),
            ("batch_end", batch, sorted(["batch", "size", *metrics])),
        )
    ]
    expected = [("train_begin", None, [])]
    for number in range(2):
        expected += [("epoch_begin", number, []), *epoch, ("epoch_end", number, ends)]
    assert recorder.calls == [*expected, ("train_end", None, [])]
    assert recorder.model is model
    assert [array.shape for array in recorder.validation_data] == [(3, 3), (3, 1), (3,)]
    assert recorder.params == {
        "batch_size": 4,
        "epochs": 2,
        "steps": None,
        "samples": 10,
        "verbose": 0,
        "do_validation": True,
        "metrics": ["loss", "mean_absolute_error", "val_loss", "val_mean_absolute_error"],
    }


def test_training_stops_after_the_batch_that_says_so():
    seen = []

    def stop(batch, logs):
        seen.append((batch, logs["size"]))
        model.stop_training = batch == 1

    model = _model()
    history = _fit(model, callbacks.LambdaCallback(on_batch_end=stop), epochs=3, validation_data=(X, Y))
    assert seen == [(0, 4), (1, 4)]
    assert history.epoch == [0]
    # An epoch that was broken off is not validated.
    assert "val_loss" not in history.history


def test_history_has_plain_numbers():
    history = _fit(_model(), Callback(), epochs=2, validation_split=0.3)
    assert history.epoch == [0, 1]
    assert json.loads(json.dumps(history.history)) == history.history
    assert [len(values) for values in history.history.values()] == [2] * 4


def test_base_logger_weighs_batches_by_size():
    logger = callbacks.BaseLogger(stateful_metrics=["count"])
    logger.set_params({"metrics": ["loss", "count", "val_loss"]})
    logger.on_epoch_begin(0)
    logger.on_batch_end(0, {"batch": 0, "size": 3, "loss": 1.0, "count": 5})
    logger.on_batch_end(1, {"batch": 1, "size": 1, "loss": 5.0, "count": 9})
    logs = {"val_loss": 0.0}
    logger.on_epoch_end(0, logs)
    assert logs == {"val_loss": 0.0, "loss": 2.0, "count": 9}


def test_slow_callbacks_are_reported(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    def sleep(batch, logs):
        clock[0] += 1.0

    chain = CallbackList([callbacks.LambdaCallback(on_batch_end=sleep)])
    chain.on_epoch_begin(0)
    with pytest.warns(UserWarning, match=r"on_batch_end\(\) is slow compared to the batch update \(1.0"):
        for batch in range(3):
            chain.on_batch_begin(batch)
            clock[0] += 0.01
            chain.on_batch_end(batch)


def test_lambda_callback_calls_what_it_was_given():
    seen = []
    hooks = {
        name: lambda *arguments, name=name: seen.append((name, len(arguments)))
        for name in ("on_train_begin", "on_epoch_begin", "on_batch_begin", "on_batch_end", "on_epoch_end")
    }
    callback = callbacks.LambdaCallback(**hooks, extra=3)
    assert callback.extra == 3
    model = _model()
    model.fit(X[:2], Y[:2], verbose=0, callbacks=[callback])
    assert seen == [
        ("on_train_begin", 1),
        ("on_epoch_begin", 2),
        ("on_batch_begin", 2),
        ("on_batch_end", 2),
        ("on_epoch_end", 2),
    ]


def test_progbar_counts_steps():
    with pytest.raises(ValueError, match="count_mode"):
        callbacks.ProgbarLogger("hours")
    bar = callbacks.ProgbarLogger("steps")
    bar.set_params({"verbose": 0, "epochs": 1, "steps": 2, "samples": None, "metrics": ["loss"]})
    bar.on_train_begin()
    bar.on_epoch_begin(0)
    bar.on_batch_begin(0)
    bar.on_batch_end(0, {"size": 1, "loss": 1.0})
    assert (bar.target, bar.seen, bar.log_values) == (2, 1, [("loss", 1.0)])


def test_nan_ends_training(capsys):
    model = _model()
    x = X.copy()
    x[5] = np.nan
    history = model.fit(
        x, Y, batch_size=4, shuffle=False, epochs=2, verbose=0, callbacks=[callbacks.TerminateOnNaN()]
    )
    assert history.epoch == [0]
    assert capsys.readouterr().out == "Batch 1: Invalid loss, terminating training\n"


# -- files ---------------------------------------------------------------------------------------------------


def test_csv_logger_writes_a_line_per_epoch(tmp_path):
    path = tmp_path / "log.csv"
    history = _fit(_model(), callbacks.CSVLogger(path, separator=";"), epochs=2)
    rows = list(csv.DictReader(path.read_text().splitlines(), delimiter=";"))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert [float(row["loss"]) for row in rows] == history.history["loss"]
    _fit(_model(), callbacks.CSVLogger(path, separator=";", append=True), epochs=1)
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch;loss;mean_absolute_error"
    assert [line.split(";")[0] for line in lines[1:]] == ["0", "1", "0"]


def test_csv_logger_fills_the_gaps_of_a_last_epoch(tmp_path):
    logger = callbacks.CSVLogger(tmp_path / "log.csv")
    model = _Model()
    logger.set_model(model)
    logger.on_train_begin()
    logger.on_epoch_end(0, {"loss": 1.0, "val_loss": np.array([1, 2])})
    model.stop_training = True
    logger.on_epoch_end(1, {"loss": 0.5})
    logger.on_train_end()
    rows = list(csv.reader((tmp_path / "log.csv").read_text().splitlines()))
    assert rows == [["epoch", "loss", "val_loss"], ["0", "1.0", '"[1, 2]"'], ["1", "0.5", "NA"]]


def test_checkpoint_saves_the_best_model(capsys):
    model = _Model()
    _epochs(
        callbacks.ModelCheckpoint("{epoch:02d}-{val_loss:.1f}", save_best_only=True, verbose=1),
        [3.0, 4.0, 2.0],
        model=model,
    )
    assert model.saved == ["01-3.0", "03-2.0"]
    assert capsys.readouterr().out.splitlines() == [
        "",
        "Epoch 00001: val_loss improved from inf to 3.00000, saving model to 01-3.0",
        "",
        "Epoch 00002: val_loss did not improve from 3.00000",
        "",
        "Epoch 00003: val_loss improved from 3.00000 to 2.00000, saving model to 03-2.0",
    ]


def test_checkpoint_modes_and_periods():
    for arguments, values, expected in (
        ({"monitor": "acc", "save_best_only": True}, [1, 3, 2], ["1", "2"]),
        ({"monitor": "acc", "save_best_only": True, "mode": "min"}, [2, 3, 1], ["1", "3"]),
        ({"monitor": "fmeasure", "save_best_only": True}, [1, 2, 1], ["1", "2"]),
        ({"period": 2}, [1] * 5, ["2", "4"]),
        ({"save_weights_only": True}, [1], ["weights 1"]),
    ):
        model = _Model()
        _epochs(
            callbacks.ModelCheckpoint("{epoch}", **arguments), values, arguments.get("monitor", "x"), model
        )
        assert model.saved == expected
    with pytest.warns(RuntimeWarning, match="fallback to auto mode"):
        callbacks.ModelCheckpoint("x", mode="best")
    with pytest.warns(RuntimeWarning, match="only with missing available"):
        _epochs(callbacks.ModelCheckpoint("x", monitor="missing", save_best_only=True), [1])
    with pytest.raises(
        KeyError, match=r"uses 'val_acc', but an epoch has only the values \['epoch', 'val_loss'\]"
    ):
        _epochs(callbacks.ModelCheckpoint("{val_acc}"), [1])


def test_checkpoint_files_can_be_loaded(tmp_path):
    model = _model()
    _fit(model, callbacks.ModelCheckpoint(tmp_path / "{epoch}.h5"), epochs=2)
    loaded = load_model(tmp_path / "2.h5")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.h5", "2.h5"]


# -- monitors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "values", "name", "epochs"),
    [
        ({}, [3, 2, 2.5, 1], "val_loss", 3),
        ({"patience": 2}, [3, 2, 2.5, 2.4, 1], "val_loss", 4),
        ({"patience": 2}, [3, 2, 2.5, 1, 1.5], "val_loss", 5),
        ({"min_delta": 0.5}, [3, 2.6], "val_loss", 2),
        ({"monitor": "acc"}, [0.1, 0.2, 0.1], "acc", 3),
        ({"monitor": "acc", "mode": "min"}, [0.1, 0.2], "acc", 2),
        ({"baseline": 1.0}, [1.5], "val_loss", 1),
        ({"baseline": 1.0, "patience": 2}, [1.5, 0.5, 0.4], "val_loss", 3),
    ],
)
def test_early_stopping(arguments, values, name, epochs):
    assert _epochs(callbacks.EarlyStopping(**arguments), values, name) == epochs


def test_early_stopping_restores_the_best_weights(capsys):
    model = _Model()
    stopping = callbacks.EarlyStopping(patience=2, restore_best_weights=True, verbose=1)
    _epochs(stopping, [3, 1, 2, 2], model=model)
    assert model.weights == 1
    assert "Restoring model weights" in capsys.readouterr().out
    # Used again, it starts anew; with nothing better than the baseline there is nothing to restore.
    stopping.baseline = 0.5
    model = _Model()
    assert _epochs(stopping, [3, 3, 3], model=model) == 2
    assert model.weights == 1


def test_missing_quantities_are_reported():
    for callback in (callbacks.EarlyStopping(monitor="no"), callbacks.ReduceLROnPlateau(monitor="no")):
        with pytest.warns(
            RuntimeWarning, match="`no` which is not available. Available metrics are: val_loss"
        ):
            _epochs(callback, [1])


# -- learning rates ------------------------------------------------------------------------------------------


def test_learning_rate_schedules(capsys):
    model = _model()
    history = _fit(
        model, callbacks.LearningRateScheduler(lambda epoch: 1.0 / (epoch + 1), verbose=1), epochs=2
    )
    assert history.history["lr"] == pytest.approx([1.0, 0.5])
    assert "Epoch 00002: LearningRateScheduler setting learning rate to 0.5." in capsys.readouterr().out
    history = _fit(model, callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5), epochs=2)
    assert history.history["lr"] == pytest.approx([0.25, 0.125])
    with pytest.raises(ValueError, match="should be float"):
        _fit(model, callbacks.LearningRateScheduler(lambda epoch: 1))

    def broken(epoch, lr):
        raise TypeError("of the schedule itself")

    with pytest.raises(TypeError, match="of the schedule itself"):
        _fit(model, callbacks.LearningRateScheduler(broken))
    del model.optimizer.lr
    with pytest.raises(ValueError, match='"lr" attribute'):
        _fit(model, callbacks.LearningRateScheduler(lambda epoch: 0.1))


def _rates(values, **arguments):
    model, seen = _Model(), []
    callback = callbacks.ReduceLROnPlateau(**arguments)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_end(epoch, {"val_loss": value})
        seen.append(float(K.get_value(model.optimizer.lr)))
    return pytest.approx(seen)


def test_plateaus_lower_the_learning_rate():
    assert _rates([3, 2, 2, 2, 1], factor=0.5, patience=2) == [0.8, 0.8, 0.8, 0.4, 0.4]
    assert _rates([1, 1, 1, 1, 1], factor=0.5, patience=1) == [0.8, 0.4, 0.2, 0.1, 0.05]
    assert _rates([1, 1, 1, 1, 1], factor=0.5, patience=1, cooldown=2) == [0.8, 0.4, 0.4, 0.2, 0.2]
    assert _rates([1, 1, 1, 1], factor=0.5, patience=1, min_lr=0.3) == [0.8, 0.4, 0.3, 0.3]
    assert _rates([1, 1.5, 2], factor=0.5, patience=1, mode="max") == [0.8, 0.8, 0.8]
    assert _rates([1, 0.95], factor=0.5, patience=1, min_delta=0.1) == [0.8, 0.4]
    with pytest.raises(ValueError, match="factor"):
        callbacks.ReduceLROnPlateau(factor=1.0)
