"""Loop nests in LLVM IR: operand words, loops, typed access to memory, and odometers over strided axes.

The planning half of the file turns shapes and strides into the few axes that a kernel has to walk; the
writing half emits that walk. A nest is an inner axis, which the kernel makes vectors of, and up to
`MAX_RANK` outer axes, whose number, sizes and strides are read at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from symgraph.kernels.run.jit import Kernel, ir_kernel
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.builder import (
    INDEX,
    INT,
    NOTHING,
    Builder,
    Function,
    Kind,
    Value,
    call,
    constant,
    lane_order,
    pointer_to,
    room,
    undefined,
    vector_type,
)
from symgraph.kernels.tile.builder import table as words_of
from symgraph.kernels.tile.vector import ITEMSIZE, Vec

MAX_RANK = 8


class Axis(NamedTuple):
    """An axis of a nest: its length and every operand's byte stride along it."""

    size: int
    strides: tuple[int, ...]


def axes_of(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> list[Axis]:
    """The axes longer than 1, with each operand's stride."""
    return [Axis(n, tuple(s[i] for s in strides)) for i, n in enumerate(shape) if n != 1]


def in_memory_order(axes: Sequence[Axis], operands: Sequence[int]) -> list[Axis]:
    """Axes by falling stride of the first of `operands`, ties by the next ones."""
    return sorted(axes, key=lambda axis: tuple(-abs(axis.strides[k]) for k in operands))


def collapse(axes: Sequence[Axis]) -> list[Axis]:
    """Neighbouring axes made one where every operand steps through both as through one."""
    merged: list[Axis] = []
    for axis in axes:
        if merged and all(o == i * axis.size for o, i in zip(merged[-1].strides, axis.strides, strict=True)):
            merged[-1] = Axis(merged[-1].size * axis.size, axis.strides)
        else:
            merged.append(axis)
    return merged


def total(axes: Sequence[Axis]) -> int:
    """Number of points of a nest."""
    count = 1
    for axis in axes:
        count *= axis.size
    return count


def axis_words(axes: Sequence[Axis], operand: int | None) -> tuple[int, ...]:
    """`MAX_RANK` words: sizes (operand None) or one operand's strides, filled up with zeros."""
    words = [axis.size if operand is None else axis.strides[operand] for axis in axes]
    return (*words, *[0] * (MAX_RANK - len(words)))


def outer_axes(axes: Sequence[Axis], operands: int) -> list[Axis]:
    """Outer axes for an `Odometer`, which wants at least one."""
    return list(axes) or [Axis(1, (0,) * operands)]


def natural_lanes(dtypes: Sequence[str], strided: bool) -> int:
    """Lanes that fill a register with the smallest of the dtypes that is computed with."""
    sizes = [ITEMSIZE[d] for d in dtypes]
    wide = [s for s in sizes if s >= 4]
    lanes = TARGET.lanes(min(wide) if wide else 1)
    # A vector of many strided elements is as many scalar loads.
    return min(lanes, 16) if strided else lanes


def vector_kernel(
    name: str,
    write: Callable[[Writer], None],
    key: object,
    errors: Mapping[int, str] | None = None,
    source: Callable[..., object] | None = None,
) -> Kernel:
    """A kernel of generated vector code: ``write(writer)`` writes its body, `key` tells what from.

    `source` is the function to show for it, if it is not `write`.
    """

    def emit(builder: Builder, function: Function) -> None:
        write(Writer(builder, function))

    return ir_kernel(name, emit, key, errors, source or write)


class Writer:
    """Emits a kernel's body: words of its operands, slots for variables, loops.

    Without a `function`, whose arguments are the operands and the tile, only a part of one.
    """

    def __init__(self, builder: Builder, function: Function | None = None) -> None:
        self.builder = builder
        self.function = function or builder.function
        self.tile = Vec(builder, self.function.args[-1], "int64")

    def end(self, status: Vec) -> None:
        """Return from the kernel with a status."""
        self.builder.ret(status.value)

    def integer(self, value: int) -> Vec:
        """A scalar int64 constant."""
        return Vec(self.builder, INT(value), "int64")

    def word(self, index: int | Vec) -> Vec:
        """Operand word number `index` as an int64."""
        place = INT(index) if isinstance(index, int) else index.value
        return Vec(self.builder, self.builder.load(self.builder.gep(self.function.args[0], [place])), "int64")

    def float_word(self, index: int) -> Vec:
        """Operand word number `index`, whose bits are a float64."""
        return self.word(index).as_float("float64")

    def slot(self, kind: Kind = INT, count: int | None = None) -> Value:
        """Room on the stack for a variable (or an array of `count`)."""
        return room(self.builder, kind, count)

    def variable(self, value: Vec) -> Variable:
        """A variable that starts as `value`."""
        variable = Variable(self, self.slot(value.value.type), value.dtype)
        variable.set(value)
        return variable

    def array(self, count: int, dtype: str = "int64", lanes: int = 0) -> Array:
        """An array on the stack, of scalars or of vectors."""
        return Array(self, self.slot(vector_type(dtype, lanes), count), dtype)

    @contextmanager
    def loop(self, start: Vec | int, stop: Vec, step: int = 1) -> Iterator[Vec]:
        """``for i in range(start, stop, step)``; yields i."""
        builder = self.builder
        first = self.integer(start) if isinstance(start, int) else start
        entry = builder.block
        test = builder.append_basic_block("loop")
        body = builder.append_basic_block("body")
        done = builder.append_basic_block("end")
        builder.branch(test)
        builder.position_at_end(test)
        phi = builder.phi(INT)
        phi.add_incoming(first.value, entry)
        builder.cbranch(builder.icmp_signed("<", phi, stop.value), body, done)
        builder.position_at_end(body)
        yield Vec(builder, phi, "int64")
        phi.add_incoming(builder.add(phi, INT(step), flags=["nsw"]), builder.block)
        builder.branch(test)
        builder.position_at_end(done)

    @contextmanager
    def when(self, condition: Vec) -> Iterator[None]:
        """Only where the scalar condition holds."""
        with self.builder.if_then(condition.value):
            yield

    def leave(self, condition: Vec, status: int) -> None:
        """Return from the kernel, or from a slot, with `status` where the scalar condition holds."""
        with self.when(condition):
            self.end(self.integer(status))

    def either(self, condition: Vec, yes: Callable[[], object], no: Callable[[], object]) -> None:
        """Both branches of a scalar condition."""
        with self.builder.if_else(condition.value) as (then, otherwise):
            with then:
                yes()
            with otherwise:
                no()

    def choose(
        self, condition: Value, yes: Callable[[], list[Vec]], no: Callable[[], list[Vec]]
    ) -> list[Vec]:
        """The values of one of two branches."""
        builder = self.builder
        with builder.if_else(condition) as (then, otherwise):
            with then:
                first = yes()
                first_block = builder.block
            with otherwise:
                second = no()
                second_block = builder.block
        merged = []
        for a, b in zip(first, second, strict=True):
            phi = builder.phi(a.value.type)
            phi.add_incoming(a.value, first_block)
            phi.add_incoming(b.value, second_block)
            merged.append(Vec(builder, phi, a.dtype))
        return merged

    def choice(self, condition: Vec, yes: Vec, no: Vec) -> Vec:
        """`yes` where the scalar condition holds, else `no`: scalars or whole vectors."""
        return Vec(self.builder, self.builder.select(condition.value, yes.value, no.value), yes.dtype)

    def zero(self, dtype: str, lanes: int = 0) -> Vec:
        """The number 0 in every lane."""
        return Vec(self.builder, constant(vector_type(dtype, lanes), None), dtype)

    def lane_numbers(self, lanes: int, dtype: str = "int32") -> Vec:
        """0, 1, 2, ... in the lanes."""
        return Vec(self.builder, constant(vector_type(dtype, lanes), list(range(lanes))), dtype)

    def splat(self, scalar: Vec, lanes: int) -> Vec:
        """A scalar in every lane."""
        builder = self.builder
        if not lanes:
            return scalar
        empty = undefined(vector_type(scalar.dtype, lanes))
        first = builder.insert_element(empty, scalar.value, INDEX(0))
        zeros = lane_order([0] * lanes)
        return Vec(builder, builder.shuffle_vector(first, empty, zeros), scalar.dtype)

    def tail_mask(self, left: Vec, lanes: int) -> Vec:
        """Which lanes are among the first `left`."""
        count = Vec(self.builder, self.builder.trunc(left.value, INDEX), "int32")
        return self.lane_numbers(lanes) < self.splat(count, lanes)


def each_vector(
    writer: Writer, count: Vec, lanes: int, body: Callable[[Vec, Vec | None], object], start: Vec | int = 0
) -> None:
    """Write ``body(at, mask)`` for elements `start` to `count` by vectors; only the last may have a mask."""
    whole = count - ((count - start) & (lanes - 1))
    with writer.loop(start, whole, lanes) as at:
        body(at, None)
    with writer.when(whole < count):
        body(whole, writer.tail_mask(count - whole, lanes))


class Variable:
    """A value that changes, on the stack until LLVM puts it into a register."""

    def __init__(self, writer: Writer, place: Value, dtype: str) -> None:
        self._builder = writer.builder
        self._place = place
        self._dtype = dtype

    def get(self) -> Vec:
        """The current value."""
        return Vec(self._builder, self._builder.load(self._place), self._dtype)

    def set(self, value: Vec) -> None:
        """Replace the value."""
        self._builder.store(value.value, self._place)


class Array:
    """A small array of variables."""

    def __init__(self, writer: Writer, place: Value, dtype: str) -> None:
        self._builder = writer.builder
        self._place = place
        self._dtype = dtype

    def get(self, index: Vec) -> Vec:
        """Element number `index`."""
        place = self._builder.gep(self._place, [index.value])
        return Vec(self._builder, self._builder.load(place), self._dtype)

    def set(self, index: Vec, value: Vec) -> None:
        """Replace element number `index`."""
        self._builder.store(value.value, self._builder.gep(self._place, [index.value]))


class Odometer:
    """Walks outer axes: keeps every operand's address while the coordinates count up.

    The last axis is stepped in registers; the others only when it wraps around.

    Parameters
    ----------
    writer : Writer
    rank : Vec
        Number of axes, 1 to `MAX_RANK` (see `outer_axes`).
    sizes_at : int
        Word where the sizes begin.
    strides_at : sequence of int
        For every operand the word where its strides begin.
    """

    def __init__(self, writer: Writer, rank: Vec, sizes_at: int, strides_at: Sequence[int]) -> None:
        self._writer = writer
        self._last = rank - 1
        self._sizes_at = sizes_at
        self._strides_at = strides_at
        self._size = writer.word(self._last + sizes_at)
        self._strides = [writer.word(self._last + at) for at in strides_at]
        self._coordinate = writer.variable(writer.integer(0))
        self._coordinates = writer.array(MAX_RANK)
        self._places = [writer.variable(writer.integer(0)) for _ in strides_at]

    def addresses(self) -> list[Vec]:
        """The operands' current addresses."""
        return [place.get() for place in self._places]

    def seek(self, starts: Sequence[Vec], position: Vec) -> None:
        """Go to point number `position` (last axis fastest) of the nest that begins at `starts`."""
        writer = self._writer
        rest, coordinate = _divide(position, self._size)
        self._coordinate.set(coordinate)
        for place, start, stride in zip(self._places, starts, self._strides, strict=True):
            place.set(start + coordinate * stride)
        left = writer.variable(rest)
        with writer.loop(0, self._last) as i:
            axis = self._last - 1 - i
            rest, coordinate = _divide(left.get(), writer.word(axis + self._sizes_at))
            left.set(rest)
            self._coordinates.set(axis, coordinate)
            for place, at in zip(self._places, self._strides_at, strict=True):
                place.set(place.get() + coordinate * writer.word(axis + at))

    def step(self) -> None:
        """Go on by one point."""
        coordinate = self._coordinate.get() + 1
        for place, stride in zip(self._places, self._strides, strict=True):
            place.set(place.get() + stride)
        self._coordinate.set(coordinate)
        with self._writer.when(coordinate >= self._size):
            self._coordinate.set(self._writer.integer(0))
            for place, stride in zip(self._places, self._strides, strict=True):
                place.set(place.get() - self._size * stride)
            self._carry()

    def _carry(self) -> None:
        """Step the axes before the last."""
        writer, builder = self._writer, self._writer.builder
        axis = writer.variable(self._last - 1)
        test = builder.append_basic_block("carry")
        body = builder.append_basic_block("count")
        over = builder.append_basic_block("wrap")
        done = builder.append_basic_block("stepped")
        builder.branch(test)
        builder.position_at_end(test)
        builder.cbranch((axis.get() >= 0).value, body, done)
        builder.position_at_end(body)
        here = axis.get()
        size = writer.word(here + self._sizes_at)
        coordinate = self._coordinates.get(here) + 1
        self._coordinates.set(here, coordinate)
        for place, at in zip(self._places, self._strides_at, strict=True):
            place.set(place.get() + writer.word(here + at))
        builder.cbranch((coordinate < size).value, done, over)
        builder.position_at_end(over)
        self._coordinates.set(here, writer.integer(0))
        for place, at in zip(self._places, self._strides_at, strict=True):
            place.set(place.get() - size * writer.word(here + at))
        axis.set(here - 1)
        builder.branch(test)
        builder.position_at_end(done)


def _divide(a: Vec, b: Vec) -> tuple[Vec, Vec]:
    """Quotient and remainder of two non-negative scalars."""
    quotient = a.unsigned() / b.unsigned()
    return Vec(a.builder, quotient.value, "int64"), a - b * Vec(a.builder, quotient.value, "int64")


def _stored(dtype: str) -> str:
    """The dtype in memory: a bool is a byte."""
    return "uint8" if dtype == "bool" else dtype


def load(address: Vec, dtype: str, lanes: int = 0, mask: Vec | None = None) -> Vec:
    """`lanes` contiguous elements (one scalar for 0) at an address; with a mask 0 in the other lanes."""
    builder = address.builder
    stored = _stored(dtype)
    kind = vector_type(stored, lanes)
    size = ITEMSIZE[dtype]
    if mask is None:
        value = builder.load(builder.inttoptr(address.value, kind.as_pointer()), align=size)
    else:
        place = builder.inttoptr(address.value, pointer_to("int8"))
        rest = constant(kind, None)
        name = f"llvm.masked.load.{Vec(builder, rest, stored).mangled}.p0"
        value = call(builder, name, kind, [place, INDEX(size), mask.value, rest])
    return Vec(builder, value, stored).cast(dtype)


def store(value: Vec, address: Vec, mask: Vec | None = None) -> None:
    """Store contiguous elements at an int64 address; with a mask only those lanes."""
    builder = address.builder
    value = value.cast(_stored(value.dtype))
    size = ITEMSIZE[value.dtype]
    if mask is None:
        builder.store(value.value, builder.inttoptr(address.value, value.value.type.as_pointer()), align=size)
        return
    place = builder.inttoptr(address.value, pointer_to("int8"))
    name = f"llvm.masked.store.{value.mangled}.p0"
    call(builder, name, NOTHING, [value.value, place, INDEX(size), mask.value])


def prefetch(address: Vec, near: bool = False) -> None:
    """Have the line of cache at an address brought to L2, or `near`, to L1 too.

    Any address will do, even none of the process.
    """
    builder = address.builder
    place = builder.inttoptr(address.value, pointer_to("int8"))
    reading, level, data = INDEX(0), INDEX(3 if near else 2), INDEX(1)
    call(builder, "llvm.prefetch.p0", NOTHING, [place, reading, level, data])


def _pointers(address: Vec, offsets: Vec, dtype: str) -> Value:
    """A vector of pointers: `address` + `offsets` in bytes."""
    builder = address.builder
    empty = undefined(vector_type("int64", offsets.lanes))
    first = builder.insert_element(empty, address.value, INDEX(0))
    base = builder.shuffle_vector(first, empty, lane_order([0] * offsets.lanes))
    kind = pointer_to(dtype, offsets.lanes)
    return builder.inttoptr(builder.add(base, offsets.value), kind)


def gather(address: Vec, offsets: Vec, dtype: str, mask: Vec | None = None) -> Vec:
    """Elements at `address` + each of the byte offsets; 0 in lanes outside the mask."""
    builder = address.builder
    stored = _stored(dtype)
    kind = vector_type(stored, offsets.lanes)
    chosen = mask if mask is not None else offsets.constant(1, "bool")
    rest = constant(kind, None)
    name = f"llvm.masked.gather.{Vec(builder, rest, stored).mangled}.v{offsets.lanes}p0"
    places = _pointers(address, offsets, stored)
    value = call(builder, name, kind, [places, INDEX(ITEMSIZE[dtype]), chosen.value, rest])
    return Vec(builder, value, stored).cast(dtype)


def scatter(value: Vec, address: Vec, offsets: Vec, mask: Vec | None = None) -> None:
    """Store elements at `address` + each of the byte offsets, where the mask holds."""
    builder = address.builder
    value = value.cast(_stored(value.dtype))
    chosen = mask if mask is not None else offsets.constant(1, "bool")
    name = f"llvm.masked.scatter.{value.mangled}.v{offsets.lanes}p0"
    places = _pointers(address, offsets, value.dtype)
    size = INDEX(ITEMSIZE[value.dtype])
    call(builder, name, NOTHING, [value.value, places, size, chosen.value])


def lookup(name: str, table: Sequence[int], index: Vec) -> Vec:
    """Words of a table of unsigned 64-bit integers, by int64 indices that lie inside it.

    The table becomes part of the kernel, where `name` tells it from others.
    """
    builder = index.builder
    address = Vec(builder, words_of(builder, name, table), "int64")
    offsets = index * ITEMSIZE["uint64"]
    return gather(address, offsets, "uint64") if index.lanes else load(address + offsets, "uint64")
