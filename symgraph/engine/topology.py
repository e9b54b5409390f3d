"""What Keras had in a module of this name until version 2.2."""

from symgraph.engine.base_layer import InputSpec, Layer, Node
from symgraph.engine.input_layer import Input, InputLayer
from symgraph.engine.network import Network, get_source_inputs
from symgraph.engine.saving import (
    load_weights_from_hdf5_group,
    load_weights_from_hdf5_group_by_name,
    preprocess_weights_for_loading,
    save_weights_to_hdf5_group,
)
from symgraph.layers.old_merge import Merge, merge

Container = Network  # its name until Keras 2.1

__all__ = [
    "Container",
    "Input",
    "InputLayer",
    "InputSpec",
    "Layer",
    "Merge",
    "Network",
    "Node",
    "get_source_inputs",
    "load_weights_from_hdf5_group",
    "load_weights_from_hdf5_group_by_name",
    "merge",
    "preprocess_weights_for_loading",
    "save_weights_to_hdf5_group",
]
