"""Lowering in numbered stages: from what the user wrote to a list of nodes in running order.

1. cut      fed and given nodes are replaced; the graph above them falls away
2. collect  which placeholders and variables are left; missing inputs are reported
3. rewrite  the passes
4. order    body first, then the update tail that is never interrupted

What comes out knows no concrete size. `planner.py` makes a Program of it for the sizes of a call.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symgraph.compiler.sizing import Sizing, closure, frontier, sizing, sources_of, staged
from symgraph.graph.dims import Dim, Unknown, measured_sizes, unknowns
from symgraph.graph.leaves import (
    DimValue,
    Placeholder,
    Variable,
    VariableRead,
    as_stored,
    as_tensor,
    free_sizes,
)
from symgraph.graph.op import Part
from symgraph.graph.ops.elementwise import Elementwise, cast
from symgraph.graph.ops.fused import Fused
from symgraph.graph.ops.scatter import InRange, Scatter
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TupleType, is_float
from symgraph.passes.pipeline import run_passes
from symgraph.passes.rewrite import Record, substitute

Update = tuple[Variable, Tensor]


@dataclass(frozen=True)
class Wanted:
    """The arguments that a graph was lowered with: see `lower`."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    updates: tuple[Update, ...]
    givens: Mapping[Tensor, object]


@dataclass(frozen=True)
class Lowered:
    """A rewritten graph in running order, valid for every size.

    `body` runs first, `tail` computes only new values of variables; `outputs` and `updates` are rewritten
    roots; `given` pairs each given tensor with what stands in its place, whose shape has to be the same.
    `roots` are outputs and new values as they were before the passes. `sizing` finds sizes that are values of
    tensors, None where there are none; those that take more than arithmetic come from a `stage` before.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    updates: tuple[Update, ...]
    body: tuple[Tensor, ...]
    tail: tuple[Tensor, ...]
    records: tuple[Record, ...]
    seconds: float
    given: tuple[tuple[Tensor, Tensor], ...] = ()
    roots: tuple[Tensor, ...] = ()
    wanted: Wanted = Wanted((), (), (), {})
    sizing: Sizing | None = None
    stage: Stage | None = None

    @property
    def nodes(self) -> tuple[Tensor, ...]:
        """All nodes in running order."""
        return self.body + self.tail


@dataclass(frozen=True)
class Stage:
    """What runs before a graph can be planned, on the same inputs: it finds `sizes`, its first outputs.

    Its other outputs, `carried` of them, are the last inputs of the graph behind.
    """

    lowered: Lowered
    sizes: tuple[Unknown, ...]
    carried: int


def lower(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    updates: Sequence[Update],
    givens: Mapping[Tensor, object],
    defaults: int = 0,
) -> Lowered:
    """Lower a computation.

    The last `defaults` updates fall away where nothing that is left reads their variable: random numbers that
    are not drawn do not advance. Given values see what is fed, but not each other. ValueError where a
    placeholder that is needed, or the only one that tells a size, is not among `inputs`.
    """
    start = time.perf_counter()
    fed = [_as_placeholder(tensor) for tensor in inputs]
    cuts = {old: new for old, new in zip(inputs, fed, strict=True) if old is not new}
    given = _given(givens, cuts)

    def replaced(tensors: list[Tensor]) -> list[Tensor]:
        return _phase_chosen(substitute(tensors, cuts | given), fed)

    roots = replaced([*outputs, *(value for _, value in updates)])
    sources = sources_of([*roots, *given.values()], replaced)
    _check_inputs([*roots, *sources.values()], fed)
    _check_sizes([*roots, *sources.values()], fed, given)
    wanted = Wanted(tuple(inputs), tuple(outputs), tuple(updates), givens)
    shapes = _open_shapes(given)
    return _lowered(fed, roots, len(outputs), updates, defaults, shapes, sources, wanted, start)


def _lowered(
    fed: Sequence[Tensor],
    roots: Sequence[Tensor],
    outputs: int,
    updates: Sequence[Update],
    defaults: int,
    given: Sequence[tuple[Tensor, Tensor]],
    sources: Mapping[Unknown, Tensor],
    wanted: Wanted,
    start: float,
) -> Lowered:
    """Stages 3 and 4, after a stage of its own for sizes that take a Program to be found."""
    needed = closure([*roots, *(new for _, new in given)], sources)
    late = staged(needed, fed)
    stage, carried = None, []
    if late:
        carried = frontier(roots, late.values())
        before = [*late.values(), *carried]
        own = closure(before, sources)
        known = [pair for pair in given if _measured_of(pair[1]) <= set(own)]
        first = Wanted(tuple(fed), tuple(before), (), {})
        stage = _lowered(fed, before, len(before), (), 0, known, sources, first, start)
    inner = [_as_placeholder(node, "stage 1") for node in carried]
    fed, roots = [*fed, *inner], substitute(roots, dict(zip(carried, inner, strict=True)))
    rewritten, records = run_passes(roots)
    updates, rewritten = _needed_updates(updates, rewritten, outputs, defaults, list(needed.values()))
    results = tuple(rewritten[:outputs])
    changed = tuple(
        (variable, value) for (variable, _), value in zip(updates, rewritten[outputs:], strict=True)
    )
    body, tail = _order(results, [value for _, value in changed])
    return Lowered(
        tuple(fed),
        results,
        changed,
        body,
        tail,
        tuple(records),
        time.perf_counter() - start,
        tuple(given),
        tuple(roots),
        wanted,
        sizing(fed, rewritten, given, needed, late),
        None if stage is None else Stage(stage, tuple(late), len(carried)),
    )


def _measured_of(tensor: Tensor) -> set[Unknown]:
    """The sizes in the type of a tensor that are values of others."""
    return {size for dim in tensor.shape for size in measured_sizes(dim)}


def _phase_chosen(roots: list[Tensor], fed: Sequence[Tensor]) -> list[Tensor]:
    """`roots` with 0 for every static input that is not fed: no learning phase means the test phase."""
    static = [node for node in topological(roots) if is_static(node) and node not in fed]
    return substitute(roots, {node: cast(as_tensor(0), node.dtype) for node in static}) if static else roots


def _needed_updates(
    updates: Sequence[Update],
    roots: Sequence[Tensor],
    outputs: int,
    defaults: int,
    sources: Sequence[Tensor],
) -> tuple[list[Update], list[Tensor]]:
    """Updates and rewritten roots (outputs, then new values) without the defaults of what is not read.

    `sources` are read too, for sizes.
    """
    explicit = len(updates) - defaults
    left = topological([*roots[: outputs + explicit], *sources])
    read = {id(node.op.storage) for node in left if isinstance(node.op, VariableRead)}
    stays = [n < explicit or id(v.storage) in read for n, (v, _) in enumerate(updates)]
    values = [value for value, stay in zip(roots[outputs:], stays, strict=True) if stay]
    return [u for u, stay in zip(updates, stays, strict=True) if stay], [*roots[:outputs], *values]


def _as_placeholder(tensor: Tensor, name: str | None = None) -> Tensor:
    """A fed node as an input of its own; what it was computed from falls away."""
    if isinstance(tensor.op, Placeholder):
        return tensor
    return Tensor(Placeholder(tensor.tensor_type), (), tensor.type, tensor.origins, tensor.name or name)


def _given(givens: Mapping[Tensor, object], cuts: dict[Tensor, Tensor]) -> dict[Tensor, Tensor]:
    """The replacements that `givens` asks for, checked; their values are computed from what is fed."""
    replacements: dict[Tensor, Tensor] = {}
    # A static input is a given constant that holds everywhere.
    fixed = {old: as_stored(new, old.dtype) for old, new in givens.items() if is_static(old)}
    for old, new in givens.items():
        (value,) = substitute([as_stored(new, old.dtype)], cuts | fixed if old not in fixed else cuts)
        clash = value.ndim != old.ndim or any(
            isinstance(a, int) and isinstance(b, int) and a != b
            for a, b in zip(old.shape, value.shape, strict=True)
        )
        if clash:
            raise ValueError(f"givens: {old!r} cannot take the value {value!r}: the shapes differ")
        if is_float(value.dtype) and not is_float(old.dtype):
            raise TypeError(f"givens: {old!r} cannot take the value {value!r} of dtype {value.dtype}")
        replacements[old] = cast(value, old.dtype)
    return replacements


def _open_shapes(given: Mapping[Tensor, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """The replacements whose shapes are to be compared when sizes are known."""
    return [(old, new) for old, new in given.items() if old.shape != new.shape]


def is_static(tensor: Tensor) -> bool:
    """Whether `tensor` is an input whose values each have a Program of their own."""
    return isinstance(tensor.op, Placeholder) and tensor.op.static


def _check_sizes(roots: Sequence[Tensor], inputs: Sequence[Tensor], given: Mapping[Tensor, Tensor]) -> None:
    """Every unknown size is one of an input, or of what stands for a given tensor."""
    known = {u for t in (*inputs, *given) for u in free_sizes(t)}
    for node in topological(roots):
        for dim in _dims(node):
            for size in unknowns(dim):
                if size not in known and size.source is None:
                    raise ValueError(
                        f"missing input: {node.origins[0]}: {node!r} needs the size {size}, "
                        "which no input determines"
                    )


def _dims(node: Tensor) -> list[Dim]:
    """The sizes in a node's type, or that it is computed from."""
    if isinstance(node.op, DimValue):
        return [node.op.dim]
    kinds = node.type.items if isinstance(node.type, TupleType) else (node.type,)
    return [dim for kind in kinds for dim in kind.shape if not isinstance(dim, int)]


def _check_inputs(roots: Sequence[Tensor], inputs: Sequence[Tensor]) -> None:
    known = {id(t) for t in inputs}
    for node in topological(roots, stop=list(inputs)):
        if isinstance(node.op, Placeholder) and id(node) not in known:
            raise ValueError(f"missing input: {node!r} (made at {node.origins[0]}) is needed, but not given")


def _order(
    outputs: Sequence[Tensor], values: Sequence[Tensor]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Running order: what outputs need and whatever may fail, then the sweeps that only make new values."""
    order = topological([*outputs, *values])
    needed = {id(node) for node in topological(outputs)}
    only_new = {id(v) for v in values if id(v) not in needed}
    late: set[int] = set()
    readers: dict[int, list[Tensor]] = {}
    for node in order:
        for value in node.inputs:
            readers.setdefault(id(value), []).append(node)
    for node in reversed(order):
        sweep = isinstance(node.op, (Elementwise, Fused, Part)) or _stores_parts(node)
        if (
            id(node) not in needed
            and sweep
            and (id(node) in only_new or readers.get(id(node)))
            and all(id(r) in late for r in readers.get(id(node), ()))
        ):
            late.add(id(node))
    # A part lies where its whole lies, or an update to a part of an early node would never be stored.
    late -= {id(node) for node in order if isinstance(node.op, Part) and id(node.inputs[0]) not in late}
    body = tuple(n for n in order if id(n) not in late)
    return body, tuple(n for n in order if id(n) in late)


def _stores_parts(node: Tensor) -> bool:
    """Whether a node only changes parts of a tensor, at places that were checked before."""
    return isinstance(node.op, Scatter) and isinstance(node.inputs[1].op, InRange)


def variables_of(roots: Sequence[Tensor]) -> list[Variable]:
    """The variables that a graph reads, in order of first use."""
    return [n for n in topological(roots) if isinstance(n.op, VariableRead) and isinstance(n, Variable)]
