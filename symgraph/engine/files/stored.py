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
    version: str
    """Of the Keras that wrote it."""
    backend: str | None
    """Of that Keras, where the file tells."""


class MismatchError(ValueError):
    """The weights in a file are not those that a layer has."""
