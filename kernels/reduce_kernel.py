"""The code of reduction kernels: accumulators, their folding, and the two loop orders (see `reduce`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from llvmlite import ir

from symgraph.kernels.elementwise import Program, emit_program
from symgraph.kernels.jit import INT, Kernel, ir_kernel
from symgraph.kernels.nest import MAX_RANK, Odometer, Variable, Writer, store
from symgraph.kernels.operand import NUMBER, Operand, lesser, read_all
from symgraph.kernels.vector import Vec, highest, lowest, maximum, minimum, where

KINDS = ("sum", "prod", "max", "min", "any", "all", "mean")
(
    _INNER, _CHUNK, _COLUMNS, _PIECES, _ROWS, _ROWS_PER_TILE, _COUNT, _PER_PIECE, _COLUMN_STRIDE,
    _PIECE_STRIDE, _DIVISOR, _KEPT_RANK, _REDUCED_RANK, _KEPT_SIZES,
) = range(14)  # fmt: skip
_REDUCED_SIZES = _KEPT_SIZES + MAX_RANK
_OPERANDS = _REDUCED_SIZES + MAX_RANK
_OPERAND_WORDS = 2 + 2 * MAX_RANK


class Pattern(NamedTuple):
    """What a kernel's code depends on besides the program."""

    kind: str
    inputs: tuple[tuple[str, str], ...]
    out: tuple[str, str]
    lanes: int
    inner_reduced: bool
    block: int


def accumulator_dtype(kind: str, dtype: str) -> str:
    """What a reduction of `dtype` is accumulated in."""
    if kind in ("any", "all"):
        return "int32"
    if kind in ("sum", "prod", "mean") and dtype == "float32":
        return "float64"
    return "uint8" if dtype == "bool" else dtype


def identity(kind: str, dtype: str) -> float | int:
    """What a reduction of nothing gives."""
    values = {"sum": 0, "mean": 0, "prod": 1, "any": 0, "all": 1, "max": lowest(dtype), "min": highest(dtype)}
    return values[kind]


def combine(kind: str, a: Vec, b: Vec) -> Vec:
    """Two accumulators made one."""
    if kind in ("sum", "mean"):
        return a + b
    if kind == "prod":
        return a * b
    if kind in ("max", "min"):
        return maximum(a, b) if kind == "max" else minimum(a, b)
    return a | b if kind == "any" else a & b


def fold(kind: str, value: Vec) -> Vec:
    """All lanes combined into a scalar, halving the vector step by step."""
    builder = value.builder
    while value.lanes > 1:
        half = value.lanes // 2
        parts = []
        for start in (0, half):
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), half), list(range(start, start + half)))
            empty = ir.Constant(value.value.type, ir.Undefined)
            parts.append(Vec(builder, builder.shuffle_vector(value.value, empty, lanes), value.dtype))
        value = combine(kind, parts[0], parts[1])
    return Vec(builder, builder.extract_element(value.value, ir.IntType(32)(0)), value.dtype)


def _prepared(kind: str, value: Vec, dtype: str) -> Vec:
    """A program's value as the accumulator takes it."""
    return (value.truth() if kind in ("any", "all") else value).cast(dtype)


@cache
def reduction_kernel(program: Program, result: int, pattern: Pattern) -> Kernel:
    """The kernel that reduces value number `result` of a program over one access pattern."""

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        _Emitter(Writer(builder, function), program, result, pattern).emit()

    names = ", ".join(i.name for i in program) or "copy"
    return ir_kernel(f"reduce_{pattern.kind}[{names}]", emit, (program, result, pattern))


class _Emitter:
    """Writes one reduction kernel."""

    def __init__(self, writer: Writer, program: Program, result: int, pattern: Pattern) -> None:
        self.writer = writer
        self.program = program
        self.result = result
        self.pattern = pattern
        self.lanes = pattern.lanes
        operands = [
            Operand(writer, dtype, access, pattern.lanes, _OPERANDS + k * _OPERAND_WORDS)
            for k, (dtype, access) in enumerate((*pattern.inputs, pattern.out))
        ]
        self.sources, self.out = operands[:-1], operands[-1]
        self.walking = [o for o in self.sources if o.access != NUMBER]
        self.kept = Odometer(
            writer, writer.word(_KEPT_RANK), _KEPT_SIZES, [o.strides_at for o in (*self.walking, self.out)]
        )
        self.reduced = Odometer(
            writer,
            writer.word(_REDUCED_RANK),
            _REDUCED_SIZES,
            [o.strides_at + MAX_RANK for o in self.walking],
        )
        # Found by the first program emitted: a constant program's dtype is known in its instructions only.
        dtypes = [d for d, _ in pattern.inputs] + [i.dtype for i in program]
        self.accumulator = accumulator_dtype(pattern.kind, dtypes[result])

    def emit(self) -> None:
        """The whole body: this tile's share of kept rows, columns and reduced points."""
        writer = self.writer
        pieces, columns, per_tile = writer.word(_PIECES), writer.word(_COLUMNS), writer.word(_ROWS_PER_TILE)
        rest = writer.tile / pieces
        piece = writer.tile - rest * pieces
        row_tile = rest / columns
        column = rest - row_tile * columns
        first = column * writer.word(_CHUNK)
        self.count = lesser(writer.word(_INNER) - first, writer.word(_CHUNK))
        self.begin = piece * writer.word(_PER_PIECE)
        self.end = lesser(self.begin + writer.word(_PER_PIECE), writer.word(_COUNT))
        row = row_tile * per_tile
        last = lesser(row + per_tile, writer.word(_ROWS))
        target = self.out.start + piece * writer.word(_PIECE_STRIDE) + column * writer.word(_COLUMN_STRIDE)
        if not self.pattern.inner_reduced:
            target = target + self.out.skip(first)
        self.kept.seek([*[o.start + o.skip(first) for o in self.walking], target], row)
        with writer.loop(row, last):
            *starts, target = self.kept.addresses()
            self.out.begin(target)
            if self.pattern.inner_reduced:
                self._sweep(starts, target)
            else:
                self._columns(starts)
            self.kept.step()
        writer.builder.ret(INT(0))

    def _new_accumulator(self) -> Variable:
        builder, dtype = self.writer.builder, self.accumulator
        start = identity(self.pattern.kind, dtype)
        scalar = Vec(builder, INT(0), "int64").constant(start, dtype)
        return self.writer.variable(self.writer.splat(scalar, self.lanes))

    def _value(self, inputs: Sequence[Vec]) -> Vec:
        value = emit_program(self.program, inputs)[self.result]
        return _prepared(self.pattern.kind, value, self.accumulator)

    def _finished(self, value: Vec) -> Vec:
        if self.pattern.kind == "mean":
            divisor = self.writer.float_word(_DIVISOR).cast(value.dtype)
            value = value / self.writer.splat(divisor, value.lanes)
        return value.cast(self.pattern.out[0])

    def _sweep(self, starts: Sequence[Vec], target: Vec) -> None:
        """The inner axis is reduced: one result from vectors along it."""
        writer, lanes, kind = self.writer, self.lanes, self.pattern.kind
        accumulator = self._new_accumulator()
        self.reduced.seek(starts, self.begin)
        with writer.loop(self.begin, self.end):
            for operand, address in zip(self.walking, self.reduced.addresses(), strict=True):
                operand.begin(address)
            with writer.loop(0, self.count, lanes) as at:
                mask = writer.tail_mask(self.count - at, lanes)
                full = (at + lanes <= self.count).value
                value = self._value(read_all(writer, self.sources, at, full, mask))
                before = accumulator.get()
                accumulator.set(where(mask, combine(kind, before, value), before))
            self.reduced.step()
        store(self._finished(fold(kind, accumulator.get())), target)

    def _columns(self, starts: Sequence[Vec]) -> None:
        """The inner axis is kept: its vectors are the results."""
        writer, width = self.writer, self.lanes * self.pattern.block
        whole = self.count - self.count.remainder(width) if self.pattern.block > 1 else writer.integer(0)
        if self.pattern.block > 1:
            with writer.loop(0, whole, width) as at:
                self._block(starts, at, self.pattern.block, None)
        with writer.loop(whole, self.count, self.lanes) as at:
            self._block(starts, at, 1, self.count - at)

    def _block(self, starts: Sequence[Vec], at: Vec, block: int, left: Vec | None) -> None:
        """`block` vectors of results from inner element `at` on; one, perhaps not full, with `left`."""
        writer, lanes, kind = self.writer, self.lanes, self.pattern.kind
        accumulators = [self._new_accumulator() for _ in range(block)]
        mask = None if left is None else writer.tail_mask(left, lanes)
        self.reduced.seek(starts, self.begin)
        with writer.loop(self.begin, self.end):
            for operand, address in zip(self.walking, self.reduced.addresses(), strict=True):
                operand.begin(address)
            for i, accumulator in enumerate(accumulators):
                if left is None or mask is None:
                    inputs = [o.read(at + i * lanes) for o in self.sources]
                else:
                    inputs = read_all(writer, self.sources, at, (left >= lanes).value, mask)
                accumulator.set(combine(kind, accumulator.get(), self._value(inputs)))
            self.reduced.step()
        for i, accumulator in enumerate(accumulators):
            self.out.write(self._finished(accumulator.get()), at + i * lanes, mask)
