"""Matrix products over batches, of any transposition, with bias and activation fused into the last step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from symgraph.kernels.contraction.contract import (
    BAND_BYTES,
    SMALL,
    Operands,
    contraction_row,
    cut_depth,
    slots,
)
from symgraph.kernels.contraction.packed import pack_row
from symgraph.kernels.contraction.partials import partial_sum_row
from symgraph.kernels.copies import copy_rows
from symgraph.kernels.run.buffer import (
    Buffer,
    Scratch,
    check_addend,
    check_bias,
    check_float,
    launch,
    optional,
)
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.tile.block import (
    Block,
    choose_block,
    choose_direct_block,
    rows_side_by_side,
    split_epilogue,
)

DIRECT_ROWS = 8
"""Up to this many rows B is read where it lies: packing would cost more than it saves."""
KEPT_BYTES = 32 << 20
"""Weights up to this size are kept packed where they do not change: they take their memory twice then."""
DIRECT_DEPTH = 16
"""Lines of B that are then read side by side, as streams that the processor can prefetch. With more of them
memory gives less; with fewer the sums are loaded and stored too often."""
PART_DEPTH = 256
"""Shortest part of the depth that threads take for themselves."""


def matmul_rows(
    a: Buffer,
    b: Buffer,
    out: Buffer,
    *,
    bias: Buffer | None = None,
    activation: str = "linear",
    addend: Buffer | None = None,
    accumulate: bool = False,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for ``out = activation(a @ b + bias + addend)``, or with ``out + a @ b`` in place of ``a @ b``.

    Parameters
    ----------
    a, b, out : Buffer
        [..., M, K], [..., K, N], [..., M, N] of one rank >= 2 and one dtype, float32 or float64. Batch axes
        are equal (stretched ones have stride 0). The last two axes of a and b may have any strides; where
        neither is contiguous the operand is copied first. out is contiguous along its last axis.
    bias : Buffer, optional
        Contiguous [N]; [k, N] for k steps.
    activation : {'linear', 'relu', 'relu6'}
        Behind steps that are taken first, such as ``"*+ relu"`` (see `block.split_epilogue`).
    addend : Buffer, optional
        Of out's shape, dtype and strides, added behind bias or steps. It may be out itself, where there is
        one product only.
    accumulate : bool
        Add to what out holds.
    """
    _check(a, b, out)
    rows, depth = a.shape[-2:]
    columns = b.shape[-1]
    check_bias(bias, columns, out.dtype, "matmul", split_epilogue(activation)[0])
    check_addend(addend, out, "matmul")
    if out.size == 0:
        return []
    plans: list[Row] = []
    a = _unit_stride(a, plans, threads, scratch)
    b = _unit_stride(b, plans, threads, scratch)
    batch = _batch_axes(a, b, out)
    room = b.room if b.nbytes <= KEPT_BYTES else None
    job = _Job(rows, columns, depth, a.strides[-2], a.strides[-1], b.strides[-2], b.strides[-1],
               out.strides[-2], a.dtype, bias.address if bias else 0, activation, accumulate,
               room, addend is not None)  # fmt: skip
    if (
        len(batch) == 1
        and batch[0].b == 0
        and batch[0].a == rows * job.a_row
        and batch[0].c == rows * job.c_row
        and (depth == 1 or out.dtype.itemsize in (job.a_row, job.a_depth))
    ):
        job, batch = replace(job, rows=rows * batch[0].count), []
    if batch and addend is not None and addend.address == out.address:
        raise ValueError("matmul: expected an addend apart from the output of several products")
    for place in product(*(range(axis.count) for axis in batch[:-2])):
        shift = [sum(i * getattr(axis, n) for i, axis in zip(place, batch[:-2], strict=True)) for n in "abc"]
        places = [Address(x.base, x.offset + s) for x, s in zip((a, b, out), shift, strict=True)]
        if addend is not None:
            places.append(Address(addend.base, addend.offset + shift[2]))
        plans += job.plan(places, batch[-2:], threads, scratch)
    return plans


@dataclass(frozen=True, slots=True)
class _Axis:
    """A batch axis: its length, and byte steps of a, b and out."""

    count: int
    a: int
    b: int
    c: int


@dataclass(frozen=True, slots=True)
class _Job:
    """A product's sizes and byte strides."""

    rows: int
    columns: int
    depth: int
    a_row: int
    a_depth: int
    b_depth: int
    b_column: int
    c_row: int
    dtype: np.dtype
    bias: Address | int
    activation: str
    accumulate: bool
    room: Callable[[Sequence[int], Any], Buffer] | None = None
    added: bool = False

    def plan(
        self, places: Sequence[Address], batch: list[_Axis], threads: int, scratch: Scratch
    ) -> list[Row]:
        """Rows for at most two batch axes; `places` of a, b and out, and of what is added where it is."""
        a, b, c = places[:3]
        addend = places[3] if self.added else 0
        size = self.dtype.itemsize
        along = "depth" if self.a_depth == size or self.depth == 1 else "rows"
        layout = "rows" if self.b_column == size or self.columns == 1 else "columns"
        most = rows_side_by_side(self.rows, self.a_row) if along == "depth" else 14
        block = choose_block(self.rows, self.columns, self.dtype, along, most)
        if layout == "rows" and self.rows <= DIRECT_ROWS:
            layout, block = "direct", choose_direct_block(self.rows, self.columns, self.dtype, along)
        elif layout == "rows" and self.room and not batch and self.depth:
            layout = "packed"
        batches = math.prod(axis.count for axis in batch)
        parts = self._parts(block, batches, threads)
        values: Operands = {
            "a": a, "b": b, "c": c, "bias": self.bias, "addend": addend, "batches": batches,
            "length": self.rows, "parts_batch": parts[0], "parts_depth": parts[1], "parts_columns": parts[2],
            "parts_rows": parts[3], "a_step": self.a_row, "a_depth": self.a_depth, "c_step": self.c_row,
            "depth": self.depth, "columns": self.columns, "b_depth": self.b_depth,
            "accumulate": int(self.accumulate),
            "b_column": self.b_column if layout == "columns" else size,
        }  # fmt: skip
        if batch:
            names = ("batch", "inner") if len(batch) == 2 else ("inner",)
            for name, axis in zip(names, batch, strict=True):
                values |= {f"a_{name}": axis.a, f"b_{name}": axis.b, f"c_{name}": axis.c}
            values["inner_batches"] = batch[-1].count
        self._cut(values, block, layout, scratch)
        stage = "copy" if along == "rows" else "none"
        before = self._pack(values, block, threads) if layout == "packed" else []
        # What lies where results go is still needed when the sums of the first chunks are stored.
        covered = addend == c and values["chunk"] < self.depth
        if parts[1] == 1 and not covered:
            return [*before, contraction_row(block, stage, layout, self.activation, values, [0], [0])]
        partial = scratch((parts[1], self.rows, self.columns), self.dtype)
        values |= {"c": partial.address, "c_step": self.columns * size, "bias": 0, "addend": 0,
                   "accumulate": 0, "c_part": self.rows * self.columns * size}  # fmt: skip
        return [
            *before,
            contraction_row(block, stage, layout, "linear", values, [0], [0]),
            partial_sum_row(self.dtype.name, partial.address, parts[1], self.rows, self.columns, c,
                            self.c_row, bias=self.bias, activation=self.activation, addend=addend,
                            accumulate=self.accumulate, threads=threads),
        ]  # fmt: skip

    def _pack(self, values: Operands, block: Block, threads: int) -> list[Row]:
        """The row that packs B into memory that is kept, from where the product reads it."""
        assert self.room
        panels = -(-self.columns // block.width)
        packed = self.room((panels * block.width * self.depth,), self.dtype)
        source, values["b"] = values["b"], packed.address
        return [
            pack_row(
                block,
                source,
                self.b_depth,
                (self.depth, self.columns),
                values["parts_depth"],
                values["chunk"],
                packed.address,
                threads,
            )
        ]

    def _cut(self, values: Operands, block: Block, layout: str, scratch: Scratch) -> None:
        """Choose chunks and bands that fit the caches, and get scratch for what is packed or staged."""
        size = block.size
        panels = -(-self.columns // block.width)
        if layout == "direct":
            chunk, panel_chunk = DIRECT_DEPTH, panels
        else:
            chunk, panel_chunk = cut_depth(-(-self.depth // values["parts_depth"]), 1, panels, block)
        blocks = -(-self.rows // block.rows)
        band = max(1, min(BAND_BYTES // (chunk * block.rows * size), -(-blocks // values["parts_rows"])))
        values |= {"chunk": chunk, "panel_chunk": panel_chunk, "blocks_per_band": band}
        tiles = math.prod(values[f"parts_{axis}"] for axis in ("batch", "depth", "columns", "rows"))
        if layout in ("rows", "columns"):
            pack = (chunk * panel_chunk + block.lanes) * block.width * size
            values["pack"], values["pack_slot"] = slots(scratch, tiles, pack)
        if block.along == "rows":
            values["stage_row"] = min(self.rows, band * block.rows) * size
            values["stage"], values["stage_slot"] = slots(scratch, tiles, chunk * values["stage_row"])

    def _parts(self, block: Block, batches: int, threads: int) -> tuple[int, int, int, int]:
        """Tiles along (batch, depth, columns, rows): the grid with the least time for its busiest tile."""
        # Few rows: the time is in reading B, not in the multiply-adds.
        weight = max(self.rows, 4) * batches * self.columns * max(1, self.depth)
        if threads == 1 or weight < SMALL:
            return 1, 1, 1, 1
        if batches >= threads:
            return min(batches, 4 * threads), 1, 1, 1
        in_place = self.rows <= DIRECT_ROWS and self.b_column == self.dtype.itemsize
        if in_place and batches == 1 and self.depth >= PART_DEPTH * threads:
            # Each thread reads whole lines of B, one after the other: pieces of lines come slowly.
            return 1, threads, 1, 1
        blocks, panels = -(-self.rows // block.rows), -(-self.columns // block.width)
        left = threads // batches
        best: tuple[float, tuple[int, int, int, int]] | None = None
        for depth in range(1, left + 1 if batches == 1 else 2):
            if depth > 1 and self.depth // depth < PART_DEPTH:
                break
            for columns in range(1, min(panels, left // depth) + 1):
                rows = min(blocks, left // (depth * columns))
                steps, across, down = self.depth / depth, -(-panels // columns), -(-blocks // rows)
                work = steps * across * down * block.rows * block.vectors / 2
                # Elements of A and B that a tile streams, and of the partial results: two cycles each.
                moved = steps * (down * block.rows + across * block.width)
                if depth > 1:
                    moved += self.rows * self.columns * (2 / (columns * rows) + 1)
                cost = work + 2 * moved
                if best is None or cost < best[0]:
                    best = cost, (batches, depth, columns, rows)
        assert best is not None
        return best[1]


def _batch_axes(a: Buffer, b: Buffer, out: Buffer) -> list[_Axis]:
    """Batch axes longer than one, neighbours joined where all three operands run through."""
    axes: list[_Axis] = []
    for count, *steps in zip(a.shape[:-2], a.strides, b.strides, out.strides, strict=False):
        if count == 1:
            continue
        axis = _Axis(count, *steps)
        last = axes[-1] if axes else None
        if last and (last.a, last.b, last.c) == (axis.a * count, axis.b * count, axis.c * count):
            axes[-1] = _Axis(last.count * count, *steps)
        else:
            axes.append(axis)
    return axes


def _unit_stride(x: Buffer, plans: list[Row], threads: int, scratch: Scratch) -> Buffer:
    """`x` itself if one of its last two axes is contiguous (or short enough not to matter), else a copy."""
    if x.size == 0 or x.dtype.itemsize in x.strides[-2:] or 1 in x.shape[-2:]:
        return x
    copy = scratch(x.shape, x.dtype)
    plans += copy_rows(x, copy, threads=threads, scratch=scratch)
    return copy


def _check(a: Buffer, b: Buffer, out: Buffer) -> None:
    check_float(a.dtype)
    if len({a.dtype, b.dtype, out.dtype}) != 1:
        raise TypeError(f"matmul: expected one dtype, got {a.dtype}, {b.dtype}, {out.dtype}")
    expected = (*a.shape[:-1], b.shape[-1])
    if a.shape[-1] != b.shape[-2] or a.shape[:-2] != b.shape[:-2] or out.shape != expected:
        raise ValueError(f"matmul: shapes {a.shape} @ {b.shape} -> {out.shape} do not fit")
    if out.size and out.shape[-1] > 1 and out.strides[-1] != out.dtype.itemsize:
        raise ValueError("matmul: expected an output that is contiguous along its last axis")


def matmul(
    a: np.ndarray,
    b: np.ndarray,
    bias: np.ndarray | None = None,
    activation: str = "linear",
    threads: int | None = None,
    addend: np.ndarray | None = None,
) -> np.ndarray:
    """``activation(a @ b + bias + addend)`` with numpy's broadcasting of batch axes.

    Parameters
    ----------
    a, b : ndarray, shapes (..., M, K) and (..., K, N)
        float32 or float64, any strides.
    bias : ndarray, shape (N,), optional
    activation : {'linear', 'relu', 'relu6'}
    addend : ndarray, shape (..., M, N), optional

    Returns
    -------
    ndarray, shape (..., M, N)
    """
    if a.ndim < 2 or b.ndim < 2:
        raise ValueError(f"matmul: expected at least 2 axes, got shapes {a.shape} and {b.shape}")
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = np.broadcast_to(a, (*batch, *a.shape[-2:]))
    b = np.broadcast_to(b, (*batch, *b.shape[-2:]))
    out = np.empty((*batch, a.shape[-2], b.shape[-1]), a.dtype)
    given, named = optional(
        bias=None if bias is None else np.ascontiguousarray(bias, a.dtype),
        addend=None if addend is None else np.ascontiguousarray(addend, a.dtype),
    )

    def plan(a: Buffer, b: Buffer, out: Buffer, *extra: Buffer, **options: Any) -> list[Row]:
        return matmul_rows(a, b, out, **named(*extra), **options)

    launch(plan, a, b, out, *given, threads=threads, activation=activation)
    return out
