"""What this machine can do at most: multiply-adds a second from registers, and bytes copied a second.

python -m benchmarks.ceilings [--threads 2]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from llvmlite import ir

from symgraph.kernels.jit import INT, Kernel, ir_kernel
from symgraph.kernels.machine import Lease, Row, Table
from symgraph.kernels.target import TARGET

_CHAINS = 24
_TURNS = 2_000_000


@dataclass(frozen=True)
class Ceilings:
    """GFLOP/s of float32 multiply-adds (two operations each), and GB/s of a copy (read plus write)."""

    gflops: float
    copy_gbs: float


def _multiply_adds() -> Kernel:
    """`_TURNS` turns of independent vector multiply-adds that never leave the registers."""
    lanes = TARGET.lanes(4)
    vector = ir.VectorType(ir.FloatType(), lanes)
    chains = _CHAINS if TARGET.registers == 32 else 12

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        kind = ir.FunctionType(vector, [vector] * 3)
        multiply_add = ir.Function(builder.module, kind, name=f"llvm.fmuladd.v{lanes}f32")
        start, loop, done = builder.block, function.append_basic_block(), function.append_basic_block()
        seed = builder.uitofp(builder.and_(function.args[1], INT(1)), ir.FloatType())
        lane0 = builder.insert_element(ir.Constant(vector, ir.Undefined), seed, ir.IntType(32)(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
        factor = builder.shuffle_vector(lane0, ir.Constant(vector, ir.Undefined), zeros)
        builder.branch(loop)
        builder.position_at_end(loop)
        turn = builder.phi(INT)
        turn.add_incoming(INT(0), start)
        sums = [builder.phi(vector) for _ in range(chains)]
        nexts = [builder.call(multiply_add, [s, factor, factor]) for s in sums]
        for i, (s, n) in enumerate(zip(sums, nexts, strict=True)):
            s.add_incoming(ir.Constant(vector, [float(i)] * lanes), start)
            s.add_incoming(n, loop)
        following = builder.add(turn, INT(1))
        turn.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, INT(_TURNS)), loop, done)
        builder.position_at_end(done)
        total = nexts[0]
        for n in nexts[1:]:
            total = builder.fadd(total, n)
        first = builder.extract_element(total, ir.IntType(32)(0))
        builder.ret(builder.zext(builder.fcmp_ordered("==", first, ir.Constant(ir.FloatType(), 0.5)), INT))

    return ir_kernel("multiply_adds", emit, (lanes, chains))


def _best(call: Callable[[], None], repeats: int = 7) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(threads: int) -> Ceilings:
    """Measure both ceilings on `threads` threads."""
    lease = Lease(Table([Row(_multiply_adds(), (), threads)], threads), 0)
    lease.run()
    chains = _CHAINS if TARGET.registers == 32 else 12
    operations = 2 * chains * TARGET.lanes(4) * _TURNS * threads
    source = np.ones(1 << 26, np.float32)
    target = np.empty_like(source)
    copied = 2 * source.nbytes
    return Ceilings(
        operations / _best(lease.run) / 1e9,
        copied / _best(lambda: np.copyto(target, source)) / 1e9,
    )


def main() -> None:
    """Print both ceilings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    threads = parser.parse_args().threads
    found = measure(threads)
    print(f"{threads} threads: {found.gflops:.0f} GFLOP/s multiply-adds")
    print(f"one thread: {found.copy_gbs:.1f} GB/s copied")


if __name__ == "__main__":
    main()
