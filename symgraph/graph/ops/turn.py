"""One turn of a loop, as a step function writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from symgraph.graph.body import check_sizes_of_turns, close
from symgraph.graph.dims import Dim, shape_text
from symgraph.graph.leaves import as_tensor, placeholder
from symgraph.graph.ops.random import RandomState
from symgraph.graph.ops.sizes import as_dim
from symgraph.graph.tensor import Tensor, next_serial, topological


def differ(a: Dim, b: Dim) -> bool:
    """Whether two sizes are known and not equal."""
    return isinstance(a, int) and isinstance(b, int) and a != b


@dataclass(frozen=True)
class WrittenTurn:
    """The graph of one turn of a loop, as a step function wrote it.

    `values` and `before` are placeholders for a turn's part of each of `sequences` and for the states that
    begin as `first`; `outputs`, `after` and `stop` are what a turn makes of them. `start` is older than all
    that the step has made. `length` is None for a loop that only its step ends.
    """

    sequences: list[Tensor]
    first: list[Tensor]
    length: Dim | None
    values: list[Tensor]
    before: list[Tensor]
    outputs: list[Tensor]
    after: list[Tensor]
    stop: Tensor | None
    start: int

    @property
    def bound(self) -> list[Tensor]:
        """The placeholders."""
        return [*self.values, *self.before]

    @property
    def results(self) -> list[Tensor]:
        """What a turn makes."""
        return [*self.outputs, *self.after, *([] if self.stop is None else [self.stop])]


def write_turn(
    step: Callable[[list[Tensor], list[Tensor]], Any],
    sequences: Sequence[Any],
    states: Sequence[Any],
    length: Any,
    what: str,
    endless: bool = False,
) -> WrittenTurn:
    """Let `step` write one turn; it may give a third result, which ends the loop. See `scan`."""
    sequences, states = [as_tensor(s) for s in sequences], [as_tensor(s) for s in states]
    length = None if length is None else as_dim(length, f"{what}: length")
    if isinstance(length, int) and length < 0:
        raise ValueError(f"{what}: expected a length of at least 0, got {length}")
    for number, sequence in enumerate(sequences):
        if not sequence.ndim:
            raise ValueError(
                f"{what}: expected sequences of at least one axis, got a scalar as number {number}"
            )
        length = sequence.shape[0] if length is None else length
        if differ(length, sequence.shape[0]):
            raise ValueError(f"{what}: sequence {number} has {sequence.shape[0]} steps, expected {length}")
    if length is None and not endless:
        raise ValueError(f"{what}: expected a sequence or a length")
    values = [placeholder(s.shape[1:], dtype=s.dtype) for s in sequences]
    before = [placeholder(s.shape, dtype=s.dtype) for s in states]
    start = next_serial()
    made, after, *ends = step(list(values), list(before))
    outputs, news = [as_tensor(value) for value in made], _same_types(after, states, what)
    stop = as_tensor(ends[0]) if ends else None
    if stop is not None and (stop.dtype != "bool" or stop.ndim):
        raise TypeError(f"{what}: expected a bool scalar that ends the loop, got {stop!r}")
    turn = WrittenTurn(sequences, states, length, values, before, outputs, news, stop, start)
    check_sizes_of_turns(turn.results, turn.bound, what)
    return turn


def _same_types(after: Sequence[Any], states: Sequence[Tensor], what: str) -> list[Tensor]:
    """New states, checked against the old ones."""
    if len(after) != len(states):
        raise ValueError(f"{what}: expected {len(states)} new states, got {len(after)}")
    found = []
    for number, (new, old) in enumerate(zip(after, states, strict=True)):
        new = as_tensor(new, old.dtype)
        clash = new.ndim != old.ndim or any(differ(a, b) for a, b in zip(new.shape, old.shape, strict=True))
        if clash or new.dtype != old.dtype:
            raise ValueError(
                f"{what}: state {number} starts as {old.dtype}{shape_text(old.shape)}, but a step makes "
                f"{new.dtype}{shape_text(new.shape)} of it"
            )
        found.append(new)
    return found


def draws_of(turn: WrittenTurn) -> dict[RandomState, Tensor]:
    """The states of draws that a step has made, also in its branches and loops: each with a placeholder.

    They are variables, and so inputs of every loop and choice that draws from them.
    """
    return {
        node: placeholder(node.shape, dtype=node.dtype)
        for node in topological(turn.results, stop=turn.bound)
        if isinstance(node, RandomState) and node.serial > turn.start
    }


def closed(
    results: Sequence[Tensor], bound: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """`results` on placeholders only.

    What does not depend on `bound` is lifted out: the graph, new placeholders, and what they stand for.
    """
    inside = {id(b) for b in bound}
    order = topological(results, stop=bound)
    for node in order:
        if any(id(value) in inside for value in node.inputs):
            inside.add(id(node))
    inner, lifted = close(results, inside)
    return inner, list(lifted.values()), list(lifted)


def checked_truncation(truncate_gradient: int, what: str) -> int | None:
    """How many steps gradients go back through, None for all. ValueError for none."""
    if truncate_gradient == 0 or truncate_gradient < -1:
        raise ValueError(f"{what}: expected truncate_gradient of -1 or at least 1, got {truncate_gradient}")
    return None if truncate_gradient == -1 else truncate_gradient
