"""Settings from the user's files, each case in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PRINT = """
import warnings
warnings.simplefilter("always")
from symgraph import globals as state
print([state.floatx(), state.epsilon(), state.image_data_format()])
"""
DEFAULTS = ["float32", 1e-07, "channels_last"]
KERAS = {"floatx": "float64", "epsilon": 1e-5, "backend": "theano", "image_data_format": "channels_first"}


def run(home, code=PRINT, **more):
    names = ("SYMGRAPH_HOME", "KERAS_HOME", "SYMGRAPH_CACHE", "PYTHONWARNINGS")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path), **more}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def found(ran):
    return json.loads(ran.stdout.replace("'", '"'))


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*"))


def test_no_file(tmp_path):
    ran = run(tmp_path)
    assert (found(ran), ran.stderr, files(tmp_path)) == (DEFAULTS, "", [])


def test_the_file_of_keras_counts_until_there_is_an_own_one(tmp_path):
    write(tmp_path / ".keras" / "keras.json", KERAS)
    before = files(tmp_path)
    ran = run(tmp_path)
    assert (found(ran), ran.stderr) == (["float64", 1e-05, "channels_first"], "")
    assert files(tmp_path) == before
    write(tmp_path / ".symgraph" / "symgraph.json", {"floatx": "float16"})
    assert found(run(tmp_path)) == ["float16", 1e-07, "channels_last"]
    write(tmp_path / "other" / "symgraph.json", {"epsilon": 1})
    assert found(run(tmp_path, SYMGRAPH_HOME=str(tmp_path / "other"))) == ["float32", 1, "channels_last"]
    write(tmp_path / "keras" / "keras.json", {"image_data_format": "channels_first"})
    places = {"SYMGRAPH_HOME": str(tmp_path / "none"), "KERAS_HOME": str(tmp_path / "keras")}
    assert found(run(tmp_path, **places)) == ["float32", 1e-07, "channels_first"]


@pytest.mark.parametrize(
    ("content", "expected", "named"),
    [
        ('{"floatx": "float64"', DEFAULTS, "cannot be read"),
        ("[1, 2]", DEFAULTS, "expected a JSON object"),
        ("[" * 50_000, DEFAULTS, "cannot be read"),
        (
            {"floatx": "int8", "epsilon": True, "image_data_format": ["tf"]},
            DEFAULTS,
            "floatx: 'int8', epsilon: True, image_data_format: ['tf']",
        ),
        ('{"epsilon": NaN, "floatx": "float64"}', ["float64", 1e-07, "channels_last"], "epsilon: nan"),
        ({"epsilon": "small"}, DEFAULTS, "epsilon: 'small'"),
        ({"epsilon": -1e-7}, DEFAULTS, "epsilon: -1e-07"),
    ],
)
def test_what_means_nothing_is_named_in_one_warning(tmp_path, content, expected, named):
    write(tmp_path / ".symgraph" / "symgraph.json", content)
    write(tmp_path / ".keras" / "keras.json", KERAS)
    ran = run(tmp_path)
    assert found(ran) == expected
    assert ran.stderr.count("UserWarning") == 1
    assert named in ran.stderr and "symgraph.json" in ran.stderr


def test_importing_symgraph_reads_no_file(tmp_path):
    write(tmp_path / ".keras" / "keras.json", "{")
    code = "import sys, symgraph; print(sorted(name for name in sys.modules if name.startswith('symgraph')))"
    ran = run(tmp_path, code)
    assert (ran.stdout.strip(), ran.stderr) == ("['symgraph']", "")
