"""Sum of partial results: the second half of every product whose depth was shared among tiles."""

from __future__ import annotations

from functools import cache

from llvmlite import ir

from symgraph.kernels.run.jit import Kernel, ir_kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.emit import Code, Int, vector_type, zero
from symgraph.kernels.tile.simd import ACTIVATIONS, apply_steps, split_epilogue

_NAMES = ("source", "parts", "part_step", "source_row", "target", "target_row", "lines", "columns", "bias",
          "accumulate", "tiles")  # fmt: skip


@cache
def partial_sum(dtype: str, epilogue: str) -> Kernel:
    """Kernel: ``target[i, j] (+)= sum over p of source[p, i, j]``, then bias per column and activation."""
    steps, activation = split_epilogue(epilogue)

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        code = Code(builder, function)
        w = code.words(_NAMES)
        kind = vector_type(dtype)
        size = 4 if dtype == "float32" else 8
        total = code.variable(kind)

        def cell(line: Int, column: Int, mask: ir.Value | None) -> None:
            target = w.target + line * w.target_row + column * size
            builder.store(zero(kind), total)
            with code.when(w.accumulate.differs(0)):
                builder.store(code.load(target, kind, mask), total)
            source = w.source + line * w.source_row + column * size
            with code.loop(w.parts) as part:
                builder.store(
                    builder.fadd(builder.load(total), code.load(source + part * w.part_step, kind, mask)),
                    total,
                )

            def vector(number: int) -> ir.Value:
                return code.load(w.bias + (w.columns * number + column) * size, kind, mask)

            if not steps:
                with code.when(w.bias.differs(0)):
                    builder.store(builder.fadd(builder.load(total), vector(0)), total)
            value = apply_steps(code, builder.load(total), steps, vector)
            code.store(ACTIVATIONS[activation](code, value), target, mask)

        first, end = code.share(code.tile, w.tiles, w.lines)
        with code.loop(end, first) as line:
            whole = w.columns - w.columns % kind.count
            with code.loop(whole, step=kind.count) as column:
                cell(line, column, None)
            with code.when(whole < w.columns):
                cell(line, whole, code.first_lanes(w.columns - whole, kind.count))
        code.finish()

    return ir_kernel(f"partial_sum[{dtype}, {epilogue}]", emit, (dtype, epilogue))


def partial_sum_row(
    dtype: str,
    source: Address,
    parts: int,
    lines: int,
    columns: int,
    target: Address,
    target_row: int,
    *,
    bias: Address | int = 0,
    activation: str = "linear",
    accumulate: bool = False,
    threads: int = 1,
) -> Row:
    """A row that sums `parts` contiguous [lines, columns] arrays at `source`; none give zeros."""
    size = 4 if dtype == "float32" else 8
    tiles = min(threads, lines) if parts * lines * columns > 2048 * TARGET.lanes(size) else 1
    operands = (source, parts, lines * columns * size, columns * size, target, target_row, lines, columns,
                bias, int(accumulate), max(1, tiles))  # fmt: skip
    return Row(partial_sum(dtype, activation), operands, max(1, tiles))
