"""Weights in groups of HDF5 files that a script has opened itself, under the names that Keras has for it."""

from __future__ import annotations

from collections.abc import Sequence

import h5py

from symgraph.engine.base_layer import Layer
from symgraph.engine.files.hdf5 import load_by_name, load_in_order, write_layers, write_texts
from symgraph.engine.weights.assignment import hand_over
from symgraph.utils.hdf5_reader import open_hdf5


def save_attributes_to_hdf5_group(group: h5py.Group, name: str, data: Sequence[str | bytes]) -> None:
    """Store texts as the attribute `name`, or as `name0`, `name1`, ... where they are too long for one.

    Raises
    ------
    RuntimeError
        If one of the texts alone is too long.
    """
    write_texts(group, name, [text.decode("utf-8") if isinstance(text, bytes) else text for text in data])


def load_attributes_from_hdf5_group(group: h5py.Group, name: str) -> list[str]:
    """The texts that `save_attributes_to_hdf5_group` stored; none where there is no such attribute."""
    with open_hdf5(group) as file:
        found: list[str] = list(file.texts(name))
    return found


def save_weights_to_hdf5_group(f: h5py.Group, layers: Sequence[Layer]) -> None:
    """Store the weights of `layers` in an open file or group."""
    write_layers(f, layers)


def load_weights_from_hdf5_group(f: h5py.Group, layers: Sequence[Layer], reshape: bool = False) -> None:
    """Give the layers the weights in an open file or group, one layer after another.

    Parameters
    ----------
    f : h5py.Group
        With the attribute `layer_names`.
    layers : sequence of Layer
    reshape : bool
        Accept arrays of another shape that have the right number of elements.

    Raises
    ------
    ValueError
        If the weights do not fit; none is changed then.
    """
    with open_hdf5(f) as file:
        assignments = load_in_order(file, layers, reshape)
    hand_over(assignments)


def load_weights_from_hdf5_group_by_name(
    f: h5py.Group, layers: Sequence[Layer], skip_mismatch: bool = False, reshape: bool = False
) -> None:
    """Give the layers the weights that an open file or group has under their names.

    Parameters
    ----------
    f, layers, reshape
        As of `load_weights_from_hdf5_group`.
    skip_mismatch : bool
        Leave layers alone whose weights do not fit, with a warning, instead of raising ValueError.
    """
    with open_hdf5(f) as file:
        assignments = load_by_name(file, layers, skip_mismatch, reshape)
    hand_over(assignments)
