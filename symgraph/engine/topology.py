"""What Keras had in a module of this name until version 2.2."""

from symgraph.engine.base_layer import InputSpec, Layer, Node
from symgraph.engine.input_layer import Input, InputLayer
from symgraph.engine.network import Network, get_source_inputs
from symgraph.layers.old_merge import Merge, merge

Container = Network  # its name until Keras 2.1

__all__ = [
    "Container", "Input", "InputLayer", "InputSpec", "Layer", "Merge", "Network", "Node", "get_source_inputs",
    "merge",
]  # fmt: skip
