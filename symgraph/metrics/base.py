"""Metric objects: what they have seen is kept in weights, over the batches of an epoch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from symgraph import backend as K
from symgraph import initializers
from symgraph.graph.leaves import Variable
from symgraph.graph.substitute import rebuild
from symgraph.graph.tensor import Tensor, next_serial, topological
from symgraph.utils.config_errors import config_errors, label_of
from symgraph.utils.generic_utils import to_list
from symgraph.utils.naming import default_name


class MetricWeight(Variable):
    """A weight of a metric. What `update_state` assigns takes effect when the graph runs."""

    __slots__ = ("_metric",)
    _metric: Metric

    def assign(self, value: Any, **kwargs: Any) -> MetricWeight:
        """Set the value: of every run inside of `update_state`, at once elsewhere. Returns the weight."""
        self._metric._assign(self, value)
        return self

    def assign_add(self, value: Any, **kwargs: Any) -> MetricWeight:
        """Add `value`; see `assign`."""
        return self.assign(self + value)

    def assign_sub(self, value: Any, **kwargs: Any) -> MetricWeight:
        """Subtract `value`; see `assign`."""
        return self.assign(self - value)

    def numpy(self) -> np.ndarray:
        """A copy of the present value."""
        return self.get_value()


class Assignments:
    """What is assigned while `update_state` writes its graph, in its order."""

    def __init__(self) -> None:
        self._values: dict[Variable, list[tuple[int, Tensor]]] = {}

    def add(self, variable: Variable, value: Any) -> None:
        """Note a new value, which may read what was assigned before it."""
        _, stored = K.update(variable, self.seen_by(K.cast(value, variable.dtype) + K.zeros_like(variable)))
        self._values.setdefault(variable, []).append((next_serial(), stored))

    def seen_by(self, root: Tensor) -> Tensor:
        """`root` where each node reads variables as they are at the point where it was written.

        Python runs line by line, and so does TensorFlow 2: a line reads what the lines above it assigned.
        """
        if not self._values:
            return root
        written = {id(variable): entries for variable, entries in self._values.items()}
        if id(root) in written:
            return written[id(root)][-1][1]
        done: dict[int, Tensor] = {}
        for node in topological([root]):
            inputs = [
                _latest(written[id(i)], node.serial, i) if id(i) in written else done[id(i)]
                for i in node.inputs
            ]
            done[id(node)] = rebuild(node, inputs)
        return done[id(root)]

    def updates(self) -> list[tuple[Variable, Tensor]]:
        """The last value of each variable."""
        return [K.update(variable, entries[-1][1]) for variable, entries in self._values.items()]


def _latest(entries: Sequence[tuple[int, Tensor]], serial: int, before: Tensor) -> Tensor:
    """The value that a node of this serial reads."""
    return next((value for written, value in reversed(entries) if written < serial), before)


def _recorded(update_state: Callable[..., Any]) -> Callable[..., Any]:
    """`update_state` whose assignments are collected: as updates of the graph, or, for arrays, at once."""

    @functools.wraps(update_state)
    def recorded(self: Metric, *args: Any, **kwargs: Any) -> Any:
        if self._assignments is not None:
            return update_state(self, *args, **kwargs)
        assignments = self._written(update_state, args, kwargs)
        if _has_tensors(args, kwargs):
            return assignments.updates()
        K.function([], [], assignments.updates())([])
        return None

    return recorded


def _has_tensors(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    return any(K.is_tensor(value) for value in (*args, *kwargs.values()))


class Metric:
    """Base of metrics with a state. A subclass makes weights, and writes `update_state` and `result`.

    Used in `compile`, a metric is what it has seen since the epoch began. With arrays it counts at once:
    ``m.update_state(y_true, y_pred)``, then ``K.eval(m.result())``.

    Parameters
    ----------
    name : str, optional
        In logs; by default after the class.
    dtype : str, optional
        Of values and weights; default `K.floatx()`.

    Attributes
    ----------
    updates : list of (variable, tensor)
        Of the last call of the metric: what a step stores.
    """

    stateful = True

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        self.name = default_name(type(self).__name__) if name is None else name
        self.dtype: str = dtype or K.floatx()
        self.updates: list[tuple[Variable, Tensor]] = []
        self._weights: list[MetricWeight] = []
        self._assignments: Assignments | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "update_state" in vars(cls):
            cls.update_state = _recorded(cls.update_state)  # type: ignore[method-assign]

    @property
    def weights(self) -> list[MetricWeight]:
        """The state."""
        return list(self._weights)

    variables = non_trainable_weights = weights

    def add_weight(
        self,
        name: str,
        shape: Sequence[int] = (),
        aggregation: Any = None,
        synchronization: Any = None,
        initializer: Any = "zeros",
        dtype: str | None = None,
    ) -> MetricWeight:
        """Make a weight.

        Parameters
        ----------
        name : str
        shape : sequence of int
        aggregation, synchronization
            Not used: there is one copy of everything.
        initializer : str, dict or callable
            Makes its first value.
        dtype : str, optional
            By default that of the metric.
        """
        sizes = tuple(shape)
        value = initializers.get(initializer or "zeros")(sizes)
        weight = MetricWeight(
            K.eval(value) if K.is_tensor(value) else value, dtype or self.dtype, f"{self.name}/{name}"
        )
        weight._metric = self
        weight.trainable = False
        self._weights.append(weight)
        return weight

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Count a batch: `assign`, `assign_add` on weights, or return what `K.update` gives."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to count: write `update_state`")

    def result(self) -> Any:
        """The metric, a tensor that reads the weights."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it counted: write `result`")

    def reset_states(self) -> None:
        """Begin anew: all weights are 0."""
        K.batch_set_value([(weight, np.zeros(K.int_shape(weight))) for weight in self._weights])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Count a batch; the metric with it.

        Returns
        -------
        tensor
            `updates` holds what has to be stored when it is computed, unless all arguments are arrays.
        """
        if not _has_tensors(args, kwargs):
            self.update_state(*args, **kwargs)
            return self.result()
        assignments = self._written(type(self).update_state, (*args,), kwargs)
        self.updates = assignments.updates()
        return assignments.seen_by(K.cast(self.result(), self.dtype))

    def _written(
        self, update_state: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Assignments:
        """What `update_state` assigns. ValueError where that is nothing."""
        self._assignments = assignments = Assignments()
        try:
            returned = update_state(self, *args, **kwargs)
        finally:
            self._assignments = None
        for pair in to_list(returned, allow_tuple=not _is_update(returned)):
            if _is_update(pair):
                assignments.add(*pair)
        if not assignments.updates():
            raise ValueError(
                f"metric {self.name}: `update_state` changes no weight; use `assign` or `assign_add` on "
                "what `add_weight` gave, or return updates by K.update"
            )
        return assignments

    def _assign(self, weight: MetricWeight, value: Any) -> None:
        if self._assignments is not None:
            self._assignments.add(weight, value)
        else:
            array = K.eval(value) if K.is_tensor(value) else np.asarray(value)
            K.set_value(weight, np.broadcast_to(array, weight.get_value().shape))

    def copy(self) -> Self:
        """A metric of the same configuration, with a state of its own."""
        return type(self).from_config(self.get_config())

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal metric, without its state."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A metric of `get_config`'s arguments."""
        with config_errors(label_of(cls.__name__, config)):
            return cls(**config)


def _is_update(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], Variable)
