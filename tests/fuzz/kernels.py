"""Kernels that run once or twice: compiling them without optimisation takes a third of the time.

But not those of numba's loops: only optimisation takes out what numba writes for exceptions that never come.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import llvmlite.binding as llvm

from symgraph.kernels.run import jit
from symgraph.kernels.run.target import Target


@contextmanager
def unoptimised() -> Iterator[None]:
    """Kernels that are loaded in here are compiled as they are written."""
    machine, optimised = Target.machine, jit._optimised

    def as_written(text: str) -> str:
        return optimised(text) if "@numba_" in text else text

    def plain(target: Target, opt: int = 0) -> llvm.TargetMachine:
        return machine(target, 0)

    with mock.patch.object(jit, "_optimised", as_written), mock.patch.object(Target, "machine", plain):
        yield
