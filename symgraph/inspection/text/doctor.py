"""What `symgraph doctor` looks at: whether kernels can be made, kept and run on this machine."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from symgraph.inspection.facts.hardware import MachineFacts
from symgraph.inspection.text.table import byte_text, table
from symgraph.kernels.matmul import matmul
from symgraph.kernels.run.jit import numba_kernel

GOOD, WARNING, BAD = "ok", "warning", "FAILED"
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: its name, `GOOD`, `WARNING` or `BAD`, and what was found."""

    name: str
    verdict: str
    text: str


def examine(machine: MachineFacts) -> Iterator[Finding]:
    """Look at everything. `machine` is told with its ceilings, where they were measured."""
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    yield Finding("versions", GOOD, f"{machine.python}, {versions}")
    features = [f for f in ("avx512f", "avx2", "fma", "sse4.2", "neon", "sve") if f in machine.features]
    yield Finding(
        "processor",
        GOOD,
        f"{machine.processor} ({machine.cpu}), {machine.vector_bits}-bit vectors, {' '.join(features)}; "
        f"{machine.system}",
    )
    yield from _threads(machine)
    yield _clock(machine)
    yield _cache(machine)
    settings = ", ".join(f"{name}={value}" for name, value in machine.settings.items())
    yield Finding("environment", GOOD, settings or "nothing is set")
    if machine.ceilings is not None:
        found = machine.ceilings
        text = f"{found.gflops:.1f} GFLOP/s (float32 multiply-adds), {found.gbytes:.1f} GB/s (copy)"
        yield Finding("ceilings", GOOD, f"with {found.threads} threads: {text}")
    yield _compiled()
    yield _checked(machine.threads)


def finding_lines(findings: list[Finding]) -> list[str]:
    """A table."""
    return table(("what", "", "found"), [(f.name, f.verdict, f.text) for f in findings])


def _threads(machine: MachineFacts) -> Iterator[Finding]:
    text = f"{machine.threads} threads on {machine.processors} processors, layer {machine.threading_layer}"
    quota = _quota()
    if machine.threads > machine.processors:
        yield Finding("threads", WARNING, f"{text}: more threads than processors wait for each other")
    elif quota is not None and machine.threads > quota + 0.5:
        yield Finding("threads", WARNING, f"{text}, but this container may use {quota:g} of them")
    elif machine.threading_layer == "workqueue":
        yield Finding("threads", WARNING, f"{text}: on this layer calls wait for each other")
    else:
        yield Finding("threads", GOOD, text)
    pools = _pools()
    if pools:
        yield Finding("other pools", GOOD, f"{pools}; kernels call none of them")


def _quota() -> float | None:
    """How many processors the system lets this process have; None where it does not say."""
    with suppress(OSError, ValueError):
        most, period = _QUOTA.read_text().split()
        return None if most == "max" else int(most) / int(period)
    return None


def _pools() -> str:
    """Thread pools of other libraries, where threadpoolctl is installed to tell them."""
    try:
        found = importlib.import_module("threadpoolctl").threadpool_info()
    except ImportError:
        return ""
    return ", ".join(f"{pool['internal_api']} with {pool['num_threads']} threads" for pool in found)


def _clock(machine: MachineFacts) -> Finding:
    if machine.clock:
        return Finding("clock", GOOD, machine.clock)
    return Finding("clock", WARNING, "none for user code on this processor: profiles have no times of rows")


def _cache(machine: MachineFacts) -> Finding:
    if machine.cache is None:
        return Finding(
            "kernel cache",
            WARNING,
            "no folder that is safe (see SYMGRAPH_CACHE): kernels are compiled anew in every process",
        )
    folder = Path(machine.cache)
    sizes = [file.stat().st_size for file in folder.glob("*.o")]
    text = f"{folder}, {len(sizes)} kernels, {byte_text(sum(sizes))}"
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Finding("kernel cache", GOOD, text)
    except OSError as error:
        return Finding("kernel cache", WARNING, f"{text}; cannot be written to: {error.strerror}")


def _compiled() -> Finding:
    """Whether a kernel can be compiled: one that is never loaded from the cache."""
    try:
        lines = len(numba_kernel("doctor", _nothing).assembly().splitlines())
    except Exception as error:  # whatever goes wrong is what is looked for
        return Finding("compiler", BAD, f"a kernel could not be compiled: {error}")
    return Finding("compiler", GOOD, f"a kernel was compiled to {lines} lines of assembly")


def _nothing(operands: object, tile: int) -> int:
    return 0


def _checked(threads: int) -> Finding:
    """Whether a kernel computes what numpy does."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((97, 130), np.float32), rng.standard_normal((130, 61), np.float32)
    try:
        error = float(np.abs(matmul(a, b, threads=threads) - a.astype(float) @ b.astype(float)).max())
    except Exception as problem:
        return Finding("check", BAD, f"a matrix product failed: {problem}")
    # 130 terms of size 1 in float32.
    verdict = GOOD if error < 1e-3 else BAD
    return Finding("check", verdict, f"a matrix product differs from numpy's by {error:.1g} at most")
