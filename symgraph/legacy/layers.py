"""Layers of Keras 1, at the place where Keras 2 keeps them."""

from symgraph.engine.base_layer import InputSpec, Layer
from symgraph.layers.old_layers import AtrousConvolution1D, AtrousConvolution2D, Highway, MaxoutDense
from symgraph.layers.old_merge import Merge, merge
from symgraph.layers.old_recurrent import Recurrent

__all__ = [
    "AtrousConvolution1D", "AtrousConvolution2D", "Highway", "InputSpec", "Layer", "MaxoutDense", "Merge",
    "Recurrent", "merge",
]  # fmt: skip
