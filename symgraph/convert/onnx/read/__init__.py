"""From an ONNX graph to a model: for each operator the layers that compute the same."""
