"""A loop in one kernel call: turns, moving operands, tiles, and what is left behind."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from symgraph.kernels.elementwise import Instruction, elementwise_rows
from symgraph.kernels.run.buffer import Buffer, contiguous_strides
from symgraph.kernels.run.machine import Address, Lease, Loop, Row, Table
from symgraph.kernels.run.turns import Moving, sequence_row

ADD = (Instruction("add", (0, 1), "float64"),)


def _scratch(shape: Any, dtype: Any) -> Buffer:
    raise AssertionError("no scratch is needed here")


def _running_sum(first: int, end: int, columns: int) -> list[tuple[Row, list[Moving | int]]]:
    """total += x[t]; y[t] = total for some columns: bases 0 (x), 1 (total) and 2 (y), float64."""

    def at(base: int) -> Buffer:
        shape = (end - first,)
        return Buffer(base, 8 * first, shape, contiguous_strides(shape, 8), np.dtype("f8"))

    tile = []
    for inputs, output in (([at(0), at(1)], at(1)), ([at(1)], at(2))):
        program, result = (ADD, 2) if len(inputs) == 2 else ((), 0)
        (row,) = elementwise_rows(program, (result,), inputs, [output], threads=1, scratch=_scratch)
        operands = [
            Moving(o, 0 if o.base == 1 else 8 * columns) if isinstance(o, Address) else o
            for o in row.operands
        ]
        tile.append((row, operands))
    return tile


def _run(table: Table, arrays: list[np.ndarray], times: int = 1) -> None:
    lease = Lease(table, len(arrays))
    lease.bases[:] = [a.ctypes.data for a in arrays]
    for _ in range(times):
        lease.run()


def test_turns_in_tiles() -> None:
    x = np.random.default_rng(0).standard_normal((7, 5))
    for bounds in ((0, 5), (0, 2, 5), (0, 1, 2, 3, 4, 5)):
        tiles = [_running_sum(a, b, 5) for a, b in pairwise(bounds)]
        total, y = np.zeros(5), np.zeros((7, 5))
        row = sequence_row("sum", tiles, 0, 7)
        assert row.tiles == len(bounds) - 1
        _run(Table([row], 2), [x, total, y])
        np.testing.assert_allclose(y, np.cumsum(x, 0), rtol=1e-13)
        np.testing.assert_allclose(total, x.sum(0), rtol=1e-13)


def test_in_parts_and_again() -> None:
    x = np.random.default_rng(1).standard_normal((7, 3))
    rows = [sequence_row("sum", [_running_sum(0, 3, 3)], first, turns) for first, turns in ((0, 2), (2, 5))]
    total, y = np.zeros(3), np.zeros((7, 3))
    _run(Table(rows, 1), [x, total, y], times=2)
    np.testing.assert_allclose(y, x.sum(0) + np.cumsum(x, 0), rtol=1e-13)


def test_inside_a_loop_of_the_machine() -> None:
    x = np.random.default_rng(2).standard_normal((4, 3))
    total, y = np.zeros(3), np.zeros((4, 3))
    row = sequence_row("sum", [_running_sum(0, 2, 3), _running_sum(2, 3, 3)], 0, 4)
    _run(Table([row], 2, blocks=[Loop(0, 1, 5)]), [x, total, y])
    np.testing.assert_allclose(total, 5 * x.sum(0), rtol=1e-13)
    np.testing.assert_allclose(y, 4 * x.sum(0) + np.cumsum(x, 0), rtol=1e-13)
