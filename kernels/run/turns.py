"""A loop in one kernel call: rows that run turn after turn without any thread waiting for another one.

Each tile is a program of its own: its rows, for its part of the samples. Between turns the addresses of its
operands move on by their strides. What a tile works on, a few samples' states and gates and the weights,
stays in the caches of the processor that took the tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from symgraph.kernels.run.jit import Kernel, inlined, numba_kernel
from symgraph.kernels.run.machine import Address, Row, call_entry
from symgraph.kernels.run.memory import address_of, load_int, store_int

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


def sequence(operands, tile):
    """All turns of one tile."""
    words = address_of(operands)
    program = words + 8 * load_int(words + 8 * tile)
    turns, rows, moves = load_int(program), load_int(program + 8), load_int(program + 16)
    first = program + 8 * _HEAD
    moving = first + 8 * _ROW * rows
    for _ in range(turns):
        for number in range(rows):
            row = first + 8 * _ROW * number
            entry, given = load_int(row), words + 8 * load_int(row + 8)
            for part in range(load_int(row + 16)):
                call_entry(entry, given, part)
        move(words, moving, moves, 1)
    # Inside a loop of the machine the words are read again.
    move(words, moving, moves, -turns)
    return 0


@inlined
def move(words, moving, moves, turns):
    """Move all moving operands on by a number of turns."""
    for number in range(moves):
        pair = moving + 16 * number
        place = words + 8 * load_int(pair)
        store_int(place, load_int(place) + turns * load_int(pair + 8))


@cache
def sequence_kernel(name: str) -> Kernel:
    """The kernel; under any name its code is the same."""
    return numba_kernel(name, sequence)


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
