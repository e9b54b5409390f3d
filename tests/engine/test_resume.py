"""Trainings that a crash ends, and that go on when their script is started again.

The truth is the same script without a crash: all values have to agree bit for bit. A crash is an error in a
callback, which nothing is saved after; `tests/distributed/test_launch.py` kills real processes.
"""

import os
import random
import warnings

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import globals as state
from symgraph.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TensorBoard,
)
from symgraph.distributed.checkpoints import EVERY, FOLDER
from symgraph.layers import LSTM, BatchNormalization, Dense, Dropout, Flatten
from symgraph.metrics import AUC
from symgraph.models import Sequential, load_model
from symgraph.optimizers import SGD, Adam
from symgraph.preprocessing.image import ImageDataGenerator
from symgraph.utils import Sequence

SAMPLES, BATCH, EPOCHS = 40, 8, 3
STEPS = SAMPLES // BATCH * EPOCHS
CRASH = "the crash of this test"


class Crash(Callback):
    """Ends the training after so many steps, counted over the whole script; never where that is None."""

    def __init__(self, after):
        super().__init__()
        # A number would be kept, and end the training again.
        self.is_due = lambda step: step == after

    def on_batch_end(self, batch, logs=None):
        if self.is_due(K.get_value(self.model.optimizer.iterations)):
            raise RuntimeError(CRASH)


class Notes(Callback):
    """A user's callback: notes losses in a list, and draws a number in each epoch."""

    def on_train_begin(self, logs=None):
        self.losses, self.draws = [], []

    def on_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        self.draws.append(np.random.rand())


def data():
    rng = np.random.RandomState(5)
    x = rng.rand(SAMPLES, 6).astype("float32")
    return x, (x.sum(1, keepdims=True) > 3).astype("float32")


def network(optimizer="adam", metrics=("accuracy",)):
    layers = [Dense(8, activation="relu", input_shape=(6,)), BatchNormalization(), Dropout(0.3)]
    model = Sequential([*layers, Dense(1, activation="sigmoid")])
    model.compile(optimizer, "binary_crossentropy", metrics=list(metrics))
    return model


def results(model, *histories):
    values = [*model.get_weights(), *model.optimizer.get_weights(), K.get_value(model.optimizer.lr)]
    values += [np.random.rand(), random.random()]
    return [*values, *(curve for h in histories for curve in (h.epoch, *h.history.values()))]


def started(script, seed, crash):
    """Run a script as a new process would: it counts its trainings from 1."""
    K.clear_session()
    state._settings.trainings = 0
    state._settings.in_training = False
    np.random.seed(seed)
    random.seed(seed)
    return script(crash)


def interrupted(script, crashes, monkeypatch, tmp_path, every=2, other_seeds=1):
    """What the script gives when it crashes, and is started again, with other seeds each time."""
    monkeypatch.setenv(FOLDER, str(tmp_path / "checkpoints"))
    monkeypatch.setenv(EVERY, str(every))
    for seed, crash in enumerate(crashes):
        with pytest.raises(RuntimeError, match=CRASH):
            started(script, seed * other_seeds, crash)
    return started(script, len(crashes) * other_seeds, None)


def undisturbed(script, monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    return started(script, 0, None)


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert np.array_equal(one, other), (one, other)


OPTIMIZERS = {
    "sgd": lambda: SGD(0.1, momentum=0.9, nesterov=True, decay=1e-2), "amsgrad": lambda: Adam(amsgrad=True),
    **{name: lambda name=name: name for name in ("rmsprop", "adagrad", "adadelta", "adamax", "nadam")},
}  # fmt: skip


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_goes_on(optimizer, monkeypatch, tmp_path):
    def script(crash):
        model = network(OPTIMIZERS[optimizer]())
        return results(model, model.fit(*data(), BATCH, EPOCHS, verbose=0, callbacks=[Crash(crash)]))

    wanted = undisturbed(script, monkeypatch)
    assert_same(interrupted(script, [7], monkeypatch, tmp_path, every=3), wanted)


# An error leaves the file of the log open, which the end of a process would close.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("crash", range(1, 9))
def test_callbacks_go_on_after_a_crash_at_every_step(crash, monkeypatch, tmp_path):
    def script(crash):
        model, notes = network(), Notes()
        folder = tmp_path / ("here" if FOLDER in os.environ else "there")
        folder.mkdir(exist_ok=True)
        callbacks = [
            notes,
            CSVLogger(folder / "log.csv"),
            LearningRateScheduler(lambda epoch, rate: rate * 0.9),
            ReduceLROnPlateau(monitor="loss", patience=1, min_delta=1.0, factor=0.5),
            ModelCheckpoint(str(folder / "best.h5"), monitor="val_loss", save_best_only=True),
            EarlyStopping(monitor="val_loss", patience=1, min_delta=1.0, restore_best_weights=True),
            Crash(crash),
        ]
        settings = {"verbose": 0, "validation_split": 0.2, "callbacks": callbacks}
        history = model.fit(*data(), BATCH, EPOCHS, **settings)
        best = load_model(str(folder / "best.h5")).get_weights()
        text = (folder / "log.csv").read_text()
        return [*results(model, history), notes.losses, notes.draws, *best, text, callbacks[5].stopped_epoch]

    wanted = undisturbed(script, monkeypatch)
    # 4 batches an epoch; training is stopped after two epochs.
    crash = min(crash, 8)
    assert_same(interrupted(script, [crash], monkeypatch, tmp_path, every=3), wanted)


def test_trainings_that_are_over_are_not_repeated(monkeypatch, tmp_path):
    applied = []

    class Count(Callback):
        def on_batch_end(self, batch, logs=None):
            applied.append(int(K.get_value(self.model.optimizer.iterations)))

    def script(crash):
        model = network()
        first = model.fit(*data(), BATCH, 2, verbose=0, callbacks=[Count()])
        second = model.fit(*data(), BATCH, 2, verbose=0, callbacks=[Count(), Crash(crash)], shuffle="batch")
        return results(model, first, second)

    wanted = undisturbed(script, monkeypatch)
    applied.clear()
    assert_same(interrupted(script, [13, 16, 19], monkeypatch, tmp_path, every=2), wanted)
    # Of every second step there is a checkpoint, but not of the one in which a crash comes.
    assert applied == [*range(1, 14), *range(13, 17), *range(15, 20), *range(19, 21)]


def test_metric_objects_and_states_of_layers_go_on(monkeypatch, tmp_path):
    def script(crash):
        x, y = data()
        model = Sequential(
            [LSTM(3, stateful=True, batch_input_shape=(BATCH, 3, 2)), Dense(1, activation="sigmoid")]
        )
        model.compile("sgd", "binary_crossentropy", metrics=[AUC()])
        history = model.fit(
            x.reshape(SAMPLES, 3, 2), y, BATCH, EPOCHS, verbose=0, shuffle=False, callbacks=[Crash(crash)]
        )
        return [*results(model, history), *(K.get_value(s) for s in model.layers[0].states)]

    wanted = undisturbed(script, monkeypatch)
    assert_same(interrupted(script, [3, 9], monkeypatch, tmp_path, every=1), wanted)


def test_a_callback_that_trains_another_model_goes_on_with_it(monkeypatch, tmp_path):
    class Second(Callback):
        def __init__(self, other):
            super().__init__()
            self.train = lambda: other.fit(*data(), BATCH, 1, verbose=0)

        def on_epoch_end(self, epoch, logs=None):
            self.train()

    def script(crash):
        model, other = network(), network("sgd")
        history = model.fit(*data(), BATCH, EPOCHS, verbose=0, callbacks=[Second(other), Crash(crash)])
        return [*results(model, history), *other.get_weights()]

    wanted = undisturbed(script, monkeypatch)
    assert_same(interrupted(script, [8], monkeypatch, tmp_path, every=3, other_seeds=0), wanted)


def test_event_files_have_every_value_once(monkeypatch, tmp_path):
    def script(crash):
        folder = tmp_path / ("whole" if FOLDER not in os.environ else "parts")
        model = network()
        board = TensorBoard(str(folder), write_graph=False, update_freq="batch")
        model.fit(*data(), BATCH, 2, verbose=0, callbacks=[board, Crash(crash)])
        (file,) = folder.glob("events*")
        return [file.stat().st_size]

    wanted = undisturbed(script, monkeypatch)
    assert_same(interrupted(script, [4, 7], monkeypatch, tmp_path, every=3), wanted)


# -- data that make batches ----------------------------------------------------------------------------------


class Rows(Sequence):
    """A user's Sequence, which shuffles and disturbs its samples by numpy's generator."""

    def __init__(self):
        self.x, self.y = data()
        self.order = np.arange(SAMPLES)
        self.made = 0

    def __len__(self):
        return SAMPLES // BATCH

    def __getitem__(self, index):
        self.made += 1
        rows = self.order[index * BATCH : (index + 1) * BATCH]
        return self.x[rows] + np.random.rand(BATCH, 6).astype("float32") / 10, self.y[rows]

    def on_epoch_end(self):
        np.random.shuffle(self.order)


def pictures():
    rng = np.random.RandomState(3)
    x = rng.rand(SAMPLES, 2, 3, 1)
    generator = ImageDataGenerator(horizontal_flip=True, width_shift_range=0.3, rotation_range=40)
    return generator.flow(x, data()[1], BATCH)


def endless():
    x, y = data()
    while True:
        rows = np.random.permutation(SAMPLES)[:BATCH]
        yield x[rows], y[rows]


def from_generator(make, workers, validation=None):
    def script(crash):
        source, model = make(), flat_network() if make is pictures else network()
        history = model.fit_generator(
            source, SAMPLES // BATCH, EPOCHS, verbose=0, callbacks=[Crash(crash)], workers=workers,
            validation_data=validation and validation(), validation_steps=validation and 2,
        )  # fmt: skip
        return [*model.get_weights(), *model.optimizer.get_weights(), *history.history.values()]

    return script


def flat_network():
    model = Sequential([Flatten(input_shape=(2, 3, 1)), Dropout(0.2), Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("make", [Rows, pictures, endless])
def test_data_go_on_where_they_were(make, workers, monkeypatch, tmp_path):
    validation = pictures if make is pictures else None
    script = from_generator(make, workers, validation)
    wanted = undisturbed(script, monkeypatch)
    assert_same(interrupted(script, [6, 13], monkeypatch, tmp_path, every=4), wanted)


def test_iterators_make_no_batch_again(monkeypatch, tmp_path):
    made = []

    def script(crash):
        source, model = pictures(), flat_network()
        make = source._get_batches_of_transformed_samples
        source._get_batches_of_transformed_samples = lambda rows: (made.append(len(rows)), make(rows))[1]
        settings = {"verbose": 0, "workers": 0, "callbacks": [Crash(crash)]}
        return results(model, model.fit_generator(source, epochs=EPOCHS, **settings))

    wanted = undisturbed(script, monkeypatch)
    made.clear()
    assert_same(interrupted(script, [13], monkeypatch, tmp_path, every=4), wanted)
    assert len(made) == 13 + 3


# -- files ---------------------------------------------------------------------------------------------------


def fitted(crash):
    model = network()
    return results(model, model.fit(*data(), BATCH, EPOCHS, verbose=0, callbacks=[Crash(crash)]))


def test_the_state_before_counts_where_the_newest_file_is_damaged(monkeypatch, tmp_path):
    wanted = undisturbed(fitted, monkeypatch)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv(EVERY, "2")
    with pytest.raises(RuntimeError, match=CRASH):
        started(fitted, 0, 9)
    files = sorted(tmp_path.glob("fit_1_?.npz"), key=lambda path: path.stat().st_mtime_ns)
    assert len(files) == 2
    content = bytearray(files[1].read_bytes())
    content[len(content) // 2] ^= 1
    files[1].write_bytes(content)
    assert_same(started(fitted, 1, None), wanted)
    files = sorted(tmp_path.glob("*"))
    assert [path.name for path in files] == ["fit_1_end.npz"]


def test_no_whole_file_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv(EVERY, "2")
    with pytest.raises(RuntimeError, match=CRASH):
        started(fitted, 0, 9)
    for path in tmp_path.glob("*.npz"):
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"no whole checkpoint to go on from: .*fit_1_a.npz is damaged"):
        started(fitted, 0, None)


def test_files_hold_no_objects(monkeypatch, tmp_path):
    interrupted(fitted, [5], monkeypatch, tmp_path)
    (file,) = (tmp_path / "checkpoints").iterdir()
    with np.load(file, allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "biufU" for name in arrays.files)


def test_a_full_disk_is_a_warning(monkeypatch, tmp_path):
    wanted = undisturbed(fitted, monkeypatch)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv(EVERY, "8")

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("symgraph.distributed.checkpoints.atomic_path", full)
    with pytest.warns(UserWarning, match="No checkpoint after step .*No space") as told:
        assert_same(started(fitted, 0, None), wanted)
    assert [str(w.message).partition(",")[0][-7:].strip() for w in told] == ["step 0", "step 8", "step 15"]


def test_a_checkpoint_of_another_training_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    with pytest.raises(RuntimeError, match=CRASH):
        started(fitted, 0, 9)

    def longer(crash):
        network().fit(*data(), BATCH, EPOCHS + 1, verbose=0, callbacks=[Crash(crash)])

    def wider(crash):
        model = Sequential([Dense(9, input_shape=(6,)), Dense(1)])
        model.compile("adam", "mse")
        model.fit(*data(), BATCH, EPOCHS, verbose=0, callbacks=[Crash(crash)])

    with pytest.raises(ValueError, match=r"of another training: epochs: expected \[0, 4\].*got \[0, 3\]"):
        started(longer, 0, None)
    with pytest.raises(ValueError, match=r"of another training: variables: expected .*\(6, 9\)"):
        started(wider, 0, None)


def test_what_a_callback_cannot_keep_is_told(monkeypatch, tmp_path):
    class Box:
        pass

    class Keeper(Callback):
        def on_train_begin(self, logs=None):
            self.box, self.number = Box(), 1

    def script(crash):
        network().fit(*data(), BATCH, EPOCHS, verbose=0, callbacks=[Keeper(), Crash(crash)])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setenv(FOLDER, str(tmp_path))
        with pytest.raises(RuntimeError, match=CRASH):
            started(script, 0, 9)
    with pytest.warns(UserWarning, match="Keeper: box: only numbers, texts"):
        started(script, 0, None)


def test_nothing_is_written_unless_it_is_wanted(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    undisturbed(fitted, monkeypatch)
    assert not list(tmp_path.iterdir())


def test_a_wrong_number_of_steps_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv(EVERY, "often")
    with pytest.raises(ValueError, match="SYMGRAPH_CHECKPOINT_EVERY: expected a number of steps"):
        started(fitted, 0, None)
