"""ResNets of later versions of Keras under their Keras names."""

from symgraph.models.resnet import ResNet50, ResNet101, ResNet152, decode_predictions, preprocess_input

__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]
