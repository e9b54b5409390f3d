"""Operands of numba kernels by name, and calls whose code is filled in: where loops and vector code meet.

A kernel's loops are a plain Python function ``kernel(operands, tile)``, compiled by numba once a process.
What it does to vectors stands in *slots*: a slot is called with one `NamedTuple` of integers, and each kernel
that is made of the loops fills it with vector code (see `symgraph.kernels.tile.multiply`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import llvmlite.binding as llvm
from numba.core import cgutils
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, lower_getattr_generic, models, register_model

from symgraph.kernels.run.jit import intrinsic, types
from symgraph.kernels.tile.builder import INT, Builder, Function, call, pointer_to
from symgraph.kernels.tile.nest import Writer
from symgraph.kernels.tile.vector import Vec

Word: TypeAlias = Any
"""An int64: an int or an `Address` while a row is planned, a number in loops, a `Vec` in vector code."""


class View(types.Type):
    """numba's type of a kernel's operands, of which the first ones have the names of a record's fields."""

    def __init__(self, record: type) -> None:
        self.record = record
        super().__init__(f"View[{record.__module__}.{record.__qualname__}]")


@register_model(View)
class _ViewModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: View) -> None:
        super().__init__(manager, kind, pointer_to("int64"))


@infer_getattr
class _ViewAttributes(AttributeTemplate):
    key = View

    def generic_resolve(self, view, name):
        return types.int64 if name in view.record._fields else None


@lower_getattr_generic(View)
def _load_word(context, builder, view, value, name):
    place = builder.gep(value, [INT(view.record._fields.index(name))])
    word = builder.load(place)
    # Words do not change while a kernel runs: they are read once, wherever that is best.
    word.set_metadata("invariant.load", builder.module.add_metadata([]))
    return word


def named(record: type) -> Callable[..., Any]:
    """An intrinsic for numba kernels: ``words(operands)`` gives the first operands the names of `record`."""
    view = View(record)

    @intrinsic
    def words(typing, operands):
        return view(types.CPointer(types.int64)), lambda context, builder, signature, args: args[0]

    return words


def slot(record: type) -> Callable[..., Any]:
    """An intrinsic for numba kernels: a call with a `record` of integers, filled in by `filling`.

    Gives a status: 0, or what the vector code left with (see `Writer.leave`).
    """
    symbol, count = slot_symbol(record), len(record._fields)  # type: ignore[attr-defined]
    # numba resolves all names though it never runs the loops without their filling.
    llvm.add_symbol(symbol, 1)

    @intrinsic
    def call_slot(typing, given):
        def emit(context, builder, signature, args):
            fields = cgutils.unpack_tuple(builder, args[0], count)
            values = [
                context.cast(builder, value, kind, types.int64)
                for value, kind in zip(fields, signature.args[0].types, strict=True)
            ]
            # One call, one place where the code is filled in: loops around it are not copied.
            return call(builder, symbol, INT, values, "noduplicate")

        return types.int64(given), emit

    return call_slot


def slot_symbol(record: type) -> str:
    """The name under which a slot is called in LLVM IR."""
    return f"slot_{record.__name__}"


@dataclass(frozen=True)
class Filling:
    """The body of a slot: ``write(writer, values)`` gets the fields of a `record` as `Vec`."""

    record: type
    write: Callable[[Writer, Any], None]

    def __call__(self, builder: Builder, function: Function) -> None:
        """Write the body."""
        values = (Vec(builder, value, "int64") for value in function.args)
        self.write(Writer(builder), self.record(*values))

    def __str__(self) -> str:
        return f"{self.record.__name__}: {self.write!r}"


def filling(record: type, write: Callable[[Writer, Any], None]) -> tuple[str, Filling]:
    """A slot's symbol, and its body."""
    return slot_symbol(record), Filling(record, write)
