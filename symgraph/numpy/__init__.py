"""NumPy's functions on symbolic tensors, by the names of the Python array API standard 2024.12."""

from __future__ import annotations

from symgraph.numpy import fft, linalg

__all__ = ["fft", "linalg"]
