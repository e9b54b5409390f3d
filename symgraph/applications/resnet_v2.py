"""ResNets of the second version, not in Keras 2.2.4 under their Keras names."""

from symgraph.models.resnet_v2 import (
    ResNet50V2,
    ResNet101V2,
    ResNet152V2,
    decode_predictions,
    preprocess_input,
)

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]
