"""The stand-in for TensorFlow, and the errors of scripts that need more."""

from __future__ import annotations

import json
from pathlib import Path

from tests.alias.run import printed, symgraph_run

USED = """
import json
import numpy as np
import tensorflow as tf
from tensorflow import set_random_seed
from tensorflow.python.client import device_lib
from tensorflow.compat.v1 import ConfigProto, InteractiveSession
import tensorflow.compat.v1 as v1
import keras.backend.tensorflow_backend as KTF
from keras import backend as K
from keras.layers import Dense, Dropout
from keras.models import Sequential

tf.logging.set_verbosity(tf.logging.ERROR)
v1.logging.set_verbosity(v1.logging.ERROR)
tf.get_logger().setLevel('ERROR')
v1.disable_eager_execution()

config = tf.ConfigProto(intra_op_parallelism_threads=1, device_count={'GPU': 0})
config.gpu_options.allow_growth = True
config.gpu_options.per_process_gpu_memory_fraction = 0.4
sess = tf.Session(graph=tf.get_default_graph(), config=config)
KTF.set_session(sess)
assert K.get_session() is sess and ConfigProto is tf.ConfigProto
assert tf.ConfigProto().gpu_options is not config.gpu_options and not tf.ConfigProto().device_count

def weights(seed):
    tf.reset_default_graph()
    np.random.seed(7)
    set_random_seed(seed)
    model = Sequential([Dense(4, input_dim=3), Dropout(0.5)])
    f = K.function([model.input, K.learning_phase()], model.outputs)
    drawn = f([np.ones((1, 3)), 1])[0]
    return model.get_weights()[0].tolist() + drawn.tolist(), np.random.rand(), model.layers[0].name

first, again, other = weights(1), weights(1), weights(2)
K.clear_session()
graph = tf.get_default_graph()
with graph.as_default(), tf.device('/cpu:0'):
    model = Sequential([Dense(2, input_dim=3)])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        out = sess.run(model.output, feed_dict={model.input: np.ones((1, 3))})
print(json.dumps({
    'seeds': [first == again, first[0] != other[0], first[1] == other[1], first[2]],
    'gpu': [tf.test.is_gpu_available(), tf.config.list_physical_devices('GPU'), K.tensorflow_backend is K
            or K.tensorflow_backend.__name__],
    'devices': [d.device_type for d in device_lib.list_local_devices()],
    'out': np.allclose(out, model.predict(np.ones((1, 3)))),
    'dtype': [K.dtype(K.cast(model.output, tf.int32)), tf.float32.name, isinstance(model.output, tf.Tensor)],
    'has': [hasattr(tf, 'GradientTape'), hasattr(tf, 'keras'), getattr(tf, 'function', None)],
    'dir': ['ConfigProto' in dir(tf), 'v1' in dir(tf.compat), 'set_verbosity' in dir(tf.logging)],
}))
"""


def test_what_scripts_use_beside_keras(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(USED)
    ran = symgraph_run(script, folder=tmp_path)
    facts = json.loads(printed(ran))
    assert facts["seeds"] == [True, True, True, "dense_1"]
    assert facts["gpu"][:2] == [False, []]
    assert facts["devices"] == ["CPU"] and facts["out"]
    assert facts["dtype"] == ["int32", "float32", True]
    assert facts["has"] == [False, True, None]
    assert facts["dir"] == [True, True, True]
    assert ran.stderr == ""


MORE = """\
import traceback
import tensorflow as tf
def of(code):
    try:
        exec(compile(code, 'asked.py', 'exec'), {'tf': tf})
    except Exception as error:
        print(type(error).__name__, '|', error)
of('tf.GradientTape()')
of('\\n\\nfrom tensorflow import Variable')
of('from tensorflow.contrib import rnn')
of('import tensorflow.examples.tutorials.mnist')
of('import importlib; importlib.import_module("tensorflow.linalg")')
of('tf.ConfigProto(gpu=1)')
of('tf.get_default_graph().get_operations()')
of('tf.compat.v1.placeholder')
of('tf.compat.v2.Session')
"""
REASON = (
    "TensorFlow is not installed. symgraph answers for tensorflow.keras, and for the rest of TensorFlow only "
    "with the few names that Keras scripts need beside Keras (docs/old_scripts.md)"
)


def test_what_needs_tensorflow_itself_is_an_error_that_says_where(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(MORE)
    expected = [
        f"MissingTensorFlowError | asked.py, line 1, needs tensorflow.GradientTape: {REASON}",
        f"ModuleNotFoundError | asked.py, line 3, needs tensorflow.Variable: {REASON}",
        f"ModuleNotFoundError | asked.py, line 1, needs tensorflow.contrib.rnn: {REASON}",
        f"ModuleNotFoundError | asked.py, line 1, needs tensorflow.examples: {REASON}",
        f"ModuleNotFoundError | asked.py, line 1, needs tensorflow.linalg: {REASON}",
        "AttributeError | ConfigProto: no field is called 'gpu'; there are allow_soft_placement, "
        "device_count, gpu_options, inter_op_parallelism_threads, intra_op_parallelism_threads, "
        "isolate_session_state, log_device_placement, operation_timeout_in_ms, use_per_session_threads",
        f"MissingTensorFlowError | asked.py, line 1, needs tensorflow.Graph.get_operations: {REASON}",
        f"MissingTensorFlowError | asked.py, line 1, needs tensorflow.compat.v1.placeholder: {REASON}",
        f"MissingTensorFlowError | asked.py, line 1, needs tensorflow.compat.v2.Session: {REASON}",
    ]
    assert printed(symgraph_run(script, folder=tmp_path)).splitlines() == expected


def test_a_tensorflow_that_is_installed_is_used(tmp_path: Path) -> None:
    """Its own Keras inside stays its own; the public name is symgraph's."""
    package = tmp_path / "tensorflow"
    (package / "python" / "keras").mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import tensorflow.python.keras as keras\n__version__ = '1.15.5'\ndef Variable(x): return x\n"
    )
    (package / "python" / "__init__.py").write_text("")
    (package / "python" / "keras" / "__init__.py").write_text("inner = True\n")
    (tmp_path / "script.py").write_text(
        "import tensorflow as tf\n"
        "from tensorflow.keras.layers import Dense\n"
        "import tensorflow.python.keras as inner\n"
        "print(tf.__version__, tf.Variable(3))\n"
        "activation = tf.keras.layers.LSTM(1).get_config()['recurrent_activation']\n"
        "print(tf.keras.layers.Dense is Dense, Dense.__module__, inner.inner, activation)\n"
    )
    out = printed(symgraph_run("script.py", folder=tmp_path))
    assert out == "1.15.5 3\nTrue symgraph.layers.core True hard_sigmoid\n"
