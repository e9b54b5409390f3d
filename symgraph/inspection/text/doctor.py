"""The checks of `symgraph doctor`: whether kernels can be compiled, cached and run on this computer."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from symgraph.inspection.facts.hardware import HardwareFacts
from symgraph.inspection.text.table import byte_text, table
from symgraph.kernels.matmul import matmul
from symgraph.kernels.run.jit import numba_kernel

GOOD, WARNING, BAD = "ok", "warning", "FAILED"
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Finding:
    """The result of one check: its name, `GOOD`, `WARNING` or `BAD`, and a description."""

    name: str
    verdict: str
    text: str


def examine(hardware: HardwareFacts) -> Iterator[Finding]:
    """Run all checks. `hardware` is shown with its peaks, if they were measured."""
    versions = ", ".join(f"{name} {version}" for name, version in hardware.versions.items())
    yield Finding("versions", GOOD, f"{hardware.python}, {versions}")
    features = [f for f in ("avx512f", "avx2", "fma", "sse4.2", "neon", "sve") if f in hardware.features]
    yield Finding(
        "processor",
        GOOD,
        f"{hardware.processor} ({hardware.cpu}), {hardware.vector_bits}-bit vectors, {' '.join(features)}; "
        f"{hardware.system}",
    )
    yield from _threads(hardware)
    yield _clock(hardware)
    yield _cache(hardware)
    settings = ", ".join(f"{name}={value}" for name, value in hardware.settings.items())
    yield Finding("environment", GOOD, settings or "nothing is set")
    if hardware.ceilings is not None:
        found = hardware.ceilings
        text = f"{found.gflops:.1f} GFLOP/s (float32 multiply-adds), {found.gbytes:.1f} GB/s (copy)"
        yield Finding("ceilings", GOOD, f"with {found.threads} threads: {text}")
    yield _compiled()
    yield _checked(hardware.threads)


def finding_lines(findings: list[Finding]) -> list[str]:
    """A table."""
    return table(("what", "", "found"), [(f.name, f.verdict, f.text) for f in findings])


def _threads(hardware: HardwareFacts) -> Iterator[Finding]:
    text = f"{hardware.threads} threads on {hardware.processors} processors, layer {hardware.threading_layer}"
    quota = _quota()
    if hardware.threads > hardware.processors:
        yield Finding("threads", WARNING, f"{text}: more threads than processors wait for each other")
    elif quota is not None and hardware.threads > quota + 0.5:
        yield Finding("threads", WARNING, f"{text}, but this container may use {quota:g} of them")
    elif hardware.threading_layer == "workqueue":
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


def _clock(hardware: HardwareFacts) -> Finding:
    if hardware.clock:
        return Finding("clock", GOOD, hardware.clock)
    return Finding("clock", WARNING, "none for user code on this processor: profiles have no times of rows")


def _cache(hardware: HardwareFacts) -> Finding:
    if hardware.cache is None:
        return Finding(
            "kernel cache",
            WARNING,
            "no folder that is safe (see SYMGRAPH_CACHE): kernels are compiled anew in every process",
        )
    folder = Path(hardware.cache)
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
