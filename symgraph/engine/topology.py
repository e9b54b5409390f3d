"""What Keras had in a module of this name until version 2.2."""

from symgraph.engine.base_layer import InputSpec, Layer, Node
from symgraph.engine.input_layer import Input, InputLayer
from symgraph.engine.network import Network, get_source_inputs

__all__ = ["Input", "InputLayer", "InputSpec", "Layer", "Network", "Node", "get_source_inputs"]
