"""Loops as users write them: over sequences with taps, while something holds, over a range of integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symgraph.graph.dims import Dim, any_measured
from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops import scan as scans
from symgraph.graph.ops.create import arange
from symgraph.graph.ops.shape import concatenate
from symgraph.graph.ops.sizes import as_dim
from symgraph.graph.ops.slicing import reverse, slice_axis
from symgraph.graph.ops.turn import write_turn
from symgraph.graph.ops.until import until_of
from symgraph.graph.tensor import Tensor, call

Step = Callable[..., Any]
Taps = Sequence[Sequence[int] | None]


def scan(
    step: Step,
    sequences: Sequence[Any] = (),
    states: Sequence[Any] = (),
    length: Any = None,
    backward: bool = False,
    what: str = "scan",
    truncate_gradient: int = -1,
    *,
    non_sequences: Sequence[Any] = (),
    sequence_taps: Taps | None = None,
    state_taps: Taps | None = None,
    histories: bool | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """Run `step` along the first axis of `sequences`.

    Parameters
    ----------
    step : callable
        ``step(values, states) -> (outputs, new states)``: the graph of one step, written once. It may use any
        other tensor. Random numbers that it draws are new in every turn, those that it only uses, drawn
        before, are the same in all of them. A third result, a bool scalar, ends the loop after the turn in
        which it is true.
    sequences : sequence of Tensor, each [T, ...]
    states : sequence of Tensor
        Their first values; a step's new states have the same dtypes and shapes.
    length : int, dimension or integer tensor, optional
        T, needed without sequences. A tensor is evaluated before the loop runs.
    backward : bool
        From the last step to the first; outputs keep their places.
    what : str
        What errors say.
    truncate_gradient : int
        How many steps, counted from the last one that is run, gradients go back through; all by default.
        What earlier steps read gets no gradient through their results (truncated back-propagation through
        time, as in Theano).
    non_sequences : sequence of Tensor
        What all steps share, given to `step` as a third argument if there is any.
    sequence_taps : sequence, optional
        For each sequence None, or which entries a step gets, counted from its own: ``[-1, 0]`` is the one
        before and this one. Steps for which an entry would lie outside are left out.
    state_taps : sequence, optional
        For each state None, or which of its former values a step gets: with ``[-2, -1]`` the last two, and
        the first value has two entries, [2, ...]. A step gives one new value.
    histories : bool, optional
        Whether states are returned with all their values, or only the last ones. By default all, but not
        where `length` is a tensor whose value is found when the graph runs.

    Returns
    -------
    (outputs, histories)
        [T, ...] of each output, [T + 1, ...] of each state ([T + k, ...] with k entries to begin with). A
        history starts with the first value; under `backward` it ends with it. Without `histories` the last
        value of each state. T is the number of turns where the loop is ended by a step.

    Raises
    ------
    ValueError, TypeError
        Sequences of different length, a state that changes its type, a size that a step computes, a negative
        length, taps that do not fit, or no step to go back through.
    """
    if histories is None:
        histories = not (isinstance(length, Tensor) and any_measured(as_dim(length, f"{what}: length")))
    tapped = _Taps(sequences, states, sequence_taps, state_taps, backward, what)
    shared = [as_tensor(value) for value in non_sequences]

    def turn(values: list[Tensor], before: list[Tensor]) -> Any:
        given = (tapped.values(values), tapped.states(before), *([shared] if shared else []))
        found = step(*given)
        if not isinstance(found, (tuple, list)) or len(found) not in (2, 3):
            raise TypeError(f"{what}: expected outputs and new states from a step, got {found!r}")
        outputs, after, *stop = found
        return (outputs, tapped.after(before, after), *stop)

    made = write_turn(turn, tapped.sequences, tapped.first, length, what)
    if made.stop is None:
        outputs, kept = scans.scan_of(made, backward, truncate_gradient, what)
    else:
        outputs, kept = until_of(made, backward, truncate_gradient, what, histories)
        if not histories:
            return outputs, tapped.newest(kept)
    if not histories:
        return outputs, tapped.newest([_last(history, backward) for history in kept])
    return outputs, tapped.histories(kept)


def _last(history: Tensor, backward: bool) -> Tensor:
    """The last value that a state had."""
    at = 0 if backward else history.shape[0] - 1
    return call("reshape", slice_axis(history, 0, at, 1), history.shape[1:])


class _Taps:
    """Sequences and states with taps, as sequences and states of a scan without.

    A state with k former values is k states, the oldest first; a step moves them on by one.
    """

    def __init__(
        self,
        sequences: Sequence[Any],
        states: Sequence[Any],
        sequence_taps: Taps | None,
        state_taps: Taps | None,
        backward: bool,
        what: str,
    ) -> None:
        self._backward, self._what = backward, what
        self._sequence_taps = _checked_taps(sequence_taps, len(sequences), f"{what}: sequence_taps")
        self._state_taps = _checked_taps(state_taps, len(states), f"{what}: state_taps")
        self.sequences: list[Tensor] = []
        for sequence, taps in zip(sequences, self._sequence_taps, strict=True):
            self.sequences += _shifted(as_tensor(sequence), taps, backward, what)
        self._given = [as_tensor(state) for state in states]
        self.first: list[Tensor] = []
        for number, (state, taps) in enumerate(zip(self._given, self._state_taps, strict=True)):
            if taps is not None and max(taps) >= 0:
                raise ValueError(f"{what}: state_taps: expected negative taps, got {list(taps)}")
            self.first += [state] if taps is None else self._entries(number, state, -min(taps))

    def _entries(self, number: int, state: Tensor, count: int) -> list[Tensor]:
        size = state.shape[0] if state.ndim else 0
        if isinstance(size, int) and size != count:
            raise ValueError(
                f"{self._what}: state {number} with taps {self._state_taps[number]}: expected {count} "
                f"entries to begin with, got {state!r}"
            )
        return [call("getitem", state, place) for place in range(count)]

    @staticmethod
    def _depth(taps: Sequence[int] | None) -> int:
        return 1 if taps is None else -min(taps)

    def values(self, values: list[Tensor]) -> list[Tensor]:
        """What a step gets of the sequences: an entry for each tap."""
        return values

    def states(self, before: list[Tensor]) -> list[Tensor]:
        """What a step gets of the states: a value for each tap."""
        found, place = [], 0
        for taps in self._state_taps:
            depth = self._depth(taps)
            found += [before[place + depth + tap] for tap in (taps or (-1,))]
            place += depth
        return found

    def after(self, before: list[Tensor], after: Sequence[Any]) -> list[Any]:
        """The new states of the scan: of each one the values that stay, and the new one."""
        if len(after) != len(self._state_taps):
            raise ValueError(f"{self._what}: expected {len(self._state_taps)} new states, got {len(after)}")
        found: list[Any] = []
        place = 0
        for taps, new in zip(self._state_taps, after, strict=True):
            depth = self._depth(taps)
            found += [*before[place + 1 : place + depth], new]
            place += depth
        return found

    def newest(self, kept: list[Tensor]) -> list[Tensor]:
        """Of each state what belongs to its newest value."""
        found, place = [], -1
        for taps in self._state_taps:
            place += self._depth(taps)
            found.append(kept[place])
        return found

    def histories(self, kept: list[Tensor]) -> list[Tensor]:
        """Of each state all values, those that it began with too."""
        found = []
        for history, state, taps in zip(self.newest(kept), self._given, self._state_taps, strict=True):
            older = self._depth(taps) - 1
            if older:
                begun = slice_axis(state, 0, 0, older)
                parts = [history, reverse(begun, 0)] if self._backward else [begun, history]
                history = concatenate(parts, 0)
            found.append(history)
        return found


def _checked_taps(taps: Taps | None, count: int, what: str) -> list[Sequence[int] | None]:
    if taps is None:
        return [None] * count
    found = list(taps)
    if len(found) != count:
        raise ValueError(f"{what}: expected one entry for each of {count}, got {found}")
    for entry in found:
        fine = entry is None or (len(entry) and all(isinstance(tap, int) for tap in entry))
        if not fine:
            raise ValueError(f"{what}: expected None or a list of integers, got {entry}")
    return found


def _shifted(sequence: Tensor, taps: Sequence[int] | None, backward: bool, what: str) -> list[Tensor]:
    """A sequence for each tap, all as long as there are steps that have all entries.

    Under `backward` "before" still means a lower place, as in Theano.
    """
    if taps is None:
        return [sequence]
    if not sequence.ndim:
        raise ValueError(f"{what}: expected sequences of at least one axis, got a scalar")
    low, high = min(0, *taps), max(0, *taps)
    size: Dim = sequence.shape[0] - (high - low)
    if isinstance(size, int) and size < 0:
        raise ValueError(
            f"{what}: expected at least {high - low} entries for taps {list(taps)}, got {sequence!r}"
        )
    return [slice_axis(sequence, 0, tap - low, size) for tap in taps]


# Loops without sequences


def while_loop(cond: Callable[[Any], Any], body: Callable[[Any], Any], state: Any, most: Any = None) -> Any:
    """``while cond(state): state = body(state)``, and the last state.

    There are gradients: they go back through as many turns as there were, which are run once more for it.

    Parameters
    ----------
    cond : callable
        From a state to a bool scalar.
    body : callable
        From a state to a new one of the same dtypes and shapes.
    state : tensor, or list, tuple or dict of them
    most : int or integer tensor, optional
        How many turns there are at most.

    Raises
    ------
    TypeError
        The condition is no bool scalar, or the body changes the structure of the state.
    ValueError
        The body changes the dtype or shape of a state.
    """
    flat, rebuild = _flat(state)
    first = [as_tensor(value) for value in flat]

    def turn(values: list[Tensor], before: list[Tensor]) -> Any:
        found, _ = _flat(body(rebuild(before)))
        if len(found) != len(first):
            raise TypeError(f"while_loop: expected {len(first)} tensors from the body, got {len(found)}")
        after = [as_tensor(new, old.dtype) for new, old in zip(found, before, strict=True)]
        return [], after, ~_truth(cond(rebuild(after)), "while_loop")

    begin = _truth(cond(rebuild(first)), "while_loop")
    made = write_turn(turn, [], first, most, "while_loop", endless=True)
    _, last = until_of(made, False, -1, "while_loop", False, begin)
    return rebuild(last)


def fori(lower: Any, upper: Any, body: Callable[[Tensor, Any], Any], state: Any) -> Any:
    """``for i in range(lower, upper): state = body(i, state)``, and the last state.

    Parameters
    ----------
    lower, upper : int, dimension or integer tensor
    body : callable
        From an integer scalar and a state to a new state of the same dtypes and shapes.
    state : tensor, or list, tuple or dict of them

    Raises
    ------
    TypeError, ValueError
        Bounds that are no integers, or a body that changes the structure, a dtype or a shape of the state.
    """
    flat, rebuild = _flat(state)

    def turn(values: list[Tensor], before: list[Tensor]) -> Any:
        found, _ = _flat(body(values[0], rebuild(before)))
        return [], found

    numbers = arange(as_tensor(lower) if isinstance(lower, Tensor) else lower, upper)
    _, histories = scans.scan(turn, [numbers], flat, what="fori")
    return rebuild([_last(history, False) for history in histories])


def _truth(value: Any, what: str) -> Tensor:
    found = as_tensor(value)
    if found.dtype != "bool" or found.ndim:
        raise TypeError(f"{what}: expected a bool scalar as condition, got {found!r}")
    return found


def _flat(state: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The tensors of a state, and what puts others into the same structure."""
    if isinstance(state, dict):
        keys = list(state)
        return [state[key] for key in keys], lambda values: dict(zip(keys, values, strict=True))
    if isinstance(state, (tuple, list)):
        kind = type(state)
        return list(state), kind
    return [state], lambda values: values[0]
