"""Scripts as they were written for Keras 0.3 and 1, each run as it is, to the figure that it should reach."""

from __future__ import annotations

import json
import runpy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph.models import clone_model, load_model
from symgraph.utils.warn_user import OldCallWarning
from tests.alias.run import printed, symgraph_run
from tests.keras1.answering import keras_is_symgraph

FOLDER = Path(__file__).parent / "keras1"


def ran(name: str) -> tuple[dict[str, Any], set[str]]:
    """The `result` of a script, and the texts of its warnings, all of which are those of old calls."""
    with warnings.catch_warnings(record=True) as caught, keras_is_symgraph():
        warnings.simplefilter("always")
        result: dict[str, Any] = runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")["result"]
    assert {w.category for w in caught} == {OldCallWarning}
    # Each names a line of the script.
    assert {Path(w.filename).name for w in caught} == {f"{name}.py"}
    return result, {str(w.message) for w in caught}


def told(texts: set[str], *parts: str) -> None:
    """Each part is in one of the texts."""
    assert [part for part in parts if not any(part in text for text in texts)] == []


def test_convolutional_network() -> None:
    result, texts = ran("cnn")
    told(texts, 'data_format="channels_first"', "units=32", "`Dropout(rate=0.25", "renamed `epochs`")
    told(
        texts, "`fit(show_accuracy=...)` is `compile(..., metrics=['accuracy'])`", "`compile(class_mode=...)`"
    )
    told(texts, "`nb_epoch` of callbacks", "`evaluate(show_accuracy=...)`", "`np.argmax(y_pred, axis=-1)`")
    loss, accuracy = result["score"]
    assert accuracy > 0.8 and loss < 0.8
    assert np.mean(result["classes"] == result["labels"]) == pytest.approx(accuracy)
    assert sorted(result["history"]) == ["acc", "loss", "val_acc", "val_loss"]
    assert result["model"].metrics_names == ["loss", "acc"]
    assert len(result["losses"]) == len(result["history"]["loss"]) * 45


def test_graph() -> None:
    result, texts = ran("graph")
    told(texts, "`Graph` is gone since Keras 1")
    assert result["accuracy"] > 0.9
    before, after = result["before"], result["after"]
    assert after[0] == pytest.approx(after[1] + after[2], rel=1e-5) and after[0] < before[0] / 3
    assert (
        result["graph"].metrics_names == ["loss", "has_seven_loss", "total_loss"]
        and len(result["batch"]) == 3
    )
    error = np.mean((result["predictions"]["total"] - result["data"]["total"]) ** 2)
    assert error == pytest.approx(after[2], rel=1e-4)


def test_memory_network(tmp_path: Path) -> None:
    result, texts = ran("memory_network")
    told(texts, "`dot(inputs, axes=[2, 2])`", "`add(inputs)`", "`concatenate(inputs, axis=-1)`")
    assert result["history"]["val_acc"][-1] > 0.9
    model = result["model"]
    # What is read twice is one input, and its weights are trained once.
    assert model.input_shape == [(None, 4), (None, 2), (None, 4)]
    assert len(model.trainable_weights) == len({id(w) for w in model.trainable_weights}) == 8
    expected = model.predict(result["inputs"])
    with pytest.warns(OldCallWarning):
        copy = clone_model(model)
    copy.set_weights(model.get_weights())
    model.save(tmp_path / "model.h5")
    with pytest.warns(OldCallWarning):
        loaded = load_model(tmp_path / "model.h5")
    for other in (copy, loaded):
        assert type(other) is type(model) and [x.name for x in other.layers] == [x.name for x in model.layers]
        np.testing.assert_array_equal(other.predict(result["inputs"]), expected)


def test_recurrent_layer_of_ones_own(tmp_path: Path) -> None:
    result, texts = ran("recurrent")
    told(texts, "GatedSum: `Recurrent` was the base", "`initializations.get`")
    assert result["after"] < 0.05 and result["before"] > 1
    model, x = result["model"], result["x"][:20]
    # Step by step in numpy.
    w, w_gate, u_gate, b, b_gate, kernel, bias = model.get_weights()
    total = np.zeros((len(x), 12))
    for step in x.transpose(1, 0, 2):
        gate = np.clip(0.2 * (step @ w_gate + b_gate + total @ u_gate) + 0.5, 0, 1)
        total = total + gate * np.tanh(step @ w + b)
    np.testing.assert_allclose(model.predict(x), total @ kernel + bias, rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "model.h5")
    with pytest.warns(OldCallWarning):
        again = load_model(tmp_path / "model.h5", custom_objects={"GatedSum": result["layer"]})
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_sparse_autoencoder() -> None:
    result, texts = ran("autoencoder")
    told(texts, "`activity_regularizer=l1(0.0001)`", "Update your `Model` call")
    # The penalty is a part of the loss, and makes codes small.
    assert result["sparse"].mean() < result["dense"].mean() / 2
    assert result["sparse_loss"][-1] > result["dense_loss"][-1]
    assert result["sparse_loss"][-1] < result["sparse_loss"][0]
    assert np.abs(result["decoded"] - result["x"]).mean() < 0.2


def test_all_by_the_command(tmp_path: Path) -> None:
    """`symgraph run` takes the same scripts to their ends; what they reach is looked at above."""
    scripts = sorted(FOLDER.glob("*.py"))
    lines = json.dumps([[str(script)] for script in scripts])
    ran = symgraph_run(Path(__file__).parent / "several.py", lines, folder=tmp_path, PYTHONWARNINGS="ignore")
    told = json.loads(printed(ran))
    assert {name: error for name, (_, error, _) in told.items()} == {script.name: "" for script in scripts}
