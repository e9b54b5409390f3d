"""The names hold in every process that a script starts, and in every way of starting one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.alias.run import ROOT, environment, printed, symgraph_run

CHILDREN = """
import multiprocessing, os, runpy, subprocess, sys
import numpy as np
import keras
from keras import backend as K
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import Sequence

class Batches(Sequence):
    def __len__(self):
        return 3
    def __getitem__(self, index):
        # In a worker process this name is Keras' too.
        from keras.utils import to_categorical
        return np.full((4, 2), index), to_categorical([os.getpid() != PARENT] * 4, 2)

PARENT = os.getpid()

def told(name):
    import keras.layers
    return getattr(keras.layers, name).__module__, K.backend()

if __name__ == '__main__':
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        print(pool.map(told, ['LSTM']))
    code = 'import keras; print(keras.__version__)'
    print(subprocess.check_output([sys.executable, '-c', code], text=True))
    with open('other.py', 'w') as file:
        file.write('from keras.models import Model; print(__name__, Model.__module__)')
    runpy.run_path('other.py', run_name='__main__')
    model = Sequential([Dense(2, activation='softmax', input_dim=2)])
    model.compile('sgd', 'categorical_crossentropy')
    print(len(model.fit_generator(Batches(), workers=1, use_multiprocessing=True, verbose=0).history['loss']))
"""


def test_processes_of_a_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(CHILDREN)
    ran = symgraph_run(script.name, folder=tmp_path)
    assert printed(ran).split() == [
        *["[('symgraph.layers.recurrent',", "'tensorflow')]"],
        "2.2.4",
        *["__main__", "symgraph.engine.training", "1"],
    ]
    # The generator's processes were used: Keras' warning names why they are not.
    assert ran.stderr == ""


def test_pytest_and_modules(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "from keras.utils.np_utils import to_categorical\n"
        "def test_it():\n    assert to_categorical([1], 3).tolist() == [[0, 1, 0]]\n"
    )
    ran = symgraph_run("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path)
    assert "1 passed" in printed(ran)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text(
        "import sys, keras; print(keras.__version__, sys.argv[1])"
    )
    assert printed(symgraph_run("-m", "package", "now", folder=tmp_path)) == "2.2.4 now\n"


def test_the_exit_code_and_the_traceback_are_those_of_the_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint('before', flush=True)\nsys.exit(7)\n")
    ran = symgraph_run(script, folder=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, "before\n", "")
    script.write_text("import keras\nraise RuntimeError('mine')\n")
    ran = symgraph_run(script, folder=tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[:2] == [
        "Traceback (most recent call last):",
        f'  File "{script}", line 2, in <module>',
    ]


def test_a_keras_in_the_folder_of_the_script_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "__init__.py").write_text("__version__ = 'of the folder'\n")
    (tmp_path / "script.py").write_text("import keras; print(keras.__version__)")
    assert printed(symgraph_run("script.py", folder=tmp_path)) == "2.2.4\n"


def test_the_other_sitecustomize_is_run(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import sys; sys.customised = True")
    code = "import sys, keras; print(keras.__version__, sys.customised)"
    command = [sys.executable, "-c", f"import symgraph.alias.install as i; i.run_script(['-c', {code!r}])"]
    variables = environment()
    variables["PYTHONPATH"] = os.pathsep.join([variables["PYTHONPATH"], str(own)])
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert printed(ran) == "2.2.4 True\n"


NOTEBOOK = """
import json, subprocess, sys
sys.path.insert(0, %r)
import symgraph
symgraph.install_as_keras()
symgraph.install_as_keras()
import keras, keras.utils.np_utils
inner = subprocess.check_output([sys.executable, '-c', 'import keras; print(keras.__version__)'], text=True)
print(json.dumps([keras.__version__, inner.strip(), keras.utils.np_utils is symgraph.utils.np_utils,
                  sum(type(finder).__name__ == 'KerasFinder' for finder in sys.meta_path)]))
"""


def test_a_notebook_installs_the_names_itself(tmp_path: Path) -> None:
    # The package is found by sys.path alone, as in a checkout: its processes find it, too.
    variables = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", NOTEBOOK % str(ROOT)]
    ran = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert json.loads(printed(ran)) == ["2.2.4", "2.2.4", True, 1]


def test_the_example_of_the_page(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "old_scripts.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```\n(import symgraph\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    command = [sys.executable, "-c", example]
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert printed(ran) == ""


@pytest.mark.parametrize("module", ["keras", "tensorflow.keras"])
def test_a_keras_that_was_imported_before_is_an_error(tmp_path: Path, module: str) -> None:
    folder = tmp_path.joinpath(*module.split("."))
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        if package != tmp_path:
            (package / "__init__.py").write_text("")
    code = f"import {module}, symgraph; symgraph.install_as_keras()"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"ImportError: install_as_keras: {module} was imported already, from {folder}" in ran.stderr


def test_the_data_of_keras_are_used(tmp_path: Path) -> None:
    """A file without a hash in Keras' own folder is taken as Keras takes it, with no look at the network."""
    home = tmp_path / "home"
    (home / "datasets").mkdir(parents=True)
    (home / "datasets" / "mine.txt").write_text("mine")
    code = (
        "from keras.utils.data_utils import get_file; "
        "print(get_file('mine.txt', origin='http://127.0.0.1:9/mine.txt'))"
    )
    ran = symgraph_run("-c", code, folder=tmp_path, KERAS_HOME=str(home))
    assert printed(ran) == f"{home / 'datasets' / 'mine.txt'}\n"
