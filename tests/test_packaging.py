"""What is packaged: every module once, under the name symgraph, and the bundled data."""

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FLOORS = {"symgraph": "symgraph", "kernels": "symgraph.kernels", "models": "symgraph.models"}


def modules():
    """Package name -> its folder, for all folders with Python files; links are not followed."""
    found = {}
    for top, package in FLOORS.items():
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT / top).parent.parts
            if not any((ROOT / top).joinpath(*parts[: n + 1]).is_symlink() for n in range(len(parts))):
                found[".".join((package, *parts))] = path.parent
    return found


def test_the_list_of_packages_is_complete():
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(modules()), "pyproject.toml: tool.setuptools.packages names every folder"
    assert sorted(set(listed)) == listed


def test_every_package_has_an_init_file():
    assert [str(folder) for folder in modules().values() if not (folder / "__init__.py").is_file()] == []


def test_links_give_a_checkout_the_installed_names():
    for name in ("kernels", "models"):
        link = ROOT / "symgraph" / name
        assert link.is_symlink()
        assert link.readlink() == Path("..", name)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the project, as packaging leaves files behind."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("source")
    unwanted = shutil.ignore_patterns("__pycache__")
    for name in FLOORS:
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=unwanted)
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, folder)
    return folder


def build(folder, kind):
    code = f"import setuptools.build_meta as b; print(b.build_{kind}('dist'))"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return folder / "dist" / ran.stdout.splitlines()[-1]


def check_wheel(path):
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
    assert len(names) == len(set(names))
    assert {name.split("/")[0] for name in names} == {"symgraph", path.name.split("-py3")[0] + ".dist-info"}
    expected = {
        f"{package.replace('.', '/')}/{module.name}"
        for package, folder in modules().items()
        for module in folder.glob("*.py")
    }
    expected |= {"symgraph/py.typed", "symgraph/datasets/digits.npz", "symgraph/datasets/digits.md"}
    assert {name for name in names if name.startswith("symgraph/")} == expected
    assert sum(name.endswith("licenses/LICENSE") for name in names) == 1


def test_wheel(source):
    check_wheel(build(source, "wheel"))


def test_sdist_and_the_wheel_made_from_it(source, tmp_path):
    with tarfile.open(build(source, "sdist")) as sdist:
        names = [name.partition("/")[2] for name in sdist.getnames()]
        sdist.extractall(tmp_path, filter="data")
    assert len(names) == len(set(names))
    assert "kernels/machine.py" in names
    assert [name for name in names if name.startswith(("symgraph/kernels", "symgraph/models"))] == []
    (unpacked,) = tmp_path.iterdir()
    check_wheel(build(unpacked, "wheel"))


def test_importing_opens_no_connection():
    code = """
import sys
def forbid(event, args):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "urllib.Request")):
        raise RuntimeError(event)
sys.addaudithook(forbid)
import symgraph, symgraph.utils, symgraph.datasets
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
