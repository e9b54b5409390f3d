"""Models: layers, networks, training, files."""

from symgraph.engine.base_layer import Layer
from symgraph.engine.input_layer import Input, InputLayer
from symgraph.engine.layer.spec import InputSpec
from symgraph.engine.network import get_source_inputs
from symgraph.engine.training import Model

__all__ = ["Input", "InputLayer", "InputSpec", "Layer", "Model", "get_source_inputs"]
