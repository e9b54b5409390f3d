"""Graphs as a whole: Functions, gradients, and the choice between training and testing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from symgraph.backend.core import NewValue, as_value
from symgraph.compiler.function import Function
from symgraph.compiler.observe.run_metadata import RunMetadata
from symgraph.globals import fixed_learning_phase
from symgraph.graph import gradient
from symgraph.graph.leaves import Variable, as_tensor, placeholder
from symgraph.graph.ops import barrier, elementwise
from symgraph.graph.ops import shape as shape_ops
from symgraph.graph.ops.cond import cond
from symgraph.graph.ops.host import watch
from symgraph.graph.tensor import Tensor

__all__ = [
    "Function", "function", "gradients", "in_test_phase", "in_train_phase", "learning_phase", "print_tensor",
    "stop_gradient", "switch", "symbolic_learning_phase",
]  # fmt: skip

# One input for all graphs: models made before and after `clear_session` agree on it.
_LEARNING_PHASE = placeholder((), dtype="bool", name="keras_learning_phase", static=True)


def function(
    inputs: Sequence[Tensor],
    outputs: Any,
    updates: Iterable[Any] | None = None,
    givens: Mapping[Tensor, Any] | None = None,
    name: str | None = None,
    feed_dict: dict[Tensor, Any] | None = None,
    fetches: Any = None,
    options: Any = None,
    run_metadata: Any = None,
    nan_guard: bool | str = False,
    **kwargs: Any,
) -> Function:
    """Compile a graph to a callable.

    Parameters
    ----------
    inputs : sequence of tensor
        What a call feeds: placeholders (`K.learning_phase()` among them), or any tensors.
    outputs : tensor or sequence of tensor
        What a call returns, as numpy arrays (scalars without axes as numpy scalars): a list, or one value for
        a single tensor.
        The pair of `K.update` among them, or as the only one, returns the new value and stores it.
    updates : iterable of (variable, tensor), optional
        New values, computed from the old ones and stored after the outputs: what `K.update` returns, one or
        several. Tensors among them are computed as `fetches` are.
    givens : mapping of tensor to value, optional
        Tensors to replace by others, or by constants.
    name : str, optional
        What errors and listings call it.
    feed_dict : dict of tensor to value, optional
        Fed at every call besides the inputs; a value may be changed between calls.
    fetches : sequence of tensor or (variable, tensor), optional
        Computed with the outputs, but not returned (`K.print_tensor` prints then); new values of
        variables are stored as those of `updates` are. A single one needs no list.
    options : RunOptions, optional
        What `run_metadata` is to note.
    run_metadata : RunMetadata, optional
        Gets the times of every call.
    nan_guard : bool or "nan", optional
        Whether the first NaN or infinity ends a call: see `Function`.

    Returns
    -------
    Function
        `f([a, b])` and `f(a, b)` are the same call. An input whose value is None is not fed. A value may be a
        tensor: it is computed in the same run, once for all its readers, and may need the other inputs.

    Raises
    ------
    TypeError
        An input or an output is no tensor.
    ValueError
        Other keyword arguments.
    """
    if kwargs:
        raise ValueError(
            f"Invalid argument {next(iter(kwargs))!r} passed to K.function: expected inputs, outputs, "
            "updates, givens, name, feed_dict, fetches, options, run_metadata or nan_guard"
        )
    made = _KerasFunction(inputs, outputs, updates or (), givens, name, feed_dict, fetches, nan_guard)
    made.note_times(run_metadata, options)
    return made


def phase_function(
    phase: int,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    updates: Iterable[Any],
    name: str,
    options: Any = None,
    run_metadata: Any = None,
    nan_guard: bool | str = False,
) -> PhaseFunction:
    """`function` for a model that trains or tests: calls may have the learning phase as one more, last value.

    Parameters
    ----------
    phase : int
        1 to train, 0 to test, where a call does not say.
    inputs, outputs, updates, name, options, run_metadata, nan_guard
        As of `function`.
    """
    made = PhaseFunction(inputs, outputs, updates, {_LEARNING_PHASE: phase}, name, None, None, nan_guard)
    made.note_times(run_metadata, options)
    return made


class _KerasFunction(Function):
    """A Function with Keras' further ways of feeding and fetching."""

    def __init__(
        self,
        inputs: Sequence[Tensor],
        outputs: Any,
        updates: Iterable[Any],
        givens: Mapping[Tensor, Any] | None,
        name: str | None,
        feed_dict: dict[Tensor, Any] | None,
        fetches: Any,
        nan_guard: bool | str,
    ) -> None:
        self.feed_dict = {} if feed_dict is None else feed_dict
        wanted = _listed(outputs)
        fetched = [] if fetches is None else _listed(fetches)
        changes = _listed(list(updates.items()) if isinstance(updates, Mapping) else updates)
        stored = [item for item in changes if not isinstance(item, Tensor)]
        stored += filter(_is_update, (*wanted, *fetched))
        self.fetches = (
            *(item for item in fetched if not _is_update(item)),
            *(item for item in changes if isinstance(item, Tensor)),
        )
        results: Any = [item[1] if _is_update(item) else item for item in wanted]
        self.run_metadata: RunMetadata | None = None
        if isinstance(inputs, Tensor):
            raise TypeError(f"K.function: expected a list of inputs, got the tensor {inputs!r}")
        self._own = tuple(inputs)
        extra = [tensor for tensor in self.feed_dict if all(tensor is not i for i in self._own)]
        results = results[0] if _is_single(outputs) else results
        super().__init__([*self._own, *extra], results, stored, givens, name, nan_guard)

    def note_times(self, run_metadata: Any, options: Any) -> None:
        """Add the times of every call to `run_metadata`, if there is any. TypeError where it is none."""
        if run_metadata is not None:
            if not isinstance(run_metadata, RunMetadata):
                raise TypeError(f"run_metadata: expected symgraph.RunMetadata, got {run_metadata!r}")
            run_metadata.apply(options)
            self.run_metadata = run_metadata

    def __call__(self, *arguments: Any) -> Any:
        """Feed the inputs in order; a single list or tuple is the argument list, as in Keras."""
        values = self._arguments(arguments, self._own)
        if self.run_metadata is None:
            results = self._results(values)
        else:
            with self.run_metadata.recording():
                results = self._results(values)
        return as_value(results) if self._form.single else list(map(as_value, results))

    def _results(self, values: Sequence[Any]) -> Any:
        unusual = any(value is None or isinstance(value, Tensor) for value in values)
        if self._sparse and any(isinstance(value, Tensor) for value in values):
            raise ValueError("Feeding from symbolic tensors is not supported with sparse inputs.")
        if not (unusual or self.feed_dict or self.fetches):
            return super()._results(values)
        feed = {target: value for target, value in zip(self._own, values, strict=True) if value is not None}
        results = self.run({**self.feed_dict, **feed}, [*self.outputs, *self.fetches])
        return self._form.shaped(results[: len(self.outputs)])


def _is_update(item: Any) -> bool:
    """Whether an output or a fetch is a variable and its new value."""
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], Variable)


def _is_single(items: Any) -> bool:
    """Whether this is one tensor or update; a plain pair may be two variables to be fetched."""
    return isinstance(items, Tensor | NewValue)


def _listed(items: Any) -> list[Any]:
    return [items] if _is_single(items) else list(items)


class PhaseFunction(_KerasFunction):
    """A Function in whose givens the learning phase is, and whose calls may choose another one."""

    def _arguments(self, arguments: tuple[Any, ...], inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        listed = len(arguments) == 1 and isinstance(arguments[0], list | tuple)
        values = tuple(arguments[0]) if listed else arguments
        phased = len(values) == len(inputs) + 1 and not np.ndim(values[-1])
        return values if phased else super()._arguments(arguments, inputs)

    def _shown(self, outputs: Sequence[Tensor], results: list[np.ndarray]) -> list[np.ndarray]:
        # Batches of one prediction are joined first.
        return results

    def _results(self, values: Sequence[Any]) -> Any:
        if len(values) == len(self._own):
            return super()._results(values)
        *fed, phase = values
        if phase not in (0, 1):
            raise ValueError(
                f"{self.name}: expected the learning phase 0 or 1 as the last value, got {phase!r}"
            )
        if phase == self.givens[_LEARNING_PHASE]:
            return super()._results(fed)
        return self.run({**dict(zip(self._own, fed, strict=True)), _LEARNING_PHASE: phase})


def gradients(loss: Tensor, variables: Tensor | Sequence[Tensor]) -> list[Tensor | None]:
    """Gradients of a loss.

    Parameters
    ----------
    loss : tensor
        A loss that is no scalar is summed.
    variables : tensor or sequence of tensor
        Variables, placeholders, or any float tensors on the way to `loss`.

    Returns
    -------
    list of (tensor or None)
        Of the shapes of `variables`; None where `loss` does not depend on one.
    """
    return gradient.gradients(loss, variables)


def stop_gradient(variables: Any) -> Any:
    """A tensor (or each of a list) as a constant for every gradient."""
    if isinstance(variables, list | tuple):
        return [barrier.stop_gradient(x) for x in variables]
    return barrier.stop_gradient(variables)


def print_tensor(x: Tensor, message: str = "") -> Tensor:
    """`x`, printed with `message` before it whenever it is computed; in a loop at every step.

    Only what is computed is printed: use the result in the place of `x`. Gradients pass.
    """
    return watch(x, partial(_print, message), "print_tensor")


def _print(message: str, value: np.ndarray) -> None:
    print(f"{message}{' ' if message and not message[-1].isspace() else ''}{value}", flush=True)


def learning_phase() -> Any:
    """Whether graphs train (1) or test (0): the number that was set, else an input to be fed."""
    fixed = fixed_learning_phase()
    return _LEARNING_PHASE if fixed is None else fixed


def symbolic_learning_phase() -> Tensor:
    """The learning phase as an input, also while a number is set: graphs made before that still read it."""
    return _LEARNING_PHASE


Choice = Tensor | Callable[[], Tensor]


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Tensor:
    """Select between two tensors.

    Where `condition` is a scalar, what a function makes is computed only if it is chosen, and its gradient
    too. Tensors are there before the choice: both are computed.

    Parameters
    ----------
    condition : tensor, or number
        Of the rank of the expressions or less: it selects whole parts along its own axes. Numbers other than
        0 count as true.
    then_expression, else_expression : tensor, or function that returns one
        Of one shape.

    Raises
    ------
    ValueError
        If `condition` has more dimensions than the expressions.
    """
    chosen = elementwise.cast(as_tensor(condition, "bool"), "bool")
    if not chosen.ndim and (callable(then_expression) or callable(else_expression)):
        return cond(chosen, partial(_made, then_expression), partial(_made, else_expression), "switch")
    return _select(chosen, _made(then_expression), _made(else_expression))


def _made(expression: Choice) -> Any:
    return expression() if callable(expression) else expression


def _select(chosen: Tensor, then_expression: Any, else_expression: Any) -> Tensor:
    """Element by element, or whole parts along the condition's own axes."""
    then_value, else_value = elementwise.together(then_expression, else_expression)
    rank = max(then_value.ndim, else_value.ndim)
    if chosen.ndim > rank:
        raise ValueError(
            "Rank of `condition` should be less than or equal to rank of `then_expression` and "
            f"`else_expression`. ndim(condition)={chosen.ndim}, ndim(then_expression)={then_value.ndim}"
        )
    if 0 < chosen.ndim < rank:
        chosen = shape_ops.reshape(chosen, (*chosen.shape, *(1,) * (rank - chosen.ndim)))
    return elementwise.where(chosen, then_value, else_value)


def in_train_phase(x: Choice, alt: Choice, training: Any = None) -> Any:
    """`x` when training, `alt` when testing.

    Parameters
    ----------
    x, alt : tensor, or function that returns one
        Of one shape. Where the phase is a number, only the chosen function is called.
    training : bool, int or tensor, optional
        The phase; by default `learning_phase()`.
    """
    phase = learning_phase() if training is None else training
    if isinstance(phase, bool | int | np.bool_ | np.integer):
        chosen = x if phase else alt
        return chosen() if callable(chosen) else chosen
    if phase is _LEARNING_PHASE:
        # Each phase has a Program of its own, in which the choice is made already.
        result = _select(elementwise.cast(phase, "bool"), _made(x), _made(alt))
    else:
        result = switch(phase, x, alt)
    if training is None:
        result._uses_learning_phase = True
    return result


def in_test_phase(x: Choice, alt: Choice, training: Any = None) -> Any:
    """`x` when testing, `alt` when training. Parameters as of `in_train_phase`."""
    return in_train_phase(alt, x, training)
