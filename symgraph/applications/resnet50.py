"""ResNet50 under its Keras name."""

from symgraph.models.resnet50 import ResNet50, decode_predictions, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
