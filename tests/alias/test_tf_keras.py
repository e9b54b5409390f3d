"""The manners of tf.keras: names, tables, defaults and numbers of TensorFlow 1.14.

tensorflow_1_14.json holds what the two scripts beside it print on the real TensorFlow 1.14. What TensorFlow 2
does otherwise is from its documentation and sources.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.alias.run import printed, symgraph_run

FOLDER = Path(__file__).parent / "tf_keras"
TRUTH: dict[str, Any] = json.loads((FOLDER / "tensorflow_1_14.json").read_text())


def test_numbers_are_those_of_tf_keras(tmp_path: Path) -> None:
    numbers = json.loads(
        printed(symgraph_run(FOLDER / "training.py", folder=tmp_path, SYMGRAPH_TENSORFLOW="1.14"))
    )
    assert list(numbers) == list(TRUTH["numbers"])
    for name, truth in TRUTH["numbers"].items():
        np.testing.assert_allclose(numbers[name], truth, rtol=1e-5, atol=2e-6, err_msg=name)


EACH_VERSION = """
import runpy, sys, tensorflow
from symgraph.globals import set_tensorflow_version
for version in (1, 2):
    set_tensorflow_version(version)
    runpy.run_path(sys.argv[1])
"""


def test_names_are_those_of_tf_keras(tmp_path: Path) -> None:
    """Also: TensorFlow 2 names metrics as they are given, and has other recurrent layers."""
    ran = symgraph_run("-c", EACH_VERSION, FOLDER / "naming.py", folder=tmp_path)
    first, second = map(json.loads, printed(ran).splitlines())
    for part in ("names", "metrics", "activations", "summary"):
        assert first[part] == TRUTH["names"][part], part
    assert sorted(first["history"]) == sorted(TRUTH["names"]["history"])
    assert second["names"] == TRUTH["names"]["names"] and second["summary"] == TRUTH["names"]["summary"]
    assert second["metrics"] == ["loss", "accuracy", "mae"]
    assert set(second["history"]) == {"loss", "accuracy", "mae", "val_loss", "val_accuracy", "val_mae"}
    assert second["activations"] == ["sigmoid", "sigmoid", True]


BOTH = """
import json, sys, numpy as np
{imports}
from {keras}.callbacks import EarlyStopping, ModelCheckpoint
from {keras}.layers import BatchNormalization, Dense, GRU
from {keras}.models import Sequential
from {keras}.optimizers import Adam
x, y = np.random.RandomState(0).rand(20, 3), np.eye(2)[[0, 1] * 10]
model = Sequential([Dense(2, activation='softmax', input_shape=(3,))])
model.compile(Adam(learning_rate=0.05), 'categorical_crossentropy', metrics=['accuracy'])
stop = EarlyStopping(monitor='val_accuracy', patience=9)
keep = ModelCheckpoint('w-{{val_acc:.1f}}-{{val_accuracy:.1f}}.h5', monitor='val_acc', save_best_only=True)
history = model.fit(x, y, epochs=2, verbose=0, validation_data=(x, y), callbacks=[stop, keep]).history
same = all(history[a] == history[b] for a, b in (('acc', 'accuracy'), ('val_acc', 'val_accuracy')))
frozen = BatchNormalization(trainable=False, input_shape=(3,))
norm = Sequential([frozen])
norm.compile('sgd', 'mse')
rate = round(float(model.optimizer.lr.get_value()), 6)
kept = float(norm.train_on_batch(x, x)) < 1e-3
print(json.dumps([same, history.get('nothing'), sorted(history), rate, kept,
                  GRU(2).reset_after, GRU.from_config({{'units': 2}}).reset_after]))
"""


def test_histories_answer_to_both_spellings(tmp_path: Path) -> None:
    """A frozen BatchNormalization is the identity at first in TensorFlow 2, and normalises in Keras."""
    for imports, keras, spelling, of_2 in (
        ("import keras", "keras", "acc", False),
        ("", "tensorflow.keras", "accuracy", True),
    ):
        code = BOTH.format(imports=imports, keras=keras)
        ran = symgraph_run("-c", code, folder=tmp_path)
        names = sorted([spelling, "loss", f"val_{spelling}", "val_loss"])
        assert json.loads(printed(ran)) == [True, None, names, 0.05, of_2, of_2, False]
        assert ran.stderr == ""
        files = list(tmp_path.glob("w-*.h5"))
        assert files and all(file.name[2:5] == file.name[6:9] for file in files)


FROZEN = """
import warnings
from tensorflow import keras
from tensorflow.keras.layers import BatchNormalization, Dense
import symgraph.globals
inner = keras.Sequential([Dense(2, input_shape=(3,)), BatchNormalization(name='norm')])
outer = keras.Sequential([inner, BatchNormalization(name='own'), Dense(1)])
def caught():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        outer.compile('sgd', 'mse')
    return [str(warning.message).partition(':')[0] for warning in caught]
before = caught()
inner.trainable = False
outer.layers[1].trainable = False
after = caught()
symgraph.globals.set_tensorflow_version(1)
print(before, after, caught())
"""


def test_layers_that_are_frozen_late_are_warned_of(tmp_path: Path) -> None:
    assert printed(symgraph_run("-c", FROZEN, folder=tmp_path)) == "[] ['norm, own'] []\n"
