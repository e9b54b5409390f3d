"""Helpers for users: one-hot labels, custom objects, downloads, progress bars."""

from symgraph.utils.data_utils import get_file
from symgraph.utils.enqueuers import GeneratorEnqueuer, OrderedEnqueuer
from symgraph.utils.generic_utils import (
    CustomObjectScope,
    Progbar,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    serialize_keras_object,
)
from symgraph.utils.h5_dict import h5dict
from symgraph.utils.hdf5_matrix import HDF5Matrix
from symgraph.utils.layer_utils import convert_all_kernels_in_model, get_source_inputs, print_summary
from symgraph.utils.np_utils import normalize, to_categorical
from symgraph.utils.plot_utils import plot_history
from symgraph.utils.sequence import Sequence
from symgraph.utils.vis_utils import plot_model

__all__ = [
    "CustomObjectScope",
    "GeneratorEnqueuer",
    "HDF5Matrix",
    "OrderedEnqueuer",
    "Progbar",
    "Sequence",
    "convert_all_kernels_in_model",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_file",
    "get_source_inputs",
    "h5dict",
    "normalize",
    "plot_history",
    "plot_model",
    "print_summary",
    "serialize_keras_object",
    "to_categorical",
]
