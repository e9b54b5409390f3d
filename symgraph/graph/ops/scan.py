"""Loops in the graph: a body that runs for every step of a sequence and carries states.

After Theano's scan, but with the graph of one step as an inner graph that the compiler turns into rows under
a loop of the machine. The gradient is a scan in the opposite direction (back-propagation through time).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from symgraph.graph.body import Body, body_flops, check_sizes_of_turns, starting_points
from symgraph.graph.dims import Dim, smaller
from symgraph.graph.evaluate import concrete_shape, evaluate
from symgraph.graph.gradient import flows
from symgraph.graph.leaves import placeholder
from symgraph.graph.op import Op, Sample, parts
from symgraph.graph.ops.cells import cell_name
from symgraph.graph.ops.create import zeros, zeros_like
from symgraph.graph.ops.random import states_of_turns
from symgraph.graph.ops.scan_sums import Sums
from symgraph.graph.ops.sizes import size_tensor
from symgraph.graph.ops.slicing import slice_axis
from symgraph.graph.ops.turn import WrittenTurn, checked_truncation, closed, differ, draws_of, write_turn
from symgraph.graph.substitute import substitute
from symgraph.graph.tensor import Tensor, call, topological
from symgraph.graph.types import TensorType, TupleType, Type, is_float


@dataclass(frozen=True)
class Scan(Op):
    """Runs `body` `length` times.

    Inputs are `sequences` tensors [T, ...], a first value for each state, and constants. Results are the
    outputs stacked to [T, ...], then for each state its history [T + 1, ...] where it is `kept`, else its
    last value. Under `backward` steps go from the last to the first; then a history begins at its end.
    Gradients go back through the last `truncate` steps only, if that is given. `cell` names what the body is,
    where that is known (`cells.py`).
    """

    body: Body
    sequences: int
    kept: tuple[bool, ...]
    length: Dim
    backward: bool = False
    truncate: int | None = None
    cell: str = ""

    def __str__(self) -> str:
        name = self.cell or "scan"
        return f"{name}[{len(topological(self.body.results))} nodes{', backward' if self.backward else ''}]"

    def bodies(self) -> Sequence[Body]:
        """A step."""
        return (self.body,)

    @property
    def states(self) -> int:
        """Number of states."""
        return len(self.kept)

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return len(self.body.results) - self.states

    def infer(self, *types: Any) -> Type:
        """Stacked outputs and states."""
        if isinstance(self.length, int) and self.length < 0:
            raise ValueError(f"{self}: expected a length of at least 0, got {self.length}")
        if len(types) != len(self.body.inputs):
            raise TypeError(f"{self}: expected {len(self.body.inputs)} inputs, got {len(types)}")
        for number, (inner, given) in enumerate(zip(self.body.inputs, types, strict=True)):
            shape = given.shape[1:] if number < self.sequences else given.shape
            clash = given.dtype != inner.dtype or len(shape) != inner.ndim
            if clash or any(differ(a, b) for a, b in zip(shape, inner.shape, strict=True)):
                raise ValueError(f"{self}: input {number} is {given}, its step {inner.type}")
        kinds = [r.tensor_type for r in self.body.results]
        items = [TensorType(k.dtype, (self.length, *k.shape)) for k in kinds[: self.outputs]]
        for kept, kind in zip(self.kept, kinds[self.outputs :], strict=True):
            items.append(TensorType(kind.dtype, (self.length + 1, *kind.shape)) if kept else kind)
        return TupleType(tuple(items))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Sequences are equally long, and steps see what they were made for."""
        for number, (inner, given) in enumerate(zip(self.body.inputs, types, strict=True)):
            wanted = (self.length, *inner.shape) if number < self.sequences else inner.shape
            yield from ((a, b) for a, b in zip(given.shape, wanted, strict=True) if a != b)
        states = self.body.inputs[self.sequences : self.sequences + self.states]
        for old, new in zip(states, self.body.results[self.outputs :], strict=True):
            yield from ((a, b) for a, b in zip(old.shape, new.shape, strict=True) if a != b)

    def reference(self, *arrays: Any) -> Any:
        """A Python loop around the references of the body."""
        stacked: list[list[np.ndarray]] = [[] for _ in range(self.outputs)]
        histories = [[state] for state in arrays[self.sequences : self.sequences + self.states]]
        for found in self.turns(arrays):
            for whole, value in zip([*stacked, *histories], found, strict=True):
                whole.append(value)
        shapes = self._shapes([a.shape for a in arrays])
        kinds = [r.dtype for r in self.body.results]
        results = []
        for number, (steps, shape, dtype) in enumerate(
            zip([*stacked, *histories], shapes, kinds, strict=True)
        ):
            if number >= self.outputs and not self.kept[number - self.outputs]:
                results.append(np.asarray(steps[-1]))
            else:
                ordered = steps[::-1] if self.backward else steps
                results.append(np.stack(ordered) if ordered else np.zeros((0, *shape), dtype))
        return tuple(results)

    def turns(
        self, arrays: Sequence[Any], watch: Callable[[int, Tensor, Any], None] | None = None
    ) -> Iterator[list[Any]]:
        """The results of the body turn after turn, by its references.

        ``watch(turn, node, value)`` is shown every node; turns count from 0 in the order in which they run.
        """
        count = int(self.length)
        sequences, rest = arrays[: self.sequences], arrays[self.sequences :]
        states, constants = list(rest[: self.states]), rest[self.states :]
        for turn in range(count):
            place = count - 1 - turn if self.backward else turn
            values = [*(s[place] for s in sequences), *states, *constants]
            feeds = dict(zip(self.body.inputs, values, strict=True))
            shown = None if watch is None else partial(watch, turn)
            found = evaluate(self.body.results, feeds, shown, self.body.sizes)
            states = found[self.outputs :]
            yield found

    def _shapes(self, shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """The shapes of one step's results."""
        steps = [s[1:] if i < self.sequences else s for i, s in enumerate(shapes)]
        sizes = self.body.sizes_for(steps)
        return [concrete_shape(r.type, sizes) for r in self.body.results]

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """Those of all nodes of the body, in every step."""
        steps = [s[1:] if i < self.sequences else s for i, s in enumerate(inputs)]
        return body_flops(self.body, steps) * int(self.length)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """Back-propagation through time: see `_Backward`."""
        return _Backward(self, inputs, grad).gradients()

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """A recurrent cell, sums that are not kept, no sequence at all, no step, both directions."""
        for dtype in ("float32", "float64"):
            for length in (4, 1, 0):
                x, h = placeholder((2, 3), dtype=dtype), placeholder((2, 5), dtype=dtype)
                w, u = placeholder((3, 5), dtype=dtype), placeholder((5, 5), dtype=dtype)
                new = call("tanh", call("matmul", x, w) + call("matmul", h, u))
                body = Body((x, h, w, u), (new * x[:, :1], new))
                arrays = [
                    rng.standard_normal(s).astype(dtype) for s in ((length, 2, 3), (2, 5), (3, 5), (5, 5))
                ]
                for kept in (True, False):
                    for backward in (False, True):
                        op = cls(body, 1, (kept,), length, backward)
                        yield Sample(op, tuple(arrays), True, ())
        s = placeholder((), dtype="float64")
        yield Sample(cls(Body((s,), (s * s, s * 1.5)), 0, (True,), 6), (np.array(0.5),), True)


# Building


def scan_of(
    turn: WrittenTurn, backward: bool, truncate_gradient: int, what: str
) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs and histories of the loop of a turn: see `scan`."""
    assert turn.length is not None
    draws = draws_of(turn)
    sequences = [*turn.sequences, *(states_of_turns(draw, turn.length, backward) for draw in draws)]
    values = [*turn.values, *draws.values()]
    results = substitute(turn.results, dict(draws.items()))
    inner, lifted, constants = closed(results, [*values, *turn.before])
    body = Body((*values, *turn.before, *lifted), tuple(inner))
    cell = cell_name(turn.before, inner[len(turn.outputs) :])
    kept = (True,) * len(turn.first)
    truncate = checked_truncation(truncate_gradient, what)
    op = Scan(body, len(sequences), kept, turn.length, backward, truncate, cell)
    found = parts(op(*sequences, *turn.first, *constants))
    return list(found[: len(turn.outputs)]), list(found[len(turn.outputs) :])


def scan(
    step: Callable[[list[Tensor], list[Tensor]], tuple[Sequence[Tensor], Sequence[Tensor]]],
    sequences: Sequence[Any] = (),
    states: Sequence[Any] = (),
    length: Any = None,
    backward: bool = False,
    what: str = "scan",
    truncate_gradient: int = -1,
) -> tuple[list[Tensor], list[Tensor]]:
    """Run `step` along the first axis of `sequences`.

    Parameters
    ----------
    step : callable
        ``step(values, states) -> (outputs, new states)``: the graph of one step, written once. It may use any
        other tensor. Random numbers that it draws are new in every turn, those that it only uses, drawn
        before, are the same in all of them.
    sequences : sequence of Tensor, each [T, ...]
    states : sequence of Tensor
        Their first values; a step's new states have the same dtypes and shapes.
    length : int, dimension or integer tensor, optional
        T, needed without sequences.
    backward : bool
        From the last step to the first; outputs keep their places.
    what : str
        What errors say.
    truncate_gradient : int
        How many steps, counted from the last one that is run, gradients go back through; all by default.
        What earlier steps read gets no gradient through their results (truncated back-propagation through
        time, as in Theano).

    Returns
    -------
    (outputs, histories)
        [T, ...] of each output, [T + 1, ...] of each state. A history starts with the first value; under
        `backward` it ends with it.

    Raises
    ------
    ValueError, TypeError
        Sequences of different length, a state that changes its type, or no step to go back through.
    """
    checked_truncation(truncate_gradient, what)
    return scan_of(write_turn(step, sequences, states, length, what), backward, truncate_gradient, what)


# Differentiation


def gradients_of_scan(
    op: Scan, inputs: Sequence[Tensor], grads: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """One for each input. `grads` are those of outputs, then of states: of histories or last values."""
    return _Backward(op, inputs, grads).gradients()


class _Backward:
    """The gradient of a scan: a scan in the opposite direction, whose states are the gradients of states.

    What a step of it needs from the same step forward are sequences: those of the scan, histories, and nodes
    that would cost more to compute again than to keep. Gradients of constants are sums over steps; where they
    end in a matrix product or a sum, what that is made of is kept instead, and it is done once for all steps.
    """

    def __init__(self, op: Scan, inputs: Sequence[Tensor], grads: Sequence[Tensor | None]) -> None:
        self.op = replace(op, kept=(True,) * op.states)
        self.inputs = inputs
        self.grads = grads
        self.count = op.length if op.truncate is None else smaller(op.length, op.truncate)
        first, second = op.sequences, op.sequences + op.states
        self.steps = op.body.inputs[:first]
        self.old = op.body.inputs[first:second]
        self.constants = op.body.inputs[second:]

    def gradients(self) -> list[Tensor | None]:
        """One for each input of the scan."""
        op = self.op
        upstream = [self._upstream(k) for k in range(len(op.body.results))]
        if all(g is None for g in self.grads):
            return [None] * len(self.inputs)
        wrt = [t for t in op.body.inputs if is_float(t.dtype)]
        carried = {id(s): placeholder(s.shape, dtype=s.dtype) for s in self.old if is_float(s.dtype)}
        roots, arriving = [], {}
        for number, (result, sequence) in enumerate(zip(op.body.results, upstream, strict=True)):
            state = self.old[number - op.outputs] if number >= op.outputs else None
            total = None if state is None else carried.get(id(state))
            if sequence is not None:
                step = placeholder(sequence.shape[1:], dtype=sequence.dtype)
                arriving[step] = sequence
                total = step if total is None else total + step
            if total is not None and is_float(result.dtype):
                roots.append((result, total))
        found = {id(t): g for t, g in zip(wrt, flows(roots, wrt), strict=True)}
        return self._scan(found, carried, arriving)

    def _upstream(self, number: int) -> Tensor | None:
        """The gradient of result `number` of every step, stacked; of a state, what came from its history.

        What came from a state's last value is where the backward loop starts from.
        """
        grad = self.grads[number]
        if grad is None or number < self.op.outputs:
            return grad
        if grad.ndim == self.op.body.results[number].ndim:
            return None
        return slice_axis(grad, 0, 0 if self.op.backward else 1, self.op.length)

    def _scan(
        self, found: dict[int, Tensor | None], carried: dict[int, Tensor], arriving: dict[Tensor, Tensor]
    ) -> list[Tensor | None]:
        steps = [t for t in self.steps if found.get(id(t)) is not None]
        states = [s for s in self.old if id(s) in carried]
        constants = [c for c in self.constants if found.get(id(c)) is not None]
        after = [_or_zeros(found[id(s)], s) for s in states]
        sums = Sums()
        for constant in constants:
            grad = found[id(constant)]
            assert grad is not None
            sums.add(constant, grad)
        outputs = [*(found[id(t)] for t in steps), *sums.stacked]
        running = [placeholder(c.shape, dtype=c.dtype) for c in sums.running]
        totals = [old + new for old, new in zip(running, sums.running, strict=True)]
        results = [*outputs, *after, *totals]
        wanted = [r for r in results if r is not None]
        check_sizes_of_turns(wanted, self.op.body.inputs, f"gradient of {self.op}")
        sequences, inner = self._from_forward(wanted, arriving)
        bound = [*sequences, *(carried[id(s)] for s in states), *running]
        given = dict(zip(self.constants, self.inputs[len(self.steps) + len(self.old) :], strict=True))
        needed = [c for c in given if any(n is c for n in topological(inner))]
        body = Body((*bound, *needed), tuple(inner))
        kept = (False,) * (len(states) + len(running))
        cell = f"{self.op.cell}_gradient" if self.op.cell else ""
        op = Scan(body, len(sequences), kept, self.count, not self.op.backward, cell=cell)
        start = [self._start(s) for s in states]
        empty = [zeros(r.shape, r.dtype) for r in running]
        whole = op(*map(self._last_steps, sequences.values()), *start, *empty, *(given[c] for c in needed))
        made = parts(whole)
        grads = {id(step): self._all_steps(grad) for step, grad in zip(steps, made, strict=False)}
        after_steps = len(steps)
        stacked = made[after_steps : after_steps + len(sums.stacked)]
        finals = made[op.outputs : op.outputs + len(states)]
        for state, final in zip(states, finals, strict=True):
            grads[id(state)] = self._with_start(state, final)
        grads |= sums.totals(stacked, made[op.outputs + len(states) :])
        return [grads.get(id(t)) for t in self.op.body.inputs]

    def _state(self, state: Tensor) -> int:
        return next(i for i, s in enumerate(self.old) if s is state)

    def _last_steps(self, sequence: Tensor) -> Tensor:
        """The steps that gradients go back through."""
        return slice_axis(sequence, 0, 0 if self.op.backward else self.op.length - self.count, self.count)

    def _all_steps(self, grad: Tensor) -> Tensor:
        """Gradients of those steps, and zeros for all others."""
        rest = self.op.length - self.count
        if rest == 0:
            return grad
        none = zeros((rest, *grad.shape[1:]), grad.dtype)
        return call("concatenate", [grad, none] if self.op.backward else [none, grad], 0)

    def _start(self, state: Tensor) -> Tensor:
        """What flows to a state from beyond the last step."""
        number = self._state(state)
        grad = self.grads[self.op.outputs + number]
        if grad is not None and grad.ndim == state.ndim:
            return grad
        return zeros_like(self.inputs[self.op.sequences + number])

    def _with_start(self, state: Tensor, final: Tensor) -> Tensor:
        """What flows to a state's first value: through the steps, and from the history's first entry."""
        if self.count != self.op.length:
            # Nothing comes through steps that are left out.
            whole = call("equal", size_tensor(self.count), size_tensor(self.op.length))
            final = call("where", whole, final, zeros_like(final))
        grad = self.grads[self.op.outputs + self._state(state)]
        if grad is None or grad.ndim == final.ndim:
            return final
        at = self.op.length if self.op.backward else 0
        return final + call("reshape", slice_axis(grad, 0, at, 1), final.shape)

    def _from_forward(
        self, results: Sequence[Tensor], arriving: dict[Tensor, Tensor]
    ) -> tuple[dict[Tensor, Tensor], list[Tensor]]:
        """`results` on the placeholders of sequences: (placeholder -> sequence), and the results on them."""
        bound: dict[Tensor, Tensor] = {}
        replaced: dict[Tensor, Tensor] = {}
        needed = starting_points(self.op.body, results)
        saved = [n for n in needed if n not in self.op.body.inputs and n not in self.op.body.results]
        body = self.op.body
        wide = Body(body.inputs, (*body.results[: self.op.outputs], *saved, *body.results[self.op.outputs :]))
        whole = parts(replace(self.op, body=wide)(*self.inputs))
        count = self.op.outputs
        for node in needed:
            if node in self.constants:
                continue
            step = placeholder(node.shape, dtype=node.dtype)
            replaced[node] = step
            bound[step] = self._sequence(node, saved, whole, count)
        bound |= {step: sequence for step, sequence in arriving.items()}
        return bound, substitute(results, replaced)

    def _sequence(self, node: Tensor, saved: Sequence[Tensor], whole: Sequence[Tensor], count: int) -> Tensor:
        """All steps of a node of the forward body, stacked."""
        op = self.op
        for number, step in enumerate(self.steps):
            if node is step:
                return self.inputs[number]
        histories = whole[count + len(saved) :]
        for number, state in enumerate(self.old):
            if node is state:
                return slice_axis(histories[number], 0, 1 if op.backward else 0, op.length)
        for number, result in enumerate(op.body.results):
            if node is result:
                if number < count:
                    return whole[number]
                return slice_axis(histories[number - count], 0, 0 if op.backward else 1, op.length)
        return whole[count + next(i for i, n in enumerate(saved) if n is node)]


def _or_zeros(grad: Tensor | None, like: Tensor) -> Tensor:
    return zeros_like(like) if grad is None else grad
