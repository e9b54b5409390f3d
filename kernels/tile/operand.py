"""A kernel's operands along the inner axis of a nest: how each is met, read and written.

Contiguous operands are loaded whole (masked at the tail), repeated ones once per inner sweep, strided ones
are gathered, and numbers travel in an operand word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from symgraph.kernels.run.buffer import Buffer
from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.run.memory import float_bits
from symgraph.kernels.tile.builder import Value
from symgraph.kernels.tile.nest import (
    MAX_RANK,
    Axis,
    Odometer,
    Writer,
    axes_of,
    axis_words,
    collapse,
    gather,
    in_memory_order,
    load,
    outer_axes,
    scatter,
    store,
    total,
)
from symgraph.kernels.tile.vector import FLOATS, ITEMSIZE, Vec

CONTIGUOUS, REPEATED, STRIDED, NUMBER = "contiguous", "repeated", "strided", "number"
OPERAND_WORDS = 2 + MAX_RANK
# A parallel row costs about 1 to 2 µs: work below this many ns stays on one thread.
WORTH_A_THREAD = 10_000.0


@dataclass(frozen=True)
class Number:
    """A run-time number in place of an input: travels in an operand word, so a new value is no new kernel."""

    value: float
    dtype: str


def dtype_of(operand: Buffer | Number) -> str:
    """The operand's dtype name."""
    return operand.dtype if isinstance(operand, Number) else operand.dtype.name


def shift(operand: Buffer | Number, offset: int) -> Buffer | Number:
    """The operand `offset` bytes on; a number stays."""
    if isinstance(operand, Number):
        return operand
    return Buffer(operand.base, operand.offset + offset, operand.shape, operand.strides, operand.dtype)


def access_of(dtype: str, stride: int, *, output: bool = False) -> str:
    """How an operand with that inner stride is met."""
    if stride == ITEMSIZE[dtype]:
        return CONTIGUOUS
    return REPEATED if stride == 0 and not output else STRIDED


def lesser(a: Vec, b: Vec) -> Vec:
    """The lesser of two scalar integers."""
    return Vec(a.builder, a.builder.select((a < b).value, a.value, b.value), a.dtype)


def operand_words(operand: Buffer | Number, axes: Sequence[Axis], inner: Axis, k: int) -> list[int | Address]:
    """Address, inner stride and outer strides of operand `k` of a nest."""
    if isinstance(operand, Number):
        bits = float_bits(float(operand.value)) if operand.dtype in FLOATS else int(operand.value)
        return [bits, 0, *axis_words((), None)]
    return [operand.address, inner.strides[k], *axis_words(axes, k)]


class Operand:
    """Emits access to one operand of a nest along the inner axis."""

    def __init__(self, writer: Writer, dtype: str, access: str, lanes: int, at: int) -> None:
        self._writer = writer
        self.dtype = dtype
        self.lanes = lanes
        self.access = access
        self.strides_at = at + 2
        self.start = writer.word(at)
        self._stride = writer.word(at + 1)
        if access == NUMBER:
            number = writer.float_word(at) if dtype in FLOATS else writer.word(at)
            self._value = writer.splat(number.cast(dtype), lanes)
        if access == STRIDED and lanes:
            self._offsets = writer.lane_numbers(lanes, "int64") * writer.splat(self._stride, lanes)

    def begin(self, address: Vec) -> None:
        """The inner axis begins at `address`."""
        self._address = address
        if self.access == REPEATED:
            self._value = self._writer.splat(load(address, self.dtype), self.lanes)

    def place(self, at: Vec) -> Vec:
        """Address of inner element `at`, whatever the access."""
        return self._address + at * self._stride

    @property
    def varies(self) -> bool:
        """Whether the operand changes along the inner axis."""
        return self.access in (CONTIGUOUS, STRIDED)

    def skip(self, elements: Vec) -> Vec:
        """Bytes of that many elements along the inner axis."""
        return elements * (ITEMSIZE[self.dtype] if self.access == CONTIGUOUS else self._stride)

    def read(self, at: Vec, mask: Vec | None = None) -> Vec:
        """The vector that begins at inner element `at`."""
        if not self.varies:
            return self._value
        place = self._address + self.skip(at)
        if self.access == CONTIGUOUS:
            return load(place, self.dtype, self.lanes, mask)
        return gather(place, self._offsets, self.dtype, mask)

    def write(self, value: Vec, at: Vec, mask: Vec | None = None) -> None:
        """Store the vector that begins at inner element `at`."""
        place = self._address + self.skip(at)
        if self.access == CONTIGUOUS:
            store(value, place, mask)
        else:
            scatter(value, place, self._offsets, mask)


def read_all(writer: Writer, operands: Sequence[Operand], at: Vec, full: Value, mask: Vec) -> list[Vec]:
    """Every operand's vector at inner element `at`: whole where `full`, else the lanes of `mask`."""
    moving = [o for o in operands if o.varies]
    if not moving:
        return [o.read(at) for o in operands]
    values = iter(
        writer.choose(full, lambda: [o.read(at) for o in moving], lambda: [o.read(at, mask) for o in moving])
    )
    return [next(values) if o.varies else o.read(at) for o in operands]


_ROW_INNER, _ROW_COUNT, _ROWS_PER_TILE, _ROW_RANK, _ROW_SIZES = range(5)
_ROW_OPERANDS = _ROW_SIZES + MAX_RANK
ROW_EXTRA = 4


@contextmanager
def each_row(
    writer: Writer, operands: Sequence[tuple[str, str]], lanes: int
) -> Iterator[tuple[list[Operand], Vec]]:
    """Emit a loop over the rows of a tile; yields the operands at their row's begin, and the row's length.

    For kernels that treat the inner axis as one thing (softmax, sorting, running sums); see `row_nest`.
    """
    every = [
        Operand(writer, dtype, access, lanes, _ROW_OPERANDS + ROW_EXTRA + k * OPERAND_WORDS)
        for k, (dtype, access) in enumerate(operands)
    ]
    row = writer.tile * writer.word(_ROWS_PER_TILE)
    last = lesser(row + writer.word(_ROWS_PER_TILE), writer.word(_ROW_COUNT))
    odometer = Odometer(writer, writer.word(_ROW_RANK), _ROW_SIZES, [o.strides_at for o in every])
    odometer.seek([o.start for o in every], row)
    with writer.loop(row, last):
        for operand, address in zip(every, odometer.addresses(), strict=True):
            operand.begin(address)
        yield every, writer.word(_ROW_INNER)
        odometer.step()


def extra_word(writer: Writer, number: int) -> Vec:
    """One of the kernel's own words in a row nest."""
    return writer.word(_ROW_OPERANDS + number)


def row_nest(
    kernel: Kernel, buffers: Sequence[Buffer], axis: int, cost: float, threads: int, extra: Sequence[int] = ()
) -> list[Row]:
    """Rows that run an `each_row` kernel along `axis` (non-negative) of buffers that agree in the other axes.

    The inner length is the first buffer's; `cost` is in ns per row, `extra` the kernel's own words.
    """
    inner = buffers[0].shape[axis]
    shape = [n for i, n in enumerate(buffers[0].shape) if i != axis]
    strides = [[s for i, s in enumerate(b.strides) if i != axis] for b in buffers]
    if 0 in shape:
        return []
    axes = collapse(in_memory_order(axes_of(shape, strides), range(len(buffers))))
    if len(axes) > MAX_RANK:
        raise ValueError(f"{kernel.name}: at most {MAX_RANK} separate outer axes, got {len(axes)}")
    axes = outer_axes(axes, len(buffers))
    rows = total(axes)
    tiles = 1 if threads == 1 else max(1, min(4 * threads, rows, int(rows * cost / WORTH_A_THREAD)))
    per_tile = -(-rows // tiles)
    words: list[int | Address] = [inner, rows, per_tile, len(axes), *axis_words(axes, None)]
    words += [*extra, *[0] * (ROW_EXTRA - len(extra))]
    for k, buffer in enumerate(buffers):
        along = Axis(inner, tuple(b.strides[axis] for b in buffers))
        words += operand_words(buffer, axes, along, k)
    return [Row(kernel, tuple(words), -(-rows // per_tile))]


def row_access(buffer: Buffer, axis: int) -> tuple[str, str]:
    """Dtype and access of a buffer along the inner axis of a row nest."""
    name = buffer.dtype.name
    contiguous = buffer.strides[axis] == ITEMSIZE[name] or buffer.shape[axis] == 1
    return name, CONTIGUOUS if contiguous else STRIDED
