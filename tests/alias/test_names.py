"""`symgraph run`: which names find what, and that what they find is one and the same."""

from __future__ import annotations

import importlib
import json
import pickle
import sys
from pathlib import Path

import pytest

from symgraph.alias.names import place_of, root_of
from tests.alias.run import printed, symgraph_run

# What strangers' scripts import, and the module of symgraph that it is.
MODULES = {
    "keras.layers": "layers",
    "keras.layers.core": "layers.core",
    "keras.layers.convolutional": "layers.convolutional",
    "keras.layers.normalization": "layers.normalization",
    "keras.engine.topology": "engine.topology",
    "keras.engine.training": "engine.training",
    "keras.backend": "backend",
    "keras.backend.tensorflow_backend": "backend",
    "keras.backend.theano_backend": "backend",
    "keras.backend.common": "backend",
    "keras.utils.np_utils": "utils.np_utils",
    "keras.utils.visualize_util": "utils.vis_utils",
    "keras.wrappers.scikit_learn": "wrappers.scikit_learn",
    "keras.objectives": "objectives",
    "keras.models": "models",
    "tensorflow.keras.layers": "layers",
    "tensorflow.keras.backend": "backend",
    "tensorflow.keras.preprocessing.image": "preprocessing.image",
    "tensorflow.python.keras.layers.core": "layers.core",
    "tensorflow.python.keras.engine.topology": "engine.topology",
    "tensorflow.contrib.keras.layers": "layers",
    "keras_preprocessing.text": "preprocessing.text",
}

SCRIPT = """
import json, pickle, sys
import keras
import keras.layers.core
from keras import backend as K
from keras import layers, models, Sequential
from keras.layers import Dense, Activation
from keras.models import Model, load_model
import keras.layers.recurrent as recurrent
import symgraph, symgraph.layers.core, symgraph.models
import importlib

same = {name: importlib.import_module(name) is sys.modules.get('symgraph.' + ours)
        for name, ours in json.loads(sys.argv[1]).items()}
from tensorflow.keras.layers import Dense as TFDense
import tensorflow as tf
from tensorflow import keras as tfk
model = Sequential([Dense(2, input_shape=(3,)), Activation('relu')])
print(json.dumps({
    'argv': sys.argv[2:], 'file': __file__, 'main': sys.modules['__main__'].__dict__ is globals(),
    'same': same,
    'dense': Dense is TFDense is symgraph.layers.Dense is tfk.layers.Dense is tf.keras.layers.Dense
             is keras.layers.core.Dense,
    'model': isinstance(model, symgraph.models.Sequential) and isinstance(model, tf.keras.Model),
    'versions': [keras.__version__, tf.keras.__version__, tf.__version__],
    'backend': [K.backend(), K.image_data_format()],
    'specs': [keras.layers.__spec__.name, keras.layers.core.__name__],
    'names': [layer.name for layer in model.layers],
    'absent': [hasattr(keras, 'placeholders'), hasattr(keras, 'wrappers'), 'layers' in dir(keras)],
    'pickle': pickle.dumps(Dense).hex(),
    'loaded': pickle.loads(b'ckeras.layers.core\\nDense\\n.') is Dense,
}))
"""


def test_every_name_finds_the_module_of_symgraph(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    ran = symgraph_run(script, json.dumps(MODULES), "--epochs", "3", folder=tmp_path)
    facts = json.loads(printed(ran))
    assert ran.stderr == ""
    assert [name for name, is_same in facts["same"].items() if not is_same] == []
    assert facts["argv"] == ["--epochs", "3"] and facts["file"] == str(script) and facts["main"]
    assert facts["dense"] and facts["model"] and facts["loaded"]
    assert facts["versions"] == ["2.2.4", "2.2.4-tf", "2.1.0"]
    assert facts["backend"] == ["tensorflow", "channels_last"]
    assert facts["specs"] == ["symgraph.layers", "symgraph.layers.core"]
    assert facts["names"] == ["dense_1", "activation_1"], "keras came first"
    assert facts["absent"] == [False, True, True]
    # A pickle of such a process is read where no alias is.
    layers = importlib.import_module("symgraph.layers")
    assert pickle.loads(bytes.fromhex(facts["pickle"])) is layers.Dense


def test_names_are_taken_apart() -> None:
    assert root_of("keras") == ("keras", "")
    assert root_of("keras.layers.core") == ("keras", "layers.core")
    assert root_of("tensorflow.keras.layers") == ("tensorflow.keras", "layers")
    assert root_of("tensorflow.contrib.keras.layers") == ("tensorflow.contrib.keras", "layers")
    assert root_of("tensorflow.compat.v1") is None and root_of("kerastuner") is None
    assert place_of("layers.core") == "layers.core"


def test_nothing_answers_without_being_asked() -> None:
    assert "symgraph.alias" not in sys.modules or not any(
        type(finder).__name__ == "KerasFinder" for finder in sys.meta_path
    )
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("keras")


FROM = """
import importlib
from keras.backend import common, tensorflow_backend as KTF
from keras.utils import visualize_util
from keras.backend.tensorflow_backend import tf as of_backend
from keras import backend as K
import symgraph.utils.vis_utils
import tensorflow as tf
print(KTF is K is common, K.tensorflow_backend is K, visualize_util is symgraph.utils.vis_utils)
print(K.tf is tf is of_backend, hasattr(K.tf, 'select'), hasattr(K, 'other'))
for name in ('keras.layers.cores', 'keras.engine.keras', 'tensorflow.keras.layer'):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        print(error)
try:
    from keras.layers import Denes
except ImportError as error:
    print(type(error).__name__, error)
"""


def test_from_imports_of_what_moved_and_of_what_is_not_there(tmp_path: Path) -> None:
    lines = printed(symgraph_run("-c", FROM, folder=tmp_path)).splitlines()
    assert lines[:2] == ["True True True", "True False False"]
    assert lines[2:5] == [
        "No module named 'keras.layers.cores'",
        "No module named 'keras.engine.keras'",
        "No module named 'tensorflow.keras.layer'",
    ]
    assert lines[5].startswith("ImportError cannot import name 'Denes' from 'symgraph.layers'")


BACKEND = """
import os, sys
if sys.argv[1:]:
    os.environ['KERAS_BACKEND'] = sys.argv[1]
from keras import backend as K
from keras.layers import Conv2D
from keras.models import Sequential
shape = (1, 8, 9) if K.image_dim_ordering() == 'th' else (8, 9, 1)
model = Sequential([Conv2D(2, 3, input_shape=shape)])
print(K.backend(), K.image_data_format(), model.output_shape)
"""


def test_theano_puts_channels_first(tmp_path: Path) -> None:
    home = {"KERAS_HOME": str(tmp_path)}
    theano = printed(symgraph_run("-c", BACKEND, "theano", folder=tmp_path, **home))
    assert theano == "theano channels_first (None, 2, 6, 7)\n"
    (tmp_path / "keras.json").write_text('{"backend": "theano", "image_data_format": "channels_last"}')
    settings = printed(symgraph_run("-c", BACKEND, folder=tmp_path, **home))
    assert settings == "theano channels_last (None, 6, 7, 2)\n"
    unknown = symgraph_run("-c", BACKEND, "mxnet", folder=tmp_path, **home)
    assert unknown.returncode == 1
    assert "KERAS_BACKEND: expected one of tensorflow, theano, cntk, got 'mxnet'" in unknown.stderr
