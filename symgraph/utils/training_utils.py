"""`multi_gpu_model`, at the place where Keras 2.1 had it."""

from symgraph.utils.multi_gpu_utils import multi_gpu_model

__all__ = ["multi_gpu_model"]
