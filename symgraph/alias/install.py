"""Switching the names of Keras on, in this process and in all that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from symgraph.alias.finder import KerasFinder
from symgraph.alias.names import PACKAGES

_STARTUP = str(Path(__file__).parent / "startup")
"""A folder with a `sitecustomize.py`: Python imports that as it starts, if the folder is in `PYTHONPATH`."""


def starts_a_script(arguments: Sequence[str]) -> bool:
    """Whether a command line is ``run`` and what Python is to run; all else is for the parser."""
    return arguments[:1] == ["run"] and arguments[1:] not in (["-h"], ["--help"])


def run_script(arguments: Sequence[str]) -> int:
    """Run Python in the place of this process, with symgraph under the names of Keras.

    Parameters
    ----------
    arguments : sequence of str
        As for Python: a script, ``-m module`` or ``-c code``, and its arguments.

    Returns
    -------
    int
        The exit code, where the system cannot replace a process (Windows); elsewhere it does not return.
    """
    os.environ["PYTHONPATH"] = _search_path()
    command = [sys.executable, *arguments]
    if os.name == "nt":
        return subprocess.run(command, check=False).returncode
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, command)


def install_as_keras() -> None:
    """Let `import keras` and `import tensorflow.keras` give symgraph, here and in processes started here.

    `symgraph run script.py` does this before a script begins; call it yourself in a notebook or in the
    `conftest.py` of tests, before anything imports Keras. A second call does nothing.

    - `keras.layers.core`, `keras.backend.tensorflow_backend` and so on are the modules of symgraph, so that
      classes, pickles and `isinstance` agree under all names. `keras.__version__` is 2.2.4, that of the API.
    - `tensorflow.keras` has tf.keras' manners: names of layers, heading of the summary, names in histories.
      The first of the two that is imported decides for the process.
    - `tensorflow`, where it is not installed, is a stand-in with what scripts need of it beside Keras.
    - `K.backend()` is 'tensorflow', or what the environment variable `KERAS_BACKEND` names.

    Raises
    ------
    ImportError
        If another Keras was imported already: its objects would mix with those of symgraph.
    """
    answer_imports()
    os.environ["PYTHONPATH"] = _search_path()


def answer_imports() -> None:
    """Let imports of this process find symgraph by the names of Keras. ImportError as `install_as_keras`."""
    if any(isinstance(finder, KerasFinder) for finder in sys.meta_path):
        return
    for name in (*PACKAGES, "tensorflow.keras"):
        loaded = sys.modules.get(name)
        if loaded is not None and name != "tensorflow":
            place = getattr(loaded, "__file__", "elsewhere")
            raise ImportError(
                f"install_as_keras: {name} was imported already, from {place}; call it before that, in a "
                "notebook after a restart",
                name=name,
            )
    sys.meta_path.insert(0, KerasFinder())


def _search_path() -> str:
    """`PYTHONPATH` with the folder of the start-up module in front."""
    folders = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    return os.pathsep.join([_STARTUP, *(folder for folder in folders if folder != _STARTUP)])
