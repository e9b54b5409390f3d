"""Graphs inside ops: a step of a loop, a branch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from symgraph.graph.dims import Unknown
from symgraph.graph.evaluate import Sized, bind_shapes, concrete_op, concrete_shape
from symgraph.graph.leaves import Constant, DimValue, placeholder
from symgraph.graph.measured import measured_in
from symgraph.graph.op import Part
from symgraph.graph.ops.elementwise import Elementwise
from symgraph.graph.ops.movement import View
from symgraph.graph.substitute import substitute
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TensorType, TupleType


@dataclass(frozen=True, eq=False)
class Body(Sized):
    """An inner graph: placeholders, and what is computed from nothing else.

    For a step of a loop `inputs` are the step's part of each sequence, the states, and the constants;
    `results` the outputs, then the new states. `sizes` are those of the graph around, once they are known:
    inputs of N*T rows, such as the steps of all samples, tell neither N nor T.
    """

    inputs: tuple[Tensor, ...]
    results: tuple[Tensor, ...]
    sizes: Mapping[Unknown, int] = field(default_factory=dict)

    def with_sizes(self, sizes: Mapping[Unknown, int]) -> Self:
        """The same graph, with known values of its unknown sizes."""
        return replace(self, sizes=sizes)

    def sizes_for(self, shapes: Sequence[tuple[int, ...]]) -> dict[Unknown, int]:
        """All sizes, where the inputs have these shapes. ValueError where they contradict each other."""
        sizes = dict(self.sizes)
        bind_shapes(list(zip(self.inputs, shapes, strict=True)), sizes)
        return sizes


def close(results: Sequence[Tensor], inside: set[int]) -> tuple[list[Tensor], dict[Tensor, Tensor]]:
    """`results` on placeholders only, and for each tensor outside that they need its placeholder.

    `inside` are the ids of the nodes that stay; constants do too.
    """
    lifted: dict[Tensor, Tensor] = {}
    order = topological(results)
    needed = [value for node in order if id(node) in inside for value in node.inputs]
    for value in [*needed, *results]:
        plain = isinstance(value.op, (Constant, DimValue))
        if id(value) not in inside and not plain and value not in lifted:
            lifted[value] = placeholder(value.shape, dtype=value.dtype, name=value.name)
    return substitute(results, lifted), lifted


def check_sizes_of_turns(results: Sequence[Tensor], bound: Sequence[Tensor], what: str) -> None:
    """ValueError where a size in the graph of a step is a value that a turn computes from what is `bound`.

    All turns run on one plan, so sizes have to be the same in all of them.
    """
    own = {id(tensor) for tensor in bound}
    for size, source in measured_in(results).items():
        if any(id(node) in own for node in topological([source])):
            raise ValueError(
                f"{what}: {source.origins[0]}: the size or slice bound {size} is computed in a turn; sizes "
                "have to be the same in all turns: pick elements by x[K.arange(n) + start]"
            )


def body_flops(body: Body, shapes: Sequence[tuple[int, ...]]) -> int:
    """Floating-point operations of one run of `body` on inputs of these shapes."""
    sizes = body.sizes_for(shapes)

    def known(node: Tensor) -> list[tuple[int, ...]]:
        kinds = node.type.items if isinstance(node.type, TupleType) else (node.type,)
        return [concrete_shape(kind, sizes) for kind in kinds]

    total = 0
    for node in topological(body.results):
        if not node.op.leaf and not isinstance(node.op, Part):
            given = [shape for value in node.inputs for shape in known(value)]
            total += concrete_op(node.op, sizes).flops(given, known(node))
    return total


def starting_points(body: Body, results: Sequence[Tensor]) -> list[Tensor]:
    """What `results`, computed from nodes of `body`, start from.

    Inputs and results of the body, and nodes that would cost more to compute again than to keep.
    """
    forward = {id(n) for n in topological(body.results)} | _wider_choices(body, results)
    ends = {id(t) for t in (*body.inputs, *body.results)}
    found: dict[int, Tensor] = {}
    seen: set[int] = set()
    stack = list(results)
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if id(node) in ends or (id(node) in forward and _worth_keeping(node)):
            found[id(node)] = node
        else:
            stack.extend(node.inputs)
    return list(found.values())


def _wider_choices(body: Body, results: Sequence[Tensor]) -> set[int]:
    """Ids of results of choices that are no nodes of `body`, but computed from its inputs alone.

    The gradient of a choice asks for more values of the forward one: that is part of the forward graph.
    """
    known = {id(t) for t in body.inputs}
    parts = set()
    for node in topological(results):
        constant = isinstance(node.op, (Constant, DimValue))
        if constant or (node.inputs and all(id(value) in known for value in node.inputs)):
            known.add(id(node))
            if isinstance(node.op, Part) and node.inputs[0].op.choice:
                parts.add(id(node))
    return parts


def _worth_keeping(node: Tensor) -> bool:
    """Whether keeping a value costs less than computing it again. What calls Python is not done twice."""
    if node.op.leaf or not isinstance(node.type, TensorType):
        return False
    if isinstance(node.op, View):
        return False
    if isinstance(node.op, Elementwise):
        return node.op.kernel in _COSTLY
    return True


_COSTLY = {"exp", "tanh", "sigmoid", "log", "sqrt", "power", "softplus", "sin", "cos", "erf", "div"}
