"""Loops: recurrent networks, and functions mapped or folded over the entries of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops import elementwise
from symgraph.graph.ops import shape as shape_ops
from symgraph.graph.ops.create import zeros_like
from symgraph.graph.ops.scan import scan
from symgraph.graph.ops.slicing import reverse, slice_axis
from symgraph.graph.tensor import Tensor

__all__ = ["foldl", "foldr", "map_fn", "rnn"]

StepFunction = Callable[[Tensor, list[Tensor]], tuple[Any, Sequence[Any]]]


def rnn(
    step_function: StepFunction,
    inputs: Any,
    initial_states: Sequence[Any],
    go_backwards: bool = False,
    mask: Any = None,
    constants: Sequence[Any] | None = None,
    unroll: bool = False,
    input_length: int | None = None,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Run a step along the time axis of a tensor.

    Parameters
    ----------
    step_function : callable
        ``step_function(x, states + constants) -> (output, new states)`` for one time step, [samples, ...].
        Random numbers that it draws are new in every step. As in Keras it is called for the first step by
        itself before it is called for the loop: what it draws there and keeps is the same in all steps.
    inputs : Tensor, shape (samples, time, ...)
    initial_states : sequence of Tensor
        First values of the states.
    go_backwards : bool
        From the last time step to the first; outputs then are in the order of the steps.
    mask : Tensor, shape (samples, time) or (samples, time, 1), optional
        Where it is 0, a sample's states stay as they are, and its output is that of the step before (of
        zeros, where it is the first and the first state is not like an output).
    constants : sequence of Tensor, optional
        Passed to every step behind the states.
    unroll : bool
        Write every step into the graph, instead of one under a loop. Needs a known number of steps.
    input_length : int, optional
        The number of steps, where the shape of `inputs` does not tell it.

    Returns
    -------
    (last output, outputs, states)
        Shapes (samples, ...), (samples, time, ...), and of each state (samples, ...).

    Raises
    ------
    ValueError
        Inputs of less than three axes, or of no steps; a mask without states, or of another length; an
        unknown number of steps under `unroll`; states that a step gives another shape.
    """
    x = _time_major(as_tensor(inputs), go_backwards)
    states = [as_tensor(s) for s in elementwise.beside(x, *initial_states)[1:]]
    masks = [] if mask is None else [_mask_steps(as_tensor(mask), as_tensor(inputs), states, go_backwards)]
    rest = [as_tensor(c) for c in elementwise.beside(x, *(constants or ()))[1:]]
    run = _BoundStep(step_function, rest, len(states))
    if unroll:
        outputs, last, after = _unrolled(run, x, masks, states, input_length)
    else:
        outputs, last, after = _looped(run, x, masks, states)
    order = (1, 0, *range(2, outputs.ndim))
    stacked = shape_ops.transpose(outputs, order)
    if run.uses_learning_phase:
        last._uses_learning_phase = stacked._uses_learning_phase = True
    return last, stacked, after


def _time_major(x: Tensor, go_backwards: bool) -> Tensor:
    if x.ndim < 3:
        raise ValueError(f"Input should be at least 3D. rnn: got inputs of shape {x.type}")
    if x.shape[1] == 0:
        raise ValueError(f"rnn: expected inputs of at least one time step, got {x.type}")
    turned = shape_ops.transpose(x, (1, 0, *range(2, x.ndim)))
    return reverse(turned, 0) if go_backwards else turned


def _mask_steps(mask: Tensor, inputs: Tensor, states: Sequence[Tensor], go_backwards: bool) -> Tensor:
    """The mask as bool [time, samples]."""
    if not states:
        raise ValueError(
            "No initial states provided! When using masking in an RNN, you should provide initial states "
            "(and your step function should return as its first state at time `t` the output at time `t-1`)."
        )
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = shape_ops.squeeze(mask, 2)
    clash = mask.ndim != 2 or any(
        isinstance(a, int) and isinstance(b, int) and a != b
        for a, b in zip(mask.shape, inputs.shape, strict=False)
    )
    if clash:
        raise ValueError(f"rnn: expected a mask of (samples, time) for inputs {inputs.type}, got {mask.type}")
    turned = shape_ops.transpose(elementwise.cast(mask, "bool"), (1, 0))
    return reverse(turned, 0) if go_backwards else turned


class _BoundStep:
    """Keras' step function, as the loop calls it."""

    def __init__(self, function: StepFunction, constants: Sequence[Tensor], states: int) -> None:
        self.function = function
        self.constants = list(constants)
        self.states = states
        self.uses_learning_phase = False

    def __call__(self, x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Output and new states; a state keeps the type that it starts with."""
        output, after = self.function(x, [*states, *self.constants])
        if len(after) != self.states:
            raise ValueError(
                f"rnn: expected the step function to give {self.states} states, got {len(after)}"
            )
        output = as_tensor(output)
        self.uses_learning_phase |= bool(getattr(output, "_uses_learning_phase", False))
        return output, [as_tensor(s) for s in after]

    def masked(
        self, x: Tensor, mask: Tensor, states: Sequence[Tensor], before: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """As a call, but samples whose mask is 0 keep their states, and `before` as output."""
        output, after = self(x, states)
        old = before if before is not None else zeros_like(output)
        kept = [_choose(mask, new, state) for new, state in zip(after, states, strict=True)]
        return _choose(mask, output, old), kept


def _choose(mask: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """`new` for samples whose mask holds."""
    wide = shape_ops.reshape(mask, (mask.shape[0], *(1,) * (new.ndim - 1)))
    return elementwise.where(wide, new, old)


def _looped(
    step: _BoundStep, x: Tensor, masks: Sequence[Tensor], states: Sequence[Tensor]
) -> tuple[Tensor, Tensor, list[Tensor]]:
    # As in Keras the step is called outside of the loop first: what a cell makes at its first call and keeps,
    # such as a choice of what it drops, is drawn once for all steps.
    output, _ = step(x[0], states)
    # The output of the step before is the first state, as Keras asks of cells, or else a state of its own.
    carried = list(states)
    own = False
    if masks:
        own = not _alike(output, states[0])
        carried += [zeros_like(output)] if own else []

    def run(values: list[Tensor], old: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        if not masks:
            output, after = step(values[0], old)
            return [output], after
        output, after = step.masked(values[0], values[1], old[: step.states], old[-1] if own else old[0])
        return [output], [*after, *([output] if own else [])]

    (outputs,), histories = scan(run, [x, *masks], carried, what="rnn")
    last = _last(outputs)
    return outputs, last, [_last(history) for history in histories[: step.states]]


def _alike(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors may have the same type: sizes that are not known yet may be equal."""
    pairs = zip(a.shape, b.shape, strict=False)
    clash = any(isinstance(m, int) and isinstance(n, int) and m != n for m, n in pairs)
    return a.dtype == b.dtype and a.ndim == b.ndim and not clash


def _unrolled(
    step: _BoundStep, x: Tensor, masks: Sequence[Tensor], states: Sequence[Tensor], length: int | None
) -> tuple[Tensor, Tensor, list[Tensor]]:
    count = x.shape[0] if isinstance(x.shape[0], int) else length
    if not isinstance(count, int) or not count:
        raise ValueError("Unrolling requires a fixed number of timesteps.")
    made: list[Tensor] = []
    current = list(states)
    for t in range(count):
        if masks:
            output, current = step.masked(x[t], masks[0][t], current, made[-1] if made else None)
        else:
            output, current = step(x[t], current)
        made.append(output)
    return shape_ops.stack(made, 0), made[-1], current


def _last(whole: Tensor) -> Tensor:
    """The last entry along the first axis."""
    entry = slice_axis(whole, 0, whole.shape[0] - 1, 1)
    return shape_ops.reshape(entry, whole.shape[1:])


# Mapping and folding


def _listed(elems: Any) -> tuple[list[Tensor], bool]:
    """The tensors to go through, and whether they came as a list."""
    several = isinstance(elems, (list, tuple))
    found = [as_tensor(e) for e in (elems if several else [elems])]
    if not found:
        raise ValueError("expected at least one tensor to go through, got none")
    return found, several


def map_fn(fn: Callable[[Any], Any], elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    """Stack ``fn(elems[i])`` for every entry along the first axis. What `fn` draws is new for each of them.

    Parameters
    ----------
    elems : Tensor, or list or tuple of Tensor
        Several are gone through together: `fn` gets a list with an entry of each.
    dtype : str, optional
        Dtype of the result.

    Returns
    -------
    Tensor, or list of Tensor where `fn` gives several
    """
    sequences, several = _listed(elems)
    form: list[type] = []

    def step(values: list[Tensor], _: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        result = fn(type(elems)(values) if several else values[0])
        form.append(type(result))
        made = [as_tensor(r) for r in (result if isinstance(result, (list, tuple)) else [result])]
        return [elementwise.cast(m, dtype) for m in made] if isinstance(dtype, str) else made, []

    outputs, _ = scan(step, sequences, [], what="map_fn")
    if issubclass(form[0], (list, tuple)):
        return form[0](outputs)
    (result,) = outputs
    if name:
        result.name = name
    return result


def _folded(fn: Callable[[Any, Any], Any], elems: Any, initializer: Any, backward: bool, what: str) -> Tensor:
    sequences, several = _listed(elems)
    count = sequences[0].shape[0]
    if initializer is None:
        if several:
            raise ValueError(f"{what}: several tensors need an initializer")
        first = count - 1 if backward else 0
        start = shape_ops.reshape(slice_axis(sequences[0], 0, first, 1), sequences[0].shape[1:])
        sequences = [slice_axis(sequences[0], 0, 0 if backward else 1, count - 1)]
    else:
        start = as_tensor(initializer)

    def step(values: list[Tensor], states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        return [], [as_tensor(fn(states[0], type(elems)(values) if several else values[0]))]

    _, (history,) = scan(step, sequences, [start], backward=backward, what=what)
    if not backward:
        return _last(history)
    return shape_ops.reshape(slice_axis(history, 0, 0, 1), history.shape[1:])


def foldl(
    fn: Callable[[Any, Any], Any], elems: Any, initializer: Any = None, name: str | None = None
) -> Tensor:
    """``fn(... fn(fn(initializer, elems[0]), elems[1]) ..., elems[-1])``; the first entry by default."""
    result = _folded(fn, elems, initializer, False, "foldl")
    result.name = name or result.name
    return result


def foldr(
    fn: Callable[[Any, Any], Any], elems: Any, initializer: Any = None, name: str | None = None
) -> Tensor:
    """As `foldl`, from the last entry to the first."""
    result = _folded(fn, elems, initializer, True, "foldr")
    result.name = name or result.name
    return result
