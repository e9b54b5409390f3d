"""Keras 3's layout of weights in HDF5 files: that of `.weights.h5` and inside of `.keras`.

A model is a group with a group `layers`, in which each layer has one that is called after its class: `dense`,
`dense_1`, ... Its arrays are `vars/0`, `vars/1`, ...; `vars` has the attribute `name`. Layers inside have
groups in that of the layer: `cell`, `layer`, `forward_layer`, `backward_layer`, or again `layers`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import h5py

from symgraph.engine.base_layer import Layer
from symgraph.engine.files.stored import MismatchError, StoredLayer
from symgraph.engine.weights.order import is_network
from symgraph.utils.hdf5_reader import GuardedDataset, GuardedGroup

KERAS_3 = "3"
"""The version of Keras that is said to have written these files, which do not tell."""

_LAYERS = ("layers", "_layer_checkpoint_dependencies")
_VARIABLES = "vars"
_MOST_CHILDREN = 100_000


def is_keras_3(group: GuardedGroup) -> bool:
    """Whether a group has this layout."""
    attributes = group.group.attrs
    named = any(name in attributes for name in ("layer_names", "layer_names0", "nb_layers"))
    return not named and any(name in group for name in _LAYERS)


def keras_3_layers(group: GuardedGroup, layers: Sequence[Layer]) -> list[StoredLayer]:
    """What is stored for those of `layers`, all layers of a model, that have weights.

    Raises
    ------
    ValueError
        If weights are missing, or there are others.
    """
    children = _children(group, layers)
    found = []
    for layer, inside in zip(layers, children, strict=True):
        if layer.weights:
            found.append(_stored(layer, inside, group))
    _check_all_used(group, [inside for inside in children if inside is not None])
    return found


def keras_3_names(group: GuardedGroup) -> dict[str, GuardedGroup]:
    """The groups of the layers by the names of the layers, where the file tells these."""
    container = _container(group)
    named = ((_name(inside), inside) for inside in _groups(container))
    return {name: inside for name, inside in named if name is not None}


def keras_3_layer(group: GuardedGroup, inside: GuardedGroup, layer: Layer) -> StoredLayer:
    """What is stored in a group for a layer."""
    return _stored(layer, inside, group)


# -- groups ------------------------------------------------------------------------------------------------


def _container(group: GuardedGroup) -> GuardedGroup:
    return group.subgroup(next((name for name in _LAYERS if name in group), _LAYERS[0]))


def _groups(container: GuardedGroup) -> Iterator[GuardedGroup]:
    names = list(container.group.keys())
    if len(names) > _MOST_CHILDREN:
        raise ValueError(f"{container.label}: {len(names)} groups, more than any model has; refused")
    for name in names:
        if isinstance(container.lookup(name), h5py.Group):
            yield container.subgroup(name)


def _name(inside: GuardedGroup) -> str | None:
    return inside.subgroup(_VARIABLES).text("name") if _VARIABLES in inside else None


def _children(group: GuardedGroup, layers: Sequence[Layer]) -> list[GuardedGroup | None]:
    """The group of each layer: by the names of layers if the file has these, else by their classes."""
    with_weights = [layer for layer in layers if layer.weights]
    container = _container(group) if with_weights else group
    if not with_weights:
        return [None] * len(layers)
    by_name = keras_3_names(group)
    if all(layer.name in by_name for layer in with_weights):
        return [by_name.get(layer.name) for layer in layers]
    found: list[GuardedGroup | None] = []
    for name, layer in zip(_class_names(layers), layers, strict=True):
        if not layer.weights:
            found.append(container.subgroup(name) if name in container else None)
        elif name in container:
            found.append(container.subgroup(name))
        else:
            have = ", ".join(sorted(container.group.keys())[:12]) or "nothing"
            raise MismatchError(
                f"{container.label}: layer {layer.name}: expected its weights in the group {name!r}, got "
                f"{have}"
            )
    return found


def _class_names(layers: Sequence[Layer]) -> list[str]:
    """The names that Keras 3 gives the groups of layers: by their classes, and numbered."""
    seen: Counter[str] = Counter()
    names = []
    for layer in layers:
        kind = type(layer).__name__
        name = "functional" if kind == "Model" else _snake_case(kind)
        names.append(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return names


def _snake_case(name: str) -> str:
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def _check_all_used(group: GuardedGroup, used: Sequence[GuardedGroup]) -> None:
    """ValueError where the file has weights of layers that the model does not have."""
    labels = {inside.label for inside in used}
    for inside in _groups(_container(group)):
        if inside.label in labels or _VARIABLES not in inside:
            continue
        if len(inside.subgroup(_VARIABLES).group):
            raise MismatchError(
                f"{inside.label}: these weights belong to no layer of the model: it has fewer layers than "
                "the file"
            )


# -- arrays ------------------------------------------------------------------------------------------------


def _stored(layer: Layer, inside: GuardedGroup | None, group: GuardedGroup) -> StoredLayer:
    if inside is None:
        raise MismatchError(f"{group.label}: layer {layer.name}: there are no weights for it")
    found: dict[int, GuardedDataset] = {}
    _collect(layer, inside, found)
    datasets = tuple(found[id(weight)] for weight in layer.weights)
    names = tuple(dataset.label for dataset in datasets)
    return StoredLayer(layer.name, inside.label, names, datasets, names, KERAS_3, None)


def _collect(layer: Any, inside: GuardedGroup, found: dict[int, GuardedDataset]) -> None:
    """Note the array of each weight of a layer and of the layers inside."""
    trained, fixed, inner = layer._weight_parts()
    own = [*trained, *fixed]
    stored = inside.subgroup(_VARIABLES) if own else None
    if stored is not None:
        if len(stored.group) != len(own):
            raise MismatchError(
                f"{stored.label}: layer {layer.name} expects {len(own)} weight(s), but the saved weights "
                f"have {len(stored.group)} element(s)"
            )
        found.update((id(weight), stored.dataset(str(number))) for number, weight in enumerate(own))
    if is_network(layer) or hasattr(layer, "cells"):
        groups = _children(inside, inner) if is_network(layer) else _cells(inside, inner)
        for part, group in zip(inner, groups, strict=True):
            if group is not None:
                _collect(part, group, found)
        return
    for part in inner:
        if part.weights:
            _collect(part, inside.subgroup(_attribute(layer, part)), found)


def _cells(inside: GuardedGroup, cells: Sequence[Layer]) -> list[GuardedGroup]:
    container = inside.subgroup("cells")
    return [container.subgroup(name) for name in _class_names(cells)]


def _attribute(layer: Any, part: Layer) -> str:
    """Under which name a layer holds another one."""
    for name in ("forward_layer", "backward_layer", "cell", "layer"):
        if getattr(layer, name, None) is part:
            return name
    raise MismatchError(
        f"layer {layer.name}: it is not known where Keras 3 stores the weights of {part.name}"
    )
