"""Two machines, simulated by network namespaces, of which one is cut off in the middle of an epoch."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.distributed.kills import SCRIPT, check_steps, train
from tests.distributed.mpi import ROOT, mpirun

A, B = "10.77.0.1", "10.77.0.2"

# As ssh does, it fails where the network does, though namespaces would let it in.
RSH = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
case $1 in %(a)s) name=%(names)s-a;; %(b)s) name=%(names)s-b;; *) exit 255;; esac
shift
ip -n $name link show veth | grep -q 'state UP' || exit 255
exec ip netns exec $name unshare --uts sh -c "hostname $name; $*"
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def machines(tmp_path):
    """The names of two namespaces with a network between them, and what runs a command in one."""
    mpirun()
    names = f"sg{os.getpid()}"
    missing = [tool for tool in ("ip", "unshare") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}: install iproute2 and util-linux")
    try:
        for end in "ab":
            ip("netns", "add", f"{names}-{end}")
        ip(
            "link",
            "add",
            "veth",
            "netns",
            f"{names}-a",
            "type",
            "veth",
            "peer",
            "veth",
            "netns",
            f"{names}-b",
        )
        for end, address in zip("ab", (A, B), strict=True):
            ip("-n", f"{names}-{end}", "address", "add", f"{address}/24", "dev", "veth")
            for link in ("lo", "veth"):
                ip("-n", f"{names}-{end}", "link", "set", link, "up")
        rsh = tmp_path / "rsh"
        rsh.write_text(RSH % {"a": A, "b": B, "names": names})
        rsh.chmod(rsh.stat().st_mode | stat.S_IXUSR)
        yield names, rsh
    except subprocess.CalledProcessError as error:
        pytest.skip(f"needs network namespaces: run as root ({error.stderr.decode().strip()})")
    finally:
        for end in "ab":
            subprocess.run(["ip", "netns", "delete", f"{names}-{end}"], check=False, capture_output=True)


def test_a_training_goes_on_without_the_machine_that_was_cut_off(machines, tmp_path):
    names, rsh = machines
    reference, folder = tmp_path / "reference", tmp_path / "cut"
    folder.mkdir()
    assert train(reference, ranks=2, epochs=2, every=3).code == 0
    command = [sys.executable, "-m", "symgraph", "launch", "-n", "2", "--hosts", f"{A}:1,{B}:1"]
    command += ["--rsh", str(rsh), "--timeout", "3", "--every", "3", str(SCRIPT), str(folder), "2"]
    process = subprocess.Popen(
        ["ip", "netns", "exec", f"{names}-a", *command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    cutter = threading.Thread(target=cut_after, args=(folder, 15, names), daemon=True)
    cutter.start()
    output, _ = process.communicate(timeout=300)
    cutter.join()
    assert process.returncode == 0, output
    assert "waited 3 s for other ranks" in output
    assert f"no answer from {B}: the ranks are started on the other machines" in output
    same_results(folder, reference)
    assert check_steps(folder, 54, elastic=False) == []


def cut_after(folder: Path, steps: int, names: str) -> None:
    """Cut the second machine off after so many steps of both ranks."""
    end = time.monotonic() + 200
    while time.monotonic() < end:
        if sum(path.read_text().count("\n") for path in folder.glob("steps-*")) >= steps:
            ip("-n", f"{names}-b", "link", "set", "veth", "down")
            return
        time.sleep(0.02)


def same_results(folder: Path, reference: Path) -> None:
    import numpy as np

    wanted, found = np.load(reference / "result.npz"), np.load(folder / "result.npz")
    assert all(np.array_equal(wanted[name], found[name]) for name in wanted.files)
    assert (folder / "log.csv").read_text() == (reference / "log.csv").read_text()
