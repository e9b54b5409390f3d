"""A loop in one kernel call: rows that run turn after turn without any thread waiting for another one.

Each tile is a program of its own: its rows, for its part of the samples. Between turns the addresses of its
operands move on by their strides. What a tile works on, a few samples' states and gates and the weights,
stays in the caches of the processor that took the tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from llvmlite import ir

from symgraph.kernels.run.jit import ENTRY_TYPE, Kernel, ir_kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.tile.emit import Code, Int

_HEAD = 3
"""Words before a tile's rows: turns, number of rows, number of moving operands."""
_ROW = 3
"""Words of a row: its entry, where its operands are, its tiles."""


@dataclass(frozen=True)
class Moving:
    """An operand of a tile's row: an address, and by how many bytes it moves a turn."""

    address: Address
    stride: int


Turn = Sequence[tuple[Row, Sequence[Moving | int]]]
"""What a tile does in a turn: rows, with operands in place of their own."""


@cache
def sequence_kernel(name: str) -> Kernel:
    """The kernel; under any name its code is the same."""

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        code = Code(builder, function)
        program = code.word(code.tile)
        turns, rows, moves = (code.word(program + i) for i in range(_HEAD))
        moved = program + _HEAD + rows * _ROW

        def shift(factor: Int | int) -> None:
            with code.loop(moves) as m:
                word = code.word(moved + m * 2)
                place = builder.gep(code.operands, [word.value])
                step = code.word(moved + m * 2 + 1)
                builder.store((code.word(word) + step * factor).value, place)

        with code.loop(turns):
            with code.loop(rows) as r:
                row = program + _HEAD + r * _ROW
                entry = builder.inttoptr(code.word(row).value, ENTRY_TYPE.as_pointer())
                operands = builder.gep(code.operands, [code.word(row + 1).value])
                with code.loop(code.word(row + 2)) as tile:
                    builder.call(entry, [operands, tile.value])
            shift(1)
        # Inside a loop of the machine the words are read again.
        shift(code.number(0) - turns)
        code.finish()

    return ir_kernel(name, emit, ())


def sequence_row(name: str, tiles: Sequence[Turn], first: int, turns: int) -> Row:
    """A row that runs each tile's rows `turns` times, beginning with turn number `first`.

    The rows' kernels never fail: their status is not looked at.
    """
    operands: list[int | Address] = [0] * len(tiles)
    for number, tile in enumerate(tiles):
        operands[number] = len(operands)
        moving = [
            (row, place, operand)
            for row, (_, given) in enumerate(tile)
            for place, operand in enumerate(given)
            if isinstance(operand, Moving) and operand.stride
        ]
        start = len(operands) + _HEAD + _ROW * len(tile) + 2 * len(moving)
        starts = []
        for _, given in tile:
            starts.append(start)
            start += len(given)
        operands += [turns, len(tile), len(moving)]
        for (row, _), at in zip(tile, starts, strict=True):
            assert not row.kernel.errors, f"{row.kernel.name} may fail"
            operands += [row.kernel.address, at, row.tiles]
        for index, place, operand in moving:
            operands += [starts[index] + place, operand.stride]
        for _, given in tile:
            operands += [_at(operand, first) for operand in given]
    return Row(sequence_kernel(name), tuple(operands), len(tiles))


def _at(operand: Moving | int, turn: int) -> Address | int:
    """The operand in a turn."""
    if not isinstance(operand, Moving):
        return operand
    base, offset, _ = operand.address
    return Address(base, offset + turn * operand.stride)
