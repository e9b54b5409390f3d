"""Networks in the style of Keras 2.2, run as they are; with Keras 2.2.4 each reaches its figure too."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("symgraph.alias", reason="`symgraph run` answers `import keras`")

SCRIPTS = Path(__file__).parent / "scripts" / "networks"
RUN = "import sys; from symgraph.cli import main; sys.exit(main())"

# The last figure that a script prints, and what it has to be at least.
FIGURES = {
    "attention": ("Test accuracy", 0.97),
    "capsules": ("Test acc", 0.85),
    "seq2seq": ("Right", 0.9),
    "text_reading": ("Words right", 0.9),
}


def test_every_script_has_a_figure() -> None:
    assert {path.stem for path in SCRIPTS.glob("*.py")} == set(FIGURES)


@pytest.mark.parametrize("script", FIGURES)
def test_the_script_reaches_its_figure(script: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, "run", str(SCRIPTS / f"{script}.py")]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    name, least = FIGURES[script]
    found = re.search(rf"^{name}: ([0-9.]+)$", ended.stdout, re.MULTILINE)
    assert found and float(found[1]) >= least, ended.stdout
