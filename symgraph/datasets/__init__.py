"""Data to try models on: `mnist` (downloaded) and `digits` (bundled)."""

from symgraph.datasets import digits, mnist

__all__ = ["digits", "mnist"]
