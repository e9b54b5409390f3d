"""Loops that end when they want: a body that runs until it says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.body import Body, body_flops
from symgraph.graph.dims import Dim
from symgraph.graph.evaluate import concrete_shape, evaluate
from symgraph.graph.leaves import constant, placeholder
from symgraph.graph.op import Op, Sample, parts
from symgraph.graph.ops.random import RandomState
from symgraph.graph.ops.scan import Scan, gradients_of_scan
from symgraph.graph.ops.sizes import as_dim, size_tensor
from symgraph.graph.ops.slicing import Place, reverse, slice_axis
from symgraph.graph.ops.turn import WrittenTurn, checked_truncation, closed, differ, draws_of
from symgraph.graph.substitute import substitute
from symgraph.graph.tensor import Tensor, call, topological
from symgraph.graph.types import TensorType, TupleType

MOST_TURNS = 1 << 62
"""What a loop that only its body ends may have."""
_TURNS_OF_DRAWS = 1 << 20
"""How many turns of a loop without a length have draws of their own, where there is a loop around it."""


@dataclass(frozen=True)
class Until(Op):
    """Runs `body` until its last result, a bool scalar, is true, at most `length` times.

    Inputs are a bool scalar that tells to begin, `sequences` tensors [length, ...], a first value for each of
    `states`, and constants. The first state, an int64 scalar, counts the turns. Results are the outputs
    stacked to [length, ...], with zeros behind the last turn, and the last values of the states. Without a
    `length` there are neither sequences nor outputs. Gradients go back through the last `truncate` turns, if
    that is given.
    """

    body: Body
    sequences: int
    states: int
    length: Dim | None
    truncate: int | None = None

    def __str__(self) -> str:
        return f"until[{len(topological(self.body.results))} nodes]"

    def bodies(self) -> Sequence[Body]:
        """A turn."""
        return (self.body,)

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return len(self.body.results) - self.states - 1

    @property
    def _stacked(self) -> Dim:
        """The first axis of outputs."""
        return 0 if self.length is None else self.length

    @property
    def most(self) -> int:
        """How many turns there are at most, when sizes are known."""
        assert self.length is None or isinstance(self.length, int)
        return MOST_TURNS if self.length is None else self.length

    def infer(self, *types: Any) -> TupleType:
        """Stacked outputs and states."""
        begin, *given = types
        if begin.dtype != "bool" or begin.ndim:
            raise TypeError(f"{self}: expected a bool scalar first, got {begin}")
        if isinstance(self.length, int) and self.length < 0:
            raise ValueError(f"{self}: expected a length of at least 0, got {self.length}")
        for number, (inner, kind) in enumerate(zip(self.body.inputs, given, strict=True)):
            shape = kind.shape[1:] if number < self.sequences else kind.shape
            clash = kind.dtype != inner.dtype or len(shape) != inner.ndim
            if clash or any(differ(a, b) for a, b in zip(shape, inner.shape, strict=True)):
                raise ValueError(f"{self}: input {number} is {kind}, its step {inner.type}")
        kinds = [result.tensor_type for result in self.body.results]
        if kinds[-1].dtype != "bool" or kinds[-1].ndim:
            raise TypeError(f"{self}: expected a bool scalar that ends the loop, got {kinds[-1]}")
        items = [TensorType(k.dtype, (self._stacked, *k.shape)) for k in kinds[: self.outputs]]
        return TupleType((*items, *kinds[self.outputs : -1]))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Sequences are equally long, and turns see what they were made for."""
        for number, (inner, given) in enumerate(zip(self.body.inputs, types[1:], strict=True)):
            wanted = (self._stacked, *inner.shape) if number < self.sequences else inner.shape
            yield from ((a, b) for a, b in zip(given.shape, wanted, strict=True) if a != b)
        states = self.body.inputs[self.sequences : self.sequences + self.states]
        for old, new in zip(states, self.body.results[self.outputs : -1], strict=True):
            yield from ((a, b) for a, b in zip(old.shape, new.shape, strict=True) if a != b)

    def reference(self, *arrays: Any) -> Any:
        """A Python loop around the references of the body."""
        begin, *given = arrays
        sequences, rest = given[: self.sequences], given[self.sequences :]
        states, constants = list(rest[: self.states]), rest[self.states :]
        shapes = [a.shape[1:] if i < self.sequences else a.shape for i, a in enumerate(given)]
        sizes = self.body.sizes_for(shapes)
        kinds = [result.tensor_type for result in self.body.results[: self.outputs]]
        length = int(self._stacked)
        outputs = [np.zeros((length, *concrete_shape(kind, sizes)), kind.dtype) for kind in kinds]
        turn = 0
        while begin and turn < self.most:
            values = [*(s[turn] for s in sequences), *states, *constants]
            *found, end = evaluate(
                self.body.results, dict(zip(self.body.inputs, values, strict=True)), known=self.body.sizes
            )
            for whole, value in zip(outputs, found, strict=False):
                whole[turn] = value
            states = found[self.outputs :]
            turn += 1
            if end:
                break
        return (*outputs, *(np.asarray(state) for state in states))

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """Those of one turn: how many there are is not known before."""
        return body_flops(self.body, [s[1:] if i < self.sequences else s for i, s in enumerate(inputs[1:])])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """Back through as many turns as there were: a scan of that length, whose states are all kept."""
        _, *given = inputs
        turns = parts(output)[self.outputs]
        count = as_dim(turns, f"{self}: turns")
        body = Body(self.body.inputs, self.body.results[:-1])
        op = Scan(body, self.sequences, (True,) * self.states, count, False, self.truncate)
        sequences = [slice_axis(s, 0, 0, count) for s in given[: self.sequences]]
        upstream = [
            g if g is None or number >= self.outputs else slice_axis(g, 0, 0, count)
            for number, g in enumerate(grad)
        ]
        found = gradients_of_scan(op, [*sequences, *given[self.sequences :]], upstream)
        whole: list[Tensor | None] = [None]
        for number, (flow, value) in enumerate(zip(found, given, strict=True)):
            if flow is not None and number < self.sequences:
                rest = (0,) * (value.ndim - 1)
                flow = Place(value.shape, (0, *rest), (1,) * value.ndim)(flow)
            whole.append(flow)
        return whole

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """With sequences and outputs, ended by the body and by the length; not begun; without a length."""
        for dtype in ("float32", "float64"):
            x, h = placeholder((3,), dtype=dtype), placeholder((3,), dtype=dtype)
            turns, limit = placeholder((), dtype="int64"), placeholder((), dtype="int64")
            new = call("tanh", h * 0.5 + x)
            one = constant(1, "int64")
            end = call("greater_equal", turns + one, limit)
            body = Body((x, turns, h, limit), (new * x, turns + one, new, end))
            for most, stop, begin in ((5, 2, True), (3, 9, True), (4, 2, False), (0, 1, False)):
                arrays = (
                    np.array(begin),
                    rng.standard_normal((most, 3)).astype(dtype),
                    np.array(0, np.int64),
                    rng.standard_normal(3).astype(dtype),
                    np.array(stop, np.int64),
                )
                yield Sample(cls(body, 1, 2, most), arrays, True)
        s = placeholder((), dtype="float64")
        grown = s * 1.5
        body = Body((turns, s), (turns + one, grown, call("greater", grown, 10.0)))
        yield Sample(cls(body, 0, 2, None), (np.array(True), np.array(0, np.int64), np.array(0.7)), True)


# Building


def until_of(
    turn: WrittenTurn,
    backward: bool,
    truncate_gradient: int,
    what: str,
    histories: bool,
    begin: Tensor | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs, and histories or last states, of a loop that its step ends: see `scan`.

    Outputs are as long as there were turns.
    """
    truncate = checked_truncation(truncate_gradient, what)
    assert turn.stop is not None
    if turn.length is None and (turn.outputs or histories):
        raise ValueError(f"{what}: expected a length, which outputs and histories have at most")
    count = placeholder((), dtype="int64", name="turns")
    draws = {draw: _drawn(draw, count, turn.length) for draw in draws_of(turn)}
    after = turn.after if histories else []
    results = [*turn.outputs, *after, count + constant(1, "int64"), *turn.after, turn.stop]
    bound = [*turn.values, count, *turn.before]
    inner, lifted, constants = closed(substitute(results, dict(draws.items())), bound)
    body = Body((*bound, *lifted), tuple(inner))
    op = Until(body, len(turn.sequences), 1 + len(turn.first), turn.length, truncate)
    sequences = [reverse(s, 0) for s in turn.sequences] if backward else turn.sequences
    begin = constant(True, "bool") if begin is None else begin
    found = parts(op(begin, *sequences, constant(0, "int64"), *turn.first, *constants))
    stacked, (turns, *last) = found[: op.outputs], found[op.outputs :]
    if op.outputs:
        number = as_dim(turns, f"{what}: turns")
        stacked = tuple(slice_axis(whole, 0, 0, number) for whole in stacked)
    outputs, kept = stacked[: len(turn.outputs)], stacked[len(turn.outputs) :]
    whole = [call("concatenate", [_entry(s), h], 0) for s, h in zip(turn.first, kept, strict=False)]
    results_in_order = [reverse(o, 0) for o in outputs] if backward else list(outputs)
    if histories:
        return results_in_order, [reverse(h, 0) for h in whole] if backward else whole
    return results_in_order, list(last)


def _entry(first: Tensor) -> Tensor:
    """The first value of a state as the first entry of its history."""
    return call("reshape", first, (1, *first.shape))


def _drawn(draw: RandomState, count: Tensor, length: Dim | None) -> Tensor:
    """The state of a draw in turn number `count` of a loop, which then belongs to that loop too."""
    places = count * size_tensor(draw.turns)
    draw.turns = draw.turns * (_TURNS_OF_DRAWS if length is None else length)
    return draw + places * constant(np.array([0, 0, 1], np.int64))
