"""Register-tiled multiply-add: the inner block of every matrix product and convolution, as LLVM vector IR.

A block holds `rows` x `vectors` accumulators in registers. In each step of the depth it loads `vectors`
vectors of B and multiplies them with one broadcast value of A per row. B is packed: depth after depth,
`width` columns side by side, columns past the matrix filled with zeros, so the hot loop has no masks. A is
read where it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from symgraph.kernels.tile.block import Block, split_epilogue
from symgraph.kernels.tile.emit import Code, Int, indices, vector_type, zero

ACTIVATIONS: dict[str, Callable[[Code, ir.Value], ir.Value]] = {
    "linear": lambda code, x: x,
    # Ordered compare on the zero's side: a NaN is not below zero and comes through.
    "relu": lambda code, x: code.builder.select(
        code.builder.fcmp_ordered("<", x, zero(x.type)), zero(x.type), x
    ),
}


def apply_steps(code: Code, value: ir.Value, steps: str, vector: Callable[[int], ir.Value]) -> ir.Value:
    """`value` after each of the steps with its vector."""
    operations = {"+": code.builder.fadd, "-": code.builder.fsub, "*": code.builder.fmul}
    for number, step in enumerate(steps):
        value = operations[step](value, vector(number))
    return value


@dataclass(frozen=True, slots=True)
class Tile:
    """Where one block works, in a kernel that is being written. Steps and offsets are bytes.

    The depth is `runs` runs of `depth` steps, of which those before `first_run` are left out; run r of A
    starts `run_offset(r)` behind `a`. Rows below `skip` are computed but not stored (they belong to the block
    before). `columns` of the block's width exist in C. `load` is the condition under which C is added to,
    `last` the one under which bias and activation are due. With a `b_step`, B is not packed: its lines lie
    that far apart. With a `gate`, results are stored where the number at its place there (laid out like C) is
    positive, and zeros elsewhere. With `row_offsets`, A's rows begin that far behind `a`. Steps of the
    epilogue (see `split_epilogue`) have their vectors at `bias`, `bias_step` apart.
    """

    a: Int
    row_step: Int
    depth_step: Int
    runs: Int
    depth: Int
    run_offset: Callable[[Int], Int]
    b: Int
    c: Int
    c_step: Int
    columns: Int
    skip: Int
    load: ir.Value
    last: ir.Value | None = None
    bias: Int | None = None
    bias_step: Int | int = 0
    activation: str = "linear"
    b_step: Int | None = None
    gate: Int | None = None
    first_run: Int | int = 0
    row_offsets: Sequence[Int] = ()


def emit_block(code: Code, block: Block, tile: Tile) -> None:
    """Write C[block] (+)= A[rows, depth] @ B[depth, width], then bias and activation."""
    cells = [
        [code.variable(vector_type(block.dtype)) for _ in range(block.vectors)] for _ in range(block.rows)
    ]
    _begin(code, block, tile, cells)
    _multiply(code, block, tile, cells)
    _end(code, block, tile, cells)


def _begin(code: Code, block: Block, tile: Tile, cells: list[list[ir.Value]]) -> None:
    builder = code.builder
    for row in cells:
        for cell in row:
            builder.store(zero(vector_type(block.dtype)), cell)

    def fetch(masks: list[ir.Value | None]) -> None:
        for m, row in enumerate(cells):
            for v, cell in enumerate(row):
                at = tile.c + tile.c_step * m + v * block.lanes * block.size
                builder.store(code.load(at, vector_type(block.dtype), masks[v]), cell)

    with code.when(tile.load):
        code.either(
            tile.columns >= block.width,
            lambda: fetch([None] * block.vectors),
            lambda: fetch(column_masks(code, block, tile.columns)),
        )


def _multiply(code: Code, block: Block, tile: Tile, cells: list[list[ir.Value]]) -> None:
    if tile.b_step is None:
        _multiply_masked(code, block, tile, cells, [None] * block.vectors)
        return
    code.either(
        tile.columns >= block.width,
        lambda: _multiply_masked(code, block, tile, cells, [None] * block.vectors),
        lambda: _multiply_masked(code, block, tile, cells, column_masks(code, block, tile.columns)),
    )


def _multiply_masked(
    code: Code, block: Block, tile: Tile, cells: list[list[ir.Value]], masks: list[ir.Value | None]
) -> None:
    builder = code.builder
    element = vector_type(block.dtype).element
    step = block.width * block.size if tile.b_step is None else tile.b_step
    position = code.variable(ir.IntType(64))
    builder.store((tile.b + tile.depth * tile.first_run * step).value, position)
    with code.loop(tile.runs, tile.first_run) as run:
        start = tile.a + tile.run_offset(run)
        steps = tile.row_offsets or [tile.row_step * m for m in range(block.rows)]
        rows = [start + step for step in steps]
        with code.loop(tile.depth) as k:
            b = Int(code, builder.load(position))
            columns = [
                code.load(b + v * block.lanes * block.size, vector_type(block.dtype), mask)
                for v, mask in enumerate(masks)
            ]
            for m, row in enumerate(cells):
                if block.along == "depth":
                    at = rows[m] + k * block.size
                else:
                    at = start + k * tile.depth_step + m * block.size
                value = code.splat(code.load(at, element), block.lanes)
                for v, cell in enumerate(row):
                    builder.store(code.multiply_add(value, columns[v], builder.load(cell)), cell)
            builder.store((b + step).value, position)


def _end(code: Code, block: Block, tile: Tile, cells: list[list[ir.Value]]) -> None:
    builder = code.builder
    steps, activation = split_epilogue(tile.activation)
    activate = ACTIVATIONS[activation]

    def finish(masks: list[ir.Value | None]) -> None:
        if steps:
            with code.when(tile.last):
                _apply_vectors(code, block, tile, cells, masks, steps)
        elif tile.bias is not None:
            with code.when(builder.and_(tile.last, tile.bias.differs(0))):
                for v in range(block.vectors):
                    extra = code.load(
                        tile.bias + v * block.lanes * block.size, vector_type(block.dtype), masks[v]
                    )
                    for row in cells:
                        builder.store(builder.fadd(builder.load(row[v]), extra), row[v])
        if activation != "linear":
            with code.when(tile.last):
                for row in cells:
                    for cell in row:
                        builder.store(activate(code, builder.load(cell)), cell)
        if tile.gate is not None:
            with code.when(tile.last):
                _close(code, block, tile, tile.gate, cells, masks)
        for m, row in enumerate(cells):
            with code.when(tile.skip <= m):
                for v, cell in enumerate(row):
                    at = tile.c + tile.c_step * m + v * block.lanes * block.size
                    code.store(builder.load(cell), at, masks[v])

    code.either(
        tile.columns >= block.width,
        lambda: finish([None] * block.vectors),
        lambda: finish(column_masks(code, block, tile.columns)),
    )


def _apply_vectors(
    code: Code,
    block: Block,
    tile: Tile,
    cells: list[list[ir.Value]],
    masks: list[ir.Value | None],
    steps: str,
) -> None:
    """Take the steps of the epilogue, one vector of columns after the other."""
    assert tile.bias is not None
    for v, mask in enumerate(masks):
        place = tile.bias + v * block.lanes * block.size
        vectors = [
            code.load(place + tile.bias_step * k, vector_type(block.dtype), mask) for k in range(len(steps))
        ]
        for row in cells:
            value = apply_steps(code, code.builder.load(row[v]), steps, vectors.__getitem__)
            code.builder.store(value, row[v])


def _close(
    code: Code, block: Block, tile: Tile, gate: Int, cells: list[list[ir.Value]], masks: list[ir.Value | None]
) -> None:
    """Zero the cells whose gate is not positive (a NaN is not)."""
    builder = code.builder
    for m, row in enumerate(cells):
        for v, cell in enumerate(row):
            value = code.load(
                gate + tile.c_step * m + v * block.lanes * block.size, vector_type(block.dtype), masks[v]
            )
            open_ = builder.fcmp_ordered(">", value, zero(vector_type(block.dtype)))
            builder.store(builder.select(open_, builder.load(cell), zero(vector_type(block.dtype))), cell)


def column_masks(code: Code, block: Block, columns: Int) -> list[ir.Value | None]:
    """One mask per vector: which of its lanes are among the first `columns`."""
    return [code.first_lanes(columns - v * block.lanes, block.lanes) for v in range(block.vectors)]


def emit_pack(
    code: Code, block: Block, source: Int, step: Int, depth: Int, columns: Int, target: Int
) -> None:
    """Pack `depth` rows, `step` bytes apart, of `columns` contiguous values, with zeros behind them."""
    line = block.width * block.size

    def rows(masks: list[ir.Value | None]) -> None:
        with code.loop(depth) as k:
            for v in range(block.vectors):
                at = v * block.lanes * block.size
                value = code.load(source + k * step + at, vector_type(block.dtype), masks[v])
                code.store(value, target + k * line + at)

    code.either(
        columns >= block.width,
        lambda: rows([None] * block.vectors),
        lambda: rows(column_masks(code, block, columns)),
    )


def emit_pack_transposed(
    code: Code, block: Block, source: Int, step: Int, depth: Int, columns: Int, target: Int
) -> None:
    """As `emit_pack`, where a column is contiguous and columns lie `step` bytes apart.

    Writes up to a vector of lines past the last depth: the target needs that slack.
    """
    lanes, size = block.lanes, block.size
    line = block.width * size
    with code.loop(depth, step=lanes) as k, code.loop(block.vectors) as v:
        place = source + v * lanes * step + k * size
        left = columns - v * lanes

        def turn(whole: bool, k: Int = k, v: Int = v, place: Int = place, left: Int = left) -> None:
            inside = code.first_lanes(depth - k, lanes)
            none = code.first_lanes(code.number(0), lanes)
            values = []
            for i in range(lanes):
                mask = None if whole else code.builder.select(left > i, inside, none)
                values.append(code.load(place + step * i, vector_type(block.dtype), mask))
            for i, value in enumerate(transpose(code, values)):
                code.store(value, target + (k + i) * line + v * lanes * size)

        whole = code.builder.and_(left >= lanes, depth - k >= lanes)
        code.either(whole, lambda: turn(True), lambda: turn(False))


def transpose(code: Code, rows: list[ir.Value]) -> list[ir.Value]:
    """Columns of a square of vectors, by log2(n) rounds of interleaving row i with row i + n/2."""
    n = len(rows)
    low = indices([i // 2 + n * (i % 2) for i in range(n)])
    high = indices([n // 2 + i // 2 + n * (i % 2) for i in range(n)])
    rounds = n.bit_length() - 1
    for _ in range(rounds):
        pairs = [(rows[i], rows[i + n // 2]) for i in range(n // 2)]
        rows = [code.builder.shuffle_vector(a, b, order) for a, b in pairs for order in (low, high)]
    return rows


def emit_padded_lines(code: Code, w: Any, source: Int, first_line: Int, lines: Int) -> None:
    """Copy the lines of A that `lines` output lines see to `w.stage`, with zeros where they leave A."""
    top = first_line * w.stage_step - w.stage_top
    with code.loop((lines - 1) * w.stage_step + w.stage_extra + 1) as i:
        target = w.stage + i * w.stage_row
        y = top + i
        inside = code.builder.and_(y >= 0, y < w.stage_height)

        def copy(target: Int = target, y: Int = y) -> None:
            code.clear(target, w.stage_left)
            code.copy(target + w.stage_left, source + y * w.stage_line + w.stage_skip, w.stage_middle)
            code.clear(target + w.stage_left + w.stage_middle, w.stage_right)

        def clear(target: Int = target) -> None:
            code.clear(target, w.stage_row)

        code.either(inside, copy, clear)
