"""A choice between two graphs of which only one is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.body import Body, body_flops, check_sizes_of_turns, close, starting_points
from symgraph.graph.dims import Dim, shape_text
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import flows
from symgraph.graph.leaves import as_tensor, placeholder
from symgraph.graph.op import Op, Part, Sample, parts
from symgraph.graph.ops.barrier import identity
from symgraph.graph.ops.create import zeros_like
from symgraph.graph.ops.elementwise import broadcast_shapes, cast, together
from symgraph.graph.substitute import substitute
from symgraph.graph.tensor import Tensor, call, topological
from symgraph.graph.types import TensorType, TupleType, Type, is_float
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row


@dataclass(frozen=True)
class Cond(Op):
    """The results of `then` where the first input, a bool scalar, is true, else those of `otherwise`.

    Both take the other inputs, in the same order, and make results of the same types. The part of the graph
    that is not chosen is not run.
    """

    then: Body
    otherwise: Body
    choice: ClassVar[bool] = True

    def __str__(self) -> str:
        sizes = (len(topological(body.results)) for body in (self.then, self.otherwise))
        return f"cond[{' or '.join(map(str, sizes))} nodes]"

    def bodies(self) -> Sequence[Body]:
        """Both sides."""
        return self.then, self.otherwise

    def infer(self, *types: Any) -> Type:
        """The types of the first body's results."""
        condition, *given = types
        if condition.dtype != "bool" or condition.ndim:
            raise TypeError(f"{self}: expected a bool scalar as condition, got {condition}")
        for body in (self.then, self.otherwise):
            kinds = [t.tensor_type for t in body.inputs]
            if len(kinds) != len(given) or not all(map(_agree, kinds, given)):
                raise ValueError(f"{self}: its inputs are {given}, but one side takes {kinds}")
        pairs = zip(self.then.results, self.otherwise.results, strict=True)
        for number, (a, b) in enumerate(pairs):
            if not _agree(a.tensor_type, b.tensor_type):
                raise ValueError(f"{self}: result {number} is {a.type} on one side, {b.type} on the other")
        return TupleType(tuple(r.tensor_type for r in self.then.results))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Inputs are as the bodies take them, and both make the same shapes."""
        pairs = [(a.tensor_type, b.tensor_type) for a, b in zip(*self._results(), strict=True)]
        for body in (self.then, self.otherwise):
            pairs += [(t.tensor_type, given) for t, given in zip(body.inputs, types[1:], strict=True)]
        for a, b in pairs:
            yield from ((x, y) for x, y in zip(a.shape, b.shape, strict=True) if x != y)

    def _results(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        return self.then.results, self.otherwise.results

    def reference(self, *arrays: Any) -> Any:
        """The references of the chosen body."""
        body = self.then if bool(arrays[0]) else self.otherwise
        feeds = dict(zip(body.inputs, arrays[1:], strict=True))
        return tuple(map(np.asarray, evaluate(body.results, feeds, known=body.sizes)))

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """Those of the side that has more."""
        return max(body_flops(body, inputs[1:]) for body in (self.then, self.otherwise))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """A choice between the two sides' gradients: see `_Backward`."""
        return _Backward(self, inputs, grad).gradients()

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Both sides; one that gives an input on, and one that does not read it."""
        for dtype in ("float32", "float64"):
            for shape in ((3, 5), (0, 5)):
                first = [placeholder(shape, dtype=dtype), placeholder((5, 5), dtype=dtype)]
                second = [placeholder(shape, dtype=dtype), placeholder((5, 5), dtype=dtype)]
                then = Body(tuple(first), (call("tanh", call("matmul", *first)), first[0]))
                otherwise = Body(tuple(second), (second[0], second[0] * second[0]))
                arrays = [rng.standard_normal(s).astype(dtype) for s in (shape, (5, 5))]
                for chosen in (True, False):
                    yield Sample(cls(then, otherwise), (np.array(chosen), *arrays), True, ())


def _agree(a: TensorType, b: TensorType) -> bool:
    """Whether two types are the same as far as sizes are known."""
    clash = any(
        isinstance(x, int) and isinstance(y, int) and x != y for x, y in zip(a.shape, b.shape, strict=False)
    )
    return a.dtype == b.dtype and a.ndim == b.ndim and not clash


class _Backward:
    """The gradient of a choice: a choice between the two sides' backward graphs, under the same condition.

    What these need of the forward sides are further results there; the other side leaves them undefined.
    """

    def __init__(self, op: Cond, inputs: Sequence[Tensor], grads: Sequence[Tensor | None]) -> None:
        self.op = op
        self.inputs = inputs
        self.arriving = {number: g for number, g in enumerate(grads) if g is not None and is_float(g.dtype)}
        self.steps = {n: placeholder(g.shape, dtype=g.dtype) for n, g in self.arriving.items()}

    def gradients(self) -> list[Tensor | None]:
        """One for each input; None for those that neither side depends on."""
        wanted = [n for n, t in enumerate(self.inputs) if n and is_float(t.dtype)]
        sides = (self.op.then, self.op.otherwise)
        found = [self._flows(body, [body.inputs[n - 1] for n in wanted]) for body in sides]
        reached = [k for k in range(len(wanted)) if any(flow[k] is not None for flow in found)]
        results: list[Tensor | None] = [None] * len(self.inputs)
        if not reached:
            return results
        values = [
            [_or_zeros(flow[k], body.inputs[wanted[k] - 1]) for k in reached]
            for body, flow in zip(sides, found, strict=True)
        ]
        for k, value in zip(reached, self._choice(values), strict=True):
            results[wanted[k]] = value
        return results

    def _flows(self, body: Body, wanted: Sequence[Tensor]) -> list[Tensor | None]:
        return flows([(body.results[number], step) for number, step in self.steps.items()], wanted)

    def _choice(self, values: Sequence[Sequence[Tensor]]) -> tuple[Tensor, ...]:
        """The backward choice between `values` of the sides."""
        sides = (self.op.then, self.op.otherwise)
        for body, found in zip(sides, values, strict=True):
            check_sizes_of_turns(found, body.inputs, f"gradient of {self.op}")
        saved = [
            [n for n in starting_points(body, found) if not any(n is t for t in (*body.inputs, *steps))]
            for body, found, steps in zip(sides, values, [self.steps.values()] * 2, strict=True)
        ]
        kept = [placeholder(n.shape, dtype=n.dtype) for side in saved for n in side]
        formal = iter(kept)
        bodies = []
        for body, found, side in zip(sides, values, saved, strict=True):
            inner = substitute(found, dict(zip(side, formal, strict=False)))
            bodies.append(Body((*body.inputs, *self.steps.values(), *kept), tuple(inner)))
        condition, *given = self.inputs
        return parts(Cond(*bodies)(condition, *given, *self.arriving.values(), *self._saved(saved)))

    def _saved(self, saved: Sequence[Sequence[Tensor]]) -> tuple[Tensor, ...]:
        """Nodes of the forward sides, as results of the forward choice."""
        first, second = saved
        op = self.op
        missing = [[Undefined(n.dtype, n.shape)() for n in side] for side in saved]
        wide = Cond(
            replace(op.then, results=(*op.then.results, *first, *missing[1])),
            replace(op.otherwise, results=(*op.otherwise.results, *missing[0], *second)),
        )
        return parts(wide(*self.inputs))[len(op.then.results) :]


@dataclass(frozen=True)
class Undefined(Op):
    """Uninitialised memory that is never read."""

    dtype: str
    shape: tuple[Dim, ...]
    differentiable: ClassVar[bool] = False

    def infer(self, *types: Any) -> TensorType:
        """The type asked for."""
        return TensorType(self.dtype, self.shape)

    def reference(self, *arrays: Any) -> Any:
        """Zeros, to be the same each time."""
        return np.zeros([int(d) for d in self.shape], self.dtype)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """Nothing to do."""
        return []

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Nothing is known of the values but in empty arrays."""
        yield Sample(cls("float32", (0, 3)), ())


def _or_zeros(grad: Tensor | None, like: Tensor) -> Tensor:
    return zeros_like(like) if grad is None else grad


def cond(condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any], what: str = "cond") -> Tensor:
    """``then()`` where `condition` holds, else ``otherwise()``; only one of them is computed.

    Parameters
    ----------
    condition : scalar tensor
        Numbers other than 0 count as true.
    then, otherwise : callable
        Called once, to write their part of the graph: the nodes that they make are the ones that are
        computed only if chosen. They may use any other tensor. Their results are broadcast to one shape.
    what : str
        What errors say.

    Raises
    ------
    ValueError
        The two results do not broadcast to one shape.
    """
    # Nodes are numbered in the order of their making: what is older than this one is outside.
    chosen = identity(cast(as_tensor(condition, "bool"), "bool"))
    values = together(then(), otherwise())
    try:
        shape = broadcast_shapes([v.shape for v in values], what)
    except ValueError:
        first, second = (shape_text(v.shape) for v in values)
        raise ValueError(
            f"{what}: expected both expressions to have one shape, got {first} and {second}"
        ) from None
    values = [v if v.shape == shape else call("broadcast_to", v, shape) for v in values]
    inner, lifted = close(values, _younger(values, chosen))
    outer, formal = list(lifted), list(lifted.values())
    sides = [Body(tuple(formal), (value,)) for value in inner]
    return parts(Cond(*sides)(chosen, *outer))[0]


def _younger(values: Sequence[Tensor], than: Tensor) -> set[int]:
    """Ids of the nodes made after another one. Parts go with their whole."""
    inside: set[int] = set()
    for node in topological(values):
        apart = isinstance(node.op, Part) and id(node.inputs[0]) not in inside
        if node.serial > than.serial and not node.op.leaf and not apart:
            inside.add(id(node))
    return inside
