"""Functions whose gradient the user writes, and graphs with a gradient of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np

from symgraph.graph.body import Body, close
from symgraph.graph.gradient import fits, flows
from symgraph.graph.leaves import Placeholder, VariableRead, as_tensor, placeholder
from symgraph.graph.op import Op, Sample, parts
from symgraph.graph.ops.create import ones_like, zeros_like
from symgraph.graph.structure import filled, leaves, matched
from symgraph.graph.substitute import substitute
from symgraph.graph.symbolic import brief
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TupleType, is_float, working_dtype
from symgraph.kernels.index import copy_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row

Backward = Callable[[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]], Sequence[Any]]


@dataclass(frozen=True)
class CustomGradient(Op):
    """Its first `results` inputs themselves, with the gradient that `backward` computes.

    The other inputs are the arguments by which that is the gradient, and what else `backward` reads. The
    inner graph takes these, then what arrives at the results; it makes a gradient for each argument that is
    `reached`. Nothing flows to the results' own graphs. A pass takes these nodes away before anything runs.
    """

    backward: Body
    results: int
    reached: tuple[bool, ...]
    what: str = "custom_gradient"

    def __str__(self) -> str:
        return f"custom_gradient[{self.what}]"

    def infer(self, *types: Any) -> TupleType:
        """The types of the results."""
        return TupleType(tuple(types[: self.results]))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """The inner graph, in place."""
        made, rest = inputs[: self.results], inputs[self.results :]
        arriving = [_or_zeros(g, t) for g, t in zip(grad, made, strict=True) if is_float(t.dtype)]
        actual = dict(zip(self.backward.inputs, [*rest, *arriving], strict=True))
        found = iter(substitute(self.backward.results, actual))
        flowing = [next(found) if reached else None for reached in self.reached]
        return [None] * self.results + flowing + [None] * (len(rest) - len(flowing))

    def reference(self, *arrays: Any) -> Any:
        """The results."""
        return tuple(map(np.array, arrays[: self.results]))

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """Copies; only where no pass has run."""
        rows: list[Row] = []
        for source, target in zip(inputs[: self.results], outputs, strict=True):
            rows += copy_rows(source, target, threads=threads, scratch=scratch)
        return rows

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """A doubled gradient; results are not differentiated through, so finite differences do not apply."""
        for dtype in ("float32", "float64"):
            for shape in ((3, 5), (0,), ()):
                x, g = placeholder(shape, dtype=dtype), placeholder(shape, dtype=dtype)
                op = cls(Body((x, g), (g + g,)), 1, (True,))
                yield Sample(op, tuple(rng.standard_normal(shape).astype(dtype) for _ in "yx"), False)


def _or_zeros(grad: Tensor | None, like: Tensor) -> Tensor:
    return zeros_like(like, working_dtype(like.dtype)) if grad is None else grad


def with_gradient(
    what: str, arguments: Sequence[Tensor], made: Sequence[Tensor], backward: Backward
) -> list[Tensor]:
    """`made`, computed from `arguments`, with another gradient by these.

    Parameters
    ----------
    what : str
        What errors say.
    arguments : sequence of Tensor
        Nodes of the graph that `made` is written on.
    backward : callable
        ``backward(arguments, made, arriving) -> gradients``: one for each argument, None for those that are
        not reached. `arriving` are placeholders, one for each result of a float dtype.

    Raises
    ------
    ValueError
        `made` depends on a variable or placeholder that is no argument: its gradient would be lost.
    TypeError, ValueError
        A gradient is no tensor of its argument's shape and working dtype.
    """
    _check_alone(what, arguments, made)
    arriving = [placeholder(t.shape, dtype=working_dtype(t.dtype)) for t in made if is_float(t.dtype)]
    found = [
        _checked(what, number, flow, tensor)
        for number, (flow, tensor) in enumerate(
            zip(backward(arguments, made, arriving), arguments, strict=True)
        )
    ]
    reached = tuple(flow is not None for flow in found)
    formal = {t: placeholder(t.shape, dtype=t.dtype, name=t.name) for t in arguments}
    flowing = substitute([flow for flow in found if flow is not None], dict(formal))
    closed, lifted = _closed(flowing, [*formal.values(), *arriving])
    body = Body((*formal.values(), *lifted.values(), *arriving), tuple(closed))
    op = CustomGradient(body, len(made), reached, what)
    return list(parts(op(*made, *arguments, *lifted)))


def _closed(results: Sequence[Tensor], bound: Sequence[Tensor]) -> tuple[list[Tensor], dict[Tensor, Tensor]]:
    """`results` on placeholders only, and for each other tensor that they need its placeholder."""
    inside = {id(b) for b in bound}
    for node in topological(results, stop=bound):
        if any(id(value) in inside for value in node.inputs):
            inside.add(id(node))
    return close(results, inside)


def _check_alone(what: str, arguments: Sequence[Tensor], made: Sequence[Tensor]) -> None:
    """ValueError where the results have a gradient by anything but the arguments."""
    fresh = {t: placeholder(t.shape, dtype=t.dtype) for t in arguments}
    results = [r for r in substitute(made, dict(fresh)) if is_float(r.dtype)]
    ours = {id(t) for t in fresh.values()}
    others = [
        node
        for node in topological(results)
        if isinstance(node.op, (Placeholder, VariableRead)) and id(node) not in ours and is_float(node.dtype)
    ]
    seeds = [(r, ones_like(r, working_dtype(r.dtype))) for r in results]
    for node, flow in zip(others, flows(seeds, others), strict=True):
        if flow is not None:
            raise ValueError(
                f"{what}: its result depends on {node!r}, which is no argument, so the gradient by it would "
                "be lost; make it an argument, or use symgraph.stop_gradient"
            )


def _checked(what: str, number: int, flow: Any, tensor: Tensor) -> Tensor | None:
    if flow is None:
        return None
    if not is_float(tensor.dtype):
        raise TypeError(f"{what}: argument {number} is {tensor.type}, so its gradient has to be None")
    found = as_tensor(flow, working_dtype(tensor.dtype))
    if not fits(found, tensor):
        raise ValueError(f"{what}: expected {tensor.type} as gradient by argument {number}, got {found.type}")
    return found


def custom_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function of tensors a gradient of its own.

    Parameters
    ----------
    function : callable
        ``function(*tensors) -> (result, gradient)``. The result is a tensor, or a list, tuple or dict of
        them. ``gradient(*arriving)`` gets what arrives at each result of a float dtype and returns what flows
        to each argument: a tensor, or for several arguments a list; None where nothing does.

    Returns
    -------
    callable
        ``f(*tensors)``: the result. Arguments may be arrays, numbers, and lists, tuples or dicts of tensors;
        those named by keywords are handed on as they are.

    Raises
    ------
    ValueError
        When called: the result depends on a variable or placeholder that is no argument, a gradient has
        another shape than its argument, or there are too few or too many of them.

    Examples
    --------
    >>> @symgraph.custom_gradient
    ... def clipped(x):  # the identity, whose gradient has a norm of at most 1
    ...     return K.identity(x), lambda g: g / K.maximum(1.0, K.sqrt(K.sum(g * g)))
    """
    what = getattr(function, "__name__", "custom_gradient")

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        given = [value if isinstance(value, Tensor) else as_tensor(value) for value in leaves(arguments)]
        inner = [placeholder(t.shape, dtype=t.dtype, name=t.name) for t in given]
        pair = function(*filled(arguments, inner), **options)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not callable(pair[1]):
            raise TypeError(
                f"{what}: expected a result and a function that makes its gradient, got {brief(pair)}"
            )
        result, gradient = pair

        def backward(_: Any, __: Any, arriving: Sequence[Tensor]) -> list[Any]:
            return _one_each(what, arguments, gradient(*arriving))

        made = [as_tensor(value) for value in leaves(result)]
        outer = with_gradient(what, inner, made, backward)
        return filled(result, substitute(outer, dict(zip(inner, given, strict=True))))

    return call


def _one_each(what: str, arguments: tuple[Any, ...], flowing: Any) -> list[Any]:
    """What flows to each tensor of `arguments`."""
    listed = isinstance(flowing, (list, tuple))
    single = len(arguments) == 1 and not (listed and (len(flowing) == 1 or isinstance(arguments[0], Tensor)))
    try:
        return _spread(arguments, (flowing,) if single else flowing)
    except ValueError as error:
        raise ValueError(f"{what}: a gradient for each argument: {error}") from None


def _spread(arguments: Any, flowing: Any) -> list[Any]:
    """As `matched`, but one None may stand for a whole list."""
    if isinstance(arguments, (list, tuple)) and isinstance(flowing, (list, tuple)):
        flowing = [
            filled(argument, [None] * len(leaves(argument))) if flow is None else flow
            for argument, flow in zip(arguments, flowing, strict=False)
        ] + list(flowing[len(arguments) :])
    return matched(arguments, flowing)
