"""Convolution with 3 x 3 kernels and stride 1 by Winograd's minimal filtering, forward and to the input.

A tile of 4 x 4 (or 2 x 2) output pixels sees a window of 6 x 6 (4 x 4) input pixels. Windows and kernels are
transformed to as many points, where the convolution is a product for each point: 36 multiplications in place
of 144 (16 in place of 36). For each band of tiles, while it lies in the cache, the windows are transformed to
``V[tile block][point][tile][channel]``, multiplied with ``U[panel][point][channel][column]`` to
``M[tile block][panel][point][tile][column]``, and that is transformed back to pixels.

Winograd, Arithmetic Complexity of Computations, 1980; Lavin & Gray, Fast Algorithms for Convolutional Neural
Networks, 2015. The result of 4 x 4 tiles has an error of 1e-6 to 4e-6 of its norm, three to four times that
of direct sums; a NaN or an infinity spreads over the tiles whose windows hold it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from types import SimpleNamespace

from llvmlite import ir

from symgraph.kernels.contraction.contract import Operands, slots
from symgraph.kernels.conv_parts.algorithm import TAPS, winograd_plan
from symgraph.kernels.conv_parts.geometry import Padding
from symgraph.kernels.conv_parts.transforms import apply_both_ways, correlation
from symgraph.kernels.conv_parts.winograd_tiles import (
    Load,
    Picture,
    emit_place,
    emit_points,
    emit_window,
    odd_lines,
)
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.jit import Kernel, ir_kernel
from symgraph.kernels.run.machine import Row
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.emit import I1, Code, Int, vector_type, zero
from symgraph.kernels.tile.simd import (
    ACTIVATIONS,
    Block,
    Tile,
    apply_steps,
    emit_block,
    split_epilogue,
    transpose,
)

BAND_BYTES = TARGET.l2_bytes // 8
"""Points of windows that a band aims at, and of results that it makes at once: what is near stays near."""
BAND_TILES = 18
"""Fewest tiles of a band, however large: the weights' points are read once a band."""
CHUNK_BYTES = 4 << 20
"""Points of weights that a part of the work makes at once."""

_NAMES = (
    # Pictures, weights, results; `gate` is laid out like the results.
    "a", "b", "c", "bias", "gate", "samples", "tiles_y", "tiles_x", "top", "left",
    "height", "width", "channels", "out_height", "out_width", "columns",
    # Byte steps of the weights, from line to line and cell to cell of a kernel, along depth and columns.
    "b_line", "b_cell", "b_depth", "b_column",
    # The cut: parts of the columns x parts of the tiles; panels in a chunk, and in a group; blocks in a band.
    "parts_columns", "parts_rows", "chunk", "group", "band",
    # Where points go; the scratch is cut into slots, one per part.
    "v", "v_slot", "v_row", "v_point", "u", "u_slot", "u_point", "m", "m_slot", "m_point"
)  # fmt: skip


@cache
def winograd(block: Block, outputs: int, layout: str, activation: str, masked: bool = False) -> Kernel:
    """The kernel for tiles of `outputs` x `outputs` pixels and one block size of the products.

    `layout` tells which of the weights' axes is contiguous, "rows" (their columns, as in `contraction`) or
    "columns" (their depth); `activation` is "gated" or an epilogue (see `simd.split_epilogue`); `masked`
    tells that the results' columns are not whole vectors.
    """

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        code = Code(builder, function)
        _Emitter(code, code.words(_NAMES), block, outputs, layout, activation, masked).all()
        code.finish()

    name = f"winograd_{outputs}x{outputs}[{block.dtype}, {block.rows}x{block.vectors}"
    name += f", {layout}, {activation}{', masked' if masked else ''}]"
    return ir_kernel(name, emit, (block, outputs, layout, activation, masked))


class _Emitter:
    """Writes one kernel."""

    def __init__(
        self,
        code: Code,
        w: SimpleNamespace,
        block: Block,
        outputs: int,
        layout: str,
        activation: str,
        masked: bool,
    ) -> None:
        self.code, self.w, self.block, self.outputs = code, w, block, outputs
        self.layout, self.activation, self.masked = layout, activation, masked
        self.transforms = correlation(outputs, TAPS)
        self.side = outputs + TAPS - 1
        self.points = self.side**2

    def all(self) -> None:
        code, w, block = self.code, self.w, self.block
        part_rows, part_columns = code.tile % w.parts_rows, code.tile // w.parts_rows
        for name in ("v", "u", "m"):
            setattr(w, name, getattr(w, name) + code.tile * getattr(w, f"{name}_slot"))
        w.pixel, w.out_pixel = w.channels * block.size, w.columns * block.size
        w.v_block, w.u_panel, w.m_panel = (x * self.points for x in (w.v_point, w.u_point, w.m_point))
        w.m_block = w.m_panel * w.group
        w.tiles = w.samples * w.tiles_y * w.tiles_x
        panels = (w.columns + (block.width - 1)) // block.width
        blocks = (w.tiles + (block.rows - 1)) // block.rows
        first_panel, end_panel = code.share(part_columns, w.parts_columns, panels)
        first, end = code.share(part_rows, w.parts_rows, blocks)
        with code.loop(end_panel, first_panel, w.chunk) as chunk:
            chunk_end = code.minimum(chunk + w.chunk, end_panel)
            self._weights(chunk, chunk_end)
            with code.loop(end, first, w.band) as at:
                count = code.minimum(w.band, end - at)
                # Where all tiles are one band, its points serve all chunks.
                with code.when(code.builder.or_(chunk.equals(first_panel), end - first > w.band)):
                    self._windows(at, count)
                with code.loop(chunk_end, chunk, w.group) as group:
                    panels_here = code.minimum(w.group, chunk_end - group)
                    self._products(group - chunk, panels_here, count)
                    self._results(group, panels_here, at, count)

    def _weights(self, first: Int, end: Int) -> None:
        """Transform the weights of a chunk of panels to U."""
        code, w, block = self.code, self.w, self.block
        pack = self._turned_weights if self.layout == "columns" else self._plain_weights
        step = block.lanes if self.layout == "columns" else 1
        with (
            code.loop(end, first) as panel,
            code.loop(w.channels, step=step) as k,
            code.loop(block.vectors) as v,
        ):
            column = panel * block.width + v * block.lanes
            source = w.b + k * w.b_depth + column * w.b_column
            target = w.u + (panel - first) * w.u_panel + (k * block.width + v * block.lanes) * block.size
            pack(source, w.columns - column, w.channels - k, target)

    def _plain_weights(self, source: Int, columns: Int, depth: Int, target: Int) -> None:
        """One depth of one vector of columns, which lie side by side."""
        w = self.w
        mask = self.code.first_lanes(columns, self.block.lanes)
        self._weight(source, (w.b_line, w.b_cell), mask, target)

    def _turned_weights(self, source: Int, columns: Int, depth: Int, target: Int) -> None:
        """A vector of depths of one vector of columns, where depths lie side by side."""
        code, block = self.code, self.block
        vector = block.lanes * block.size
        store = code.variable(ir.ArrayType(vector_type(block.dtype), TAPS * TAPS * block.lanes))
        turned = Int(code, code.builder.ptrtoint(store, ir.IntType(64)))
        depth = code.minimum(depth, block.lanes)
        self._turn(source, columns, depth, turned)
        steps = code.number(TAPS * block.lanes * vector), code.number(block.lanes * vector)
        with code.loop(depth) as i:
            self._weight(turned + i * vector, steps, None, target + i * (block.width * block.size))

    def _weight(self, source: Int, steps: tuple[Int, Int], mask: ir.Value | None, target: Int) -> None:
        """Transform one vector of kernels, whose lines and cells lie `steps` apart."""
        code, kind, point = self.code, vector_type(self.block.dtype), self.w.u_point

        def load(i: Int, j: int) -> ir.Value:
            return code.load(source + i * steps[0] + steps[1] * j, kind, mask)

        emit_points(code, self.transforms.weights, kind, load, target, point)

    def _turn(self, source: Int, columns: Int, depth: Int, target: Int) -> None:
        """Transpose a square of the weights for each cell of the kernel: [cell][depth][column]."""
        code, w, block = self.code, self.w, self.block
        vector = block.lanes * block.size
        inside, none = code.first_lanes(depth, block.lanes), code.first_lanes(code.number(0), block.lanes)
        with code.loop(TAPS) as line, code.loop(TAPS) as cell:
            here = source + line * w.b_line + cell * w.b_cell
            rows = [
                code.load(
                    here + w.b_column * i,
                    vector_type(block.dtype),
                    code.builder.select(columns > i, inside, none),
                )
                for i in range(block.lanes)
            ]
            place = target + (line * TAPS + cell) * (block.lanes * vector)
            for i, value in enumerate(transpose(code, rows)):
                code.store(value, place + i * vector)

    def _windows(self, at: Int, count: Int) -> None:
        """Transform the windows of `count` blocks of tiles to V."""
        code, w, block = self.code, self.w, self.block
        picture = Picture(w.a, w.height, w.width, w.pixel)
        with code.loop(count) as i, code.loop(block.rows) as row:
            # Rows past the last tile are computed (on the last one's numbers), and not stored.
            number = code.minimum((at + i) * block.rows + row, w.tiles - 1)
            sample, ty, tx = emit_place(code, w, number)
            place = sample, ty * self.outputs - w.top, tx * self.outputs - w.left
            target = w.v + i * w.v_block + row * w.v_row

            def window(load: Load, target: Int = target) -> None:
                with code.loop(w.channels, step=block.lanes) as c:
                    # The last vector overlaps the one before, so none needs a mask.
                    start = code.minimum(c, w.channels - block.lanes) * block.size
                    matrix = self.transforms.forth
                    emit_points(
                        code,
                        matrix,
                        vector_type(block.dtype),
                        partial(load, start),
                        target + start,
                        w.v_point,
                    )

            emit_window(code, picture, place, self.side, vector_type(block.dtype), window)

    def _products(self, first: Int, panels: Int, count: Int) -> None:
        """M = V @ U for each point; `first` is the group's first panel within the chunk."""
        code, w, block = self.code, self.w, self.block
        with (
            code.loop(self.points) as point,
            code.loop(panels) as panel,
            code.loop(count) as i,
        ):
            emit_block(code, block, Tile(
                a=w.v + i * w.v_block + point * w.v_point, row_step=w.v_row,
                depth_step=code.number(block.size), runs=code.number(1), depth=w.channels,
                run_offset=lambda run: code.number(0),
                b=w.u + (first + panel) * w.u_panel + point * w.u_point,
                c=w.m + i * w.m_block + panel * w.m_panel + point * w.m_point,
                c_step=code.number(block.width * block.size), columns=code.number(block.width),
                skip=code.number(0), load=I1(0),
            ))  # fmt: skip

    def _results(self, group: Int, panels: Int, at: Int, count: Int) -> None:
        """Transform M back to the pixels that exist; bias and activation follow."""
        code, w, block = self.code, self.w, self.block
        with code.loop(count) as i, code.loop(block.rows) as row:
            number = (at + i) * block.rows + row
            with code.when(number < w.tiles):
                sample, ty, tx = emit_place(code, w, number)
                y, x = ty * self.outputs, tx * self.outputs
                place = ((sample * w.out_height + y) * w.out_width + x) * w.out_pixel
                exist = w.out_height - y, w.out_width - x
                source = w.m + i * w.m_block + row * (block.width * block.size)
                with code.loop(panels) as panel, code.loop(block.vectors) as v:
                    column = (group + panel) * block.width + v * block.lanes
                    here = source + panel * w.m_panel + v * (block.lanes * block.size)
                    left = w.columns - column
                    mask = code.first_lanes(left, block.lanes) if self.masked else None
                    with code.when(left > 0):
                        self._pixels(here, place + column * block.size, exist, column, mask)

    def _pixels(
        self, source: Int, place: Int, exist: tuple[Int, Int], column: Int, mask: ir.Value | None
    ) -> None:
        """One vector of a tile: of its pixels as many lines and columns as `exist`."""
        code, w, kind = self.code, self.w, vector_type(self.block.dtype)
        steps, _ = split_epilogue(self.activation)
        extras = [code.variable(kind) for _ in steps or "+"]
        for number, extra in enumerate(extras):
            code.builder.store(zero(kind), extra)
            with code.when(w.bias.differs(0)):
                vector = w.bias + (w.columns * number + column) * self.block.size
                code.builder.store(code.load(vector, kind, mask), extra)

        def load(i: Int, j: int) -> ir.Value:
            return code.load(source + w.m_point * (j * self.side) + i * w.m_point, kind)

        def store(j: Int, i: int, value: ir.Value) -> None:
            offset = place + (j * w.out_width + i) * w.out_pixel
            with code.when(exist[1] > i):
                code.store(self._finished(value, extras, offset, mask), w.c + offset, mask)

        lines = code.minimum(self.outputs, exist[0])
        apply_both_ways(code, self.transforms.back, kind, load, store, lines)

    def _finished(
        self, value: ir.Value, extras: Sequence[ir.Value], offset: Int, mask: ir.Value | None
    ) -> ir.Value:
        """A result after bias, or other steps, and activation."""
        code, builder = self.code, self.code.builder
        steps, activation = split_epilogue(self.activation)
        if activation != "gated":
            value = apply_steps(code, value, steps or "+", lambda k: builder.load(extras[k]))
            return ACTIVATIONS[activation](code, value)
        gate = code.load(self.w.gate + offset, value.type, mask)
        nothing = zero(value.type)
        return builder.select(builder.fcmp_ordered(">", gate, nothing), value, nothing)


def winograd_rows(
    x: Buffer,
    w: Buffer,
    out: Buffer,
    *,
    padding: Padding,
    outputs: int,
    bias: Buffer | None = None,
    activation: str = "linear",
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for ``out = activation(cross_correlation(x, w) + bias)``, float32, in tiles of `outputs` pixels.

    As `conv.conv2d_rows` with strides, dilation and groups of 1; w is [3, 3, C, F], C at least
    a vector.
    """
    _, _, depth, features = w.shape
    size = x.dtype.itemsize
    cell = depth * features * size
    values: Operands = {
        "b": w.address, "b_line": TAPS * cell, "b_cell": cell, "b_depth": features * size, "b_column": size,
        "top": padding[0][0], "left": padding[1][0], "bias": bias.address if bias else 0,
    }  # fmt: skip
    return _rows(x, out, values, "rows", activation, outputs, threads, scratch)


def winograd_input_gradient_rows(
    grad: Buffer,
    w: Buffer,
    out: Buffer,
    *,
    padding: Padding,
    outputs: int,
    gate: Buffer | None = None,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for the gradient with respect to x: a convolution of `grad` with the kernels turned around.

    As `conv.conv2d_input_gradient_rows` with strides, dilation and groups of 1; w is
    [3, 3, C, F], F at least a vector.
    """
    _, _, depth, features = w.shape
    size = grad.dtype.itemsize
    cell = depth * features * size
    last = w.offset + (TAPS * TAPS - 1) * cell
    values: Operands = {
        "b": w.address._replace(offset=last), "b_line": -TAPS * cell, "b_cell": -cell, "b_depth": size,
        "b_column": features * size, "top": TAPS - 1 - padding[0][0], "left": TAPS - 1 - padding[1][0],
        "gate": gate.address if gate else 0,
    }  # fmt: skip
    return _rows(grad, out, values, "columns", "gated" if gate else "linear", outputs, threads, scratch)


def _rows(
    a: Buffer,
    out: Buffer,
    values: Operands,
    layout: str,
    activation: str,
    outputs: int,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    samples, height, width, channels = a.shape
    _, out_height, out_width, columns = out.shape
    tiles_y, tiles_x = -(-out_height // outputs), -(-out_width // outputs)
    tiles = samples * tiles_y * tiles_x
    plan = winograd_plan(tiles, channels, columns, outputs, layout, threads)
    block = plan.block
    values |= {
        "a": a.address, "c": out.address, "samples": samples, "height": height, "width": width,
        "channels": channels, "out_height": out_height, "out_width": out_width, "columns": columns,
        "tiles_y": tiles_y, "tiles_x": tiles_x,
    }  # fmt: skip
    points, size = (outputs + TAPS - 1) ** 2, block.size
    parts = plan.parts_columns * plan.parts_rows
    panels = -(-columns // block.width // plan.parts_columns)
    blocks = -(-tiles // block.rows // plan.parts_rows)
    v_row = -(-channels // block.lanes) * block.lanes * size
    v_point, u_point = odd_lines(block.rows * v_row), odd_lines(channels * block.width * size)
    m_point = odd_lines(block.rows * block.width * size)
    if blocks * points * v_point <= CHUNK_BYTES and panels * points * u_point > TARGET.l2_bytes:
        # All tiles are one band: the weights' points are used up before the next are made, and stay near.
        band, chunk = blocks, _even(panels, TARGET.l2_bytes // 2 // (points * u_point))
        group = chunk
    else:
        chunk = _even(panels, CHUNK_BYTES // (points * u_point))
        band = _even(blocks, max(BAND_BYTES // (points * v_point), -(-BAND_TILES // block.rows)))
        group = _even(chunk, BAND_BYTES // (points * m_point * band))
    values |= {
        "parts_columns": plan.parts_columns, "parts_rows": plan.parts_rows, "chunk": chunk, "group": group,
        "band": band, "v_row": v_row, "v_point": v_point, "u_point": u_point, "m_point": m_point,
    }  # fmt: skip
    for name, room in (("v", band * v_point), ("u", chunk * u_point), ("m", band * group * m_point)):
        values[name], values[f"{name}_slot"] = slots(scratch, parts, points * room)
    kernel = winograd(block, outputs, layout, activation, columns % block.lanes != 0)
    return [Row(kernel, tuple(values.get(name, 0) for name in _NAMES), parts)]


def _even(count: int, most: int) -> int:
    """The size of the parts that `count` things are cut into evenly, each of `most` at most (at least 1)."""
    return -(-count // -(-count // max(1, most)))
