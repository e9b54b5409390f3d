"""Which algorithm a convolution takes: direct sums, or Winograd's tiles. A model of their time decides.

The numbers are cycles of one core, set by hand on one AVX2 machine so that ratios come out near those of
`python -m benchmarks.convolutions`, which prints the times and what is taken; what is left out (memory, other
programs) is why Winograd has to be expected to win by `MARGIN`. `SYMGRAPH_CONVOLUTION` overrules the model,
and `choices.choosing` both.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from symgraph.kernels.contraction.contract import SMALL
from symgraph.kernels.run.choices import choices
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.block import Block, choose_block, row_limit, step_cycles

TAPS = 3
"""Height and width of the kernels that have an algorithm to choose."""
OUTPUTS = (4, 2)
"""Sides of the tiles of output pixels."""
MARGIN = 0.95
"""Winograd is taken where it is expected to need at most this part of the direct algorithm's time."""

# Cycles to transform one vector of a tile, by the tile's side. Most of it is memory: a tile's points go to as
# many cache lines. The weight gradient's number is lower because the measured ratios are; why is not known.
_WINDOW = {4: 350.0, 2: 100.0}
_RESULT = {4: 350.0, 2: 110.0}
_WEIGHT = {("rows", 4): 300.0, ("rows", 2): 150.0, ("columns", 4): 350.0, ("columns", 2): 200.0}
_GRADIENT = 160.0
# To add a vector to sums in memory.
_SUM = 8.0
# To begin and end a block of a product.
_BLOCK = 40.0
_DIRECT = 1.05


@dataclass(frozen=True, slots=True)
class Plan:
    """How a Winograd convolution is cut: side of the tiles, block of the products, parts of the work."""

    outputs: int
    block: Block
    parts_columns: int
    parts_rows: int
    cycles: float
    band: int = 0


def winograd_plan(tiles: int, channels: int, columns: int, outputs: int, layout: str, threads: int) -> Plan:
    """The cut into parts that is done soonest.

    Each part transforms its share of the weights; parts that share columns repeat that, parts that share
    tiles repeat the windows. More parts than threads even out what else happens on the machine.
    """
    lanes = TARGET.lanes(4)
    block = _block(tiles, columns)
    panels, blocks = -(-columns // block.width), -(-tiles // block.rows)
    points = (outputs + TAPS - 1) ** 2
    small = tiles * channels * columns * points < SMALL
    choices = (
        [(1, 1)] if threads == 1 or small else product((1, threads), (1, threads, 2 * threads, 4 * threads))
    )
    plans = []
    for parts_columns, parts_rows in choices:
        if parts_columns > panels or parts_rows > blocks:
            continue
        across, down = -(-panels // parts_columns), -(-blocks // parts_rows)
        here = down * block.rows
        vectors = across * block.vectors
        cycles = vectors * channels * _WEIGHT[layout, outputs]
        cycles += here * (-(-channels // lanes) * _WINDOW[outputs] + vectors * _RESULT[outputs])
        step = channels * step_cycles(block.rows, block.vectors)
        cycles += points * across * down * (step + _BLOCK)
        cycles *= -(-parts_columns * parts_rows // threads)
        # Where it costs nothing, more parts are better.
        plans.append(Plan(outputs, block, parts_columns, parts_rows, cycles * (1 - 0.002 * parts_rows)))
    return min(plans, key=lambda plan: plan.cycles)


def weight_gradient_plan(tiles: int, channels: int, columns: int, threads: int) -> Plan:
    """The cut of a weight gradient into parts for the threads, with sums of their own where tiles are shared.

    A band of tiles is long enough to hide loading and storing the sums, and else as long as L2 holds.
    """
    lanes = TARGET.lanes(4)
    vectors = min(2, -(-columns // lanes))
    rows = -(-channels // -(-channels // row_limit(vectors)))
    block = Block("float32", rows, vectors, "rows")
    panels, blocks = -(-columns // block.width), -(-channels // rows)
    small = tiles * channels * columns * 36 < SMALL
    plans = []
    for parts_columns in range(1, 2 if small else threads + 1):
        parts_rows = 1 if small else min(tiles, threads // parts_columns)
        if parts_columns > panels:
            continue
        across, down = -(-panels // parts_columns), -(-tiles // parts_rows)
        wide = 36 * (channels + across * block.width) * 4
        band = min(down, max(48, TARGET.l2_bytes // wide))
        cycles = down * _GRADIENT * (-(-channels // lanes) + across * vectors)
        bands = -(-down // band)
        block_cycles = down * step_cycles(rows, vectors) + bands * (_BLOCK + _SUM * rows * vectors)
        cycles += 36 * across * blocks * block_cycles
        cycles += 36 * channels * panels * vectors * parts_rows * _SUM / threads
        plans.append(Plan(4, block, parts_columns, parts_rows, cycles, band))
    return min(plans, key=lambda plan: plan.cycles)


def _block(rows: int, columns: int) -> Block:
    """Two vectors wide: the weights come from afar, and wide blocks of few rows would wait for them."""
    vectors = min(2, -(-columns // TARGET.lanes(4)))
    return Block("float32", -(-rows // -(-rows // row_limit(vectors))), vectors)


def direct_cycles(pixels: int, depth: int, columns: int, threads: int) -> float:
    """Time of a direct convolution; `depth` is that of its sums."""
    block = choose_block(pixels, columns, np.dtype("float32"))
    blocks, panels = -(-pixels // block.rows), -(-columns // block.width)
    share = threads if pixels * columns * depth >= SMALL else 1
    return _DIRECT * depth * blocks * panels * step_cycles(block.rows, block.vectors) / share


def winograd_outputs(
    dtype: np.dtype,
    kernel: tuple[int, ...],
    steps: Sequence[int],
    groups: int,
    out: tuple[int, ...],
    channels: int,
    layout: str,
    threads: int,
) -> int:
    """Side of the tiles for a convolution of `channels` to pictures of shape `out`; 0 for direct sums.

    `steps` are strides and dilations; `layout` tells which axis of the weights is contiguous (`winograd`).
    """
    samples, height, width, columns = out
    if not _is_possible(dtype, kernel, steps, groups, channels) or 0 in out:
        return 0
    plans = [
        winograd_plan(
            samples * -(-height // side) * -(-width // side), channels, columns, side, layout, threads
        )
        for side in _sides()
    ]
    best = min(plans, key=lambda plan: plan.cycles)
    direct = direct_cycles(samples * height * width, TAPS * TAPS * channels, columns, threads)
    return best.outputs if _is_better(best, direct) else 0


def takes_winograd_weight_gradient(
    dtype: np.dtype,
    weights: tuple[int, ...],
    steps: Sequence[int],
    groups: int,
    grad: tuple[int, ...],
    threads: int,
) -> bool:
    """Whether the gradient of `weights` is taken in tiles of an output's gradient; both are shapes."""
    samples, height, width, columns = grad
    if not _is_possible(dtype, weights[:2], steps, groups, weights[2]) or 0 in grad or 4 not in _sides():
        return False
    tiles = samples * -(-height // 4) * -(-width // 4)
    plan = weight_gradient_plan(tiles, weights[2], columns, threads)
    return _is_better(
        plan, direct_cycles(TAPS * TAPS * weights[2], samples * height * width, columns, threads)
    )


def _is_possible(
    dtype: np.dtype, kernel: tuple[int, ...], steps: Sequence[int], groups: int, channels: int
) -> bool:
    """Whether there are Winograd's kernels for a convolution that reads `channels`."""
    plain = kernel == (TAPS, TAPS) and groups == 1 and set(steps) == {1}
    return plain and dtype == np.float32 and channels >= TARGET.lanes(4) and _wanted() != "direct"


def _is_better(plan: Plan, direct: float) -> bool:
    return _wanted().startswith("winograd") or plan.cycles <= MARGIN * direct


def _sides() -> tuple[int, ...]:
    """Sides of the tiles that may be taken."""
    _, _, named = _wanted().partition("winograd_")
    return tuple(side for side in OUTPUTS if named in ("", f"{side}x{side}"))


def _wanted() -> str:
    return choices().algorithm or wanted_algorithm()


@cache
def wanted_algorithm() -> str:
    """What `SYMGRAPH_CONVOLUTION` says: direct, winograd (wherever it can be) or auto (the default).

    ValueError for anything else.
    """
    named = os.environ.get("SYMGRAPH_CONVOLUTION") or "auto"
    if named not in ("direct", "winograd", "auto"):
        raise ValueError(f"SYMGRAPH_CONVOLUTION: expected direct, winograd or auto, got {named!r}")
    return named
