"""LLVM IR written like Python: integer expressions with operators, counted loops, conditions, vectors, masks.

Kernels that have to compile in milliseconds are built with this instead of numba. A `Code` wraps an llvmlite
builder; its `Int` values are 64-bit signed integers (sizes, byte offsets, addresses).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
from llvmlite import ir

from symgraph.kernels.run.jit import INT
from symgraph.kernels.run.target import TARGET

I1, I8, I32 = ir.IntType(1), ir.IntType(8), ir.IntType(32)


class Int:
    """A 64-bit integer in a kernel that is being written. Division and remainder are for values >= 0."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, code: Code, value: ir.Value) -> None:
        self.code = code
        self.value = value

    def _apply(self, name: str, other: Int | int) -> Int:
        return Int(self.code, getattr(self.code.builder, name)(self.value, self.code.raw(other)))

    def _compare(self, sign: str, other: Int | int) -> ir.Value:
        return self.code.builder.icmp_signed(sign, self.value, self.code.raw(other))

    def __add__(self, other: Int | int) -> Int:
        return self._apply("add", other)

    def __sub__(self, other: Int | int) -> Int:
        return self._apply("sub", other)

    def __mul__(self, other: Int | int) -> Int:
        return self._apply("mul", other)

    def __floordiv__(self, other: Int | int) -> Int:
        return self._apply("sdiv", other)

    def __mod__(self, other: Int | int) -> Int:
        return self._apply("srem", other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __lt__(self, other: Int | int) -> ir.Value:
        return self._compare("<", other)

    def __le__(self, other: Int | int) -> ir.Value:
        return self._compare("<=", other)

    def __gt__(self, other: Int | int) -> ir.Value:
        return self._compare(">", other)

    def __ge__(self, other: Int | int) -> ir.Value:
        return self._compare(">=", other)

    def equals(self, other: Int | int) -> ir.Value:
        """Whether both are the same number."""
        return self._compare("==", other)

    def differs(self, other: Int | int) -> ir.Value:
        """Whether the two are different numbers."""
        return self._compare("!=", other)


class Code:
    """The body of a kernel's entry while it is written."""

    def __init__(self, builder: ir.IRBuilder, function: ir.Function) -> None:
        self.builder = builder
        self.function = function
        self.operands = function.args[0]
        self.tile = Int(self, function.args[1])

    # Integers

    def raw(self, value: Int | int) -> ir.Value:
        """The LLVM value of an `Int` or a Python int."""
        return value.value if isinstance(value, Int) else INT(value)

    def number(self, value: Int | int) -> Int:
        """`value` as an `Int`."""
        return value if isinstance(value, Int) else Int(self, INT(value))

    def select(self, condition: ir.Value, yes: Int | int, no: Int | int) -> Int:
        """`yes` where the condition holds, else `no`."""
        return Int(self, self.builder.select(condition, self.raw(yes), self.raw(no)))

    def minimum(self, a: Int | int, b: Int | int) -> Int:
        """The smaller of two numbers."""
        a = self.number(a)
        return self.select(a < b, a, b)

    def maximum(self, a: Int | int, b: Int | int) -> Int:
        """The larger of two numbers."""
        a = self.number(a)
        return self.select(a > b, a, b)

    def words(self, names: Sequence[str]) -> SimpleNamespace:
        """The first operands, loaded once at the entry, under their names."""
        return SimpleNamespace(**{name: self.word(self.number(i)) for i, name in enumerate(names)})

    def word(self, index: Int) -> Int:
        """Operand number `index`."""
        return Int(self, self.builder.load(self.builder.gep(self.operands, [index.value])))

    def share(self, part: Int, parts: Int | int, count: Int | int) -> tuple[Int, Int]:
        """First and end of the share of `count` things that part number `part` of `parts` does."""
        count = self.number(count)
        return part * count // parts, (part + 1) * count // parts

    # Control

    @contextmanager
    def loop(self, stop: Int | int, start: Int | int = 0, step: Int | int = 1) -> Iterator[Int]:
        """Count from `start` to `stop` (exclusive)."""
        builder = self.builder
        before = builder.block
        head, body, done = (builder.append_basic_block(n) for n in ("head", "body", "done"))
        builder.branch(head)
        builder.position_at_end(head)
        i = builder.phi(INT)
        i.add_incoming(self.raw(start), before)
        builder.cbranch(builder.icmp_signed("<", i, self.raw(stop)), body, done)
        builder.position_at_end(body)
        yield Int(self, i)
        i.add_incoming(builder.add(i, self.raw(step)), builder.block)
        builder.branch(head)
        builder.position_at_end(done)

    def when(self, condition: ir.Value) -> AbstractContextManager[Any]:
        """Context of the instructions that run only if the condition holds."""
        return self.builder.if_then(condition)

    def either(self, condition: ir.Value, yes: Callable[[], object], no: Callable[[], object]) -> None:
        """Write both branches of a condition."""
        with self.builder.if_else(condition) as (then, otherwise):
            with then:
                yes()
            with otherwise:
                no()

    def variable(self, kind: ir.Type) -> ir.Value:
        """A local variable (LLVM makes a register of it)."""
        entry = self.builder.function.entry_basic_block
        with self.builder.goto_block(entry):
            # At its start: behind a division the entry block may get cut, and room be made while running.
            self.builder.position_at_start(entry)
            return self.builder.alloca(kind)

    def finish(self) -> None:
        """End the entry with status 0."""
        self.builder.ret(INT(0))

    # Memory and vectors

    def pointer(self, address: Int, kind: ir.Type) -> ir.Value:
        """An address as a pointer to `kind`."""
        return self.builder.inttoptr(address.value, kind.as_pointer())

    def load(self, address: Int, kind: ir.Type, mask: ir.Value | None = None) -> ir.Value:
        """What lies at an address, aligned to elements; lanes outside `mask` are not read and give zero."""
        pointer = self.pointer(address, kind)
        if mask is None:
            value = self.builder.load(pointer)
            value.align = alignment(kind)
            return value
        name = f"llvm.masked.load.{suffix(kind)}.p0"
        args = [pointer, I32(alignment(kind)), mask, zero(kind)]
        return self.call(name, kind, args)

    def store(self, value: ir.Value, address: Int, mask: ir.Value | None = None) -> None:
        """Store `value` at an address; lanes outside `mask` are not touched."""
        kind = value.type
        pointer = self.pointer(address, kind)
        if mask is None:
            self.builder.store(value, pointer).align = alignment(kind)
        else:
            args = [value, pointer, I32(alignment(kind)), mask]
            self.call(f"llvm.masked.store.{suffix(kind)}.p0", ir.VoidType(), args)

    def call(self, name: str, result: ir.Type, args: Sequence[ir.Value]) -> ir.Value:
        """Call an LLVM intrinsic by its full name."""
        known = self.builder.module.globals.get(name)
        kind = ir.FunctionType(result, [a.type for a in args])
        return self.builder.call(known or ir.Function(self.builder.module, kind, name=name), args)

    def copy(self, target: Int, source: Int, count: Int) -> None:
        """Copy `count` bytes between places that do not overlap."""
        byte = I8
        args = [self.pointer(target, byte), self.pointer(source, byte), count.value, I1(0)]
        self.call("llvm.memcpy.p0.p0.i64", ir.VoidType(), args)

    def clear(self, target: Int, count: Int) -> None:
        """Set `count` bytes to zero."""
        self.call("llvm.memset.p0.i64", ir.VoidType(), [self.pointer(target, I8), I8(0), count.value, I1(0)])

    def splat(self, scalar: ir.Value, lanes: int) -> ir.Value:
        """A vector of `lanes` copies."""
        kind = ir.VectorType(scalar.type, lanes)
        one = self.builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, I32(0))
        return self.builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), indices([0] * lanes))

    def first_lanes(self, count: Int, lanes: int) -> ir.Value:
        """A mask of the first `count` lanes (none if count <= 0, all if count >= lanes)."""
        held = self.maximum(0, self.minimum(count, lanes))
        number = self.builder.trunc(held.value, I32)
        return self.builder.icmp_signed("<", indices(list(range(lanes))), self.splat(number, lanes))

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """a * b + c: of floats fused where the processor can, of integers wrapping around."""
        if isinstance(getattr(a.type, "element", a.type), ir.IntType):
            return self.builder.add(self.builder.mul(a, b), c)
        return self.call(f"llvm.fmuladd.{suffix(a.type)}", a.type, [a, b, c])


def float_type(dtype: np.dtype | type | str) -> ir.Type:
    """The LLVM type of float32 or float64."""
    dtype = np.dtype(dtype)
    if dtype not in (np.dtype("f4"), np.dtype("f8")):
        raise TypeError(f"expected a float32 or float64 operand, got {dtype}")
    return ir.FloatType() if dtype.itemsize == 4 else ir.DoubleType()


def vector_type(dtype: np.dtype | type | str) -> ir.VectorType:
    """The widest useful vector of a float dtype on the target."""
    return ir.VectorType(float_type(dtype), TARGET.lanes(np.dtype(dtype).itemsize))


def alignment(kind: ir.Type) -> int:
    """Bytes that a value of `kind` is known to be aligned to: its element's size."""
    element = kind.element if isinstance(kind, ir.VectorType) else kind
    if isinstance(element, ir.IntType):
        return max(1, element.width // 8)
    return 8 if isinstance(element, ir.DoubleType) else 4


def suffix(kind: ir.Type) -> str:
    """How LLVM's overloaded intrinsics name a type: f32, v16f32, v16i8, ..."""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{suffix(kind.element)}"
    if isinstance(kind, ir.IntType):
        return f"i{kind.width}"
    return "f64" if isinstance(kind, ir.DoubleType) else "f32"


def zero(kind: ir.Type) -> ir.Constant:
    """The number zero, or a vector of zeros."""
    if isinstance(kind, ir.VectorType):
        return ir.Constant(kind, [zero(kind.element)] * kind.count)
    return ir.Constant(kind, 0 if isinstance(kind, ir.IntType) else 0.0)


def indices(values: Sequence[int]) -> ir.Constant:
    """A constant vector of 32-bit integers."""
    return ir.Constant(ir.VectorType(I32, len(values)), list(values))
