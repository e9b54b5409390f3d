"""The code of reduction kernels: accumulators, their folding, and the two loop orders (see `reduce`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from functools import cache
from typing import NamedTuple

from symgraph.kernels.elementwise import Program, emit_program
from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.tile.builder import INT, lane_order, undefined
from symgraph.kernels.tile.nest import MAX_RANK, Odometer, Variable, Writer, prefetch, store, vector_kernel
from symgraph.kernels.tile.operand import CONTIGUOUS, NUMBER, Operand, lesser, read_all
from symgraph.kernels.tile.vector import ITEMSIZE, Vec, highest, lowest, maximum, minimum, where

KINDS = ("sum", "prod", "max", "min", "any", "all", "mean")
(
    _INNER, _CHUNK, _COLUMNS, _PIECES, _ROWS, _ROWS_PER_TILE, _COUNT, _PER_PIECE, _COLUMN_STRIDE,
    _PIECE_STRIDE, _DIVISOR, _KEPT_RANK, _REDUCED_RANK, _KEPT_SIZES,
) = range(14)  # fmt: skip
_REDUCED_SIZES = _KEPT_SIZES + MAX_RANK
_OPERANDS = _REDUCED_SIZES + MAX_RANK
_OPERAND_WORDS = 2 + 2 * MAX_RANK
# Reduced points that are taken in between a load and a store of a streaming kernel's results.
_AT_ONCE = 4
# Columns between what such a kernel asks for and what it takes in, at least: memory needs that long.
_AHEAD = 1024


class Pattern(NamedTuple):
    """What a kernel's code depends on besides the program: `kinds` and `outs` go together.

    `block` vectors of results stay in registers at once; none where results stay in memory while reduced
    points stream by. An input is `fixed` where it is the same at all reduced points.
    """

    kinds: tuple[str, ...]
    inputs: tuple[tuple[str, str], ...]
    outs: tuple[tuple[str, str], ...]
    lanes: int
    inner_reduced: bool
    block: int
    fixed: tuple[bool, ...]

    @property
    def streams(self) -> bool:
        """Whether results, of the accumulators' dtypes, stay in memory."""
        return not self.block


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
            lanes = lane_order(range(start, start + half))
            empty = undefined(value.value.type)
            parts.append(Vec(builder, builder.shuffle_vector(value.value, empty, lanes), value.dtype))
        value = combine(kind, parts[0], parts[1])
    return value.lane(0)


def _prepared(kind: str, value: Vec, dtype: str) -> Vec:
    """A program's value as the accumulator takes it."""
    return (value.truth() if kind in ("any", "all") else value).cast(dtype)


@cache
def reduction_kernel(program: Program, results: tuple[int, ...], pattern: Pattern) -> Kernel:
    """The kernel that reduces values of a program over one access pattern: ``results[i]`` by ``kinds[i]``."""

    def write(writer: Writer) -> None:
        _Emitter(writer, program, results, pattern).emit()

    names = ", ".join(i.name for i in program) or "copy"
    kinds = "_".join(pattern.kinds)
    return vector_kernel(f"reduce_{kinds}[{names}]", write, (program, results, pattern))


class _Emitter:
    """Writes one reduction kernel."""

    def __init__(self, writer: Writer, program: Program, results: tuple[int, ...], pattern: Pattern) -> None:
        self.writer = writer
        self.program = program
        self.results = results
        self.pattern = pattern
        self.lanes = pattern.lanes
        operands = [
            Operand(writer, dtype, access, pattern.lanes, _OPERANDS + k * _OPERAND_WORDS)
            for k, (dtype, access) in enumerate((*pattern.inputs, *pattern.outs))
        ]
        count = len(pattern.inputs)
        self.sources, self.outs = operands[:count], operands[count:]
        self.walking = [o for o in self.sources if o.access != NUMBER]
        self.kept = Odometer(
            writer, writer.word(_KEPT_RANK), _KEPT_SIZES, [o.strides_at for o in (*self.walking, *self.outs)]
        )
        self.reduced = Odometer(
            writer,
            writer.word(_REDUCED_RANK),
            _REDUCED_SIZES,
            [o.strides_at + MAX_RANK for o in self.walking],
        )
        # Found by the first program emitted: a constant program's dtype is known in its instructions only.
        dtypes = [d for d, _ in pattern.inputs] + [i.dtype for i in program]
        self.accumulators = [
            accumulator_dtype(kind, dtypes[result])
            for kind, result in zip(pattern.kinds, results, strict=True)
        ]

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
        part = piece * writer.word(_PIECE_STRIDE) + column * writer.word(_COLUMN_STRIDE)
        targets = [out.start + part * ITEMSIZE[out.dtype] for out in self.outs]
        if not self.pattern.inner_reduced:
            targets = [target + out.skip(first) for target, out in zip(targets, self.outs, strict=True)]
        self.kept.seek([*[o.start + o.skip(first) for o in self.walking], *targets], row)
        with writer.loop(row, last):
            places = self.kept.addresses()
            starts, targets = places[: len(self.walking)], places[len(self.walking) :]
            for out, target in zip(self.outs, targets, strict=True):
                out.begin(target)
            if self.pattern.inner_reduced:
                self._sweep(starts, targets)
            elif self.pattern.streams:
                self._stream(starts)
            else:
                self._columns(starts)
            self.kept.step()

    def _new_accumulators(self) -> list[Variable]:
        return [
            self._new_accumulator(kind, dtype)
            for kind, dtype in zip(self.pattern.kinds, self.accumulators, strict=True)
        ]

    def _new_accumulator(self, kind: str, dtype: str) -> Variable:
        scalar = Vec(self.writer.builder, INT(0), "int64").constant(identity(kind, dtype), dtype)
        return self.writer.variable(self.writer.splat(scalar, self.lanes))

    def _combined(self, before: Sequence[Vec], inputs: Sequence[Vec]) -> list[Vec]:
        """Accumulators with the program's values taken in."""
        values = emit_program(self.program, inputs)
        return [
            combine(kind, held, _prepared(kind, values[result], dtype))
            for kind, held, result, dtype in zip(
                self.pattern.kinds, before, self.results, self.accumulators, strict=True
            )
        ]

    def _finished(self, number: int, value: Vec) -> Vec:
        if self.pattern.kinds[number] == "mean":
            divisor = self.writer.float_word(_DIVISOR).cast(value.dtype)
            value = value / self.writer.splat(divisor, value.lanes)
        return value.cast(self.pattern.outs[number][0])

    def _sweep(self, starts: Sequence[Vec], targets: Sequence[Vec]) -> None:
        """The inner axis is reduced: one result from vectors along it."""
        writer, lanes = self.writer, self.lanes
        accumulators = self._new_accumulators()
        self.reduced.seek(starts, self.begin)
        with writer.loop(self.begin, self.end):
            for operand, address in zip(self.walking, self.reduced.addresses(), strict=True):
                operand.begin(address)
            with writer.loop(0, self.count, lanes) as at:
                mask = writer.tail_mask(self.count - at, lanes)
                full = (at + lanes <= self.count).value
                before = [a.get() for a in accumulators]
                after = self._combined(before, read_all(writer, self.sources, at, full, mask))
                for accumulator, old, new in zip(accumulators, before, after, strict=True):
                    accumulator.set(where(mask, new, old))
            self.reduced.step()
        for i, (accumulator, target) in enumerate(zip(accumulators, targets, strict=True)):
            store(self._finished(i, fold(self.pattern.kinds[i], accumulator.get())), target)

    def _begin(self) -> None:
        """The sources begin at the current reduced point."""
        for operand, address in zip(self.walking, self.reduced.addresses(), strict=True):
            operand.begin(address)

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
        writer, lanes = self.writer, self.lanes
        accumulators = [self._new_accumulators() for _ in range(block)]
        mask = None if left is None else writer.tail_mask(left, lanes)
        self.reduced.seek(starts, self.begin)
        held: list[list[Vec | None]] = [[None] * len(self.sources)] * block
        if left is None:
            self._begin()
            held = [self._fixed_values(self.sources, at + i * lanes, None) for i in range(block)]
        with writer.loop(self.begin, self.end):
            self._begin()
            for i, group in enumerate(accumulators):
                if left is None or mask is None:
                    pairs = zip(held[i], self.sources, strict=True)
                    inputs = [f or o.read(at + i * lanes) for f, o in pairs]
                else:
                    inputs = read_all(writer, self.sources, at, (left >= lanes).value, mask)
                for accumulator, value in zip(
                    group, self._combined([a.get() for a in group], inputs), strict=True
                ):
                    accumulator.set(value)
            self.reduced.step()
        for i, group in enumerate(accumulators):
            for number, accumulator in enumerate(group):
                self.outs[number].write(self._finished(number, accumulator.get()), at + i * lanes, mask)

    def _stream(self, starts: Sequence[Vec]) -> None:
        """The inner axis is kept: its results stay in memory while some reduced points at a time pass."""
        writer = self.writer
        fresh = [a.get() for a in self._new_accumulators()]
        for at, mask in self._over_columns():
            for out, value in zip(self.outs, fresh, strict=True):
                out.write(value, at, mask)
        self.reduced.seek(starts, self.begin)
        ahead = self._bytes_ahead()
        whole = self.end - (self.end - self.begin).remainder(_AT_ONCE)
        for first, last, many in ((self.begin, whole, _AT_ONCE), (whole, self.end, 1)):
            with writer.loop(first, last, many):
                points = [self._next_point() for _ in range(many)]
                for at, mask in self._over_columns():
                    values = [out.read(at, mask) for out in self.outs]
                    held = self._fixed_values(points[0], at, mask)
                    for sources in points:
                        self._ask(sources, at, ahead)
                        inputs = [f or o.read(at, mask) for f, o in zip(held, sources, strict=True)]
                        values = self._combined(values, inputs)
                    for out, value in zip(self.outs, values, strict=True):
                        out.write(value, at, mask)

    def _bytes_ahead(self) -> list[Vec]:
        """How far behind the current point each walking source is asked for: at least `_AT_ONCE` points."""
        last = self.writer.word(_REDUCED_RANK) - 1
        points = (self.writer.integer(_AHEAD) / self.count + 1) * _AT_ONCE
        return [self.writer.word(last + o.strides_at + MAX_RANK) * points for o in self.walking]

    def _ask(self, sources: Sequence[Operand], at: Vec, ahead: Sequence[Vec]) -> None:
        """Have what the sources need some points later brought near."""
        steps = iter(ahead)
        for source, fixed in zip(sources, self.pattern.fixed, strict=True):
            step = None if source.access == NUMBER else next(steps)
            if step is not None and source.access == CONTIGUOUS and not fixed:
                prefetch(source.place(at) + step)

    def _fixed_values(self, sources: Sequence[Operand], at: Vec, mask: Vec | None) -> list[Vec | None]:
        """The vectors of inputs that are the same at all reduced points."""
        pairs = zip(sources, self.pattern.fixed, strict=True)
        return [source.read(at, mask) if fixed else None for source, fixed in pairs]

    def _next_point(self) -> list[Operand]:
        """The sources at the next reduced point."""
        sources = [copy(source) for source in self.sources]
        walking = [o for o in sources if o.access != NUMBER]
        for operand, address in zip(walking, self.reduced.addresses(), strict=True):
            operand.begin(address)
        self.reduced.step()
        return sources

    def _over_columns(self) -> Iterator[tuple[Vec, Vec | None]]:
        """Emit what follows for all whole vectors of columns, and again for the last, partial one."""
        writer, lanes = self.writer, self.lanes
        whole = self.count - self.count.remainder(lanes)
        with writer.loop(0, whole, lanes) as at:
            yield at, None
        with writer.when(whole < self.count):
            yield whole, writer.tail_mask(self.count - whole, lanes)
