"""A Program as text: one row a kernel call, in running order."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Protocol

from symgraph.graph.tensor import Tensor
from symgraph.kernels.jit import Kernel
from symgraph.kernels.machine import Host, Row

# Cells wider than this go on in the next line: nothing is cut.
_WIDEST = 46


class _Lowered(Protocol):
    @property
    def inputs(self) -> tuple[Tensor, ...]: ...

    @property
    def outputs(self) -> tuple[Tensor, ...]: ...

    @property
    def nodes(self) -> tuple[Tensor, ...]: ...


class _Program(Protocol):
    rows: tuple[Row, ...]
    gangs: tuple[int, ...]
    arena_bytes: int
    buffer_bytes: int
    guarded: int


def listing(name: str, lowered: _Lowered, program: _Program | None) -> str:
    """The table of kernel calls, or of graph nodes where no Program was planned yet."""
    numbers = {id(node): f"%{i}" for i, node in enumerate(lowered.nodes)}
    inputs = ", ".join(f"{numbers.get(id(t), '-')} {t.name or ''}: {t.type}".strip() for t in lowered.inputs)
    head = f"{name}({inputs}) -> {', '.join(numbers.get(id(t), '-') for t in lowered.outputs)}"
    if program is None:
        rows = [_node_cells(node, numbers) for node in lowered.nodes if not node.op.leaf]
        return "\n".join([head, *_table(("result", "op", "operands", "type", "layer"), rows)])
    cells = list(_program_cells(program, numbers))
    head_cells = ("row", "result", "type", "layer", "kernel", "operands", "tiles", "slices", "gang")
    used = [i for i, name in enumerate(head_cells) if i < 7 or any(row[i] for row in cells)]
    table = _table([head_cells[i] for i in used], [[row[i] for i in used] for row in cells])
    memory = f"arena {_bytes(program.arena_bytes)} for {_bytes(program.buffer_bytes)} of temporaries"
    return "\n".join([head, *table, f"{len(program.rows)} rows, {memory}"])


def _program_cells(program: _Program, numbers: dict[int, str]) -> Iterator[tuple[str, ...]]:
    """The rows' cells. Of rows that are repeated for slices of the samples the first one stands for all."""
    gangs = [
        str(number) if size > 1 else "" for number, size in enumerate(program.gangs) for _ in range(size)
    ]
    slices: dict[tuple[int, Kernel | Host], set[int]] = {}
    for row in program.rows:
        slices.setdefault((id(row.node), row.kernel), set()).add(row.slice)
    for index, (row, gang) in enumerate(zip(program.rows, gangs, strict=True)):
        if index == program.guarded:
            yield ("", "", "", "", "-- from here on nothing is interrupted --", "", "", "", "")
        same = slices[id(row.node), row.kernel]
        if row.slice == min(same):
            yield (*_row_cells(index, row, numbers), str(len(same)) if len(same) > 1 else "", gang)


def _node_cells(node: Tensor, numbers: dict[int, str]) -> tuple[str, ...]:
    operands = " ".join(_operand(i, numbers) for i in node.inputs)
    return numbers[id(node)], str(node.op), operands, str(node.type), node.layer or ""


def _row_cells(index: int, row: Row, numbers: dict[int, str]) -> tuple[str, ...]:
    node = row.node
    operands = " ".join(_operand(i, numbers) for i in node.inputs)
    kernel = row.kernel.name
    return (
        str(index),
        numbers.get(id(node), "-"),
        str(node.type),
        node.layer or "",
        kernel,
        operands,
        str(row.tiles),
    )


def _operand(node: Tensor, numbers: dict[int, str]) -> str:
    return node.name if node.op.leaf and node.name else numbers.get(id(node), "-")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows under a head, in columns; long cells are wrapped at spaces."""
    wrapped = [
        [textwrap.wrap(cell, _WIDEST, break_long_words=False) or [""] for cell in row]
        for row in [head, *rows]
    ]
    widths = [max(len(line) for row in wrapped for line in row[i]) for i in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for row in wrapped
        for line in zip_longest(*row, fillvalue="")
    ]


def _bytes(count: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024  # type: ignore[assignment]
    return f"{count:.4g} GiB"
