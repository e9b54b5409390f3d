"""VGG16 under its Keras name."""

from symgraph.models.vgg import VGG16, decode_predictions, preprocess_input

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]
