"""The activations that matmul and convolution kernels apply to their results before storing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda y: y,
    "relu": lambda y: np.maximum(y, 0),
}
"""Name to numpy reference. The kernels of matmul and conv2d know each of these names."""
