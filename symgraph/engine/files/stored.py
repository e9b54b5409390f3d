"""The weights of a layer in a file, whatever its layout."""

from __future__ import annotations

from dataclasses import dataclass

from symgraph.utils.hdf5_reader import GuardedDataset


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """The weights of a layer in a file, not read yet."""

    name: str
    label: str
    names: tuple[str, ...]
    datasets: tuple[GuardedDataset, ...]
    unfrozen: tuple[str, ...]
    """The names in the order of the layer's weights, where the file tells."""
