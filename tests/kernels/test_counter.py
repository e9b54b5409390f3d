"""The processor's counter that rows are timed with."""

from __future__ import annotations

import llvmlite.binding as llvm
import pytest
from llvmlite import ir

from symgraph.kernels.run.machine import clock_name, emit_counter, read_cycles


@pytest.mark.parametrize(
    ("processor", "triple", "instruction"),
    [
        ("aarch64", "aarch64-unknown-linux-gnu", "cntvct_el0"),
        ("AMD64", "x86_64-unknown-linux-gnu", "rdtsc"),
        ("riscv64", "x86_64-unknown-linux-gnu", "xorl"),
    ],
)
def test_it_is_one_that_user_code_may_read(processor: str, triple: str, instruction: str) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = ir.Module(name=processor)
    module.triple = triple
    function = ir.Function(module, ir.FunctionType(ir.IntType(64), []), name="counter")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(emit_counter(builder, processor.lower()))
    machine = llvm.Target.from_triple(triple).create_target_machine()
    assert instruction in machine.emit_assembly(llvm.parse_assembly(str(module))).lower()


def test_it_counts_where_it_has_a_name() -> None:
    first, second = read_cycles(), read_cycles()
    assert (second > first) if clock_name() else (first == second == 0)
