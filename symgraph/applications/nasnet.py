"""NASNets under their Keras names."""

from symgraph.models.nasnet import NASNetLarge, NASNetMobile, decode_predictions, preprocess_input

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]
