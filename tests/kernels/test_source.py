"""What is shown of a kernel, and what the kernels' own sources may say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from symgraph.kernels.contraction.contract import Contraction, contraction_kernel
from symgraph.kernels.run.jit import numba_kernel
from symgraph.kernels.tile.block import Block

KERNELS = Path(__file__).parents[2] / "kernels"


def test_the_source_of_loops_has_their_helpers_and_slots() -> None:
    kernel = contraction_kernel(Block("float32", 6, 2), "rows", "-*+")
    text = kernel.source()
    for name in ("contraction(operands, tile)", "multiply_unit(w,", "multiply_block(w,", "stage_lines(w,"):
        assert text.count(f"def {name}") == 1
    assert re.search(r"# slot Tile: Multiply\(block=Block\(.*rows=6, vectors=2.*steps='-\*\+'", text)
    assert kernel.words == Contraction._fields


def test_kernels_that_may_raise_are_refused() -> None:
    def kernel(operands, tile):  # type: ignore[no-untyped-def]
        for i in range(0, operands[0], operands[1]):
            operands[2] = i
        return 0

    with pytest.raises(AssertionError, match="step of a range"):
        numba_kernel("stepping", kernel, "test").llvm()


def test_one_file_names_the_ir_of_llvm() -> None:
    users = [
        path.relative_to(KERNELS).as_posix()
        for path in sorted(KERNELS.rglob("*.py"))
        if re.search(r"llvmlite import ir|llvmlite\.ir\b", path.read_text())
    ]
    assert users == ["tile/builder.py"]


def test_words_are_records() -> None:
    assert [path.name for path in KERNELS.rglob("*.py") if "SimpleNamespace" in path.read_text()] == []
