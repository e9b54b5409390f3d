"""Pictures in, names out, under Keras' names."""

from symgraph.models.imagenet_utils import decode_predictions, preprocess_input
from symgraph.models.imagenet_utils import obtain_input_shape as _obtain_input_shape

__all__ = ["_obtain_input_shape", "decode_predictions", "preprocess_input"]
