"""InceptionV3 under its Keras name."""

from symgraph.models.inception_v3 import InceptionV3, decode_predictions, preprocess_input

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]
