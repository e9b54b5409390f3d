"""Functions of a model that several processes compute together, each for its own samples of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.backend.functions import PhaseFunction, phase_function, symbolic_learning_phase
from symgraph.compiler.lower import variables_of
from symgraph.distributed.alike import check_alike
from symgraph.distributed.rows import OwnRows, own_bounds, own_share
from symgraph.distributed.sharding import Divided, divide
from symgraph.distributed.world import world
from symgraph.graph.leaves import Variable
from symgraph.graph.tensor import Tensor
from symgraph.utils.warn_user import warn_user


class CurrentRanks:
    """The exchange of a graph, by the processes that train together when it is run.

    Attributes
    ----------
    starts : sequence of int
        As `bounds`: of the samples of the present call.
    """

    starts: Sequence[int] = ()

    def allreduce(self, values: np.ndarray) -> None:
        """Sums over all ranks."""
        world().allreduce(values)

    def gather(self, rows: np.ndarray, unit: int) -> None:
        """The rows of all ranks."""
        world().gather(rows, [unit * start for start in self.starts])


def model_function(
    phase: int,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    updates: Sequence[Any],
    name: str,
    options: Any = None,
    run_metadata: Any = None,
    nan_guard: bool | str = False,
) -> PhaseFunction:
    """`phase_function`; where several processes train together each computes its own samples.

    A graph that cannot be divided by samples is computed whole by each of them, with a warning.
    """
    if world().size == 1:
        return phase_function(phase, inputs, outputs, updates, name, options, run_metadata, nan_guard)
    givens = {symbolic_learning_phase(): phase}
    exchange = CurrentRanks()
    divided = divide(inputs, outputs, updates, exchange)
    made: PhaseFunction
    if divided is None:
        warn_user(
            f"{name}: none of its inputs has a batch size that is left open, or one is sparse, so that the "
            f"batch cannot be shared out: each of the {world().size} ranks computes all of it"
        )
        made = AlikeFunction(inputs, outputs, updates, givens, name, None, None, nan_guard)
    else:
        made = DividedFunction(divided, givens, name, nan_guard, exchange)
    made.note_times(run_metadata, options)
    return made


class AlikeFunction(PhaseFunction):
    """A function that all ranks call alike; before its first call they take the first one's variables."""

    _alike = False

    @property
    def is_alike(self) -> bool:
        """Whether all ranks have the same variables already."""
        return self._alike

    def note_alike(self, alike: bool) -> None:
        """Let `is_alike` be what it is on the other ranks."""
        self._alike = alike

    def share_variables(self) -> None:
        """Let all ranks have the values that the first one has."""
        roots = [*self.outputs, *(value for _, value in self.updates)]
        share_variables([*variables_of(roots), *(variable for variable, _ in self.updates)])
        self._alike = True

    def _results(self, values: Sequence[Any]) -> Any:
        if not self._alike:
            self.share_variables()
        return super()._results(values)


class DividedFunction(AlikeFunction):
    """A function of a model that is called with whole batches, by all ranks, and gives all the same results.

    Each rank computes its own samples.

    Attributes
    ----------
    by_rows : tuple of bool
        For each input whether a rank needs the rows of its own samples alone.

    Parameters
    ----------
    divided : Divided
    givens, name, nan_guard
        As of `Function`.
    exchange : CurrentRanks
        What the divided graph calls.
    """

    def __init__(
        self,
        divided: Divided,
        givens: Mapping[Tensor, Any],
        name: str,
        nan_guard: bool | str,
        exchange: CurrentRanks,
    ) -> None:
        inputs = [*divided.inputs, *divided.sizes]
        super().__init__(inputs, divided.outputs, divided.updates, givens, name, None, None, nan_guard)
        self.by_rows = divided.by_rows
        self._exchange = exchange
        self._fed_by_user = divided.inputs

    def _arguments(self, arguments: tuple[Any, ...], inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        rows = arguments[0] if len(arguments) == 1 and isinstance(arguments[0], OwnRows) else None
        values = super()._arguments(arguments, self._fed_by_user)
        count = len(self._fed_by_user)
        if rows is None:
            fed = self._own_part(values[:count])
        else:
            fed = self._with_sizes(values[:count], rows.samples, rows.starts)
        return *fed, *values[count:]

    def _own_part(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """What this rank is fed with of a whole batch."""
        ranks = world()
        if any(value is None or isinstance(value, Tensor) for value in values):
            raise ValueError(
                f"{self.name}: expected arrays, got tensors: of data that come from the graph each of the "
                f"{ranks.size} ranks would draw its own"
            )
        arrays = [np.asarray(value) for value in values]
        counts = {len(a) for a, rows in zip(arrays, self.by_rows, strict=True) if rows and a.ndim}
        if len(counts) != 1:
            raise ValueError(f"{self.name}: expected inputs of as many samples, got {sorted(counts)}")
        (samples,) = counts
        check_alike(samples, arrays)
        own = own_share(samples)
        fed = [a[own] if rows else a for a, rows in zip(arrays, self.by_rows, strict=True)]
        return self._with_sizes(fed, samples, own_bounds(samples))

    def _with_sizes(
        self, values: Sequence[Any], samples: int, starts: Sequence[int] | None = None
    ) -> tuple[Any, ...]:
        """`values`, and the two inputs that tell sizes."""
        ranks = world()
        if starts is None:
            check_alike(samples)
            starts = own_bounds(samples)
        self._exchange.starts = starts
        return (*values, *(np.empty((size, 0), np.float32) for size in (samples, starts[ranks.rank])))


def share_variables(variables: Iterable[Variable]) -> None:
    """Let all ranks have the values that the first one has."""
    ranks = world()
    for storage in {id(v.storage): v.storage for v in variables}.values():
        ranks.broadcast(storage.array)
        storage.version += 1


def share_variables_of(*functions: Any) -> None:
    """`share_variables` for those of the functions that all ranks call alike."""
    for function in functions:
        if isinstance(function, AlikeFunction):
            function.share_variables()
