"""Every registered op through the generic checks, on the samples that it declares."""

from __future__ import annotations

import numpy as np
import pytest

from symgraph.graph.op import Op, Part, registered_ops
from tests.checkers import check_cut, check_gradient, check_infer, check_kernel

# Leaves have no inputs to sample, and Part is checked with every op that has several results.
WITHOUT_SAMPLES = {"Constant", "DimValue", "OwnSize", "Part", "Placeholder", "Sparse", "VariableRead"}


OPS = [op for op in registered_ops() if op.__name__ not in WITHOUT_SAMPLES]


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
class TestOp:
    def test_has_samples(self, op: type[Op]) -> None:
        assert list(op.samples(np.random.default_rng(0))), f"{op.__name__} declares no samples"

    def test_infer(self, op: type[Op]) -> None:
        samples = list(op.samples(np.random.default_rng(1)))
        for sample in samples:
            check_infer(sample)
        assert samples

    def test_kernel(self, op: type[Op]) -> None:
        samples = list(op.samples(np.random.default_rng(2)))
        for index, sample in enumerate(samples):
            check_kernel(sample, viewed=bool(index % 2))
        assert samples

    def test_cut(self, op: type[Op]) -> None:
        checked = [check_cut(sample) for sample in op.samples(np.random.default_rng(5))]
        assert any(checked) or op.cut is Op.cut, f"{op.__name__}: no sample was cut"

    def test_gradient(self, op: type[Op]) -> None:
        rng = np.random.default_rng(3)
        smooth = [s for s in op.samples(np.random.default_rng(3)) if s.smooth]
        checked = [check_gradient(sample, rng) for sample in smooth]
        wanted = op.differentiable and any(a.dtype == np.float64 and a.size for s in smooth for a in s.inputs)
        assert any(checked) or not wanted, f"{op.__name__}: no sample was differentiated"


def test_part_is_a_part() -> None:
    assert Part(1).reference((1, 2)) == 2
