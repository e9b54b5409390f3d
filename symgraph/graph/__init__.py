"""The symbolic graph: tensors, ops, shapes, gradients. Importing it makes every op known."""

from symgraph.graph import operators

__all__ = ["operators"]
