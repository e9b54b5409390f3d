"""Keras' layout of weights in HDF5 files.

A group has the attributes `layer_names`, `backend` and `keras_version` and a group for each layer, which has
the attribute `weight_names` and a dataset under each of these names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import h5py
import numpy as np

from symgraph import backend as K
from symgraph.engine.base_layer import Layer
from symgraph.engine.files.keras3_hdf5 import (
    KERAS_3,
    is_keras_3,
    keras_3_layer,
    keras_3_layers,
    keras_3_names,
)
from symgraph.engine.files.layer_config import KERAS_BACKEND, KERAS_VERSION
from symgraph.engine.files.oldest_hdf5 import OLDEST, is_oldest, oldest_layers
from symgraph.engine.files.stored import MismatchError, StoredLayer
from symgraph.engine.weights.conversion import StoredSlots, preprocess_weights_for_loading
from symgraph.engine.weights.order import Trains, always, as_now, ordered
from symgraph.engine.weights.places import find_places
from symgraph.graph.leaves import Variable
from symgraph.utils.hdf5_reader import GuardedGroup
from symgraph.utils.warn_user import warn_user

HDF5_OBJECT_HEADER_LIMIT = 64512
"""Bytes that HDF5 has for an attribute. Longer lists of names are cut into numbered parts."""

SPARE_NUMBERS = 4 << 20
"""How many numbers a model may have more than its file, for clearer errors."""

_UNFROZEN = "weight_names_unfrozen"
"""The attribute of a layer with layers inside that has `weight_names` as they are while nothing is frozen."""


# -- writing -------------------------------------------------------------------------------------------------


def write_texts(group: h5py.Group, name: str, texts: Sequence[str]) -> None:
    """Store a list of texts as the attribute `name`, or as `name0`, `name1`, ... where it is too long.

    Raises
    ------
    RuntimeError
        If one of the texts alone is too long.
    """
    encoded = [text.encode("utf-8") for text in texts]
    longest = max((len(text) for text in encoded), default=0)
    if longest > HDF5_OBJECT_HEADER_LIMIT:
        raise RuntimeError(
            f"The attribute {name} cannot be saved to an HDF5 file: one of its names has {longest} bytes, "
            f"more than {HDF5_OBJECT_HEADER_LIMIT}"
        )
    array = np.asarray(encoded)
    if array.nbytes <= HDF5_OBJECT_HEADER_LIMIT:
        group.attrs[name] = array
        return
    in_one = HDF5_OBJECT_HEADER_LIMIT // array.itemsize
    for number, start in enumerate(range(0, len(array), in_one)):
        group.attrs[f"{name}{number}"] = array[start : start + in_one]


def write_arrays(group: h5py.Group, names: Iterable[str], values: Iterable[np.ndarray]) -> list[str]:
    """Store arrays and, as `weight_names`, the list of their names, which are made unique and returned."""
    taken: dict[str, np.ndarray] = {}
    for name, value in zip(names, values, strict=True):
        unique, number = name, 0
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        taken[unique] = value
    write_texts(group, "weight_names", list(taken))
    for name, value in taken.items():
        group.create_dataset(name, data=value)
    return list(taken)


def write_layers(group: h5py.Group, layers: Sequence[Layer], trains: Trains = as_now) -> None:
    """Store the weights of `layers`, in the order that Keras lists them in.

    Parameters
    ----------
    group : h5py.Group
    layers : sequence of Layer
    trains : callable
        Which layers count as trained when Keras reads the file.
    """
    write_texts(group, "layer_names", [layer.name for layer in layers])
    group.attrs["backend"] = KERAS_BACKEND.encode()
    group.attrs["keras_version"] = KERAS_VERSION.encode()
    for layer in layers:
        inside = group.require_group(layer.name)
        weights = ordered(layer, trains)
        names = write_arrays(inside, names_of(weights), K.batch_get_value(weights))
        if layer._weight_parts().inner:
            # Keras reads by the order above, which depends on what is frozen; this one does not.
            named = {id(weight): name for weight, name in zip(weights, names, strict=True)}
            write_texts(inside, _UNFROZEN, [named[id(weight)] for weight in layer.weights])


def names_of(variables: Sequence[Variable]) -> list[str]:
    """The names of variables; `param_0`, `param_1`, ... where they have none."""
    return [variable.name or f"param_{i}" for i, variable in enumerate(variables)]


# -- reading -------------------------------------------------------------------------------------------------


Assignment = tuple[Variable, np.ndarray]


def stored_layer(group: GuardedGroup, name: str) -> StoredLayer:
    """The weights that the file has for the layer `name`."""
    inside = group.subgroup(name)
    names = tuple(inside.texts("weight_names"))
    datasets = tuple(inside.dataset(weight) for weight in names)
    version, backend = version_of(group), backend_of(group)
    return StoredLayer(name, group.label, names, datasets, tuple(inside.texts(_UNFROZEN)), version, backend)


def most_numbers(group: GuardedGroup) -> int:
    """The numbers that a model made for the file may have in all, with some to spare for clearer errors."""
    layers = [stored_layer(group, name) for name in dict.fromkeys(group.texts("layer_names"))]
    # An array that has several names counts once.
    arrays = {dataset.identity: dataset for layer in layers for dataset in layer.datasets}
    return SPARE_NUMBERS + sum(array.most_elements for array in arrays.values())


def stored_layers(group: GuardedGroup, layers: Sequence[Layer]) -> list[StoredLayer]:
    """The layers of the file that have weights, in its order, for those of the model that have some."""
    if is_oldest(group):
        return oldest_layers(group, [layer for layer in layers if layer.weights])
    if is_keras_3(group):
        return keras_3_layers(group, layers)
    found = (stored_layer(group, name) for name in group.texts("layer_names"))
    return [entry for entry in found if entry.datasets]


def load_in_order(group: GuardedGroup, layers: Sequence[Layer], reshape: bool = False) -> list[Assignment]:
    """Match the layers that have weights with those of the file, one after another.

    Parameters
    ----------
    group : GuardedGroup
    layers : sequence of Layer
    reshape : bool
        Accept arrays of another shape that have the right number of elements.

    Returns
    -------
    list of (Variable, ndarray)
        Not assigned yet.

    Raises
    ------
    ValueError
        If numbers of layers, numbers of weights or shapes differ.
    """
    with_weights = [layer for layer in layers if layer.weights]
    stored = stored_layers(group, layers)
    if len(stored) != len(with_weights):
        raise ValueError(
            f"{group.label}: You are trying to load a weight file containing {len(stored)} layers into a "
            f"model with {len(with_weights)} layers. Expected weights for {_names(with_weights)}, got "
            f"{_names(stored)}"
        )
    assignments: list[Assignment] = []
    for layer, entry in zip(with_weights, stored, strict=True):
        assignments += _assignments(layer, entry, reshape)
    return assignments


def load_by_name(
    group: GuardedGroup, layers: Sequence[Layer], skip_mismatch: bool = False, reshape: bool = False
) -> list[Assignment]:
    """Match layers with those of the same name in the file. Layers without one are left alone.

    Parameters
    ----------
    group, layers, reshape
        As in `load_in_order`.
    skip_mismatch : bool
        Leave layers alone whose weights do not fit, with a warning, instead of raising ValueError.
    """
    if is_oldest(group):
        raise ValueError(
            f"{group.label}: weights of Keras 0.3 cannot be loaded by name, the file has no names: "
            "load them in order, with by_name=False"
        )
    in_keras_3 = keras_3_names(group) if is_keras_3(group) else None
    in_file = set(group.texts("layer_names")) if in_keras_3 is None else in_keras_3.keys()
    assignments: list[Assignment] = []
    for layer in layers:
        if layer.name not in in_file:
            continue
        try:
            if in_keras_3 is None:
                entry = stored_layer(group, layer.name)
            else:
                entry = keras_3_layer(group, in_keras_3[layer.name], layer)
            assignments += _assignments(layer, entry, reshape)
        except MismatchError as error:
            if not skip_mismatch:
                raise
            warn_user(
                f"Skipping loading of weights for layer {layer.name} due to mismatch in "
                f"{_what_differs(layer, entry)}. {error}",
            )
    return assignments


def version_of(group: GuardedGroup) -> str:
    """The version of Keras that wrote the weights; those before 2 did not tell."""
    if is_oldest(group):
        return OLDEST
    return KERAS_3 if is_keras_3(group) else group.text("keras_version") or "1"


def backend_of(group: GuardedGroup) -> str | None:
    """The backend whose convolutions the weights are for.

    Keras 1 did not tell. A script that says that it runs on Theano reads its own files, as it did then.
    """
    stated = group.text("backend")
    is_old = version_of(group).split(".")[0] in ("0", "1")
    return K.backend() if stated is None and is_old else stated


def _what_differs(layer: Layer, entry: StoredLayer) -> str:
    """What Keras says of weights that do not fit: their number, or the first shape, of the layer first."""
    expected = [K.int_shape(weight) for weight in layer.weights]
    found = [dataset.shape for dataset in entry.datasets]
    if len(expected) != len(found):
        return f"number of weights ({len(expected)} vs {len(found)})"
    pairs = [pair for pair in zip(expected, found, strict=True) if pair[0] != pair[1]]
    # Arrays of the right shapes may still be those of another version.
    return "shape ({} vs {})".format(*pairs[0]) if pairs else "layout"


def _names(entries: Sequence[Any]) -> str:
    shown = ", ".join(entry.name for entry in entries[:8])
    return f"[{shown}, ...]" if len(entries) > 8 else f"[{shown}]"


def _assignments(layer: Layer, entry: StoredLayer, reshape: bool) -> list[Assignment]:
    weights = layer.weights
    # Layers of cuDNN have larger biases: at most twice as many numbers in all. Nothing larger is read.
    numbers = sum(dataset.size for dataset in entry.datasets)
    if numbers > 2 * sum(K.count_params(weight) for weight in weights):
        raise MismatchError(_difference(layer, weights, entry, [dataset.shape for dataset in entry.datasets]))
    try:
        entry = in_order_of_weights(layer, entry, reshape)
        stored = [dataset.read() for dataset in entry.datasets]
        values = preprocess_weights_for_loading(layer, stored, entry.version, entry.backend, reshape)
    except ValueError as error:
        if str(error).startswith(entry.label):
            raise
        raise MismatchError(f"{entry.label}: layer {layer.name}: {error}") from error
    if [value.shape for value in values] != [K.int_shape(weight) for weight in weights]:
        raise MismatchError(_difference(layer, weights, entry, [value.shape for value in values]))
    return list(zip(weights, values, strict=True))


def in_order_of_weights(layer: Layer, entry: StoredLayer, reshape: bool) -> StoredLayer:
    """What is stored for a layer in the order of its weights. ValueError where that cannot be known."""
    slots = StoredSlots(layer, len(entry.datasets), entry.version)
    if len(slots(always)) != len(entry.datasets):
        return entry
    shapes = [dataset.shape for dataset in entry.datasets]
    places = find_places(
        layer,
        slots,
        entry.names,
        entry.unfrozen,
        lambda found: slots.fit([shapes[i] for i in found], reshape),
    )
    return replace(
        entry,
        names=tuple(entry.names[place] for place in places),
        datasets=tuple(entry.datasets[place] for place in places),
    )


def _difference(
    layer: Layer, weights: Sequence[Variable], entry: StoredLayer, shapes: Sequence[tuple[int, ...]]
) -> str:
    """What differs between the weights of a layer and those that are stored for it."""
    if len(weights) != len(shapes):
        return (
            f"{entry.label}: layer {layer.name} expects {len(weights)} weight(s), but the saved weights of "
            f"{entry.name} have {len(entry.datasets)} element(s)"
        )
    for weight, shape, dataset in zip(weights, shapes, entry.datasets, strict=False):
        if K.int_shape(weight) != shape:
            return (
                f"{dataset.label}: layer {layer.name}, weight {weight.name}: expected shape "
                f"{K.int_shape(weight)}, got {dataset.shape}"
            )
    raise AssertionError("nothing differs")
