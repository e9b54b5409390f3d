"""LLVM's types, constants and calls, as far as vector code needs them: the only file with llvmlite's IR.

What is written with them are the bodies of slots and of kernels that are generated from programs (see
`symgraph.kernels.tile.nest.Writer`), and the few intrinsics of numba kernels that reach into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeAlias

import llvmlite.binding as llvm
from llvmlite import ir

Builder: TypeAlias = ir.IRBuilder
Function: TypeAlias = ir.Function
Value: TypeAlias = ir.Value
Kind: TypeAlias = ir.Type

INT = ir.IntType(64)
INDEX = ir.IntType(32)
"""Numbers of lanes, and LLVM's sizes."""
NOTHING = ir.VoidType()
ELEMENT: dict[str, Kind] = {
    "bool": ir.IntType(1),
    "uint8": ir.IntType(8),
    "int8": ir.IntType(8),
    "int16": ir.IntType(16),
    "uint16": ir.IntType(16),
    "int32": ir.IntType(32),
    "uint32": ir.IntType(32),
    "int64": INT,
    "uint64": INT,
    "float16": ir.HalfType(),
    "float32": ir.FloatType(),
    "float64": ir.DoubleType(),
}
"""The LLVM type of an element of each dtype."""
ENTRY = ir.FunctionType(INT, [INT.as_pointer(), INT])
"""A kernel's entry: ``int64 entry(int64 *operands, int64 tile)``."""

Emit: TypeAlias = Callable[[Builder, Function], None]
"""Writes the body of a function, up to its return."""


@cache
def vector_type(dtype: str, lanes: int) -> Kind:
    """The LLVM type of `lanes` elements; 0 lanes is a scalar."""
    return ir.VectorType(ELEMENT[dtype], lanes) if lanes else ELEMENT[dtype]


def lanes_of(value: Value) -> int:
    """Elements of a vector; 0 for a scalar."""
    return int(value.type.count) if isinstance(value.type, ir.VectorType) else 0


def pointer_to(dtype: str, lanes: int = 0) -> Kind:
    """The type of an address of elements, or of a vector of such addresses."""
    pointer = ELEMENT[dtype].as_pointer()
    return ir.VectorType(pointer, lanes) if lanes else pointer


def constant(kind: Kind, value: object) -> Value:
    """A constant; the value None is zero, also of vectors."""
    return ir.Constant(kind, value)


def undefined(kind: Kind) -> Value:
    """A value of which nothing is known."""
    return ir.Constant(kind, ir.Undefined)


def lane_order(numbers: Sequence[int]) -> Value:
    """Numbers of lanes, for shuffles."""
    return ir.Constant(ir.VectorType(INDEX, len(numbers)), list(numbers))


def call(builder: Builder, name: str, result: Kind, arguments: Sequence[Value], *marks: str) -> Value:
    """A call of the function or intrinsic `name` (with its type suffix), declared on first use.

    `marks` are LLVM's attributes of the function.
    """
    function = builder.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(result, [a.type for a in arguments])
        function = ir.Function(builder.module, kind, name=name)
        for mark in marks:
            function.attributes.add(mark)
    return builder.call(function, arguments)


def call_address(builder: Builder, address: Value, result: Kind, arguments: Sequence[Value]) -> Value:
    """A call of the function at an int64 address."""
    kind = ir.FunctionType(result, [a.type for a in arguments]).as_pointer()
    return builder.call(builder.inttoptr(address, kind), arguments)


def copy_bytes(builder: Builder, target: Value, source: Value, count: Value) -> None:
    """Copy `count` bytes between int64 addresses of places that do not overlap."""
    places = [builder.inttoptr(a, pointer_to("int8")) for a in (target, source)]
    call(builder, "llvm.memcpy.p0.p0.i64", NOTHING, [*places, count, constant(ELEMENT["bool"], 0)])


def clear_bytes(builder: Builder, target: Value, count: Value) -> None:
    """Set `count` bytes from an int64 address on to zero."""
    place = builder.inttoptr(target, pointer_to("int8"))
    zero = constant(ELEMENT["int8"], 0)
    call(builder, "llvm.memset.p0.i64", NOTHING, [place, zero, count, constant(ELEMENT["bool"], 0)])


def register(builder: Builder, name: str) -> Value:
    """The int64 in a register of the processor, read anew every time."""
    symbol = "llvm.read_volatile_register.i64"
    kind = ir.FunctionType(INT, [ir.MetaDataType()])
    function = builder.module.globals.get(symbol) or ir.Function(builder.module, kind, name=symbol)
    return builder.call(function, [builder.module.add_metadata([name])])


def table(builder: Builder, name: str, numbers: Sequence[int]) -> Value:
    """The int64 address of unsigned 64-bit numbers that become part of the code; `name` tells them apart."""
    words = builder.module.globals.get(name)
    if words is None:
        kind = ir.ArrayType(INT, len(numbers))
        words = ir.GlobalVariable(builder.module, kind, name)
        words.initializer = ir.Constant(kind, list(numbers))
        words.linkage, words.global_constant = "internal", True
    return builder.ptrtoint(words, INT)


def room(builder: Builder, kind: Kind, count: int | None = None) -> Value:
    """Room on the stack for a value (or an array of `count`); LLVM makes a register of it where it can."""
    entry = builder.function.entry_basic_block
    with builder.goto_block(entry):
        # At its start: behind a division the entry block may get cut, and room be made while running.
        builder.position_at_start(entry)
        return builder.alloca(kind, INT(count) if count is not None else None)


def entry_module(symbol: str, emit: Emit) -> str:
    """LLVM IR of a module that holds one kernel's entry, which returns 0 where `emit` has not."""
    return _module(symbol, ENTRY, emit)


def slot_module(symbol: str, count: int, emit: Emit) -> str:
    """LLVM IR of a module that holds a function of `count` int64, to be inlined where it is called."""
    return _module(symbol, ir.FunctionType(INT, [INT] * count), emit, "alwaysinline")


def _module(symbol: str, kind: ir.FunctionType, emit: Emit, *marks: str) -> str:
    module = ir.Module(name=symbol)
    module.triple = llvm.get_default_triple()
    function = ir.Function(module, kind, name=symbol)
    for mark in marks:
        function.attributes.add(mark)
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    emit(builder, function)
    if not builder.block.is_terminated:
        builder.ret(INT(0))
    return str(module)
