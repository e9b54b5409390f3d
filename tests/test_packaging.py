"""What is packaged: every module once, under one name, and the bundled data; and that it installs."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

# What is made once for these tests is made in one process.
pytestmark = pytest.mark.xdist_group("packaging")

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
    expected |= {"symgraph/datasets/sonnets.txt", "symgraph/datasets/sonnets.md"}
    expected |= {"symgraph/inspection/report/style.css", "symgraph/inspection/report/script.js"}
    assert {name for name in names if name.startswith("symgraph/")} == expected
    assert sum(name.endswith("licenses/LICENSE") for name in names) == 1


def test_wheel(source):
    check_wheel(build(source, "wheel"))


def test_sdist_and_the_wheel_made_from_it(source, tmp_path):
    with tarfile.open(build(source, "sdist")) as sdist:
        names = [name.partition("/")[2] for name in sdist.getnames()]
        # Python 3.11.0 to 3.11.3 have no filters yet, later ones warn without.
        sdist.extractall(tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    assert len(names) == len(set(names))
    assert "kernels/run/machine.py" in names
    assert [name for name in names if name.startswith(("symgraph/kernels", "symgraph/models"))] == []
    (unpacked,) = tmp_path.iterdir()
    check_wheel(build(unpacked, "wheel"))


def run(command, folder):
    """Run `command` in `folder` and return what it printed. It finds nothing by way of the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_an_installed_package_trains_the_demo_model(source, tmp_path, kind):
    pytest.importorskip("pip")
    package = build(source, kind)
    new = tmp_path / "environment"
    venv.create(new, with_pip=False)
    python = new / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # The packages that symgraph needs are those of this environment: a path file adds them without a network.
    (site,) = new.rglob("site-packages")
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "borrowed.pth").write_text("\n".join(sorted(borrowed)))
    options = [
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--ignore-installed",
        "--no-warn-script-location",
    ]
    run([sys.executable, "-m", "pip", "--python", python, "install", *options, package], tmp_path)

    outside = tmp_path / "elsewhere"
    outside.mkdir()
    where = run([python, "-c", "import symgraph; print(symgraph.__file__)"], outside)
    assert Path(where.strip()).parent == site / "symgraph"
    printed = run([python, "-m", "symgraph.models.mnist_cnn", "--epochs", "2"], outside)
    accuracy = float(printed.split("Test accuracy:")[1].split()[0])
    assert accuracy > 0.7
    assert (outside / "demo" / "model.h5").stat().st_size > 0
    assert (outside / "demo" / "program.txt").stat().st_size > 0


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
