"""What a profile tells of a training step, beside what the model says of itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import layers
from symgraph.distributed.scaling.observe import model_workload, profile_workload, script_workload
from symgraph.distributed.scaling.workload import Gradient, Workload, even_gradients, train_functions
from symgraph.models import Model, Sequential
from symgraph.optimizers import SGD, Adadelta, Adam


def _dense() -> Any:
    return Sequential([layers.Dense(50, activation="relu", input_shape=(40,)), layers.Dense(3)])


def _normalized() -> Any:
    return Sequential(
        [
            layers.Conv2D(4, 3, input_shape=(8, 8, 2)),
            layers.BatchNormalization(),
            layers.PReLU(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3, kernel_regularizer="l2", kernel_constraint="maxnorm"),
        ]
    )


def _recurrent() -> Any:
    return Sequential(
        [
            layers.Embedding(30, 6, batch_input_shape=(8, 5)),
            layers.LSTM(7, stateful=True),
            layers.Dense(3, use_bias=False),
        ]
    )


def _frozen_and_shared() -> Any:
    x = layers.Input((6,))
    shared, frozen = layers.Dense(6, activation="tanh"), layers.Dense(5)
    frozen.trainable = False
    return Model(x, layers.Dense(3)(frozen(shared(shared(x)))))


@pytest.mark.parametrize(
    "optimizer",
    [Adadelta, lambda: Adam(clipvalue=0.1), lambda: SGD(clipnorm=1.0, momentum=0.9)],
    ids=["Adadelta", "Adam", "SGD"],
)
@pytest.mark.parametrize("build", [_dense, _normalized, _recurrent, _frozen_and_shared])
def test_gradients_are_those_of_the_trained_weights(
    build: Callable[[], Any], optimizer: Callable[[], Any]
) -> None:
    """Not moving averages, states of layers, moments, draws, or frozen weights."""
    model = build()
    model.compile(optimizer(), "mse")
    x = np.random.default_rng(0).random((8, *model.input_shape[1:])) * 20
    with symgraph.profile() as profile:
        for _ in range(3):
            model.train_on_batch(x, np.zeros((8, 3)))
    found = train_functions("model", profile.to_json())
    assert found.nbytes == 4 * sum(np.prod(w.shape) for w in _values(model))
    assert len(found.gradients) == len(model.trainable_weights)
    assert found.batch == 8
    # Rows of the profile take what a step takes but for what is between them.
    seconds = profile.functions[0].seconds / profile.functions[0].calls
    assert found.step == pytest.approx(seconds)
    assert 0 < found.update <= found.fixed < found.step
    assert 0 < found.backward < 1
    assert all(0 < gradient.ready <= 1 for gradient in found.gradients)


def _values(model: Any) -> list[np.ndarray]:
    return [symgraph.backend.get_value(weight) for weight in model.trainable_weights]


def test_gradients_of_late_layers_are_ready_first() -> None:
    sizes = [30, 40, 50, 60]
    model = Sequential([layers.Dense(size, input_shape=(20,)) for size in sizes])
    model.compile("sgd", "mse")
    with symgraph.profile() as profile:
        for _ in range(3):
            model.train_on_batch(np.zeros((16, 20)), np.zeros((16, 60)))
    kernels = [g for g in train_functions("model", profile.to_json()).gradients if g.nbytes > 4 * 60]
    assert [gradient.nbytes / 4 for gradient in kernels] == [50 * 60, 40 * 50, 30 * 40, 20 * 30]
    assert [gradient.ready for gradient in kernels] == sorted({gradient.ready for gradient in kernels})


def test_a_saved_profile_tells_the_same(tmp_path: Path) -> None:
    model = _dense()
    model.compile("sgd", "mse")
    with symgraph.profile() as profile:
        for _ in range(3):
            model.train_on_batch(np.zeros((16, 40)), np.zeros((16, 3)))
        model.predict(np.zeros((16, 40)))
    for name in ("profile.json", "profile.json.gz"):
        profile.save(tmp_path / name)
        found = profile_workload(str(tmp_path / name))
        assert (found.batch, found.nbytes) == (16, 4 * model.count_params())


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"kind": "comparison"}'])
def test_files_that_are_no_profiles(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a\.json: expected a profile that symgraph saved"):
        profile_workload(str(tmp_path / "a.json"))


def test_a_profile_without_training(tmp_path: Path) -> None:
    with symgraph.profile() as profile:
        _dense().predict(np.zeros((16, 40)))
    profile.save(tmp_path / "a.json")
    with pytest.raises(ValueError, match=r"expected a model that trains, got predict_function"):
        profile_workload(str(tmp_path / "a.json"))


def test_a_model_file_is_timed_with_several_batch_sizes(tmp_path: Path) -> None:
    model = _dense()
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.h5")
    found = model_workload(str(tmp_path / "model.h5"), 64)
    assert (found.batch, found.nbytes) == (64, 4 * model.count_params())
    assert 0 < found.update <= found.fixed <= found.step
    raw = _dense()
    raw.save(tmp_path / "raw.h5")
    with (
        pytest.warns(UserWarning, match="was \\*not\\* compiled"),
        pytest.raises(ValueError, match=r"raw\.h5: expected a model that was compiled"),
    ):
        model_workload(str(tmp_path / "raw.h5"), 64)
    with pytest.raises(
        ValueError, match=r"expected a model .* or one of mnist_cnn, .*ResNet50.*, got 'ResNet'"
    ):
        model_workload("ResNet", 64)


SCRIPT = """
import sys
import numpy as np
from symgraph.layers import Dense
from symgraph.models import Sequential

if __name__ == "__main__":
    model = Sequential([Dense(3, input_shape=(40,))])
    model.compile("sgd", "mse")
    epochs = int(sys.argv[1])
    for _ in range(epochs):
        try:
            model.fit(np.zeros((96, 40)), np.zeros((96, 3)), batch_size=24, verbose=0)
        except Exception:
            pass
    open(sys.argv[2], "w").close()
"""


def test_a_script_is_ended_after_some_steps(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    end = tmp_path / "end"
    found = script_workload(str(tmp_path / "train.py"), ["1000000", str(end)])
    assert (found.batch, found.nbytes) == (24, 4 * (40 * 3 + 3))
    assert not end.exists()
    assert script_workload(str(tmp_path / "train.py"), ["1", str(end)]).batch == 24
    assert end.exists()
    with pytest.raises(ValueError, match=r"train\.py: expected a model that trains, got nothing"):
        script_workload(str(tmp_path / "train.py"), ["0", str(end)])
    with pytest.raises(FileNotFoundError, match=r"there is no file 'none\.py'"):
        script_workload("none.py", [])


def test_time_for_other_numbers_of_samples() -> None:
    load = Workload("by hand", 100, 12.0, (), fixed=2.0, update=1.0, backward=0.5)
    assert [load.compute(rows) for rows in (0, 50, 100, 200)] == [2.0, 7.0, 12.0, 22.0]
    # Of 12 s one is the update; of the other 11 half are the backward pass.
    assert [load.ready_at(100, ready) for ready in (0.0, 0.5, 1.0)] == [5.5, 8.25, 11.0]


def test_buckets_hold_all_gradients() -> None:
    gradients = tuple(Gradient(size, (i + 1) / 6) for i, size in enumerate([5, 1, 1, 1, 1, 3]))
    load = Workload("by hand", 1, 1.0, gradients)
    assert load.buckets(1) == [Gradient(12, 1.0)]
    assert load.buckets(3) == [Gradient(5, 1 / 6), Gradient(4, 5 / 6), Gradient(3, 1.0)]
    assert load.buckets(100) == list(gradients)
    assert sum(bucket.nbytes for bucket in Workload("", 1, 1.0, even_gradients(77)).buckets(5)) == 77


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch": 0}, "batch size: expected at least 1, got 0"),
        ({"step": 0.0}, "step time: expected more than 0"),
        ({"fixed": 3.0}, "fixed time: expected at most the step's 2 s .* got 3 s"),
        ({"backward": 1.5}, "backward share: expected 0 to 1, got 1.5"),
    ],
)
def test_workloads_that_cannot_be(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Workload(**{"name": "odd", "batch": 1, "step": 2.0, "gradients": (), **change})
