"""Xception under its Keras name."""

from symgraph.models.xception import Xception, decode_predictions, preprocess_input

__all__ = ["Xception", "decode_predictions", "preprocess_input"]
