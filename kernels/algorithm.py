"""Which algorithm a convolution takes: direct sums, or Winograd's tiles. A model of their time decides.

The numbers are cycles of one core. They were fitted to `python -m benchmarks.convolutions`, which prints both
times and the model's opinion; what is left out (memory, other programs) is why Winograd has to be expected
to win by `MARGIN`. `SYMGRAPH_CONVOLUTION` overrules the model.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from symgraph.kernels.contract import SMALL
from symgraph.kernels.simd import Block, choose_block, row_limit, step_cycles
from symgraph.kernels.target import TARGET

TAPS = 3
"""Height and width of the kernels that have an algorithm to choose."""
OUTPUTS = (4, 2)
"""Sides of the tiles of output pixels."""
MARGIN = 0.95
"""Winograd is taken where it is expected to need at most this part of the direct algorithm's time."""

# Cycles to transform one vector of a tile, by the tile's side. What lies in the way is mostly memory: the
# points of a tile go to as many cache lines.
_WINDOW = {4: 170.0, 2: 50.0}
_RESULT = {4: 130.0, 2: 40.0}
_WEIGHT = {("rows", 4): 200.0, ("rows", 2): 100.0, ("columns", 4): 250.0, ("columns", 2): 150.0}
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
    wanted = wanted_algorithm()
    plain = kernel == (TAPS, TAPS) and groups == 1 and set(steps) == {1}
    samples, height, width, columns = out
    empty = samples * height * width * columns == 0
    if wanted == "direct" or not plain or dtype != np.float32 or channels < TARGET.lanes(4) or empty:
        return 0
    plans = [
        winograd_plan(
            samples * -(-height // side) * -(-width // side), channels, columns, side, layout, threads
        )
        for side in OUTPUTS
    ]
    best = min(plans, key=lambda plan: plan.cycles)
    direct = direct_cycles(samples * height * width, TAPS * TAPS * channels, columns, threads)
    return best.outputs if wanted == "winograd" or best.cycles <= MARGIN * direct else 0


@cache
def wanted_algorithm() -> str:
    """What `SYMGRAPH_CONVOLUTION` says: direct, winograd (wherever it can be) or auto (the default).

    ValueError for anything else.
    """
    named = os.environ.get("SYMGRAPH_CONVOLUTION") or "auto"
    if named not in ("direct", "winograd", "auto"):
        raise ValueError(f"SYMGRAPH_CONVOLUTION: expected direct, winograd or auto, got {named!r}")
    return named
