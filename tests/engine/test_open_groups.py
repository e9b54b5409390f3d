"""Weights of open HDF5 files under Keras' names, as Mask R-CNN and its kind load them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from symgraph.engine import saving, topology
from symgraph.layers import Dense
from symgraph.models import Sequential


def _model(last=2):
    return Sequential([Dense(3, input_shape=(4,), name="low"), Dense(last, name="high")])


def test_weights_in_order_and_by_name(tmp_path):
    source, target, other = _model(), _model(), _model(5)
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        topology.save_weights_to_hdf5_group(file.create_group("deep"), source.layers)
    with h5py.File(tmp_path / "weights.h5", "r") as file:
        group = file["deep"]
        assert saving.load_attributes_from_hdf5_group(group, "layer_names") == ["low", "high"]
        assert saving.load_attributes_from_hdf5_group(group, "nothing") == []
        saving.load_weights_from_hdf5_group(group, target.layers)
        for one, same in zip(source.get_weights(), target.get_weights(), strict=True):
            np.testing.assert_array_equal(one, same)
        before = other.get_weights()
        with pytest.raises(ValueError, match="high"):
            saving.load_weights_from_hdf5_group_by_name(group, other.layers)
        np.testing.assert_array_equal(other.get_weights()[0], before[0])
        # Keras' words; what follows names the file.
        words = "Skipping loading of weights for layer high due to mismatch in shape "
        message = rf"^{words}\(\(3, 5\) vs \(3, 2\)\)\. .*weights\.h5"
        with pytest.warns(UserWarning, match=message):
            saving.load_weights_from_hdf5_group_by_name(group, other.layers, skip_mismatch=True)
        np.testing.assert_array_equal(other.get_weights()[0], source.get_weights()[0])
        np.testing.assert_array_equal(other.get_weights()[2], before[2])
        bare = Sequential([Dense(3, input_shape=(4,), name="low", use_bias=False)])
        with pytest.warns(UserWarning, match=r"layer low due to mismatch in number of weights \(1 vs 2\)\. "):
            saving.load_weights_from_hdf5_group_by_name(group, bare.layers, skip_mismatch=True)
        assert bool(file)  # what was open stays open


def test_long_lists_of_names(tmp_path):
    names = [f"layer_{i:04}" + "x" * 100 for i in range(900)]
    with h5py.File(tmp_path / "names.h5", "w") as file:
        saving.save_attributes_to_hdf5_group(file, "layer_names", [name.encode() for name in names])
        assert set(file.attrs) == {"layer_names0", "layer_names1"}
        assert saving.load_attributes_from_hdf5_group(file, "layer_names") == names
        with pytest.raises(RuntimeError, match="cannot be saved"):
            saving.save_attributes_to_hdf5_group(file, "n", ["x" * (saving.HDF5_OBJECT_HEADER_LIMIT + 1)])
