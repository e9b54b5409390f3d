"""MobileNet under its Keras name."""

from symgraph.models.mobilenet import MobileNet, decode_predictions, preprocess_input

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]
