"""The kernels of every op touch nothing outside feeds, results and arena: beside these lie closed pages."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import pytest

from symgraph.compiler.program.program import Program, Slab
from symgraph.graph.op import Op
from tests.checkers import check_kernel
from tests.fence import Fence
from tests.graph.test_ops import OPS


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_every_op(op: type[Op], at_end: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = 0

    def run(
        self: Program, feeds: Sequence[np.ndarray], slabs: list[Slab], clocks: None = None
    ) -> list[np.ndarray]:
        nonlocal runs
        runs += 1
        fence = Fence(at_end)
        feeds = [fence(array) for array in feeds]
        results = [fence(np.zeros(shape, dtype)) for shape, dtype in self.outputs]
        lease = self._new_lease()
        for places, arrays in ((self._feeds, feeds), (self._results, results)):
            for position, index in places:
                lease.bases[position] = arrays[index].ctypes.data
        arena = fence(np.zeros(self.arena_bytes, np.uint8))
        lease.bases[self._arena] = arena.ctypes.data
        lease.run()
        return [array.copy() for array in results]

    monkeypatch.setattr(Program, "run", run)
    samples = list(op.samples(np.random.default_rng(4)))
    for sample in samples:
        check_kernel(sample)
    assert runs == len(samples)
