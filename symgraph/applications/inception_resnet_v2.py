"""InceptionResNetV2 under its Keras name."""

from symgraph.models.inception_resnet_v2 import InceptionResNetV2, decode_predictions, preprocess_input

__all__ = ["InceptionResNetV2", "decode_predictions", "preprocess_input"]
