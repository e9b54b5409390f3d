"""A stand-in for TensorFlow, where that is not installed: what Keras scripts use of it beside Keras."""
