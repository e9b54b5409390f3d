"""The layout of weights in HDF5 files of Keras 0.3 and before.

A Sequential: the attribute `nb_layers`, and groups `layer_0`, `layer_1`, ... with the attribute `nb_params`
and datasets `param_0`, `param_1`, ... A Graph: one such group, `graph`. There are no names of layers.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph import backend as K
from symgraph.engine.base_layer import Layer
from symgraph.engine.files.stored import StoredLayer
from symgraph.engine.weights.conversion import stored_count
from symgraph.utils.hdf5_reader import GuardedDataset, GuardedGroup

OLDEST = "0"
"""The version of Keras that is said to have written these files, which do not tell."""

_MOST_LAYERS = 100_000


def is_oldest(group: GuardedGroup) -> bool:
    """Whether a group has this layout."""
    return group.number("nb_layers") is not None or (
        "graph" in group and group.subgroup("graph").number("nb_params") is not None
    )


def oldest_layers(group: GuardedGroup, layers: Sequence[Layer]) -> list[StoredLayer]:
    """What is stored for each of `layers`, those of a model that have weights.

    Parameters
    ----------
    group : GuardedGroup
    layers : sequence of Layer

    Returns
    -------
    list of StoredLayer
        As the file has them: as many as there are `layers` only where the file fits.

    Raises
    ------
    ValueError
        If arrays are missing, or those of several layers, which `Merge` and `Graph` put together, are not as
        many as the layers have weights.
    """
    count = group.number("nb_layers")
    if count is None:
        return _shared_out(_params(group, "graph"), layers, group)
    if not 0 <= count <= _MOST_LAYERS:
        raise ValueError(f"{group.label}: expected the number of layers as nb_layers, got {count}")
    names = [f"layer_{number}" for number in range(int(count))]
    found = [(name, params) for name in names if (params := _params(group, name))]
    if len(found) == len(layers):
        return [_stored(name, params, group) for name, params in found]
    every = [dataset for _, params in found for dataset in params]
    if len(found) < len(layers) and len(every) == sum(stored_count(layer, OLDEST) for layer in layers):
        return _shared_out(every, layers, group)
    return [_stored(name, params, group) for name, params in found]


def _params(group: GuardedGroup, name: str) -> list[GuardedDataset]:
    inside = group.subgroup(name)
    count = inside.number("nb_params")
    if count is None or not 0 <= count <= _MOST_LAYERS:
        raise ValueError(f"{inside.label}: expected the number of arrays as nb_params, got {count}")
    return [inside.dataset(f"param_{number}") for number in range(int(count))]


def _shared_out(
    every: Sequence[GuardedDataset], layers: Sequence[Layer], group: GuardedGroup
) -> list[StoredLayer]:
    """The arrays of a `Graph`, or of a `Merge` and what is above it, one layer after the other."""
    counts = [stored_count(layer, OLDEST) for layer in layers]
    if sum(counts) != len(every):
        raise ValueError(
            f"{group.label}: the layers of the model have {sum(counts)} weights in files of Keras 0.3, but "
            f"the file has {len(every)} arrays"
        )
    found, start = [], 0
    for layer, count in zip(layers, counts, strict=True):
        found.append(_stored(layer.name, every[start : start + count], group))
        start += count
    return found


def _stored(name: str, params: Sequence[GuardedDataset], group: GuardedGroup) -> StoredLayer:
    names = tuple(f"param_{number}" for number in range(len(params)))
    return StoredLayer(name, group.label, names, tuple(params), (), OLDEST, K.backend())
