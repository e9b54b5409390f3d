"""Helpers for users: one-hot labels, custom objects, downloads, progress bars, queues of batches.

A part is loaded when its name is first used: processes that make batches import this package only for
`Sequence`, and start in half the time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from symgraph.utils.multi_gpu_utils import multi_gpu_model
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
    "multi_gpu_model",
    "normalize",
    "plot_history",
    "plot_model",
    "print_summary",
    "serialize_keras_object",
    "to_categorical",
]

_NAMES = {
    "get_file": "data_utils",
    "multi_gpu_model": "multi_gpu_utils",
    "GeneratorEnqueuer": "enqueuers",
    "OrderedEnqueuer": "enqueuers",
    "CustomObjectScope": "generic_utils",
    "Progbar": "generic_utils",
    "custom_object_scope": "generic_utils",
    "deserialize_keras_object": "generic_utils",
    "get_custom_objects": "generic_utils",
    "serialize_keras_object": "generic_utils",
    "h5dict": "h5_dict",
    "HDF5Matrix": "hdf5_matrix",
    "convert_all_kernels_in_model": "layer_utils",
    "get_source_inputs": "layer_utils",
    "print_summary": "layer_utils",
    "normalize": "np_utils",
    "to_categorical": "np_utils",
    "plot_history": "plot_utils",
    "Sequence": "sequence",
    "plot_model": "vis_utils",
}
# Modules that Keras' users name as attributes.
_MODULES = (
    "conv_utils",
    "data_utils",
    "enqueuers",
    "generic_utils",
    "h5_dict",
    "hdf5_matrix",
    "io_utils",
    "layer_utils",
    "np_utils",
    "plot_utils",
    "sequence",
    "vis_utils",
)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
