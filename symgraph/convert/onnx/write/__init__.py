"""From a model to an ONNX graph: for each kind of layer the nodes that compute the same."""
