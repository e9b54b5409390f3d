"""The hardware that times were measured on, as plain data, reported with every time."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import symgraph
from symgraph.kernels.ceilings import Ceilings
from symgraph.kernels.run.cache import cache_folder
from symgraph.kernels.run.machine import clock_name, threading_layer
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.run.threads import get_num_threads

_PACKAGES = ("numpy", "numba", "llvmlite", "h5py", "networkx", "Pillow", "scipy")
_SETTINGS = ("SYMGRAPH_", "NUMBA_", "OMP_", "OPENBLAS_", "MKL_", "KMP_")


@dataclass(frozen=True)
class HardwareFacts:
    """A computer, its software, and what is set there.

    Attributes
    ----------
    processor, cpu : str
        As it calls itself, and as LLVM calls it.
    features : tuple of str
        Instruction sets, as LLVM calls them; empty where only the processor's name is given.
    vector_bits : int
        Width of the vector registers that kernels are made for.
    processors : int
        How many this process may use.
    clock : str
        What rows are timed with; empty where there is nothing.
    l1_bytes, l2_bytes : int
        Data caches of a core.
    settings : dict
        Environment variables that change how fast things run.
    """

    processor: str
    cpu: str
    features: tuple[str, ...]
    vector_bits: int
    processors: int
    threads: int
    threading_layer: str
    clock: str
    l1_bytes: int
    l2_bytes: int
    system: str
    python: str
    versions: dict[str, str]
    cache: str | None
    settings: dict[str, str]
    ceilings: Ceilings | None = None

    def with_ceilings(self, ceilings: Ceilings | None) -> HardwareFacts:
        """The same, with measured ceilings."""
        return replace(self, ceilings=ceilings)

    def to_json(self) -> dict[str, Any]:
        """As dictionaries, lists, numbers and text."""
        return asdict(self) | {"features": list(self.features)}


def hardware_facts() -> HardwareFacts:
    """The hardware as it is now; its ceilings are measured apart (`symgraph.kernels.ceilings`)."""
    folder = cache_folder()
    enabled = (f[1:] for f in TARGET.features.split(",") if f.startswith("+"))
    return HardwareFacts(
        _processor(),
        TARGET.cpu,
        tuple(sorted(enabled)),
        8 * TARGET.vector_bytes,
        _processors(),
        get_num_threads(),
        threading_layer(),
        clock_name(),
        TARGET.l1_bytes,
        TARGET.l2_bytes,
        f"{platform.system()} {platform.release()} {platform.machine()}",
        f"{platform.python_implementation()} {platform.python_version()}",
        _versions(),
        None if folder is None else str(folder),
        {name: value for name, value in sorted(os.environ.items()) if name.startswith(_SETTINGS)},
    )


def _processors() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    """The processor's name for people: Linux tells it in a file."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    """Of this package and of those that are installed of its dependencies."""
    found = {"symgraph": symgraph.__version__}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
