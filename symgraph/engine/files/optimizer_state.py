"""The state of optimizers in files of all versions of Keras, in the order of this library's optimizers.

These keep, as Keras 2 does: the number of steps (some do not), and then for each kind of state (first
moments, second moments, ...) an array for each trained weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.engine.files.hdf5 import in_order_of_weights, stored_layers, version_of
from symgraph.engine.files.layer_order import layers_in_file_order
from symgraph.engine.weights.conversion import preprocess_weights_for_loading
from symgraph.utils.hdf5_reader import GuardedDataset, GuardedGroup

_GROUP = "optimizer_weights"
_GROUP_OF_KERAS_3 = "optimizer"

_MOST_STEPS = 10_000

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class StoredState:
    """The arrays of an optimizer in a file, not read yet."""

    names: list[str]
    datasets: Sequence[GuardedDataset]
    group: GuardedGroup
    """Of the optimizer."""
    weights: GuardedGroup
    """Of the weights of the model."""
    version: str = field(default="1")

    @property
    def major(self) -> str:
        """The first number of the version."""
        return self.version.split(".")[0]

    @property
    def is_by_weight(self) -> bool:
        """Whether all that is kept for a weight comes together, as in Keras 3 and late tf.keras 2."""
        return self.major == "3" or self.names[:1] in (["iteration"], ["iteration:0"])


def stored_state(file: GuardedGroup, weights: GuardedGroup) -> StoredState | None:
    """The state in a file, or None if it has none.

    Parameters
    ----------
    file : GuardedGroup
    weights : GuardedGroup
        Where it has the weights of the model.
    """
    version = version_of(weights)
    if _GROUP in file:
        group = file.subgroup(_GROUP)
        names = group.texts("weight_names")
        return StoredState(names, [group.dataset(name) for name in names], group, weights, version)
    if _GROUP_OF_KERAS_3 in file and version == "3":
        group = file.subgroup(_GROUP_OF_KERAS_3).subgroup("vars")
        names = [str(number) for number in range(len(group.group))]
        return StoredState(names, [group.dataset(name) for name in names], group, weights, version)
    return None


def restore_state(model: Any, state: StoredState) -> bool:
    """Give the optimizer of a model its stored state. False, and no change, if the file has another one."""
    optimizer = model.optimizer
    variables = optimizer.weights
    most = 2 * sum(K.count_params(variable) for variable in variables) + len(variables) + 8
    if sum(dataset.size for dataset in state.datasets) > most:
        return False
    arrays = [dataset.read() for dataset in state.datasets]
    further = {name: state.group.number(name) for name in optimizer.further_state()}
    if state.is_by_weight:
        found = _of_keras_3(model, arrays)
        if found is None:
            return False
        arrays, told = found
        further = {name: told.get(name) for name in further}
    elif state.major in ("0", "1") or state.weights.text("backend") == "theano":
        arrays = _converted(model, state, arrays)
    kept, spare = variables[: len(arrays)], variables[len(arrays) :]
    # Keras before 2.1.2 and tf.keras do not store the unused numbers that Adam has without amsgrad.
    fits = [value.shape for value in arrays] == [K.int_shape(variable) for variable in kept]
    if not fits or any(K.int_shape(variable) != (1,) for variable in spare):
        return False
    K.batch_set_value(list(zip(kept, arrays, strict=True)))
    optimizer.set_further_state({name: value for name, value in further.items() if value is not None})
    return True


# -- Keras 3 -----------------------------------------------------------------------------------------------


def _of_keras_3(model: Any, arrays: Arrays) -> tuple[Arrays, dict[str, float]] | None:
    """Steps, perhaps the learning rate, then all that is kept for each weight; further numbers by name.

    None where the arrays are no such state.
    """
    optimizer, params = model.optimizer, model._collected_trainable_weights
    scalars, slots = [v for v in arrays if not v.shape], [v for v in arrays if v.shape]
    kinds = len(slots) // len(params) if params else 0
    if not scalars or arrays[0].shape or len(slots) != kinds * len(params):
        return None
    steps = scalars[0]
    in_order = [value for kind in range(kinds) for value in slots[kind::kinds]]
    counts = any(variable is optimizer.iterations for variable in optimizer.weights)
    if counts and not slots:
        # Without momentum Keras 3 keeps none.
        in_order = [np.zeros_like(K.get_value(variable)) for variable in optimizer.weights[1:]]
    further: dict[str, float] = {"iterations": float(steps)}
    if "m_schedule" in optimizer.further_state():
        further["m_schedule"] = _momentum_schedule(optimizer, int(steps))
    return [*([steps] if counts else []), *in_order], further


def _momentum_schedule(optimizer: Any, steps: int) -> float:
    """The product of the momenta of all steps of `Nadam`; it is 0 long before the last one counted here."""
    at = np.arange(1, min(steps, _MOST_STEPS) + 1)
    momenta = float(K.get_value(optimizer.beta_1)) * (1 - 0.5 * 0.96 ** (at * optimizer.schedule_decay))
    return float(np.prod(momenta))


# -- Keras 1, and flipped kernels --------------------------------------------------------------------------


def _converted(model: Any, state: StoredState, arrays: Arrays) -> Arrays:
    """Each kind of state, which is stored as the weights are, in the layout and order of today.

    The arrays as they are where their number is not that of the trained weights in the file.
    """
    layers = layers_in_file_order(state.weights, model)
    stored = list(_trained_names(layers, state))
    names = sorted(stored) if state.major in ("0", "1") else stored
    steps = [value for value in arrays[:1] if not value.shape]
    slots = arrays[len(steps) :]
    # An unused number of Adam is kept for each weight, or none.
    kinds = len(slots) // len(names) if names else 0
    if len(set(names)) != len(names) or len(slots) != kinds * len(names):
        return arrays
    result = list(steps)
    for kind in range(kinds):
        values = slots[kind * len(names) : (kind + 1) * len(names)]
        unused = all(value.shape == (1,) for value in values) and kind == 2
        result += values if unused else _one_kind(model, layers, state, dict(zip(names, values, strict=True)))
    return result


def _trained_names(layers: Sequence[Any], state: StoredState) -> Iterator[str]:
    """The names of the arrays of trained weights in the order of the file."""
    trained = {id(weight) for layer in layers for weight in layer.trainable_weights}
    with_weights = [layer for layer in layers if layer.weights]
    for layer, entry in zip(with_weights, stored_layers(state.weights, layers), strict=True):
        entry = in_order_of_weights(layer, entry, False)
        single = len(entry.names) == len(layer.weights)
        flags = [id(weight) in trained for weight in layer.weights] if single else []
        for number, name in enumerate(entry.names):
            if flags[number] if single else layer.trainable:
                yield name


def _one_kind(model: Any, layers: Sequence[Any], state: StoredState, values: dict[str, np.ndarray]) -> Arrays:
    found: dict[int, np.ndarray] = {}
    with_weights = [layer for layer in layers if layer.weights]
    for layer, entry in zip(with_weights, stored_layers(state.weights, layers), strict=True):
        entry = in_order_of_weights(layer, entry, False)
        arrays = [
            values[name] if name in values else np.zeros(dataset.shape, "float32")
            for name, dataset in zip(entry.names, entry.datasets, strict=True)
        ]
        made = preprocess_weights_for_loading(layer, arrays, entry.version, entry.backend)
        found.update((id(weight), value) for weight, value in zip(layer.weights, made, strict=True))
    return [found[id(weight)] for weight in model._collected_trainable_weights]
