"""Training by several processes under MPI beside one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.distributed.mpi import ROOT, results, run

HEAD = """
import hashlib
import numpy as np
import symgraph
from symgraph import backend as K, callbacks, layers, metrics, optimizers, regularizers
from symgraph.distributed import world
from symgraph.models import Model, Sequential
from symgraph.utils import Sequence
K.set_floatx("float64")
np.random.seed(1 + 7 * world().rank)  # what ranks draw by themselves differs
rng = np.random.RandomState(5)
report = {}

def weights(model):
    return np.concatenate([w.ravel() for w in model.get_weights()]).tolist()
"""

# Weights come from rank 0, whose generator is that of one process.
STEPS = (
    HEAD
    + """
x, y = rng.rand(203, 6), rng.rand(203, 3)
sample_weight = rng.randint(0, 3, 203) + 0.5
report["digests"] = []

class Digests(callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        digest = hashlib.sha256(b"".join(w.tobytes() for w in self.model.get_weights())).hexdigest()
        report["digests"].append(digest)

for repetition in range(2):
    np.random.seed(1 + 7 * world().rank)
    model = Sequential([
        layers.Dense(8, activation="tanh", input_shape=(6,), kernel_regularizer=regularizers.l2(1e-3)),
        layers.BatchNormalization(synchronized=True),
        layers.Dense(3, activation="softmax"),
    ])
    model.compile(optimizers.Adam(0.01, clipnorm=0.3), "categorical_crossentropy", metrics=["acc"])
    # 7 batches an epoch, the last of 11 samples: 105 steps.
    history = model.fit(
        x, y, batch_size=32, epochs=15, verbose=0, callbacks=[Digests()], sample_weight=sample_weight,
        validation_data=(x[:50], y[:50]),
    )
report["weights"] = weights(model)
report["history"] = {k: [float(v) for v in vs] for k, vs in history.history.items()}
"""
)


def close(a, b, tolerance=1e-10):
    a, b = np.asarray(a, float), np.asarray(b, float)
    return np.max(np.abs(a - b)) <= tolerance * np.max(np.abs(b))


def test_a_hundred_steps_end_where_one_process_ends(tmp_path: Path) -> None:
    """All ranks are bitwise equal after every epoch, and the same when they train once more."""
    (tmp_path / "one").mkdir()
    (one,) = results(1, STEPS, tmp_path / "one")
    ranks = results(3, STEPS, tmp_path)
    assert all(rank["digests"] == ranks[0]["digests"] for rank in ranks)
    assert len(set(ranks[0]["digests"])) == 15
    assert ranks[0]["digests"][:15] == ranks[0]["digests"][15:]
    for rank in ranks:
        assert close(rank["weights"], one["weights"])
        assert list(rank["history"]) == list(one["history"]) == ["val_loss", "val_acc", "loss", "acc"]
        for name, values in rank["history"].items():
            assert close(values, one["history"][name]), name


METHODS = (
    HEAD
    + """
class Batches(Sequence):
    sizes = [5, 3, 1, 7]
    def __len__(self):
        return 4
    def __getitem__(self, index):
        r = np.random.RandomState(index)
        x = r.rand(self.sizes[index], 6)
        return x, (x.sum(1, keepdims=True) > 3) * 1.0

def endless():
    while True:
        for index in range(4):
            yield Batches()[index]

model = Sequential([
    layers.Dense(5, activation="relu", input_shape=(6,)),
    layers.Dropout(0.3),
    layers.Dense(1, activation="sigmoid"),
])
model.compile("rmsprop", "binary_crossentropy", metrics=["acc", metrics.AUC(name="auc")])
# Batches of fewer samples than ranks are among them.
history = model.fit_generator(Batches(), epochs=3, verbose=1, validation_data=endless(), validation_steps=4)
model.fit_generator(endless(), 4, epochs=1, verbose=0, class_weight={0: 1.0, 1: 2.0})
x, y = Batches()[3]
report["steps"] = [[float(v) for v in model.train_on_batch(x[:n], y[:n])] for n in (7, 2, 1)]
report["test"] = [float(v) for v in model.test_on_batch(x, y)]
report["evaluate"] = [[float(v) for v in found] for found in (
    model.evaluate(x, y, batch_size=3, verbose=0), model.evaluate_generator(Batches()))]
report["predict"] = [np.asarray(found).tolist() for found in (
    model.predict(x, batch_size=3), model.predict_generator(Batches()), model.predict_on_batch(x[:1]))]
report["history"] = {k: [float(v) for v in vs] for k, vs in history.history.items()}
report["weights"] = weights(model)

# What is written and printed once.
several = [
    callbacks.CSVLogger("log.csv"),
    callbacks.ModelCheckpoint("best.h5", "loss"),
    callbacks.EarlyStopping("loss", verbose=1, patience=0, min_delta=1e9),
    callbacks.LearningRateWarmup(0.001, epochs=1, factor=3),
]
model.fit(x, y, batch_size=4, epochs=2, verbose=2, callbacks=several)
report["rate"] = float(K.get_value(model.optimizer.lr))
model.save("model.h5")
report["loaded"] = weights(symgraph.models.load_model("model.h5"))
report["saved"] = weights(model)
with symgraph.profile() as profile:
    model.fit(x, y, verbose=0)
shares = {g.name: g.share for t in profile.functions for g in t.groups("op")}
report["exchange"] = shares.get("allreduce")
"""
)


def test_every_method_gives_all_ranks_what_one_process_gets(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (one,) = results(1, METHODS, tmp_path / "one")
    ranks = results(2, METHODS, tmp_path)
    for rank in ranks:
        for name in ("weights", "evaluate", "test", "loaded", "rate"):
            assert close(rank[name], one[name]), name
        assert rank["loaded"] == rank["saved"]
        for name in ("predict", "steps"):
            assert all(map(close, rank[name], one[name])), name
        assert all(close(rank["history"][name], one["history"][name]) for name in one["history"])
        assert 0 < rank["exchange"] < 1
        assert {**rank, "exchange": 0} == {**ranks[0], "exchange": 0}
    assert one["exchange"] is None
    assert (tmp_path / "log.csv").read_text().count("\n") == 3
    for printed in ("Epoch 1/3", "Epoch 00002: early stopping"):
        assert ranks[0]["printed"].count(printed) == 1, ranks[0]["printed"]


ERRORS = {
    "other batches": (
        "x = np.zeros((4 + world().rank, 2))\nmodel.train_on_batch(x, x)",
        "all ranks have to be given the same batches",
    ),
    "an error on one rank": (
        "if world().rank:\n    raise RuntimeError('no paper')\nmodel.fit(np.zeros((4, 2)), np.zeros((4, 2)))",
        "RuntimeError: no paper",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_on_one_rank_ends_all(case: str, tmp_path: Path) -> None:
    program, message = ERRORS[case]
    model = "model = Sequential([layers.Dense(2, input_shape=(2,))])\nmodel.compile('sgd', 'mse')\n"
    ran = run(2, HEAD + model + program, tmp_path)
    assert ran.returncode != 0
    assert message in ran.stderr


# -- without MPI ---------------------------------------------------------------------------------------------


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**known, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


TRAINS = """
import sys
{before}
import numpy as np
from symgraph.layers import Dense
from symgraph.models import Sequential
model = Sequential([Dense(2, input_shape=(2,))])
model.compile("sgd", "mse")
model.fit(np.zeros((4, 2)), np.zeros((4, 2)), verbose=0)
print("mpi4py" in sys.modules)
"""


@pytest.mark.parametrize("environment", [{}, {"OMPI_COMM_WORLD_SIZE": "4", "SYMGRAPH_DISTRIBUTED": "0"}])
def test_a_process_that_is_alone_does_not_import_mpi(environment: dict[str, str]) -> None:
    ran = python(TRAINS.format(before=""), **environment)
    assert ran.stdout == "False\n", ran.stderr


def test_without_mpi4py_the_error_says_what_to_install() -> None:
    ran = python(TRAINS.format(before="sys.modules['mpi4py'] = None"), OMPI_COMM_WORLD_SIZE="4")
    last = ran.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: this process is one of 4 that train together")
    assert "pip install symgraph[mpi]" in last
