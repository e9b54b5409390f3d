"""What is shown of a kernel, and what the kernels' own sources may say."""

from __future__ import annotations

import ctypes
import linecache
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from symgraph.kernels.contraction.contract import Contraction, contraction_kernel
from symgraph.kernels.run.jit import numba_kernel
from symgraph.kernels.tile.block import Block

ENTRY = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
KERNELS = Path(__file__).parents[2] / "kernels"


def test_the_source_of_loops_has_their_helpers_and_slots() -> None:
    kernel = contraction_kernel(Block("float32", 6, 2), "rows", "-*+")
    text = kernel.source()
    for name in ("contraction(operands, tile)", "multiply_unit(w,", "multiply_block(w,", "stage_lines(w,"):
        assert text.count(f"def {name}") == 1
    assert re.search(r"# slot Tile: Multiply\(block=Block\(.*rows=6, vectors=2.*steps='-\*\+'", text)
    # What the words mean, and the innermost loop, stand in other places: they are shown as well.
    assert kernel.words == Contraction._fields
    for record in ("Contraction(NamedTuple)", "Tile(NamedTuple)", "Panel(NamedTuple)", "Multiply", "Pack"):
        assert text.count(f"class {record}:") == 1, record
    assert "# symgraph/kernels/tile/multiply.py:" in text


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


@pytest.mark.parametrize("form", ["loops", "vectors"])
def test_a_changed_kernel_of_a_user_is_compiled_anew(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is a part of its key: the code of the version before would be taken for it."""
    monkeypatch.setenv("SYMGRAPH_CACHE", str(tmp_path / "kernels"))
    for amount in (1, 2):
        script = tmp_path / "mine.py"
        script.write_text(SCRIPTS[form].replace("AMOUNT", str(amount)))
        monkeypatch.setattr(linecache, "cache", {})
        kernel = runpy.run_path(str(script))["kernel"]
        words = np.array([40, 40], np.int64)
        words[1] = words.ctypes.data
        ENTRY(kernel.address)(words.ctypes.data, 0)
        assert words[0] == 40 + amount and kernel.compile_seconds > 0
        again = runpy.run_path(str(script))["kernel"]
        assert again.address and again.compile_seconds == 0


SCRIPTS = {
    "loops": """
from symgraph.kernels.run.jit import numba_kernel

def add(operands, tile):
    operands[0] = operands[0] + AMOUNT
    return 0

kernel = numba_kernel("mine", add, "the same key")
""",
    "vectors": """
from symgraph.kernels.tile.nest import store, vector_kernel

def add(writer):
    store(writer.word(0) + AMOUNT, writer.word(1))

kernel = vector_kernel("mine", add, "the same key")
""",
}
