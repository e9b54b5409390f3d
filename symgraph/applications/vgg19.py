"""VGG19 under its Keras name."""

from symgraph.models.vgg import VGG19, decode_predictions, preprocess_input

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]
